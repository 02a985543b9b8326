using System.Runtime.CompilerServices;
using System.Text;
using Lguest.Boot;
using Lguest.Boot.Images;
using Lguest.CommandLine;
using Lguest.Devices.Backends;
using Lguest.Host.Saving;
using Lguest.Inspecting;
using Lguest.Logging;
using Lguest.Results.Reports;
using Lguest.Running;
using Lguest.SuiteCommands;
using Lguest.Suites.Running;
using Microsoft.Extensions.Logging;

namespace Lguest;

/// <summary>The <c>lguest</c> command: command line, machine, run, exit code.</summary>
internal static class Program
{
    private static int Main(string[] arguments)
    {
        HostProcess.Prepare();
        string? parent = Environment.GetEnvironmentVariable(BootProcess.ParentVariable);
        if (parent is not null && !(int.TryParse(parent, out int process) && HostProcess.FollowParent(process)))
        {
            return ExitCode.Hangup;
        }

        if (HostLimits.Shortage() is { } sentence)
        {
            return Refuse(sentence, ExitCode.CouldNotRun);
        }

        return parent is not null && Environment.GetEnvironmentVariable(WorkerProtocol.Variable) is not null ? Work() : Start(RawArguments.Restore(arguments), new BetweenRuns(isOne: true));
    }

    // Apart, so that who runs one guest doesn't load what it takes to run many.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Work()
    {
        using var between = new BetweenRuns(isOne: false);
        return Worker.Serve(arguments => Start(arguments, between));
    }

    // Apart, because a process with too few descriptors can't load what this needs.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Start(IReadOnlyList<string> arguments, BetweenRuns between)
    {
        try
        {
            return Launch.Parse(arguments) switch
            {
                Request.Run run => Run(run.Launch, between),
                Request.Inspect inspect => Inspect(inspect),
                Request.RunSuite suite => RunSuite(suite.Options),
                Request.MergeSuite suite => MergeSuite(suite.Options),
                Request.Help help => Print(Usage.Help(help.Command)),
                Request.Completion completion => Print(Completion.Script(completion.Shell)),
                _ => Print(Usage.Version(DescriptorStream.IsTerminal(StandardDescriptors.Output))),
            };
        }
        catch (CommandLineException e)
        {
            using var logger = new StandardErrorLogger(LogLevel.Information);
            LaunchLog.Error(logger, e.Message);
            return ExitCode.CouldNotRun;
        }
    }

    private static int Run(Launch launch, BetweenRuns between)
    {
        var patience = new WritePatience();
        using var logger = new StandardErrorLogger(launch.Verbose ? LogLevel.Debug : LogLevel.Information, patience);
        string? sentence = null;
        try
        {
            Ending ending = Machine.Run(launch, between, logger, patience);
            Report(logger, ending);
            return launch.EndsWellAtRestart && ending.ExitCode == ExitCode.Restart ? ExitCode.PowerOff : Skip(logger, launch, ending.ExitCode);
        }
        catch (Exception e) when (e is BootException or BackendException or ReportException or SavedStateException)
        {
            LaunchLog.Error(logger, e.Message);
        }
        catch (Exception) when ((sentence = HostLimits.Explain()) is not null)
        {
            // A filter, because it is asked before anything is given back.
            LaunchLog.Error(logger, sentence);
        }
        catch (Exception e) when (e is IOException or OutOfMemoryException)
        {
            LaunchLog.Error(logger, $"the guest could not be set up: {e.Message}");
        }

        return ExitCode.CouldNotRun;
    }

    private static int Skip(ILogger logger, Launch launch, int exitCode)
    {
        if (!launch.Skipped.Contains(exitCode))
        {
            return exitCode;
        }

        string sentence = $"the exit code is {ExitCode.CouldNotRun} instead of {exitCode}, as --{Options.Skip.Name} says";
        LaunchLog.Information(logger, sentence);
        return ExitCode.CouldNotRun;
    }

    private static int Inspect(Request.Inspect request)
    {
        try
        {
            using KernelImage kernel = KernelImage.Open(request.Kernel, HostFile.OpenForReading);
            var report = KernelReport.Of(request.Kernel, kernel);
            return Print(request.AsJson ? KernelReportWriter.Json(report) : KernelReportWriter.Text(report));
        }
        catch (BootException e)
        {
            using var logger = new StandardErrorLogger(LogLevel.Information);
            LaunchLog.Error(logger, e.Message);
            return ExitCode.CouldNotRun;
        }
    }

    // Apart, so that who runs a guest doesn't load what it takes to run many.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int RunSuite(SuiteOptions options) => SuiteCommand.Run(options);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int MergeSuite(SuiteOptions options) => SuiteCommand.Merge(options);

    private static void Report(ILogger logger, Ending ending)
    {
        if (ending.Sentence is null)
        {
            return;
        }

        if (ending.IsFailure)
        {
            LaunchLog.Error(logger, ending.Sentence);
        }
        else
        {
            LaunchLog.Information(logger, ending.Sentence);
        }
    }

    private static int Print(string text)
    {
        try
        {
            new DescriptorStream(StandardDescriptors.Output).Write(Encoding.UTF8.GetBytes(text));
            return ExitCode.PowerOff;
        }
        catch (IOException e)
        {
            return Refuse($"standard output cannot be written: {e.Message}", ExitCode.OutputLost);
        }
    }

    private static int Refuse(string sentence, int exitCode)
    {
        try
        {
            new DescriptorStream(StandardDescriptors.Error).Write(Encoding.UTF8.GetBytes($"lguest: {sentence}\n"));
        }
        catch (IOException)
        {
            // There is nobody left to tell.
        }

        return exitCode;
    }
}
