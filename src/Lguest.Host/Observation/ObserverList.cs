namespace Lguest.Host.Observation;

/// <summary>The observers of a guest, and when the next of them wants to look.</summary>
/// <param name="guest">What they look at.</param>
internal sealed class ObserverList(Guest guest)
{
    private const ulong Never = ulong.MaxValue;

    private readonly List<Entry> _entries = [];
    private ulong _nextCount = Never;
    private ulong _nextAge = Never;
    private bool _hasSliceEnd;
    private volatile bool _isRequested;

    /// <summary>How old the guest is to be at the next look that goes by its age; null when there is none.</summary>
    public ulong? NextAge => _nextAge == Never ? null : _nextAge;

    /// <summary>Adds an observer, which is to look at once.</summary>
    public void Add(IGuestObserver observer)
    {
        _entries.Add(new Entry(observer) { Count = 0 });
        Update();
    }

    /// <summary>Asks for a look of all. Any thread may.</summary>
    public void Request() => _isRequested = true;

    /// <summary>Whether anybody is to look.</summary>
    /// <param name="retired">Instructions that have retired.</param>
    /// <param name="age">The guest's age.</param>
    /// <param name="isSliceEnd">Whether a slice has ended here.</param>
    public bool IsDue(ulong retired, ulong age, bool isSliceEnd) =>
        retired >= _nextCount || age >= _nextAge || (isSliceEnd && _hasSliceEnd) || _isRequested;

    /// <summary>How many instructions may be executed until somebody is to look.</summary>
    public ulong InstructionsUntilDue(ulong retired, ulong age)
    {
        ulong byAge = _nextAge == Never ? Never : ((_nextAge - age - 1) / VirtualClock.NanosecondsPerInstruction) + 1;
        return Math.Min(_nextCount == Never ? Never : _nextCount - retired, byAge);
    }

    /// <summary>Lets those look who are to look now.</summary>
    /// <returns>Whether one of them ends the run.</returns>
    public bool Look(ulong retired, ulong age, bool isSliceEnd)
    {
        // Asked for after this, it is asked for anew.
        bool isRequested = _isRequested;
        _isRequested = false;
        bool ends = false;
        for (int i = 0; i < _entries.Count; i++)
        {
            Entry entry = _entries[i];
            if (isRequested || retired >= entry.Count || age >= entry.Age || (isSliceEnd && entry.AtSliceEnd))
            {
                NextLook next = entry.Observer.Look(guest);
                ends |= next.EndsRun;
                entry.Count = next.Instructions is { } count ? retired + Math.Max(count, 1) : Never;
                entry.AtSliceEnd = next.Age <= age;
                entry.Age = next.Age is { } wish && wish > age ? wish : Never;
            }
        }

        Update();
        return ends;
    }

    private void Update()
    {
        (_nextCount, _nextAge, _hasSliceEnd) = (Never, Never, false);
        foreach (Entry entry in _entries)
        {
            _nextCount = Math.Min(_nextCount, entry.Count);
            _nextAge = Math.Min(_nextAge, entry.Age);
            _hasSliceEnd |= entry.AtSliceEnd;
        }
    }

    /// <summary>An observer and its wishes.</summary>
    private sealed class Entry(IGuestObserver observer)
    {
        public IGuestObserver Observer => observer;

        public ulong Count { get; set; } = Never;

        public ulong Age { get; set; } = Never;

        public bool AtSliceEnd { get; set; }
    }
}
