using System.Diagnostics.CodeAnalysis;
using Lguest.Results.Reports;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Running;

/// <summary>Runs boots, some at once.</summary>
/// <param name="launcher">Starts lguest.</param>
/// <param name="folder">Where results go, an absolute path.</param>
/// <param name="progress">Hears of it.</param>
/// <param name="today">The day, UTC, for failures that are known until another.</param>
public sealed class SuiteRunner(IBootLauncher launcher, string folder, ISuiteProgress progress, DateOnly today)
{
    private volatile bool _hasFailed;

    /// <summary>Whether no boot begins once one has failed.</summary>
    public bool FailsFast { get; init; }

    /// <summary>Of the boots that go on from a saved guest, the share that is run from its start as well, 0 to 1.</summary>
    public double ColdShare { get; init; }

    /// <summary>Runs them.</summary>
    /// <param name="boots">In the order in which they begin.</param>
    /// <param name="jobs">How many at once.</param>
    /// <param name="stop">Cancelled when all of them are to end.</param>
    /// <returns>A result for each, in the suite's order. Where one can't be started, no other begins.</returns>
    public IReadOnlyList<BootResult> Run(IReadOnlyList<PlannedBoot> boots, int jobs, CancellationToken stop)
    {
        BootResult[] results = [.. boots.Select(boot => BootJudge.Judge(boot, [], [], today))];
        using var saved = new SavedBoots(launcher, folder, today);
        int next = -1;

        // Threads of their own, which live as long as what they start.
        Thread[] threads = [.. Enumerable.Range(0, Math.Min(jobs, boots.Count)).Select(_ => new Thread(Work))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        return [.. boots.Zip(results).OrderBy(pair => pair.First.Index).Select(pair => pair.Second)];

        void Work()
        {
            using var worker = new BootWorker(launcher);
            for (int i; (i = Interlocked.Increment(ref next)) < boots.Count;)
            {
                (results[i], bool couldStart) = TryBoot(boots[i], saved, worker, stop);
                _hasFailed |= results[i].Status.IsFailure();
                if (!couldStart)
                {
                    _ = Interlocked.Exchange(ref next, boots.Count);
                }
            }
        }
    }

    /// <summary>A boot that this host has no room or no process for costs itself, and those that haven't begun: what was run before counts.</summary>
    [SuppressMessage("Design", "CA1031", Justification = "On another thread, an exception would be the end of the process, and of all results.")]
    private (BootResult Result, bool CouldStart) TryBoot(PlannedBoot boot, SavedBoots saved, BootWorker worker, CancellationToken stop)
    {
        var attempts = new List<AttemptResult>();
        try
        {
            return (RunBoot(boot, attempts, saved, worker, stop), true);
        }
        catch (Exception e)
        {
            attempts.Add(new AttemptResult
            {
                Number = attempts.Count + 1,
                Status = BootStatus.Error,
                Sentence = $"it can't be run: {e.Message.TrimEnd('.')}",
                Fingerprints = [FailureWords.Lguest],
            });
            BootResult result = BootJudge.Judge(boot, attempts, [], today);
            progress.Finished(result);
            return (result, false);
        }
    }

    private BootResult RunBoot(PlannedBoot boot, List<AttemptResult> attempts, SavedBoots saved, BootWorker worker, CancellationToken stop)
    {
        string[] allowed = [];
        while (!stop.IsCancellationRequested && !(FailsFast && _hasFailed && attempts.Count == 0))
        {
            int number = attempts.Count + 1;
            progress.Started(boot, number);
            WarmStart? warm = boot.Settings.IsWarm && saved.FileFor(boot, stop) is { } file ? new WarmStart(file, worker) : null;
            RunReport? report = Attempt(boot, attempts, BootArguments.Seed(boot.Settings, number), warm, stop);
            allowed = [.. report?.Health.Where(complaint => !complaint.Counts).Select(complaint => complaint.Fingerprint) ?? []];
            if (!BootJudge.WantsRetry(attempts, boot, today))
            {
                break;
            }
        }

        BootResult result = BootJudge.Judge(boot, [.. attempts], allowed, today);
        if (attempts is [.., { IsWarm: true } last] && !stop.IsCancellationRequested && ShardChoice.IsIn(boot.Name, ColdShare))
        {
            Attempt(boot, attempts, last.Seed, warm: null, stop);
            result = BootJudge.Check(result, last, attempts[^1]);
        }

        progress.Finished(result);
        return result;
    }

    private RunReport? Attempt(PlannedBoot boot, List<AttemptResult> attempts, ulong? seed, WarmStart? warm, CancellationToken stop)
    {
        int number = attempts.Count + 1;
        var files = BootFiles.Of(folder, boot.Name, number);
        var process = new BootProcess(launcher, files) { Kept = [.. BootArguments.Kept(boot.Settings, files)] };
        (AttemptResult attempt, RunReport? report) = process.Run(boot.Name, number, BootArguments.Of(boot.Settings, seed, today), boot.Limit, stop, warm);
        attempts.Add(attempt with { Seed = seed });
        return report;
    }
}
