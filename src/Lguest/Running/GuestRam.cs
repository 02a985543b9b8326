using Lguest.Boot;
using Lguest.Cpu.Memory;

namespace Lguest.Running;

/// <summary>A guest's RAM for the loader.</summary>
/// <param name="memory">The guest's memory, of which RAM is the first part.</param>
/// <param name="size">Bytes of RAM.</param>
internal sealed class GuestRam(PhysicalMemory memory, uint size) : IBootMemory
{
    /// <inheritdoc />
    public uint Size => size;

    /// <inheritdoc />
    public Span<byte> Slice(uint address, int length) => memory.Span(address, (uint)length);
}
