namespace Lguest.Host;

/// <summary>A stretch of physical addresses.</summary>
/// <param name="Start">The first.</param>
/// <param name="End">The first after it.</param>
/// <remarks>A class, because lists of structs of ours must be compiled at run time, and that is start-up time.</remarks>
public sealed record MemoryRange(ulong Start, ulong End)
{
    /// <summary>Bytes.</summary>
    public ulong Length => End - Start;
}

/// <summary>
/// Where a guest's RAM is. Devices are below 4 GiB, because keys and DMA lists have 32 bits. So RAM that doesn't fit under
/// them has a hole there, and goes on at 4 GiB, as a PC's does.
/// </summary>
public sealed record MemoryLayout
{
    /// <summary>The most RAM without a hole: above it there is room for the devices' pages.</summary>
    public const ulong MostLowRam = FourGibibytes - (16 << 20);

    /// <summary>Where the hole begins, if there is one.</summary>
    public const ulong Hole = FourGibibytes - (256 << 20);

    /// <summary>The most RAM: all of it has physical addresses of 36 bits.</summary>
    public const ulong MostRam = (1UL << 36) - (FourGibibytes - Hole);

    private const ulong FourGibibytes = 1UL << 32;

    private MemoryLayout(MemoryRange lowRam, IReadOnlyList<MemoryRange> highRam) => (LowRam, HighRam) = (lowRam, highRam);

    /// <summary>RAM from 0 on.</summary>
    public MemoryRange LowRam { get; }

    /// <summary>RAM from 4 GiB on: one range, or none.</summary>
    public IReadOnlyList<MemoryRange> HighRam { get; }

    /// <summary>Where devices are: right after low RAM.</summary>
    public ulong Devices => LowRam.End;

    /// <summary>Lays out RAM.</summary>
    /// <param name="bytes">How much there is: a multiple of 4096, not 0, at most <see cref="MostRam"/>.</param>
    /// <exception cref="ArgumentException">It isn't that.</exception>
    public static MemoryLayout Of(ulong bytes)
    {
        if (bytes is 0 or > MostRam || bytes % Cpu.Memory.PhysicalMemory.PageSize != 0)
        {
            throw new ArgumentException($"0x{bytes:x} bytes are no memory for a guest.", nameof(bytes));
        }

        return bytes <= MostLowRam
            ? new MemoryLayout(new MemoryRange(0, bytes), [])
            : new MemoryLayout(new MemoryRange(0, Hole), [new MemoryRange(FourGibibytes, FourGibibytes + (bytes - Hole))]);
    }
}
