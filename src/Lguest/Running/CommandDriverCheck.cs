using Lguest.Host;
using Lguest.Host.Bus;
using Lguest.Host.Observation;

namespace Lguest.Running;

/// <summary>Ends a run in which nobody would run the command: the kernel says at its first hypercall whether it has a driver for it.</summary>
/// <param name="end">Ends the run.</param>
internal sealed class CommandDriverCheck(RunEnd end) : IGuestObserver
{
    /// <summary>What the user is told of such a kernel.</summary>
    public const string NoDriver =
        "the guest's kernel has no driver through which it could be given a command: build it with CONFIG_LGUEST_COMMAND=y, from the "
        + "images/linux of this lguest (docs/guest.md says how), or use run= on its command line";

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
