using System.Globalization;
using System.Text;
using System.Xml;
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
        var settings = new XmlWriterSettings { Encoding = new UTF8Encoding(false), Indent = true, NewLineChars = "\n" };
        using var xml = XmlWriter.Create(stream, settings);
        Case run = OfRun(report);
        var suites = new List<(string Name, List<Case> Cases)> { (RunSuite, [run]) };
        foreach (IGrouping<string, TestReport> suite in report.Tests.Where(test => test.JUnit != JUnitKind.None).GroupBy(test => test.Suite))
        {
            suites.Add((suite.Key, [.. suite.Select(OfTest)]));
        }

        xml.WriteStartDocument();
        xml.WriteStartElement("testsuites");
        xml.WriteAttributeString("name", GuestText.ForXml(report.Name));
        WriteCounts(xml, [.. suites.SelectMany(suite => suite.Cases)], report.Times.WallSeconds);
        foreach ((string name, List<Case> cases) in suites)
        {
            xml.WriteStartElement("testsuite");
            xml.WriteAttributeString("name", GuestText.ForXml(name));
            WriteCounts(xml, cases, cases.Sum(test => test.Seconds));
            xml.WriteAttributeString("timestamp", report.Times.Started.UtcDateTime.ToString("s", CultureInfo.InvariantCulture));
            foreach (Case test in cases)
            {
                WriteCase(xml, name, test);
            }

            xml.WriteEndElement();
        }

        xml.WriteEndElement();
        xml.WriteEndDocument();
    }

    private static Case OfRun(RunReport report)
    {
        bool shownElsewhere = report.Outcome.Condition == RunCondition.PowerOff
            || (report.Outcome.Condition == RunCondition.TestsFailed && report.TestErrors.Count == 0);
        var text = new StringBuilder();
        foreach (ComplaintReport complaint in report.Health)
        {
            text.Append(complaint.Title).Append('\n').AppendJoin('\n', complaint.Records).Append('\n');
        }

        text.AppendJoin('\n', report.TestErrors);
        string sentence = report.Outcome.Sentence.Length > 0
            ? report.Outcome.Sentence
            : string.Create(CultureInfo.InvariantCulture, $"the exit code is {report.Outcome.ExitCode}");
        return shownElsewhere
            ? new Case(report.Name, JUnitKind.Passed, string.Empty, string.Empty, report.Times.WallSeconds)
            : new Case(report.Name, JUnitKind.Error, sentence, text.ToString(), report.Times.WallSeconds);
    }

    private static Case OfTest(TestReport test)
    {
        string message = test.Reason.Length > 0 ? $"{test.Status}: {test.Reason}" : test.Status;
        return new Case(test.Name, test.JUnit, message, test.Output, 0);
    }

    private static void WriteCounts(XmlWriter xml, List<Case> cases, double seconds)
    {
        Write("tests", cases.Count);
        Write("failures", cases.Count(test => test.Kind == JUnitKind.Failure));
        Write("errors", cases.Count(test => test.Kind == JUnitKind.Error));
        Write("skipped", cases.Count(test => test.Kind == JUnitKind.Skipped));
        WriteTime(xml, seconds);

        void Write(string name, int count) => xml.WriteAttributeString(name, count.ToString(CultureInfo.InvariantCulture));
    }

    private static void WriteCase(XmlWriter xml, string suite, Case test)
    {
        xml.WriteStartElement("testcase");
        xml.WriteAttributeString("classname", GuestText.ForXml(suite));
        xml.WriteAttributeString("name", GuestText.ForXml(test.Name));
        WriteTime(xml, test.Seconds);
        string? element = test.Kind switch
        {
            JUnitKind.Failure => "failure",
            JUnitKind.Error => "error",
            JUnitKind.Skipped => "skipped",
            _ => null,
        };
        if (element is not null)
        {
            xml.WriteStartElement(element);
            xml.WriteAttributeString("message", GuestText.ForXml(test.Message));
            if (test.Kind != JUnitKind.Skipped)
            {
                xml.WriteString(GuestText.ForXml(test.Text.Length > 0 ? $"{test.Message}\n{test.Text}" : test.Message));
            }

            xml.WriteEndElement();
        }

        xml.WriteEndElement();
    }

    private static void WriteTime(XmlWriter xml, double seconds) =>
        xml.WriteAttributeString("time", seconds.ToString("f3", CultureInfo.InvariantCulture));

    private sealed record Case(string Name, JUnitKind Kind, string Message, string Text, double Seconds);
}
