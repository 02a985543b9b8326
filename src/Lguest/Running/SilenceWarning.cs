using Lguest.Devices;
using Lguest.Host;
using Lguest.Logging;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>Says what was expected of a guest that says nothing: a kernel without lguest's drivers has no way to.</summary>
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
        if (console.BytesWritten != 0)
        {
            return;
        }

        LaunchLog.Warning(logger, guest.HypercallCounts.Any()
            ? $"the guest has printed nothing in {Seconds} s: if it isn't just quiet, build its kernel with lguest's console (CONFIG_LGUEST_CONSOLE=y, or CONFIG_HVC_LGUEST=y before 2.6.25)"
            : $"the guest has neither printed anything nor made a hypercall in {Seconds} s: its kernel seems to lack lguest's guest side (CONFIG_LGUEST_GUEST=y; docs/guest.md says how to add it to a current Linux)");
    }
}
