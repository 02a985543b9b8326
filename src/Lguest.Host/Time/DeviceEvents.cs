namespace Lguest.Host;

/// <summary>
/// What is to happen to devices at stated moments of virtual time: the one way in for input that must be
/// repeatable. Events of one moment happen in the order in which they were posted.
/// </summary>
public sealed class DeviceEvents
{
    // A handful at most: kept in order.
    private readonly List<QueuedEvent> _events = [];

    /// <summary>When the first event is due, in nanoseconds since the guest's start; null when there is none.</summary>
    public ulong? NextDue => _events.Count == 0 ? null : _events[0].Due;

    /// <summary>All events, first to last.</summary>
    public IReadOnlyList<QueuedEvent> State
    {
        get => [.. _events];
        set
        {
            _events.Clear();
            _events.AddRange(value);
        }
    }

    /// <summary>Adds an event.</summary>
    /// <param name="due">Nanoseconds since the guest's start.</param>
    /// <param name="device">The device's place on the bus.</param>
    public void Post(ulong due, int device)
    {
        int place = _events.Count;
        while (place > 0 && _events[place - 1].Due > due)
        {
            place--;
        }

        _events.Insert(place, new QueuedEvent(due, device));
    }

    /// <summary>Takes the first event if it is due.</summary>
    public bool TryTake(ulong now, out int device)
    {
        if (_events.Count == 0 || _events[0].Due > now)
        {
            device = 0;
            return false;
        }

        device = _events[0].Device;
        _events.RemoveAt(0);
        return true;
    }
}

/// <summary>Something that is to happen to a device.</summary>
/// <param name="Due">Nanoseconds since the guest's start.</param>
/// <param name="Device">The device's place on the bus.</param>
public sealed record QueuedEvent(ulong Due, int Device);
