namespace Lguest.Boot;

/// <summary>Guest-physical RAM as the loader needs it: zeroed, from address 0, without a hole.</summary>
public interface IBootMemory
{
    /// <summary>Bytes of RAM; a multiple of 4096, below 4 GiB.</summary>
    uint Size { get; }

    /// <summary>A window on RAM for reading and writing.</summary>
    /// <param name="address">Guest-physical address.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range isn't all RAM.</exception>
    Span<byte> Slice(uint address, int length);
}
