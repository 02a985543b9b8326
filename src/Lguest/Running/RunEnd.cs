using System.Runtime.InteropServices;

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
    // For a run loop that doesn't come round, because the host blocks in a write, say.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly object _lock = new();
    private readonly Timer? _timeLimit;
    private Timer? _grace;
    private Action? _requested;
    private bool _isOver;

    /// <summary>Listens to signals, and starts the clock if there is a limit.</summary>
    /// <param name="timeout">How long the run may take; null for any time.</param>
    public RunEnd(TimeSpan? timeout)
    {
        Listen(PosixSignal.SIGINT, new EndReason(ExitCode.Interrupted, "ended by SIGINT"));
        Listen(PosixSignal.SIGTERM, new EndReason(ExitCode.Terminated, "ended by SIGTERM"));
        Listen(PosixSignal.SIGHUP, new EndReason(ExitCode.Hangup, "ended by SIGHUP"));
        if (timeout is { } limit)
        {
            var reason = new EndReason(ExitCode.LimitReached, $"ended after {limit.TotalSeconds} s, as --timeout says");
            _timeLimit = new Timer(_ => Request(reason), null, limit, Timeout.InfiniteTimeSpan);
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
            _grace = new Timer(_ => Environment.Exit(reason.ExitCode), null, Grace, Timeout.InfiniteTimeSpan);
            requested = _requested;

            // What this calls only wakes the run, which takes no lock of ours.
            _source.Cancel();
        }

        requested?.Invoke();
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

    private void Listen(PosixSignal signal, EndReason reason) => _signals.Add(PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        Request(reason);
    }));
}
