namespace Lguest.Host;

/// <summary>The host's time: monotonic for the timer and RDTSC, the host's date for the date.</summary>
public sealed class RealClock : GuestClock
{
    private const long NanosecondsPerSecond = 1_000_000_000;

    private readonly TimeProvider _time;
    private readonly DateTimeOffset? _start;
    private long _origin;
    private ulong _base;

    /// <summary>Starts a clock at 0.</summary>
    /// <param name="time">The host's clocks.</param>
    /// <param name="date">The date at the guest's start; null: the host's date, now and later.</param>
    public RealClock(TimeProvider? time = null, DateTimeOffset? date = null)
    {
        _time = time ?? TimeProvider.System;
        _start = date;
        _origin = _time.GetTimestamp();
    }

    /// <inheritdoc />
    public override bool IsVirtual => false;

    /// <inheritdoc />
    public override ulong Now
    {
        get
        {
            long frequency = _time.TimestampFrequency;
            (long seconds, long rest) = Math.DivRem(_time.GetTimestamp() - _origin, frequency);
            return _base + (ulong)((seconds * NanosecondsPerSecond) + (rest * NanosecondsPerSecond / frequency));
        }
    }

    /// <inheritdoc />
    public override WallTime WallTime =>
        WallTime.From(_start is { } start ? start.AddTicks((long)(Now / TimeSpan.NanosecondsPerTick)) : _time.GetUtcNow());

    /// <inheritdoc />
    public override ulong Read(ulong retired) => Now;

    /// <inheritdoc />
    public override ulong InstructionsUntil(ulong moment) => moment <= Now ? 0 : ulong.MaxValue;

    /// <inheritdoc />
    public override void SkipTo(ulong moment)
    {
    }

    /// <inheritdoc />
    protected override void ContinueFrom(ulong now)
    {
        _base = now;
        _origin = _time.GetTimestamp();
    }
}
