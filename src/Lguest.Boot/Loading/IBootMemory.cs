using Lguest.Cpu.Memory;
using Lguest.Host;

namespace Lguest.Boot.Loading;

/// <summary>Guest-physical RAM as the loader needs it, all zero.</summary>
public interface IBootMemory
{
    /// <summary>Bytes of RAM from address 0 on without a hole; a multiple of 4096, below 4 GiB. Everything is loaded there.</summary>
    uint Size { get; }

    /// <summary>RAM from 4 GiB on.</summary>
    IReadOnlyList<MemoryRange> HighRam => [];

    /// <summary>A window on RAM for reading and writing.</summary>
    /// <param name="address">Guest-physical address.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range isn't all RAM.</exception>
    Span<byte> Slice(uint address, int length);
}

/// <summary>A guest's RAM for the loader.</summary>
/// <param name="memory">The guest's memory.</param>
/// <param name="layout">Where its RAM is.</param>
public sealed class GuestRam(PhysicalMemory memory, MemoryLayout layout) : IBootMemory
{
    /// <inheritdoc />
    public uint Size => (uint)layout.LowRam.End;

    /// <inheritdoc />
    public IReadOnlyList<MemoryRange> HighRam => layout.HighRam;

    /// <inheritdoc />
    public Span<byte> Slice(uint address, int length) => memory.Span(address, (uint)length);
}
