using Lguest.Devices;
using Lguest.Host;
using Lguest.Host.Observation;
using Lguest.Logging;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>
/// Says what was expected of a guest that says nothing and can't be told anything either: a kernel without lguest's drivers
/// has no way to. It is the guest's time that counts, so that a guest on a busy host isn't called silent.
/// </summary>
internal sealed class SilenceWarning(IConsoleDevice console, ILogger logger) : IGuestObserver
{
    private const ulong Seconds = 5;
    private const ulong Patience = Seconds * 1_000_000_000;

    /// <inheritdoc />
    public NextLook Look(Guest guest)
    {
        if (console.BytesWritten != 0 || console.HasDriver)
        {
            return NextLook.Never;
        }

        if (guest.Age < Patience)
        {
            return NextLook.AtAge(Patience);
        }

        LaunchLog.Warning(logger, guest.HypercallCounts.Any()
            ? $"the guest has no console after {Seconds} s: build its kernel with lguest's (CONFIG_LGUEST_CONSOLE=y; in 2.6.23 CONFIG_HVC_DRIVER=y)"
            : $"the guest has neither printed anything nor made a hypercall in {Seconds} s: its kernel seems to lack lguest's guest side (CONFIG_LGUEST_GUEST=y; docs/guest.md says how to add it to a current Linux)");
        return NextLook.Never;
    }
}
