using Lguest.Results.Tap;

namespace Lguest.Results.Reports;

/// <summary>Makes a flat list of the tests of all sources.</summary>
public static class TestReports
{
    private const char Separator = '.';

    /// <summary>The tests of all parsers, suites before what they are made of. No two have the same suite and name.</summary>
    public static IReadOnlyList<TestReport> Of(IEnumerable<TapParser> parsers)
    {
        var reports = new List<TestReport>();
        var names = new Dictionary<string, UniqueNames>(StringComparer.Ordinal);
        foreach (TapParser parser in parsers)
        {
            string source = parser.Source.ToString().ToLowerInvariant();
            foreach (TestNode test in parser.Tests)
            {
                Add(reports, names, source, source, string.Empty, test);
            }
        }

        return reports;
    }

    /// <summary>What can't be right in the output of all sources, each with its source.</summary>
    public static IReadOnlyList<string> ErrorsOf(IEnumerable<TapParser> parsers) =>
        [.. parsers.SelectMany(parser => parser.Errors.Select(error => $"{parser.Source.ToString().ToLowerInvariant()}: {error}"))];

    private static void Add(
        List<TestReport> reports,
        Dictionary<string, UniqueNames> names,
        string source,
        string suite,
        string path,
        TestNode test)
    {
        if (!names.TryGetValue(suite, out UniqueNames? taken))
        {
            taken = new UniqueNames();
            names.Add(suite, taken);
        }

        string name = taken.Take(test.Name);
        reports.Add(new TestReport(
            source, suite, name, test.Children.Count > 0, test.Status.ToWord(), test.Status.ToKcidb(), test.Reason, test.Output)
        {
            JUnit = KindOf(test),
        });
        string inner = path.Length > 0 ? path + Separator + name : name;
        foreach (TestNode child in test.Children)
        {
            Add(reports, names, source, inner, inner, child);
        }
    }

    private static JUnitKind KindOf(TestNode test)
    {
        if (test.Children.Count > 0 && (!test.Status.IsFailure() || test.Children.Any(child => child.Status.IsFailure())))
        {
            return JUnitKind.None;
        }

        return test.Status switch
        {
            TestStatus.Passed or TestStatus.ExpectedFailure => JUnitKind.Passed,
            TestStatus.Skipped or TestStatus.Todo => JUnitKind.Skipped,
            TestStatus.Failed or TestStatus.TimedOut => JUnitKind.Failure,
            _ => JUnitKind.Error,
        };
    }
}
