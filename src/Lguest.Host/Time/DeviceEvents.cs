namespace Lguest.Host;

/// <summary>
/// What is to happen to devices at stated moments of virtual time: the one way in for input that must be
/// repeatable. Events of one moment happen in the order in which they were posted.
/// </summary>
public sealed class DeviceEvents
{
    private readonly PriorityQueue<int, (ulong Due, ulong Number)> _events = new();
    private ulong _posted;

    /// <summary>When the first event is due, in nanoseconds since the guest's start; null when there is none.</summary>
    public ulong? NextDue => _events.TryPeek(out _, out (ulong Due, ulong Number) when) ? when.Due : null;

    /// <summary>All events, first to last.</summary>
    public IReadOnlyList<QueuedEvent> State
    {
        get => [.. _events.UnorderedItems
            .OrderBy(item => item.Priority)
            .Select(item => new QueuedEvent(item.Priority.Due, item.Element))];
        set
        {
            _events.Clear();
            foreach (QueuedEvent item in value)
            {
                Post(item.Due, item.Device);
            }
        }
    }

    /// <summary>Adds an event.</summary>
    /// <param name="due">Nanoseconds since the guest's start.</param>
    /// <param name="device">The device's place on the bus.</param>
    public void Post(ulong due, int device) => _events.Enqueue(device, (due, _posted++));

    /// <summary>Takes the first event if it is due.</summary>
    public bool TryTake(ulong now, out int device)
    {
        if (_events.TryPeek(out device, out (ulong Due, ulong Number) when) && when.Due <= now)
        {
            _events.Dequeue();
            return true;
        }

        return false;
    }
}

/// <summary>Something that is to happen to a device.</summary>
/// <param name="Due">Nanoseconds since the guest's start.</param>
/// <param name="Device">The device's place on the bus.</param>
public sealed record QueuedEvent(ulong Due, int Device);
