using Lguest.Host.Bus;

namespace Lguest.Host.Virtio;

/// <summary>Types of virtio devices (virtio 1.0, 5).</summary>
public enum VirtioType
{
    /// <summary>A network card.</summary>
    Network = 1,

    /// <summary>A disk.</summary>
    Block = 2,

    /// <summary>A console.</summary>
    Console = 3,

    /// <summary>A source of random bytes.</summary>
    Entropy = 4,
}

/// <summary>What the guest is told of a device before it drives it.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Queues">Its virtqueues, at least one.</param>
/// <param name="Features">What it offers: bit n is feature n.</param>
public readonly record struct VirtioIdentity(VirtioType Type, int Queues, uint Features);

/// <summary>How long the headers are that drivers put before their data, in bytes. What is added to one is added at its end, or doesn't matter here.</summary>
/// <param name="Block">Of a disk's request.</param>
/// <param name="Network">Of a frame.</param>
public sealed record VirtioHeaders(int Block, int Network)
{
    /// <summary>Linux 2.6.24's.</summary>
    public static VirtioHeaders Linux2624 { get; } = new(24, 8);

    /// <summary>Those from Linux 2.6.25 on, until devices were virtio 1.0's.</summary>
    public static VirtioHeaders Linux2625 { get; } = new(16, 10);

    /// <summary>Those of virtio 1.0: behind a network's header there is the number of buffers that a frame takes.</summary>
    public static VirtioHeaders Virtio1 { get; } = new(16, 12);
}

/// <summary>A virtio device, whatever transport leads to it.</summary>
public interface IVirtioDevice : IGuestDevice
{
    /// <summary>What it is. It never changes.</summary>
    VirtioIdentity Identity { get; }

    /// <summary>Its configuration, little-endian, with the fields of all features that it offers. It is read once the device is attached.</summary>
    ReadOnlyMemory<byte> Configuration { get; }

    /// <summary>Tells the device its place, once, before the guest starts.</summary>
    void Attach(VirtioSlot slot);

    /// <summary>The guest has made chains available.</summary>
    /// <param name="queue">In which virtqueue.</param>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    void OnNotify(int queue);

    /// <summary>The guest's driver begins anew: what the device has in hand is nobody's any more. The rings are empty by then.</summary>
    void OnReset()
    {
    }

    /// <summary>The guest writes to the configuration, where a transport lets it.</summary>
    /// <param name="offset">Of the first byte.</param>
    /// <param name="value">What: 1, 2 or 4 bytes, zero-extended.</param>
    void OnConfigurationWrite(int offset, uint value)
    {
    }

    /// <summary>The kernel prints before it has a driver. A console shows that.</summary>
    /// <param name="text">What it prints.</param>
    void OnEarlyText(ReadOnlySpan<byte> text)
    {
    }
}
