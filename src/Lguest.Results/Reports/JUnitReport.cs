using System.Globalization;
using System.Text;
using Lguest.Results.Outcomes;

namespace Lguest.Results.Reports;

/// <summary>
/// The report for CI servers, as they really read it: GitLab knows a test by classname and name alone, and shows the text
/// inside <c>failure</c> and <c>error</c>; readers for GitHub want suites with counts.
/// </summary>
public static class JUnitReport
{
    private const string RunSuite = "lguest";

    /// <summary>Writes it, in UTF-8.</summary>
    /// <remarks>
    /// The run itself is the first test: an error when it ended badly for a reason that no other test shows.
    /// </remarks>
    public static void Write(Stream stream, RunReport report)
    {
        JUnitSuite run = new(RunSuite, report.Times.Started, [OfRun(report)]);
        JUnitFile.Write(stream, report.Name, report.Times.WallSeconds, [run, .. Tests(report)]);
    }

    /// <summary>The tests of a run, by their suites.</summary>
    public static IEnumerable<JUnitSuite> Tests(RunReport report) => report.Tests
        .Where(test => test.JUnit != JUnitKind.None)
        .GroupBy(test => test.Suite)
        .Select(suite => new JUnitSuite(suite.Key, report.Times.Started, [.. suite.Select(OfTest)]));

    /// <summary>Whether all that went wrong in a run is that tests of it failed, which show that themselves.</summary>
    public static bool IsShownByTests(RunReport report) => report.Outcome.Condition == RunCondition.TestsFailed && report.TestErrors.Count == 0;

    /// <summary>What there is to say of a run that ended badly.</summary>
    public static string Details(RunReport report)
    {
        var text = new StringBuilder();
        foreach (ComplaintReport complaint in report.Health)
        {
            text.Append(complaint.Title).Append('\n').AppendJoin('\n', complaint.Records).Append('\n');
        }

        return text.AppendJoin('\n', report.TestErrors).ToString();
    }

    private static JUnitCase OfRun(RunReport report)
    {
        string sentence = report.Outcome.Sentence.Length > 0
            ? report.Outcome.Sentence
            : string.Create(CultureInfo.InvariantCulture, $"the exit code is {report.Outcome.ExitCode}");
        return report.Outcome.Condition == RunCondition.PowerOff || IsShownByTests(report)
            ? new JUnitCase(RunSuite, report.Name, JUnitKind.Passed, string.Empty, string.Empty, report.Times.WallSeconds)
            : new JUnitCase(RunSuite, report.Name, JUnitKind.Error, sentence, Details(report), report.Times.WallSeconds);
    }

    private static JUnitCase OfTest(TestReport test)
    {
        string message = test.Reason.Length > 0 ? $"{test.Status}: {test.Reason}" : test.Status;
        return new JUnitCase(test.Suite, test.Name, test.JUnit, message, test.Output, 0);
    }
}
