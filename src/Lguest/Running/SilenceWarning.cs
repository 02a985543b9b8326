using Lguest.Devices;
using Lguest.Host;
using Lguest.Host.Bus;
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
    private const string Early = "earlycon=lguest";
    private const string Build = "build its kernel with lguest's (CONFIG_LGUEST_CONSOLE=y; in 2.6.23 CONFIG_HVC_DRIVER=y)";

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

        LaunchLog.Warning(logger, !guest.IsInitialised
            ? $"the guest has neither printed anything nor made a hypercall in {Seconds} s: its kernel seems to lack lguest's guest side (CONFIG_LGUEST_GUEST=y; docs/guest.md says how to add it to a current Linux)"
            : guest.Kernel?.HasDriver(DeviceType.Console) switch
            {
                true => $"the guest has printed nothing in {Seconds} s, and its kernel isn't as far as its console: {Early} on its command line shows what it has to say",
                false => $"the guest has no console after {Seconds} s: {Build}",
                null => $"the guest has no console after {Seconds} s: it hangs before that, which {Early} might show, or has none: {Build}",
            });
        return NextLook.Never;
    }
}
