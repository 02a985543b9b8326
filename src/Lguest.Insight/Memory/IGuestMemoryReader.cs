namespace Lguest.Insight.Memory;

/// <summary>A guest's memory, seen from outside: nothing is changed by looking, not even an accessed bit.</summary>
public interface IGuestMemoryReader
{
    /// <summary>Reads by the guest's page tables, at supervisor privilege.</summary>
    /// <param name="address">A linear address.</param>
    /// <param name="destination">Is filled whole, if the answer is true.</param>
    /// <returns>Whether all of it is mapped to memory.</returns>
    bool TryReadVirtual(uint address, Span<byte> destination);

    /// <summary>Reads by physical address.</summary>
    /// <param name="address">A physical address.</param>
    /// <param name="destination">Is filled whole, if the answer is true.</param>
    /// <returns>Whether all of it is memory.</returns>
    bool TryReadPhysical(ulong address, Span<byte> destination);
}
