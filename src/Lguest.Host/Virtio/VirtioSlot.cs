using Lguest.Host.Bus;

namespace Lguest.Host.Virtio;

/// <summary>A virtqueue as its device sees it.</summary>
/// <param name="ring">The ring.</param>
/// <param name="interrupt">Interrupts the guest, by whatever its transport has for that.</param>
public sealed class Virtqueue(SplitRing ring, Action interrupt)
{
    /// <summary>The ring.</summary>
    internal SplitRing Ring => ring;

    /// <summary>Descriptors: a chain has no more pieces.</summary>
    public int Size => ring.Size;

    /// <summary>Chains that the driver has made available, and that the device hasn't taken.</summary>
    /// <exception cref="GuestFaultException">The guest claims more than there can be.</exception>
    public int Available => ring.Waiting;

    /// <summary>Whether a driver has ever given the device anything here.</summary>
    public bool IsInUse => ring.IsInUse;

    /// <inheritdoc cref="SplitRing.TryPeek" />
    public bool TryPeek(VirtioChain chain, int ahead = 0) => ring.TryPeek(chain, ahead);

    /// <summary>Takes the chain that was shown.</summary>
    public void Take() => ring.Take();

    /// <summary>Loads a chain that was taken, once more.</summary>
    /// <exception cref="GuestFaultException">The guest has written nonsense.</exception>
    public void Load(ushort head, VirtioChain chain) => ring.Load(head, chain);

    /// <summary>Gives a chain back, and interrupts the guest if it wants that.</summary>
    /// <param name="head">Its head.</param>
    /// <param name="length">Bytes written into it.</param>
    public void Return(ushort head, int length)
    {
        ring.Return(head, (uint)length);
        if (ring.WantsInterrupts)
        {
            interrupt();
        }
    }
}

/// <summary>A virtio device's place, and all that it may do to the guest.</summary>
public sealed class VirtioSlot
{
    private readonly Virtqueue[] _queues;
    private readonly GuestClock _clock;
    private readonly DeviceEvents _events;
    private readonly HostSignal _signal;
    private readonly Func<uint> _agreed;
    private readonly Func<bool> _isDriverReady;

    internal VirtioSlot(
        int index,
        ushort guestId,
        GuestMemory memory,
        Virtqueue[] queues,
        GuestClock clock,
        DeviceEvents events,
        HostSignal signal,
        Func<uint> agreed,
        Func<bool> isDriverReady)
    {
        Index = index;
        GuestId = guestId;
        Memory = memory;
        _queues = queues;
        _clock = clock;
        _events = events;
        _signal = signal;
        _agreed = agreed;
        _isDriverReady = isDriverReady;
    }

    /// <summary>The device's place: 0 for the first.</summary>
    public int Index { get; }

    /// <summary>The guest's number among those that it shares networks with.</summary>
    public ushort GuestId { get; }

    /// <summary>Whether the run must be repeatable: what the guest sees may then not depend on how fast the host is.</summary>
    public bool IsRepeatable => _clock.IsVirtual;

    /// <summary>
    /// Whether the driver has said that it is set up (DRIVER_OK, virtio 1.0, 2.1). Before that it may offer buffers, as those of Linux 2.6.25 to 2.6.30 do,
    /// but not have agreed on features yet.
    /// </summary>
    public bool IsDriverReady => _isDriverReady();

    internal GuestMemory Memory { get; }

    /// <summary>Whether the driver has agreed to a feature that the device has offered.</summary>
    /// <param name="features">As in <see cref="VirtioIdentity.Features"/>; of several, all.</param>
    public bool HasAgreedOn(uint features) => (_agreed() & features) == features;

    /// <summary>One of the device's virtqueues.</summary>
    public Virtqueue Queue(int number) => _queues[number];

    /// <summary>Makes an empty chain, for the device's own use.</summary>
    public VirtioChain MakeChain() => new(Memory);

    /// <summary>Asks for <see cref="IGuestDevice.OnDue"/> at a moment of virtual time, to the instruction.</summary>
    /// <param name="delay">Nanoseconds from now.</param>
    public void After(ulong delay) => _events.Post(_clock.Now + delay, Index);

    /// <summary>Asks for <see cref="IGuestDevice.Service"/> soon: wakes the processor's thread if it sleeps. Any thread may call.</summary>
    public void Attention() => _signal.Set();
}
