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

    /// <summary>Raised once, when the first reason has come, on the thread that brought it.</summary>
    public event Action? Requested;

    /// <summary>Cancelled when the run is to end.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>Why; null while it isn't to end.</summary>
    public EndReason? Reason { get; private set; }

    /// <summary>Asks for the end. Any thread may.</summary>
    public void Request(EndReason reason)
    {
        lock (_lock)
        {
            if (Reason is not null)
            {
                return;
            }

            Reason = reason;
            _grace = new Timer(_ => Environment.Exit(reason.ExitCode), null, Grace, Timeout.InfiniteTimeSpan);
        }

        _source.Cancel();
        Requested?.Invoke();
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _signals.ForEach(signal => signal.Dispose());
        _timeLimit?.Dispose();
        lock (_lock)
        {
            _grace?.Dispose();
        }

        _source.Dispose();
    }

    private void Listen(PosixSignal signal, EndReason reason) => _signals.Add(PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        Request(reason);
    }));
}
