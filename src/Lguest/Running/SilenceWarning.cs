using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Logging;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>
/// Says what was expected of a guest that says nothing and can't be told anything either: a kernel without lguest's drivers
/// has no way to.
/// </summary>
internal sealed class SilenceWarning : IDisposable
{
    private const int Seconds = 5;

    private readonly Timer _timer;

    /// <summary>Begins to wait.</summary>
    public SilenceWarning(Guest guest, ConsoleDevice console, ILogger logger)
    {
        _timer = new Timer(_ => Look(guest, console, logger), null, TimeSpan.FromSeconds(Seconds), Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc />
    public void Dispose() => _timer.Dispose();

    private static void Look(Guest guest, ConsoleDevice console, ILogger logger)
    {
        if (console.BytesWritten != 0 || guest.Router.IsBound(ConsoleDevice.Key))
        {
            return;
        }

        LaunchLog.Warning(logger, guest.HypercallCounts.Any()
            ? $"the guest has no console after {Seconds} s: build its kernel with lguest's (CONFIG_LGUEST_CONSOLE=y; in 2.6.23 CONFIG_HVC_DRIVER=y)"
            : $"the guest has neither printed anything nor made a hypercall in {Seconds} s: its kernel seems to lack lguest's guest side (CONFIG_LGUEST_GUEST=y; docs/guest.md says how to add it to a current Linux)");
    }
}
