using Lguest.Cpu;

namespace Lguest.Host.Pci;

/// <summary>
/// Bus 0 of PCI and the ports to its configuration spaces: mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2). There is no other bus, no device has
/// more than one function, and what isn't there reads all ones.
/// </summary>
/// <param name="functions">Device 1 and those after it, at most <see cref="MostDevices"/>.</param>
public sealed class PciHostBridge(IReadOnlyList<IPciFunction> functions) : IPortHandler
{
    /// <summary>Devices on a bus, beside the bridge.</summary>
    public const int MostDevices = 31;

    /// <summary>The first of the bridge's ports.</summary>
    public const ushort FirstPort = AddressPort;

    /// <summary>The last of them.</summary>
    public const ushort LastPort = DataPort + 3;

    private const ushort AddressPort = 0xcf8;
    private const ushort DataPort = 0xcfc;
    private const uint Enable = 1u << 31;
    private const uint Writable = Enable | 0x00ff_fffc;
    private const int DeviceShift = 11;
    private const uint DeviceMask = 0x1f;
    private const uint BusAndFunction = 0x00ff_0700;
    private const uint RegisterMask = 0xfc;
    private const int ClassOffset = 0x0a;
    private const ushort HostBridgeClass = 0x0600;

    private readonly PciConfigurationSpace _own = MakeOwn();

    /// <summary>What was last written to the address port.</summary>
    public uint Address { get; set; }

    /// <inheritdoc />
    public uint Read(ushort port, int size)
    {
        if (port < DataPort)
        {
            // Bytes of it aren't the address: a second mechanism that there isn't would read zeros there.
            return port == AddressPort && size == sizeof(uint) ? Address : uint.MaxValue;
        }

        if (!TryPlace(port, size, out int device, out int offset))
        {
            return uint.MaxValue;
        }

        return device == 0 ? _own.Read(offset, size) : functions[device - 1].ReadConfiguration(offset, size);
    }

    /// <inheritdoc />
    public void Write(ushort port, int size, uint value)
    {
        if (port == AddressPort && size == sizeof(uint))
        {
            Address = value & Writable;
        }
        else if (port >= DataPort && TryPlace(port, size, out int device, out int offset) && device != 0)
        {
            functions[device - 1].WriteConfiguration(offset, size, value);
        }
    }

    private bool TryPlace(ushort port, int size, out int device, out int offset)
    {
        device = (int)((Address >> DeviceShift) & DeviceMask);
        offset = (int)(Address & RegisterMask) + (port - DataPort);
        return (Address & Enable) != 0 && (Address & BusAndFunction) == 0 && device <= functions.Count
            && port - DataPort + size <= sizeof(uint) && offset % size == 0;
    }

    /// <summary>By its class software knows that there is a bus; without a vendor it looks no further.</summary>
    private static PciConfigurationSpace MakeOwn()
    {
        var space = new PciConfigurationSpace();
        space.SetUInt16(ClassOffset, HostBridgeClass);
        return space;
    }
}
