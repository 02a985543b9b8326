using Lguest.CommandLine;
using Lguest.Insight.Health;
using Lguest.Results.Outcomes;
using Lguest.Results.Tap;

namespace Lguest.Running.Watching;

/// <summary>What a run has come to, all things considered.</summary>
/// <param name="Ending">What counts.</param>
/// <param name="Finding">The same as a row of the table of exit codes.</param>
/// <param name="Also">What applies besides, and counts for less.</param>
internal sealed record RunVerdict(Ending Ending, RunFinding Finding, IReadOnlyList<string> Also)
{
    /// <summary>Weighs how a run ended, what its kernel complained of, and its tests.</summary>
    /// <param name="ending">How it ended.</param>
    /// <param name="counting">Complaints that count.</param>
    /// <param name="tests">Test output.</param>
    /// <param name="expectations">What was expected of the guest's output and failed.</param>
    public static RunVerdict Of(Ending ending, IReadOnlyList<Complaint> counting, IReadOnlyList<TapParser> tests, IReadOnlyList<RunFinding> expectations)
    {
        string sentence = ending.Sentence ?? string.Empty;
        var own = new RunFinding(ExitCodeTable.RowOf(ending.ExitCode).Condition, ending.ExitCode, sentence);
        var findings = new List<RunFinding> { own };
        if (counting.Count > 0)
        {
            string more = counting.Count > 1 ? $", and {counting.Count - 1} more times" : string.Empty;
            findings.Add(ExitCodeTable.Find(RunCondition.Complaint, $"the kernel complained{more}: {counting[0].Title} ({counting[0].Fingerprint})"));
        }

        findings.AddRange(expectations);
        if (tests.FirstOrDefault(parser => parser.HasFailure) is { } failed)
        {
            findings.Add(ExitCodeTable.Find(RunCondition.TestsFailed, Describe(failed)));
        }

        RunFinding strongest = ExitCodeTable.Strongest(findings);
        string[] also = [.. findings.Where(finding => finding != strongest && finding.Sentence.Length > 0).Select(finding => finding.Sentence)];
        return strongest == own
            ? new RunVerdict(ending, own, also)
            : new RunVerdict(new Ending(strongest.Code, strongest.Sentence, true), strongest, also);
    }

    /// <summary>The complaints that count.</summary>
    /// <param name="complaints">All of them.</param>
    /// <param name="options">What the user wants to fail on.</param>
    /// <param name="isByDefault">Whether a user who says nothing wants to fail on any.</param>
    public static IReadOnlyList<Complaint> Counting(IEnumerable<Complaint> complaints, WatchOptions options, bool isByDefault) =>
        [.. complaints.Where(complaint => (options.FailOn?.Contains(complaint.Class) ?? isByDefault)
            && (complaint.IsCorrupted || !options.Allowed.Contains(complaint.Fingerprint)))];

    private static string Describe(TapParser parser)
    {
        string source = parser.Source switch
        {
            TapSource.Kernel => "the kernel's test output",
            TapSource.Command => "the command's test output",
            _ => "the console's test output",
        };
        if (parser.Tests.FirstOrDefault(test => test.Status.IsFailure()) is not { } test)
        {
            return $"{source} can't be right: {parser.Errors[0]}";
        }

        string path = test.Name;
        while (test.Children.FirstOrDefault(child => child.Status.IsFailure()) is { } child)
        {
            test = child;
            path += $".{child.Name}";
        }

        return $"{source} says: {path} {test.Status.ToWord()}";
    }
}
