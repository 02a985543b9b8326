using System.Diagnostics;
using System.Globalization;
using Lguest.Results.Reports;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Running;

/// <summary>One attempt at a boot: a process of its own, so that whatever becomes of it costs one test.</summary>
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

    /// <summary>How often to see whether the boot is to end.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

    /// <summary>How long one that was asked to end may take.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    /// <summary>How long one may take that should have ended by itself: it writes reports.</summary>
    private static readonly TimeSpan OverTime = TimeSpan.FromMinutes(1);

    /// <summary>Runs it to its end.</summary>
    /// <param name="boot">The boot's name.</param>
    /// <param name="number">Which attempt, from 1.</param>
    /// <param name="arguments">Its command line, without where results go.</param>
    /// <param name="limit">The time after which it ends by itself.</param>
    /// <param name="stop">Cancelled when it is to end.</param>
    /// <param name="saved">The file of the saved guest that it goes on from; null for one that boots. Who repeats it boots it in any case.</param>
    /// <returns>What became of it, and lguest's report, if there is one.</returns>
    /// <remarks>
    /// The thread that calls this has to live until it returns: to Linux, that thread is what the process follows into death.
    /// </remarks>
    public (AttemptResult Result, RunReport? Report) Run(
        string boot, int number, IReadOnlyList<string> arguments, TimeSpan limit, CancellationToken stop, string? saved = null)
    {
        Directory.CreateDirectory(files.Folder);
        WriteScript(boot, arguments);
        long begin = Stopwatch.GetTimestamp();
        using Process process = Start(saved is null ? arguments : [.. arguments, BootArguments.Restore(saved)]);
        bool isStopped = Await(process, limit, stop);
        RunReport? report = files.ReadReport();
        AttemptResult result = AttemptJudge.Judge(number, process.ExitCode, report, LastWords()) with
        {
            WallSeconds = Stopwatch.GetElapsedTime(begin).TotalSeconds,
            IsWarm = saved is not null,
        };

        // ^C reaches the boots of a terminal's suite as it reaches the suite: they end by themselves.
        return isStopped || (result.Status == BootStatus.Error && stop.IsCancellationRequested)
            ? (result with { Status = BootStatus.NotRun, Sentence = "it was ended before its end", Fingerprints = [] }, report)
            : (result, report);
    }

    private Process Start(IReadOnlyList<string> arguments)
    {
        string[] results =
        [
            $"--log={files.Console}", $"--kmsg={files.Kmsg}", $"--json={files.Result}", $"--report={files.Report}",
        ];
        var start = new ProcessStartInfo(Shell, ["-c", Redirection, "lguest", files.Output, files.Errors, .. launcher.Command, .. arguments, .. results]);
        start.Environment[ParentVariable] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

        // Nobody debugs it, and it starts a little faster without files for that.
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        return Process.Start(start) ?? throw new InvalidOperationException("No process was started.");
    }

    /// <returns>Whether it was ended because that was wanted.</returns>
    private bool Await(Process process, TimeSpan limit, CancellationToken stop)
    {
        long begin = Stopwatch.GetTimestamp();
        while (!process.WaitForExit(Look))
        {
            bool isLate = Stopwatch.GetElapsedTime(begin) > limit + OverTime;
            if (!isLate && !stop.IsCancellationRequested)
            {
                continue;
            }

            launcher.AskToEnd(process.Id);
            if (!process.WaitForExit(Grace))
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }

            return !isLate;
        }

        return false;
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
