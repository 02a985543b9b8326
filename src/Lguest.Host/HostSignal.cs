namespace Lguest.Host;

/// <summary>
/// How other threads get the attention of the processor's: they set it, and that thread looks for work before it
/// sleeps and when it is woken. A running guest is never disturbed; its thread looks at the end of every slice.
/// </summary>
public sealed class HostSignal : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    private readonly AutoResetEvent _event = new(false);

    /// <summary>Wakes the processor's thread, or keeps it from falling asleep. Any thread may call.</summary>
    public void Set() => _event.Set();

    /// <summary>Sleeps until somebody calls <see cref="Set"/>, or has since this last returned, or some time has passed.</summary>
    /// <param name="nanoseconds">How long at most; null: as long as it takes.</param>
    public void Wait(ulong? nanoseconds)
    {
        if (nanoseconds is not { } limit)
        {
            _event.WaitOne();
            return;
        }

        // Whole milliseconds are what the host can wait for; a timer may be late, but it must not spin.
        ulong milliseconds = (limit / 1_000_000) + (limit % 1_000_000 != 0 ? 1ul : 0);
        _event.WaitOne((int)Math.Min(milliseconds, (ulong)Longest.TotalMilliseconds));
    }

    /// <inheritdoc />
    public void Dispose() => _event.Dispose();
}
