using Lguest.CommandLine;
using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;
using Lguest.Running.Watching;
using Microsoft.Extensions.Logging;

namespace Lguest.Running.Debugging;

/// <summary>With what a user looks at a guest from outside: a debugger, a dump, a profile, and the menu on a terminal.</summary>
internal sealed class Instruments : IDisposable
{
    private readonly ILogger _logger;
    private readonly GdbServer? _server;
    private readonly CoreDump? _dump;
    private readonly Profiler? _profiler;
    private GdbObserver? _debugger;
    private uint _pageOffset;

    private Instruments(DebugOptions options, ILogger logger)
    {
        _logger = logger;
        _dump = options.Dump is { } dump ? new CoreDump(dump, logger) : null;
        _profiler = options.IsProfiled ? new Profiler(options) : null;
        _server = options.Gdb is { } place ? GdbServer.Open(place) : null;
    }

    /// <summary>Opens what is wanted: all that can be refused is refused here, before the boot, or by <see cref="Attach"/>.</summary>
    /// <exception cref="BackendException">A port, a socket or an older profile can't be had.</exception>
    /// <exception cref="ReportException">A file can't be written.</exception>
    public static Instruments Open(DebugOptions options, ILogger logger) => new(options, logger);

    /// <summary>Begins to look at a guest.</summary>
    /// <param name="guest">The guest, before its run.</param>
    /// <param name="watch">Knows its kernel, and watches it already.</param>
    /// <param name="streams">Where its terminal is, if it has one.</param>
    /// <param name="end">Ends the run.</param>
    /// <exception cref="BackendException">A kernel without symbols is to be profiled.</exception>
    public void Attach(Guest guest, RunWatch watch, GuestStreams streams, RunEnd end)
    {
        _pageOffset = watch.PageOffset;
        var hold = new GuestHold();
        if (_server is not null)
        {
            _debugger = new GdbObserver(_server, _pageOffset, hold, end, _logger, watch.Answer);
            guest.Observe(_debugger);
        }

        _profiler?.Attach(guest, watch.Symbols, _pageOffset);
        var menu = new ConsoleMenu(guest, watch, hold, end, _logger);
        if (streams.OfferMenu(menu.Press))
        {
            guest.Observe(menu);
        }
    }

    /// <summary>After the run: lets a debugger look at a guest that has died.</summary>
    public void Finish(Guest guest, GuestOutcome outcome) => _debugger?.Finish(guest, outcome);

    /// <summary>Writes what is to be left of the run.</summary>
    /// <param name="guest">The guest, after its run.</param>
    /// <param name="outcome">How it ended.</param>
    /// <param name="lost">Why something couldn't be written; null when all could.</param>
    /// <returns>What is to be said of a comparison of profiles; nothing when it is good.</returns>
    public IReadOnlyList<RunFinding> Write(Guest guest, GuestOutcome outcome, out string? lost)
    {
        lost = _dump?.Write(guest, outcome, _pageOffset);
        try
        {
            return _profiler?.Finish(guest) ?? [];
        }
        catch (ReportException e)
        {
            lost = e.Message;
            return [];
        }
    }

    /// <inheritdoc />
    public void Dispose() => _server?.Dispose();
}
