using Lguest.Cpu;
using Lguest.Cpu.Memory;

namespace Lguest.Insight.Memory;

/// <summary>
/// The memory of a guest that a processor runs, by the page tables it uses now. Only the processor's thread may use it,
/// between two runs or slices.
/// </summary>
/// <param name="processor">The processor.</param>
/// <param name="memory">Its memory.</param>
public sealed class ProcessorMemoryReader(Processor processor, PhysicalMemory memory) : IGuestMemoryReader
{
    /// <inheritdoc />
    public bool TryReadVirtual(uint address, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int piece = (int)Math.Min((uint)destination.Length, PhysicalMemory.PageSize - (address & PhysicalMemory.PageOffsetMask));
            if (!processor.TryTranslate(address, out ulong physical) || !TryReadPhysical(physical, destination[..piece]))
            {
                return false;
            }

            destination = destination[piece..];
            address += (uint)piece;
        }

        return true;
    }

    /// <inheritdoc />
    public bool TryReadPhysical(ulong address, Span<byte> destination)
    {
        if (!memory.Contains(address, (ulong)destination.Length))
        {
            return false;
        }

        memory.Span(address, (uint)destination.Length).CopyTo(destination);
        return true;
    }
}
