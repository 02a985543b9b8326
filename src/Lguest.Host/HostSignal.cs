namespace Lguest.Host;

/// <summary>
/// How other threads get the attention of the processor's: they set it, and that thread looks for work before it
/// sleeps and when it is woken. A running guest is never disturbed; its thread looks at the end of every slice.
/// </summary>
/// <remarks>
/// There is nothing to dispose: a thread that reads input may still set it when the guest is gone.
/// </remarks>
public sealed class HostSignal
{
    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    private readonly object _lock = new();
    private bool _isSet;

    /// <summary>Wakes the processor's thread, or keeps it from falling asleep. Any thread may call, at any time.</summary>
    public void Set()
    {
        lock (_lock)
        {
            _isSet = true;
            Monitor.Pulse(_lock);
        }
    }

    /// <summary>Sleeps until somebody calls <see cref="Set"/>, or has since this last returned, or some time has passed.</summary>
    /// <param name="nanoseconds">How long at most; null: as long as it takes.</param>
    public void Wait(ulong? nanoseconds)
    {
        // Whole milliseconds are what the host can wait for; a timer may be late, but it must not spin.
        int milliseconds = Timeout.Infinite;
        if (nanoseconds is { } limit)
        {
            milliseconds = (int)Math.Min((limit / 1_000_000) + (limit % 1_000_000 != 0 ? 1ul : 0), (ulong)Longest.TotalMilliseconds);
        }

        lock (_lock)
        {
            if (!_isSet)
            {
                Monitor.Wait(_lock, milliseconds);
            }

            _isSet = false;
        }
    }
}
