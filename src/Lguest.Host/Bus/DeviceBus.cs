using Lguest.Cpu;
using Lguest.Host.Virtio;

namespace Lguest.Host.Bus;

/// <summary>How a guest reaches its devices, as the run loop sees it: it lets each device have its turn.</summary>
public abstract class DeviceBus
{
    private readonly IReadOnlyList<IGuestDevice> _devices;
    private readonly GuestClock _clock;
    private readonly DeviceEvents _events;

    /// <summary>Makes a bus.</summary>
    /// <param name="devices">In the guest's order.</param>
    /// <param name="clock">The guest's clock.</param>
    /// <param name="events">What happens at moments of virtual time.</param>
    protected DeviceBus(IReadOnlyList<IGuestDevice> devices, GuestClock clock, DeviceEvents events)
    {
        _devices = devices;
        _clock = clock;
        _events = events;
        SkipsIdleTime = clock.IsVirtual && devices.All(device => device.CanRepeat);
    }

    /// <summary>Whether time may jump to the next thing that happens while the guest waits.</summary>
    public bool SkipsIdleTime { get; }

    /// <summary>How far the virtqueues are, in the order of the devices; none where there are none.</summary>
    public virtual IReadOnlyList<SplitRingState> State
    {
        get => [];
        set
        {
        }
    }

    /// <summary>Ports by which the guest finds its devices; null where it doesn't find them so.</summary>
    public virtual IPortHandler? Ports => null;

    /// <summary>What must survive of the bus in a saved state, but for virtqueues: text of its own making. It is given before they are.</summary>
    public virtual string Transport
    {
        get => string.Empty;
        set
        {
        }
    }

    /// <summary>The guest tells of something at a physical address, by NOTIFY.</summary>
    /// <exception cref="GuestFaultException">There is nothing, or the guest is over.</exception>
    public virtual void Notify(uint address) => throw new GuestFaultException($"nothing is at 0x{address:x8} to be notified");

    /// <summary>Lets every device look for work.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    public void Service()
    {
        ServiceTransport();

        // An enumerator would be an allocation, and this is done all the time.
        for (int i = 0; i < _devices.Count; i++)
        {
            _devices[i].Service();
        }
    }

    /// <summary>What the bus itself has to do when the guest has stopped.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    protected virtual void ServiceTransport()
    {
    }

    /// <summary>Lets what is due at this moment happen.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    public void ServiceDue()
    {
        while (_events.TryTake(_clock.Now, out int device))
        {
            _devices[device].OnDue();
        }
    }
}
