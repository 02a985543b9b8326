using Lguest.Boot.Images;

namespace Lguest.Boot.Loading;

/// <summary>A stretch of guest-physical memory that was filled from a file.</summary>
/// <param name="Address">Where it starts.</param>
/// <param name="Length">Bytes that came from the file.</param>
internal sealed record LoadedRange(uint Address, int Length);

/// <summary>The initial RAM disk, at the very top of RAM.</summary>
internal static class Initrd
{
    private const string Expected = "an initramfs (a cpio archive) or a file system image";

    /// <summary>Puts it there.</summary>
    /// <param name="path">The file.</param>
    /// <param name="open">Opens it (<see cref="FileOpener"/>).</param>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="floor">First address that is free, after the kernel.</param>
    /// <exception cref="BootException">It can't be read, or there is no room for it.</exception>
    public static LoadedRange Load(string path, Func<string, Stream> open, IBootMemory memory, uint floor)
    {
        using ImageFile file = ImageFile.Open("initrd", path, Expected, open);
        ulong rounded = MemorySize.RoundUpToPage((ulong)file.Length);
        if (file.Length > int.MaxValue || rounded + floor > memory.Size)
        {
            throw new BootException(
                $"{file.Description} has {file.Length} bytes, which do not fit into the guest's {MemorySize.Format(memory.Size)} of memory "
                + $"beside the kernel: give it at least {MemorySize.Format(MemorySize.RoundUpToMebibyte(rounded + floor + MemorySize.RoomForKernel))}");
        }

        var range = new LoadedRange(memory.Size - (uint)rounded, (int)file.Length);
        if (!file.TryRead(0, memory.Slice(range.Address, range.Length)))
        {
            file.ThrowTruncated("its last part");
        }

        return range;
    }
}
