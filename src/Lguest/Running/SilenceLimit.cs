using Lguest.Host;
using Lguest.Host.Observation;

namespace Lguest.Running;

/// <summary>
/// Ends a run when nothing has come from the guest for so long, by its own time: nothing on its console, of its command, or in its
/// kernel's log.
/// </summary>
/// <param name="limit">How long.</param>
/// <param name="end">Ends the run.</param>
/// <param name="listen">Looks for what has come from the guest and wasn't heard yet, and has <see cref="Hear"/> called if there is any.</param>
internal sealed class SilenceLimit(TimeSpan limit, RunEnd end, Action<Guest> listen) : IGuestObserver
{
    private readonly ulong _nanoseconds = (ulong)limit.Ticks * TimeSpan.NanosecondsPerTick;
    private Guest? _guest;
    private ulong _heard;

    /// <summary>Something has come from the guest. On the processor's thread.</summary>
    public void Hear() => _heard = _guest?.Age ?? 0;

    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        _guest = guest;
        if (guest.Age >= _heard + _nanoseconds)
        {
            // The kernel's log is read only now and then.
            listen(guest);
        }

        ulong due = _heard + _nanoseconds;
        if (guest.Age < due)
        {
            return NextLook.AtAge(due);
        }

        end.Request(new EndReason(ExitCode.LimitReached, $"ended because nothing came from the guest in {limit.TotalSeconds} s of its time, as --max-silence says"));
        return NextLook.EndOfRun;
    }
}
