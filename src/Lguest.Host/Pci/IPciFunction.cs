namespace Lguest.Host.Pci;

/// <summary>A function on a PCI bus, as its configuration space shows it (PCI Local Bus 3.0, 6.1).</summary>
public interface IPciFunction
{
    /// <summary>Reads from configuration space.</summary>
    /// <param name="offset">0 to 255, a multiple of the size.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    uint ReadConfiguration(int offset, int size);

    /// <summary>Writes there. What can't be written stays as it is.</summary>
    /// <param name="offset">0 to 255, a multiple of the size.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    /// <param name="value">The value, zero-extended.</param>
    void WriteConfiguration(int offset, int size, uint value);
}
