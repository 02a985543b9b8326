namespace Lguest.Devices.Backends;

/// <summary>How long writers wait for readers: for ever, until somebody sets an end.</summary>
/// <remarks>Several streams may share one. Any thread may set the end; the first counts.</remarks>
public sealed class WritePatience
{
    private const long NoEnd = long.MaxValue;

    private long _end = NoEnd;

    /// <summary>Whether there is none left.</summary>
    public bool IsOver => Environment.TickCount64 >= Volatile.Read(ref _end);

    /// <summary>Sets the end.</summary>
    /// <param name="time">From now on.</param>
    public void EndIn(TimeSpan time) =>
        Interlocked.CompareExchange(ref _end, Environment.TickCount64 + (long)time.TotalMilliseconds, NoEnd);
}
