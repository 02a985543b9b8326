using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Backends;

/// <summary>
/// The settings of the terminal that is standard input: raw while the guest has it, as they were at all other times, also
/// while the process is stopped and after it has died of whatever.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class TerminalMode : IDisposable
{
    private readonly int _terminal;
    private readonly ILogger _logger;
    private readonly object _lock = new();
    private readonly List<PosixSignalRegistration> _signals = [];
    private TerminalSettings? _saved;
    private TerminalWatcher? _watcher;
    private bool _isRaw;
    private bool _isOver;

    /// <summary>Takes a terminal, and leaves it as it is for now.</summary>
    /// <param name="terminal">Its descriptor.</param>
    /// <param name="logger">For warnings.</param>
    public TerminalMode(int terminal, ILogger logger)
    {
        _terminal = terminal;
        _logger = logger;
    }

    /// <summary>
    /// Whether this process may read and set the terminal: a background job would be stopped for trying. A terminal that
    /// isn't the controlling one is anybody's.
    /// </summary>
    public bool IsForeground
    {
        get
        {
            int foreground = SystemCalls.GetForegroundProcessGroup(_terminal);
            return foreground < 0 || foreground == SystemCalls.GetProcessGroup();
        }
    }

    /// <summary>Makes the terminal raw, now or, in a background job, at a later call from the foreground.</summary>
    public void Enter()
    {
        lock (_lock)
        {
            if (_isRaw || _isOver || !IsForeground)
            {
                return;
            }

            if (_saved is null && !TrySave())
            {
                return;
            }

            TerminalSettings raw = _saved!.Value.Raw();
            _isRaw = SystemCalls.SetTerminalSettings(_terminal, SystemCalls.TcsaNow, &raw) == 0;
        }
    }

    /// <summary>Restores the terminal for good.</summary>
    public void Dispose()
    {
        // The process may exit on another thread meanwhile, which comes here too.
        PosixSignalRegistration[] signals;
        lock (_lock)
        {
            Leave();
            _isOver = true;
            _watcher?.Dispose();
            _watcher = null;
            signals = [.. _signals];
            _signals.Clear();
        }

        AppDomain.CurrentDomain.ProcessExit -= OnProcessExit;
        Array.ForEach(signals, signal => signal.Dispose());
    }

    private bool TrySave()
    {
        TerminalSettings found;
        if (SystemCalls.GetTerminalSettings(_terminal, &found) != 0)
        {
            return false;
        }

        _saved = found;
        _watcher = TerminalWatcher.Start(_terminal, found.Raw(), found, _logger);
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGTSTP, OnStop));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGCONT, OnContinue));
        AppDomain.CurrentDomain.ProcessExit += OnProcessExit;
        return true;
    }

    private void Leave()
    {
        if (_isRaw && IsForeground)
        {
            TerminalSettings saved = _saved!.Value;
            _ = SystemCalls.SetTerminalSettings(_terminal, SystemCalls.TcsaNow, &saved);
        }

        _isRaw = false;
    }

    private void OnStop(PosixSignalContext context)
    {
        context.Cancel = true;
        lock (_lock)
        {
            Leave();
        }

        _ = SystemCalls.Kill(Environment.ProcessId, SystemCalls.SigStop);
    }

    private void OnContinue(PosixSignalContext context)
    {
        // What .NET would do by itself is to set the terminal to what it was when .NET first saw it.
        context.Cancel = true;
        lock (_lock)
        {
            // Whoever continues a job may have set the terminal meanwhile.
            _isRaw = false;
        }

        Enter();
    }

    private void OnProcessExit(object? sender, EventArgs e) => Dispose();
}
