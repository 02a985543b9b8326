using System.Runtime.InteropServices;
using Lguest.Devices.Backends;
using Lguest.Logging;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>Why a run that could have gone on was ended, and how that is told.</summary>
/// <param name="ExitCode">For the process.</param>
/// <param name="Sentence">For the user.</param>
internal sealed record EndReason(int ExitCode, string Sentence);

/// <summary>
/// All that can end a run from outside: signals, the time limit, and what the console says. The first reason counts.
/// </summary>
internal sealed class RunEnd : IDisposable
{
    // For a host that doesn't come back from a call: that waits for the other end of a kernel that is a pipe, say.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    /// <summary>How long whoever reads the output may still take, once the run is to end.</summary>
    private static readonly TimeSpan TimeForReaders = TimeSpan.FromSeconds(1);

    private readonly WritePatience _patience;
    private readonly ILogger _logger;

    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly object _lock = new();
    private readonly TimeProvider _clock;
    private readonly ITimer? _timeLimit;
    private ITimer? _grace;
    private Action? _requested;
    private bool _hasReturned;
    private bool _isOver;

    /// <summary>Listens to signals, and starts the clock if there is a limit.</summary>
    /// <param name="timeout">How long the run may take; null for any time.</param>
    /// <param name="patience">Ends soon after the first reason.</param>
    /// <param name="logger">Hears of it where nobody else can tell it any more.</param>
    /// <param name="clock">Measures the limit.</param>
    public RunEnd(TimeSpan? timeout, WritePatience patience, ILogger logger, TimeProvider clock)
    {
        _clock = clock;
        _patience = patience;
        _logger = logger;
        Listen(PosixSignal.SIGINT, new EndReason(ExitCode.Interrupted, "ended by SIGINT"));
        Listen(PosixSignal.SIGTERM, new EndReason(ExitCode.Terminated, "ended by SIGTERM"));
        Listen(PosixSignal.SIGHUP, new EndReason(ExitCode.Hangup, "ended by SIGHUP"));
        if (timeout is { } limit)
        {
            var reason = new EndReason(ExitCode.LimitReached, $"ended after {limit.TotalSeconds} s, as --timeout says");
            _timeLimit = clock.CreateTimer(_ => Request(reason), null, limit, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Cancelled when the run is to end.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>Why; null while it isn't to end.</summary>
    public EndReason? Reason { get; private set; }

    /// <summary>Has something done once the first reason has come: on the thread that brings it, or now if it has.</summary>
    /// <param name="action">It must not wait.</param>
    public void WhenRequested(Action action)
    {
        lock (_lock)
        {
            _requested += action;
            if (Reason is null)
            {
                return;
            }
        }

        action();
    }

    /// <summary>Asks for the end. Any thread may, at any time: when the run is over already, nothing happens.</summary>
    public void Request(EndReason reason)
    {
        Action? requested;
        lock (_lock)
        {
            if (Reason is not null || _isOver)
            {
                return;
            }

            Reason = reason;
            _grace = _hasReturned ? null : _clock.CreateTimer(_ => Leave(reason), null, Grace, Timeout.InfiniteTimeSpan);
            requested = _requested;

            // What this calls only wakes the run, which takes no lock of ours.
            _source.Cancel();
        }

        _patience.EndIn(TimeForReaders);
        requested?.Invoke();
    }

    /// <summary>The run has come back: nothing hangs, and what is still to be written, reports say, gets the time that it takes.</summary>
    public void Returned()
    {
        lock (_lock)
        {
            _hasReturned = true;
            _grace?.Dispose();
            _grace = null;
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _signals.ForEach(signal => signal.Dispose());
        _timeLimit?.Dispose();
        lock (_lock)
        {
            _isOver = true;
            _grace?.Dispose();
            _source.Dispose();
        }
    }

    private void Leave(EndReason reason)
    {
        lock (_lock)
        {
            // A timer's last call may come after it was disposed of.
            if (_hasReturned || _isOver)
            {
                return;
            }
        }

        LaunchLog.Error(_logger, reason.Sentence);
        Environment.Exit(reason.ExitCode);
    }

    private void Listen(PosixSignal signal, EndReason reason) => _signals.Add(PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        Request(reason);
    }));
}
