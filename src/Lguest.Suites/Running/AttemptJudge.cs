using System.Globalization;
using System.Text;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Running;

/// <summary>Says what an attempt has come to, by what lguest reported of it.</summary>
public static class AttemptJudge
{
    private const int LongestFingerprint = 200;
    private const int SignalBase = 128;
    private const int MostSignals = 64;
    private const string EndOfRun = "end";
    private const string Panic = "panic";

    // lguest's own exit codes beside those of signals.
    private static readonly int[] OwnCodes = [129, 130, 141, 143];

    /// <summary>The result of an attempt.</summary>
    /// <param name="number">Which, from 1.</param>
    /// <param name="exitCode">lguest's.</param>
    /// <param name="report">lguest's; null if it wrote none.</param>
    /// <param name="lastWords">The last line of its standard error, for when there is no report.</param>
    public static AttemptResult Judge(int number, int exitCode, RunReport? report, string lastWords)
    {
        if (report is null || report.Outcome.ExitCode != exitCode)
        {
            return new AttemptResult
            {
                Number = number,
                Status = BootStatus.Error,
                ExitCode = exitCode,
                Sentence = WordsOf(exitCode, lastWords),
                Fingerprints = [FailureWords.Lguest],
            };
        }

        string sentence = report.Outcome.Sentence;
        BootStatus status = StatusOf(report.Outcome.Condition);
        return new AttemptResult
        {
            Number = number,
            Status = status,
            ExitCode = exitCode,
            Sentence = sentence.Length == 0 && status != BootStatus.Passed ? string.Create(CultureInfo.InvariantCulture, $"the exit code is {exitCode}") : sentence,
            Fingerprints = [.. FingerprintsOf(report).Select(Shortened).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
            GuestSeconds = report.Times.GuestSeconds,
            Instructions = report.Instructions,
            Tests = CountTests(report),
        };
    }

    private static string WordsOf(int exitCode, string lastWords)
    {
        if (exitCode == ExitCodeTable.RowOf(RunCondition.CouldNotRun).First)
        {
            return lastWords.Length > 0 ? lastWords : "lguest itself ended, and could write neither a report nor why: the disk may be full";
        }

        string end = exitCode is <= SignalBase or > SignalBase + MostSignals || OwnCodes.Contains(exitCode)
            ? string.Create(CultureInfo.InvariantCulture, $"lguest itself ended, with exit code {exitCode} and without a report")
            : string.Create(CultureInfo.InvariantCulture, $"lguest itself was ended by signal {exitCode - SignalBase}, and has left no report");
        return $"{end}{(lastWords.Length > 0 ? ": " : string.Empty)}{lastWords}";
    }

    private static BootStatus StatusOf(RunCondition condition) => condition switch
    {
        RunCondition.PowerOff => BootStatus.Passed,
        RunCondition.KernelDied or RunCondition.AbiBreach or RunCondition.Complaint => BootStatus.Crashed,
        RunCondition.LimitReached => BootStatus.TimedOut,
        RunCondition.CouldNotRun or RunCondition.Signal => BootStatus.Error,
        _ => BootStatus.Failed,
    };

    private static IEnumerable<string> FingerprintsOf(RunReport report)
    {
        if (report.Outcome.Condition == RunCondition.PowerOff)
        {
            return [];
        }

        // What counts for less was there, too: who knows only the one doesn't know the other.
        bool isDead = report.Outcome.Condition == RunCondition.KernelDied;

        // A death without a panic is a failure of its own, whatever the kernel had complained of before.
        bool isSudden = isDead && !report.Health.Any(complaint => complaint.Class == Panic);
        string[] complaints =
        [
            .. report.Health.Where(complaint => (isDead || complaint.Counts) && complaint.Class != EndOfRun).Select(complaint => complaint.Fingerprint),
        ];
        string[] tests =
        [
            .. report.Tests.Where(test => test.JUnit is JUnitKind.Failure or JUnitKind.Error).Select(test => $"{FailureWords.Test}/{test.Suite}.{test.Name}"),
            .. report.TestErrors.Take(1).Select(_ => FailureWords.TestOutput),
        ];
        string sentence = report.Outcome.Sentence;
        IEnumerable<string> own = report.Outcome.Condition switch
        {
            RunCondition.KernelDied when isSudden => [$"{FailureWords.Died}/{sentence}"],
            RunCondition.AbiBreach => [$"{FailureWords.Abi}/{sentence}"],
            RunCondition.Restart => [FailureWords.Restart],
            RunCondition.LimitReached => [$"{FailureWords.Limit}/{LimitOf(sentence)}"],
            RunCondition.GuestStatus => [string.Create(CultureInfo.InvariantCulture, $"{FailureWords.Status}/{report.Outcome.GuestStatus ?? report.Outcome.ExitCode}")],
            RunCondition.ExpectationFailed => [$"{FailureWords.Expectation}/{sentence}"],
            RunCondition.CouldNotRun or RunCondition.Signal => [FailureWords.Lguest],
            _ => [],
        };
        return [.. own, .. complaints, .. tests];
    }

    private static string LimitOf(string sentence)
    {
        const string Dashes = "--";
        int at = sentence.LastIndexOf(Dashes, StringComparison.Ordinal);
        return at < 0 ? "unknown" : new string([.. sentence.Skip(at + Dashes.Length).TakeWhile(c => char.IsAsciiLetterLower(c) || c == '-')]);
    }

    private static SortedDictionary<string, int> CountTests(RunReport report)
    {
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (TestReport test in report.Tests.Where(test => !test.IsSuite))
        {
            counts[test.Status] = counts.GetValueOrDefault(test.Status) + 1;
        }

        return counts;
    }

    /// <summary>One line, in which numbers, which differ from run to run, are all alike.</summary>
    private static string Shortened(string fingerprint)
    {
        bool hasNumbers = !FailureWords.IsComplaint(fingerprint) && fingerprint.Split('/')[0] is FailureWords.Died or FailureWords.Abi;
        var text = new StringBuilder();
        for (int i = 0; i < fingerprint.Length && text.Length < LongestFingerprint; i++)
        {
            char c = fingerprint[i];
            if (hasNumbers && char.IsAsciiDigit(c))
            {
                while (i + 1 < fingerprint.Length && (char.IsAsciiHexDigit(fingerprint[i + 1]) || fingerprint[i + 1] == 'x'))
                {
                    i++;
                }

                text.Append('N');
            }
            else
            {
                text.Append(char.IsControl(c) ? ' ' : c);
            }
        }

        return text.ToString();
    }
}
