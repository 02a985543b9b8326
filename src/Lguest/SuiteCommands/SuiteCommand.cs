using System.Runtime.InteropServices;
using Lguest.Boot;
using Lguest.CommandLine;
using Lguest.Devices.Backends;
using Lguest.Logging;
using Lguest.Results.Reports;
using Lguest.Running;
using Lguest.Suites;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;
using Microsoft.Extensions.Logging;

namespace Lguest.SuiteCommands;

/// <summary><c>lguest suite</c>: options, signals, exit code.</summary>
internal static class SuiteCommand
{
    private const int SomethingFailed = 1;

    /// <summary>Runs a suite.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(SuiteOptions options) => Guard(() =>
    {
        SuiteSession session = Session();
        PreparedSuite suite = session.Prepare(
            new SuiteRequest(options.Files[0])
            {
                Output = options.Output,
                Jobs = options.Jobs ?? Environment.ProcessorCount,
                Filters = options.Filters,
                FailsFast = options.FailsFast,
                TellsGitHub = options.TellsGitHub,
                ColdShare = options.ColdShare,
                Shard = options.Shard is { } shard ? Parse(shard) : null,
                Durations = options.Durations,
            });

        // Until there is something to end in order, a signal ends this process: who reads a pipe may wait for ever.
        using var signals = new SuiteSignals();
        SuiteResult result = session.Run(suite, signals.Token);
        return signals.ExitCode ?? ExitCodeOf(result);
    });

    /// <summary>Merges the shards of a suite.</summary>
    /// <returns>The exit code.</returns>
    public static int Merge(SuiteOptions options) => Guard(() => ExitCodeOf(Session().Merge(options.Files, options.Output, options.TellsGitHub)));

    private static SuiteSession Session() => new(
        new BootLauncher(), new DescriptorStream(StandardDescriptors.Output), DescriptorStream.IsTerminal(StandardDescriptors.Output), TimeProvider.System);

    private static ShardChoice Parse(string shard) => ShardChoice.Parse(shard)
        ?? throw new SuiteException($"--{Options.Shard.Name}={shard} is no part of a suite: write 1/4 for the first of four");

    private static int ExitCodeOf(SuiteResult result) => result.Boots.Any(boot => boot.Status.IsFailure()) ? SomethingFailed : ExitCode.PowerOff;

    private static int Guard(Func<int> action)
    {
        using var logger = new StandardErrorLogger(LogLevel.Information);
        try
        {
            HashLibrary.Require();
            return action();
        }
        catch (Exception e) when (e is SuiteException or ReportException or BootException)
        {
            LaunchLog.Error(logger, e.Message);
            return ExitCode.CouldNotRun;
        }
        catch (IOException e)
        {
            LaunchLog.Error(logger, $"standard output cannot be written: {e.Message}");
            return ExitCode.OutputLost;
        }
    }
}

/// <summary>The signals that end a suite before its end.</summary>
internal sealed class SuiteSignals : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _exitCode;

    /// <summary>Listens.</summary>
    public SuiteSignals()
    {
        Listen(PosixSignal.SIGINT, Running.ExitCode.Interrupted);
        Listen(PosixSignal.SIGTERM, Running.ExitCode.Terminated);
        Listen(PosixSignal.SIGHUP, Running.ExitCode.Hangup);
    }

    /// <summary>Cancelled by the first.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>What the first has made of the exit code; null if there was none.</summary>
    public int? ExitCode => _exitCode == 0 ? null : _exitCode;

    /// <inheritdoc />
    public void Dispose()
    {
        _registrations.ForEach(registration => registration.Dispose());
        _source.Dispose();
    }

    private void Listen(PosixSignal signal, int exitCode) => _registrations.Add(PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        _ = Interlocked.CompareExchange(ref _exitCode, exitCode, 0);
        _source.Cancel();
    }));
}
