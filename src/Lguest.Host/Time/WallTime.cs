namespace Lguest.Host;

/// <summary>A date as the guest gets it.</summary>
/// <param name="Seconds">Since the start of 1970, UTC; wraps in 2106.</param>
/// <param name="Nanoseconds">0 to 999,999,999.</param>
public readonly record struct WallTime(uint Seconds, uint Nanoseconds)
{
    private const long TicksPerSecond = TimeSpan.TicksPerSecond;
    private const uint NanosecondsPerTick = 100;

    /// <summary>The guest's form of a date, which must not be before 1970.</summary>
    public static WallTime From(DateTimeOffset date)
    {
        long ticks = date.UtcTicks - DateTimeOffset.UnixEpoch.Ticks;
        return new WallTime((uint)(ticks / TicksPerSecond), (uint)(ticks % TicksPerSecond) * NanosecondsPerTick);
    }
}
