using Lguest.Host;
using Lguest.Host.Observation;

namespace Lguest.Running;

/// <summary>Ends a run when the guest has lived for so long, by its own time, in which it may have slept.</summary>
/// <param name="limit">How long.</param>
/// <param name="end">Ends the run.</param>
internal sealed class GuestTimeLimit(TimeSpan limit, RunEnd end) : IGuestObserver
{
    private readonly ulong _nanoseconds = (ulong)limit.Ticks * TimeSpan.NanosecondsPerTick;

    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        if (guest.Age < _nanoseconds)
        {
            return NextLook.AtAge(_nanoseconds);
        }

        end.Request(new EndReason(ExitCode.LimitReached, $"ended after {limit.TotalSeconds} s of the guest's time, as --max-guest-time says"));
        return NextLook.EndOfRun;
    }
}
