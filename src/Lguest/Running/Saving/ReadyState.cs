using Lguest.CommandLine;
using Lguest.Devices;
using Lguest.Host;
using Lguest.Host.Observation;
using Lguest.Host.Saving;
using Lguest.Results.Reports;

namespace Lguest.Running.Saving;

/// <summary>Saves a guest that has booted and waits for its command: <c>--save-at-ready</c>. As an observer, it ends the run there.</summary>
/// <param name="path">The file.</param>
/// <param name="facts">What the guest is made of.</param>
/// <param name="command">What tells that the guest is ready.</param>
internal sealed class ReadyState(string path, IReadOnlyList<SavedFact> facts, ICommandDevice command) : IGuestObserver
{
    // Seen to before the guest boots.
    private readonly WholeFile _file = WholeFile.At(path);

    /// <summary>Begins to wait.</summary>
    /// <param name="guest">The guest, before its run.</param>
    public void Attach(Guest guest)
    {
        command.Awaited += guest.RequestLook;
        guest.Observe(this);
    }

    /// <inheritdoc />
    public NextLook Look(Guest guest) => command.IsAwaited ? NextLook.EndOfRun : NextLook.Never;

    /// <summary>Saves the guest after its run.</summary>
    /// <param name="guest">The guest.</param>
    /// <param name="outcome">From the run.</param>
    /// <param name="reason">Why it was stopped, if somebody else stopped it.</param>
    /// <param name="disks">The guest's.</param>
    /// <returns>How it is reported.</returns>
    public Ending Save(Guest guest, GuestOutcome outcome, EndReason? reason, IEnumerable<Disk> disks)
    {
        if (reason is not null || outcome is not (GuestOutcome.Stopped or GuestOutcome.PowerOff))
        {
            return Ending.Of(outcome, reason);
        }

        if (outcome is not GuestOutcome.Stopped)
        {
            return Refuse("the guest switched itself off before it was ready for a command: its first program has to be that of the guest that ships");
        }

        if (disks.FirstOrDefault(disk => disk.Device.Statistics.BytesWritten > 0) is { } written)
        {
            return Refuse($"the guest has written to '{written.Name}' before it was ready, and what it wrote is not saved: give it that disk with ,ro, or mount it read-only");
        }

        try
        {
            _file.Write(stream => guest.Save(stream, facts));
            return new Ending(ExitCode.PowerOff, null, false);
        }
        catch (ReportException e)
        {
            return Refuse(e.Message);
        }
    }

    private static Ending Refuse(string sentence) => new(ExitCode.CouldNotRun, sentence, true);
}
