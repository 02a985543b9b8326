using System.Globalization;
using System.Text;
using System.Xml;

namespace Lguest.Results.Reports;

/// <summary>A test in a report for CI servers.</summary>
/// <param name="Suite">What it belongs to.</param>
/// <param name="Name">Its name there.</param>
/// <param name="Kind">What became of it.</param>
/// <param name="Message">What happened, if it didn't pass.</param>
/// <param name="Text">More of that.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record JUnitCase(string Suite, string Name, JUnitKind Kind, string Message, string Text, double Seconds)
{
    /// <summary>Something to say of one that passed; empty for nothing.</summary>
    public string Note { get; init; } = string.Empty;
}

/// <summary>Tests that belong together.</summary>
/// <param name="Name">What they are called, no two suites the same.</param>
/// <param name="Started">When they began.</param>
/// <param name="Cases">The tests.</param>
public sealed record JUnitSuite(string Name, DateTimeOffset Started, IReadOnlyList<JUnitCase> Cases);

/// <summary>JUnit's XML, as CI servers read it.</summary>
public static class JUnitFile
{
    /// <summary>Writes it, in UTF-8.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="name">What all of it is called.</param>
    /// <param name="seconds">How long all of it took.</param>
    /// <param name="suites">In their order.</param>
    public static void Write(Stream stream, string name, double seconds, IReadOnlyList<JUnitSuite> suites)
    {
        var settings = new XmlWriterSettings { Encoding = new UTF8Encoding(false), Indent = true, NewLineChars = "\n" };
        using var xml = XmlWriter.Create(stream, settings);
        xml.WriteStartDocument();
        xml.WriteStartElement("testsuites");
        xml.WriteAttributeString("name", GuestText.ForXml(name));
        WriteCounts(xml, [.. suites.SelectMany(suite => suite.Cases)], seconds);
        foreach (JUnitSuite suite in suites)
        {
            xml.WriteStartElement("testsuite");
            xml.WriteAttributeString("name", GuestText.ForXml(suite.Name));
            WriteCounts(xml, suite.Cases, suite.Cases.Sum(test => test.Seconds));
            xml.WriteAttributeString("timestamp", suite.Started.UtcDateTime.ToString("s", CultureInfo.InvariantCulture));
            foreach (JUnitCase test in suite.Cases)
            {
                WriteCase(xml, test);
            }

            xml.WriteEndElement();
        }

        xml.WriteEndElement();
        xml.WriteEndDocument();
    }

    private static void WriteCounts(XmlWriter xml, IReadOnlyList<JUnitCase> cases, double seconds)
    {
        Write("tests", cases.Count);
        Write("failures", cases.Count(test => test.Kind == JUnitKind.Failure));
        Write("errors", cases.Count(test => test.Kind == JUnitKind.Error));
        Write("skipped", cases.Count(test => test.Kind == JUnitKind.Skipped));
        WriteTime(xml, seconds);

        void Write(string name, int count) => xml.WriteAttributeString(name, count.ToString(CultureInfo.InvariantCulture));
    }

    private static void WriteCase(XmlWriter xml, JUnitCase test)
    {
        xml.WriteStartElement("testcase");
        xml.WriteAttributeString("classname", GuestText.ForXml(test.Suite));
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

        if (test.Note.Length > 0)
        {
            xml.WriteElementString("system-out", GuestText.ForXml(test.Note));
        }

        xml.WriteEndElement();
    }

    private static void WriteTime(XmlWriter xml, double seconds) =>
        xml.WriteAttributeString("time", seconds.ToString("f3", CultureInfo.InvariantCulture));
}
