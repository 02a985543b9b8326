using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Lguest.CommandLine;
using Lguest.Results.Reports;
using Lguest.Suites.Merging;
using Lguest.Suites.Output;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;
using Lguest.Suites.Running;
using Lguest.Suites.Yaml;

namespace Lguest.Suites;

/// <summary>A suite from its file to its results.</summary>
/// <param name="launcher">Starts lguest.</param>
/// <param name="output">Where progress goes.</param>
/// <param name="isTerminal">Whether that is a terminal.</param>
/// <param name="clock">The host's.</param>
public sealed class SuiteSession(IBootLauncher launcher, Stream output, bool isTerminal, TimeProvider clock)
{
    /// <summary>Reads it, and sees that it can be run. Nothing is written.</summary>
    /// <param name="request">What the user wants.</param>
    /// <exception cref="SuiteException">It can't be run.</exception>
    public PreparedSuite Prepare(SuiteRequest request)
    {
        var today = DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime);
        SuiteFile suite = SuiteReader.Read(request.File);
        var filter = new BootFilter(request.Filters);
        IReadOnlyList<PlannedBoot> plan = [.. SuitePlan.Of(suite).Where(boot => filter.Has(boot.Name)).Select(boot => At(request, boot, WithKernel))];
        if (plan.Count == 0)
        {
            throw new SuiteException($"no boot of '{request.File}' has a name that --filter={string.Join(" or ", request.Filters)} finds");
        }

        SuiteResult? earlier = request.Durations is null ? null : ResultsFile.Read(request.Durations);
        IReadOnlyList<PlannedBoot> boots = [.. (request.Shard?.Take(plan, earlier) ?? plan).Select(boot => At(request, boot, each => Check(each, today)))];
        return new PreparedSuite(request, suite, plan, boots, HashInputs(plan), today);
    }

    /// <summary>Runs it.</summary>
    /// <param name="suite">What was prepared.</param>
    /// <param name="stop">Cancelled when it is to end before its end.</param>
    /// <returns>What became of it.</returns>
    /// <exception cref="SuiteException">It can't be run.</exception>
    /// <exception cref="ReportException">Results can't be written.</exception>
    public SuiteResult Run(PreparedSuite suite, CancellationToken stop)
    {
        (SuiteRequest request, IReadOnlyList<PlannedBoot> boots) = (suite.Request, suite.Boots);
        using var held = ResultsFolder.Take(request.Output);
        string folder = held.FullPath;
        var result = new SuiteResult
        {
            Name = suite.File.Name,
            SuiteSha256 = suite.File.Sha256,
            InputSha256 = suite.InputSha256,
            Shard = request.Shard is { } shard ? new ShardReport(shard.Index, shard.Of) : null,
            Plan = [.. suite.Plan.Select(boot => boot.Name)],
            Started = clock.GetLocalNow(),
            Jobs = request.Jobs,
            Interrupted = "lguest was killed, or runs still",
            Boots = [.. boots.OrderBy(boot => boot.Index).Select(boot => BootJudge.Judge(boot, [], [], suite.Today))],
        };

        // Who kills lguest finds that here, and not the results of another time.
        ResultsFile.Write(folder, result);
        long begin = Stopwatch.GetTimestamp();
        IReadOnlyList<BootResult> ran = Run(request, boots, folder, suite.Today, stop);
        result = result with
        {
            WallSeconds = Stopwatch.GetElapsedTime(begin).TotalSeconds,
            Interrupted = stop.IsCancellationRequested && ran.Any(boot => boot.Status == BootStatus.NotRun) ? "a signal" : null,
            Boots = ran,
        };
        Tell(folder, result, request.TellsGitHub);
        return result;
    }

    /// <summary>Merges shards.</summary>
    /// <param name="folders">The shards' folders of results.</param>
    /// <param name="target">The folder for all of it.</param>
    /// <param name="tellsGitHub">Whether GitHub is told.</param>
    /// <returns>What became of the suite.</returns>
    /// <exception cref="SuiteException">They can't be merged, or one of them was ended before its end: then what there is has been written.</exception>
    /// <exception cref="ReportException">Results can't be written.</exception>
    public SuiteResult Merge(IReadOnlyList<string> folders, string target, bool tellsGitHub)
    {
        (SuiteResult result, ResultsFolder folder) = SuiteMerger.Merge(folders, target);
        using (folder)
        {
            Tell(folder.FullPath, result, tellsGitHub);
        }

        return result.Interrupted is { } why ? throw new SuiteException($"this is not all of the suite, which was ended by {why}: run that shard again") : result;
    }

    /// <summary>Writes all results, and says what they come to.</summary>
    private void Tell(string folder, SuiteResult result, bool tellsGitHub)
    {
        ResultPages.Write(folder, result);
        Say($"{SuiteSummary.Line(result)}\n");
        if (!tellsGitHub)
        {
            return;
        }

        Say(GitHubCommands.Annotations(result));
        if (Environment.GetEnvironmentVariable(GitHubCommands.SummaryVariable) is { Length: > 0 } summary)
        {
            try
            {
                // What the step has said before stays.
                File.AppendAllText(summary, File.ReadAllText(Path.Combine(folder, ResultPages.Summary)));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new SuiteException($"the job's summary can't be written to '{summary}', as {GitHubCommands.SummaryVariable} says: {e.Message.TrimEnd('.')}", e);
            }
        }
    }

    private IReadOnlyList<BootResult> Run(SuiteRequest request, IReadOnlyList<PlannedBoot> boots, string folder, DateOnly today, CancellationToken stop)
    {
        if (isTerminal)
        {
            var shown = new TerminalProgress(output, boots.Count);
            return shown.While(() => Runner(shown).Run(boots, request.Jobs, stop));
        }

        return Runner(new LineProgress(output, boots.Count)).Run(boots, request.Jobs, stop);

        SuiteRunner Runner(ISuiteProgress progress) => new(launcher, folder, progress, today) { FailsFast = request.FailsFast, ColdShare = request.ColdShare };
    }

    private PlannedBoot WithKernel(PlannedBoot boot) =>
        boot.Settings.Kernel is not null ? boot : boot with { Settings = boot.Settings with { Kernel = launcher.ShippedKernel } };

    /// <summary>Sees that lguest will understand what it is to do, before the first boot.</summary>
    private PlannedBoot Check(PlannedBoot boot, DateOnly today)
    {
        const string AnyFile = "state";
        IReadOnlyList<string> arguments = BootArguments.Of(boot.Settings, BootArguments.Seed(boot.Settings, 1), today);
        TimeSpan limit = launcher.Check([.. arguments, .. BootArguments.Kept(boot.Settings, new BootFiles(AnyFile))]);
        if (boot.Settings.IsWarm)
        {
            if (boot.Settings.Networks.Count > 0)
            {
                throw new SuiteException("a network's other end isn't saved with a guest, and from: boot saves it: write `from: start`");
            }

            if (boot.Settings.Shares.Any(IsReturned))
            {
                throw new SuiteException("a share that comes back (,rw) changes what the next boot begins with, and from: boot needs what stays as it is: write `from: start`");
            }

            launcher.Check([.. BootArguments.OfSaved(boot.Settings, today), BootArguments.Save(AnyFile)]);
            launcher.Check([.. arguments, BootArguments.Restore(AnyFile)]);
        }

        return boot with { Limit = limit };
    }

    private static bool IsReturned(string share) => CommaParts.Split(share).Skip(1).Any(word => word == "rw" || word.StartsWith("rw=", StringComparison.Ordinal));

    private static PlannedBoot At(SuiteRequest request, PlannedBoot boot, Func<PlannedBoot, PlannedBoot> action)
    {
        try
        {
            return action(boot);
        }
        catch (SuiteException e)
        {
            throw new SuiteException(YamlFile.Error(request.File, boot.Place, $"{boot.Name} can't be run: {e.Message}").Message, e);
        }
    }

    private static List<string> HashInputs(IEnumerable<PlannedBoot> plan)
    {
        var hashes = new List<string>();
        foreach (string path in plan.SelectMany(boot => new[] { boot.Settings.Kernel, boot.Settings.Initrd }).OfType<string>().Distinct().Where(File.Exists))
        {
            try
            {
                using FileStream file = File.OpenRead(path);
                hashes.Add(Convert.ToHexStringLower(SHA256.HashData(file)));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new SuiteException($"'{path}' can't be read: {e.Message.TrimEnd('.')}", e);
            }
        }

        hashes.Sort(StringComparer.Ordinal);
        return [.. hashes.Distinct()];
    }

    private void Say(string text) => output.Write(Encoding.UTF8.GetBytes(text));
}

/// <summary>A suite that can be run.</summary>
/// <param name="Request">What the user wants.</param>
/// <param name="File">Its file.</param>
/// <param name="Plan">All boots that the user has chosen.</param>
/// <param name="Boots">Those of them that are to be run here, in the order in which they begin.</param>
/// <param name="InputSha256">The hashes of what they are made of.</param>
/// <param name="Today">The day, UTC.</param>
public sealed record PreparedSuite(
    SuiteRequest Request, SuiteFile File, IReadOnlyList<PlannedBoot> Plan, IReadOnlyList<PlannedBoot> Boots, IReadOnlyList<string> InputSha256, DateOnly Today);
