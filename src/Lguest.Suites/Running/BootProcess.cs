using System.Diagnostics;
using System.Globalization;
using Lguest.Results.Reports;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Running;

/// <summary>One attempt at a boot: a process of its own, or what a worker runs, so that whatever becomes of it costs one test.</summary>
/// <param name="launcher">Starts lguest.</param>
/// <param name="files">Where its results go.</param>
public sealed class BootProcess(IBootLauncher launcher, BootFiles files)
{
    /// <summary>In the environment of a process that is to end when the one of this number does, lguest's own.</summary>
    public const string ParentVariable = "LGUEST_PARENT";

    // The shell is gone when lguest begins: its streams are files, and nothing has to be carried there.
    private const string Shell = "/bin/sh";
    private const string Redirection = "o=$1 e=$2; shift 2; exec \"$@\" </dev/null >\"$o\" 2>\"$e\"";
    private const int MostLastWords = 4096;

    /// <summary>How long one that was asked to end may take.</summary>
    internal static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    /// <summary>How long one may take that should have ended by itself: it writes reports.</summary>
    private static readonly TimeSpan OverTime = TimeSpan.FromMinutes(1);

    /// <summary>Options for what is to be kept of it beside all that every boot leaves.</summary>
    public IReadOnlyList<string> Kept { get; init; } = [];

    /// <summary>Runs it to its end.</summary>
    /// <param name="boot">The boot's name.</param>
    /// <param name="number">Which attempt, from 1.</param>
    /// <param name="arguments">Its command line, without where results go.</param>
    /// <param name="limit">The time after which it ends by itself.</param>
    /// <param name="stop">Cancelled when it is to end.</param>
    /// <param name="warm">What it goes on from, and in which process; null for one that boots, in its own. Who repeats it boots it in any case.</param>
    /// <returns>What became of it, and lguest's report, if there is one.</returns>
    /// <remarks>
    /// The thread that calls this has to live until it returns: to Linux, that thread is what the process follows into death.
    /// </remarks>
    public (AttemptResult Result, RunReport? Report) Run(
        string boot, int number, IReadOnlyList<string> arguments, TimeSpan limit, CancellationToken stop, WarmStart? warm = null)
    {
        Directory.CreateDirectory(files.Folder);
        WriteScript(boot, arguments);
        long begin = Stopwatch.GetTimestamp();
        string[] results = [$"--log={files.Console}", $"--kmsg={files.Kmsg}", $"--json={files.Result}", $"--report={files.Report}", .. Kept];
        ProcessEnd end = warm is null
            ? RunAlone([.. arguments, .. results], limit + OverTime, stop)
            : RunWarm(warm, [.. arguments, BootArguments.Restore(warm.File), .. results], limit + OverTime, stop);
        RunReport? report = files.ReadReport();
        AttemptResult result = AttemptJudge.Judge(number, end.ExitCode, report, LastWords()) with
        {
            WallSeconds = Stopwatch.GetElapsedTime(begin).TotalSeconds,
            IsWarm = warm is not null,
        };

        // ^C reaches the boots of a terminal's suite as it reaches the suite: they end by themselves.
        return end.IsStopped || (result.Status == BootStatus.Error && stop.IsCancellationRequested)
            ? (result with { Status = BootStatus.NotRun, Sentence = "it was ended before its end", Fingerprints = [] }, report)
            : (result, report);
    }

    /// <summary>What starts a process that ends with this one, and isn't a worker.</summary>
    /// <param name="words">For the shell.</param>
    internal static ProcessStartInfo StartInfo(IEnumerable<string> words)
    {
        var start = new ProcessStartInfo(Shell, words);
        start.Environment[ParentVariable] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

        // Only what is started as a worker is one, whatever this process has in its environment.
        start.Environment.Remove(WorkerProtocol.Variable);

        // Nobody debugs it, and it starts a little faster without files for that.
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        return start;
    }

    /// <summary>Starts it.</summary>
    internal static Process Start(ProcessStartInfo start) => Process.Start(start) ?? throw new InvalidOperationException("No process was started.");

    /// <summary>A worker puts its streams into files as Linux does it: elsewhere, each run is a process of its own.</summary>
    private ProcessEnd RunWarm(WarmStart warm, IReadOnlyList<string> words, TimeSpan limit, CancellationToken stop) =>
        OperatingSystem.IsLinux() ? warm.Worker.Run(words, files, limit, stop) : RunAlone(words, limit, stop);

    private ProcessEnd RunAlone(IReadOnlyList<string> words, TimeSpan limit, CancellationToken stop)
    {
        using Process process = Start(StartInfo(["-c", Redirection, "lguest", files.Output, files.Errors, .. launcher.Command, .. words]));
        using var watch = new EndWatch(launcher, process, limit, stop);
        process.WaitForExit();
        return new ProcessEnd(process.ExitCode, watch.IsStopped);
    }

    private string LastWords()
    {
        const string Prefix = "lguest: ";
        try
        {
            using FileStream stream = File.OpenRead(files.Errors);
            stream.Seek(-Math.Min(MostLastWords, stream.Length), SeekOrigin.End);
            using var reader = new StreamReader(stream);
            string line = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault() ?? string.Empty;
            return GuestText.ForPeople(line.StartsWith(Prefix, StringComparison.Ordinal) ? line[Prefix.Length..] : line);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return string.Empty;
        }
    }

    private void WriteScript(string boot, IReadOnlyList<string> arguments)
    {
        File.WriteAllText(files.Repeat, ShellWords.Script(boot, arguments));
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(files.Repeat, File.GetUnixFileMode(files.Repeat) | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        }
    }
}
