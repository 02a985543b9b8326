using System.ComponentModel;
using System.Diagnostics;

namespace Lguest.Suites.Running;

/// <summary>Asks a process to end what it runs when that is wanted, or has taken too long; should that be of no use, it ends the process.</summary>
internal sealed class EndWatch : IDisposable
{
    /// <summary>What a timer can wait.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    private readonly object _lock = new();
    private readonly IBootLauncher _launcher;
    private readonly Process _process;
    private readonly Timer _timer;
    private readonly CancellationTokenRegistration _registration;
    private bool _isOver;

    /// <summary>Begins to watch.</summary>
    /// <param name="launcher">Knows how a process is asked to end.</param>
    /// <param name="process">The process: a worker, or one that runs a single boot.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="stop">Cancelled when it is to end.</param>
    public EndWatch(IBootLauncher launcher, Process process, TimeSpan limit, CancellationToken stop)
    {
        _launcher = launcher;
        _process = process;
        _timer = new Timer(_ => BeLate(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _ = _timer.Change(limit < Longest ? limit : Longest, Timeout.InfiniteTimeSpan);
        _registration = stop.Register(() => Ask(isWanted: true));
    }

    /// <summary>Whether it was asked to end.</summary>
    public bool IsAsked { get; private set; }

    /// <summary>Whether it was asked to end because that was wanted.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Ends the watch: nothing is asked any more.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isOver = true;
        }

        _registration.Dispose();
        _timer.Dispose();
    }

    /// <summary>Ends a process. A worker's thread, and a timer's, have nobody who would hear that it has ended already.</summary>
    internal static void Kill(Process process)
    {
        try
        {
            process.Kill();
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            // It has ended, or can't be ended: whoever waits for it sees that.
        }
    }

    private void BeLate()
    {
        lock (_lock)
        {
            if (IsAsked && !_isOver)
            {
                Kill(_process);
            }
        }

        Ask(isWanted: false);
    }

    private void Ask(bool isWanted)
    {
        lock (_lock)
        {
            if (IsAsked || _isOver || _process.HasExited)
            {
                return;
            }

            IsAsked = true;
            IsStopped = isWanted;
            _launcher.AskToEnd(_process.Id);
            _ = _timer.Change(BootProcess.Grace, Timeout.InfiniteTimeSpan);
        }
    }
}
