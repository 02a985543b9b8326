using Lguest.Cpu;

namespace Lguest.Host;

/// <summary>What the guest takes for time: RDTSC, the one-shot timer of SET_CLOCKEVENT and the date.</summary>
/// <remarks>
/// All three come from one count of nanoseconds since the guest's start, which never goes back. RDTSC is that
/// count, so its rate is exactly 1 GHz.
/// </remarks>
public abstract class GuestClock : ITimeStampClock
{
    /// <summary>Rate of RDTSC.</summary>
    public const uint TscKilohertz = 1_000_000;

    /// <summary>Nanoseconds since the guest's start.</summary>
    public abstract ulong Now { get; }

    /// <summary>Whether time is a matter of executed instructions alone, so that a run can be repeated.</summary>
    public abstract bool IsVirtual { get; }

    /// <summary>When the timer is due, in nanoseconds since the guest's start; null when it isn't armed.</summary>
    public ulong? Deadline { get; private set; }

    /// <summary>The date now.</summary>
    public abstract WallTime WallTime { get; }

    /// <summary>The state to save.</summary>
    public ClockState State
    {
        get => new(Now, Deadline);
        set
        {
            Deadline = value.Deadline;
            ContinueFrom(value.Now);
        }
    }

    /// <inheritdoc />
    public abstract ulong Read(ulong retired);

    /// <summary>Arms the timer, in place of what it was armed for.</summary>
    /// <param name="delta">Nanoseconds from now; 0 disarms it.</param>
    public void SetTimer(uint delta) => Deadline = delta == 0 ? null : Now + delta;

    /// <summary>Whether the timer is due; it is disarmed then.</summary>
    public bool TakeExpired()
    {
        if (Deadline is not { } deadline || deadline > Now)
        {
            return false;
        }

        Deadline = null;
        return true;
    }

    /// <summary>How many instructions may be executed before a moment has come; 0 when it is past.</summary>
    /// <param name="moment">Nanoseconds since the guest's start.</param>
    /// <returns>The exact number in virtual time; as many as you like in real time, which instructions don't measure.</returns>
    public abstract ulong InstructionsUntil(ulong moment);

    /// <summary>Lets virtual time pass up to a moment without any instruction; real time passes by itself.</summary>
    public abstract void SkipTo(ulong moment);

    /// <summary>Goes on from a stated time.</summary>
    protected abstract void ContinueFrom(ulong now);
}

/// <summary>The saved state of a clock.</summary>
/// <param name="Now">Nanoseconds since the guest's start.</param>
/// <param name="Deadline">When the timer is due, if it is armed.</param>
public sealed record ClockState(ulong Now, ulong? Deadline);
