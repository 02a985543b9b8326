using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// The memory below 4 GiB that 32-bit code has on the host's processor: a page of code, and pages of data around one that is
/// read-only and one that is missing. Wherever else it reaches there must be nothing.
/// </summary>
internal static unsafe class LowMemory
{
    /// <summary>Bytes of a page.</summary>
    public const uint PageSize = 4096;

    /// <summary>Pages from <see cref="Data"/> on.</summary>
    public const int DataPages = 6;

    /// <summary>The page of data that can't be written.</summary>
    public const int ReadOnlyPage = 2;

    /// <summary>The page of data that isn't there.</summary>
    public const int MissingPage = 3;

    // Always the same where it is free, so that a case of the fuzz can be had again.
    private const nint Wanted = 0x4840_0000;
    private const uint Reach = 0x40_0000;
    private const uint CodeOffset = 0x4_0000;
    private const uint DataOffset = 0x8_0000;

    /// <summary>A multiple of 4 MiB: one page table serves all. 0 if there is no such memory.</summary>
    public static uint Base { get; } = Reserve();

    /// <summary>The page of code.</summary>
    public static uint Code => Base + CodeOffset;

    /// <summary>The first page of data.</summary>
    public static uint Data => Base + DataOffset;

    /// <summary>After the last page of data.</summary>
    public static uint DataEnd => Data + DataPages * PageSize;

    /// <summary>The pages of data that can be written, by number.</summary>
    public static IEnumerable<int> WritablePages =>
        Enumerable.Range(0, DataPages).Where(page => page is not (ReadOnlyPage or MissingPage));

    /// <summary>A page of data as the host's processor has it.</summary>
    public static Span<byte> Page(int number) => new((void*)(Data + (uint)number * PageSize), (int)PageSize);

    /// <summary>Replaces the page of code, from its start.</summary>
    public static void WriteCode(ReadOnlySpan<byte> code) => ExecutableArena.Write((nint)Code, code);

    /// <summary>Fills the page that can't be written.</summary>
    public static void WriteReadOnlyPage(ReadOnlySpan<byte> bytes)
    {
        nint page = (nint)(Data + ReadOnlyPage * PageSize);
        ExecutableArena.OpenForData(page, PageSize, writable: true);
        bytes.CopyTo(Page(ReadOnlyPage));
        ExecutableArena.OpenForData(page, PageSize, writable: false);
    }

    /// <summary>Whether nothing else lies below 4 GiB, as Linux tells it.</summary>
    public static bool IsAlone() => File.ReadLines("/proc/self/maps")
        .Select(line => Convert.ToUInt64(line[..line.IndexOf('-', StringComparison.Ordinal)], 16))
        .All(start => start > uint.MaxValue || (start >= Base && start < Base + 2 * Reach));

    private static uint Reserve()
    {
        nint start = ExecutableArena.ReserveLow(Wanted, 2 * Reach);
        if (start == 0)
        {
            return 0;
        }

        uint aligned = ((uint)start + Reach - 1) & ~(Reach - 1);
        ExecutableArena.OpenForData((nint)(aligned + CodeOffset), PageSize, writable: true);
        foreach (int page in WritablePages.Append(ReadOnlyPage))
        {
            ExecutableArena.OpenForData((nint)(aligned + DataOffset + (uint)page * PageSize), PageSize, page != ReadOnlyPage);
        }

        return aligned;
    }
}
