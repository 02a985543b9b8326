using Lguest.Host;
using Lguest.Host.Bus;
using Lguest.Host.Observation;

namespace Lguest.Running;

/// <summary>
/// Ends a run in which nobody would run the command: on the lguest bus the kernel says at its first hypercall whether it has a driver for it.
/// </summary>
/// <param name="end">Ends the run.</param>
internal sealed class CommandDriverCheck(RunEnd end) : IGuestObserver
{
    /// <summary>What the user is told of such a kernel.</summary>
    public const string NoDriver =
        "the guest's kernel has no driver through which it could be given a command: build it with CONFIG_LGUEST_COMMAND=y, from the "
        + "images/linux of this lguest (docs/guest.md says how), or use run= on its command line";

    /// <summary>What the user is told of those with virtio devices that know no command.</summary>
    public const string NoPorts =
        "a guest of a Linux from 2.6.24 to 3.0 can't be given a command: its console driver has no files for the command's streams, as that of 3.1 and later has. "
        + "Give it an --initrd whose first program does the work, and --status-token for its status";

    /// <summary>What the user is told who wants to save one of them ready for a command, or to go on with it.</summary>
    public const string NotLater =
        "a guest with virtio devices has its command from the beginning, and can't be saved ready for one: leave out --save-at-ready and --restore";

    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        if (!guest.IsInitialised)
        {
            return NextLook.AtAge(guest.Age);
        }

        if (guest.Kernel?.HasDriver(DeviceType.Command) is true)
        {
            return NextLook.Never;
        }

        end.Request(new EndReason(ExitCode.CouldNotRun, NoDriver));
        return NextLook.EndOfRun;
    }
}
