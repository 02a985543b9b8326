using Lguest.Host.Dma;

namespace Lguest.Host.Bus;

/// <summary>Types of devices on the lguest bus.</summary>
public enum DeviceType
{
    /// <summary>An empty place.</summary>
    None = 0,

    /// <summary>A console.</summary>
    Console = 1,

    /// <summary>A network.</summary>
    Network = 2,

    /// <summary>A disk.</summary>
    Block = 3,

    /// <summary>A command for the guest to run.</summary>
    Command = 4,
}

/// <summary>What a device's descriptor says of it.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Features">Bits whose meaning the type gives; bit 15: its interrupt is a source of randomness.</param>
/// <param name="Pages">Pages of memory that guest and device share, 0 to 65535.</param>
public readonly record struct DeviceIdentity(DeviceType Type, ushort Features, int Pages);

/// <summary>A device of the lguest bus.</summary>
public interface ILguestDevice : IGuestDevice, IDmaReceiver
{
    /// <summary>What the guest reads in the descriptor. It never changes.</summary>
    DeviceIdentity Identity { get; }

    /// <summary>
    /// Memory of the host's that is to be the device's pages, for pages shared with other processes; 0 for pages of the
    /// guest's own.
    /// </summary>
    nint SharedPages => 0;

    /// <summary>Tells the device its place, once, before the guest starts. It writes its pages and names its keys.</summary>
    void Attach(DeviceSlot slot);
}
