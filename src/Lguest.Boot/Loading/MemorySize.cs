namespace Lguest.Boot.Loading;

/// <summary>Sizes of memory in sentences and in arithmetic.</summary>
public static class MemorySize
{
    /// <summary>Bytes in a page.</summary>
    public const uint Page = 4096;

    /// <summary>
    /// Free bytes that a kernel wants after its image, for the sizes in our messages. A raw image doesn't record
    /// what the kernel clears after it (its .bss).
    /// </summary>
    public const uint RoomForKernel = 1024 * 1024;

    private const uint Mebibyte = 1024 * 1024;

    /// <summary>The next multiple of a page.</summary>
    public static ulong RoundUpToPage(ulong size) => (size + Page - 1) / Page * Page;

    /// <summary>The next multiple of 1 MiB.</summary>
    public static ulong RoundUpToMebibyte(ulong size) => (size + Mebibyte - 1) / Mebibyte * Mebibyte;

    /// <summary>A size as the command line takes it: <c>64m</c>, or <c>60k</c> when it isn't a whole number of MiB.</summary>
    public static string Format(ulong size) => size % Mebibyte == 0 ? $"{size / Mebibyte}m" : $"{size / 1024}k";
}
