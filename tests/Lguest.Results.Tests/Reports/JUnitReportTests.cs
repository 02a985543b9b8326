using System.Text;
using System.Xml.Linq;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;
using Lguest.Results.Tap;

namespace Lguest.Results.Tests.Reports;

public sealed class JUnitReportTests
{
    [Fact]
    public void A_test_is_known_by_its_suite_and_its_name()
    {
        XElement root = Write(Samples.Report(
            "KTAP version 1\n1..2\n  KTAP version 1\n  # Subtest: s\n  1..2\n  ok 1 a\n  ok 2 a\nok 1 s\nok 2 b"));

        Assert.Equal(["lguest/boot", "s/a", "s/a #2", "kernel/b"], root.Descendants("testcase").Select(Key));
        Assert.Equal(["lguest", "s", "kernel"], root.Elements("testsuite").Select(suite => suite.Attribute("name")!.Value));
        Assert.Empty(root.Descendants("failure"));
        Assert.Empty(root.Descendants("error"));
    }

    [Fact]
    public void Names_that_come_again_in_another_source_stay_apart()
    {
        const string Text = "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 a\nok 1 s";
        TapParser[] parsers = [Tap.Parsed.Parse(Text, TapSource.Kernel), Tap.Parsed.Parse(Text, TapSource.Command)];

        IReadOnlyList<TestReport> tests = TestReports.Of(parsers);

        Assert.Equal(["kernel/s", "s/a", "command/s", "s/a #2"], tests.Select(test => $"{test.Suite}/{test.Name}"));
    }

    [Fact]
    public void Only_what_says_not_ok_is_a_failure_and_what_was_cut_short_is_an_error()
    {
        XElement root = Write(Samples.Report(
            """
            KTAP version 1
            1..9
            not ok 1 failed
            not ok 2 slow # TIMEOUT 30 s
            not ok 3 broken # ERROR no memory
            ok 4 skipped # SKIP no device
            not ok 5 todo # TODO
            not ok 6 expected # XFAIL
            ok 7 passed
            """,
            RunCondition.KernelDied,
            "the guest panicked: x",
            TapEnd.Crashed));

        Assert.Equal(["kernel/failed", "kernel/slow"], root.Descendants("failure").Select(x => Key(x.Parent!)));
        Assert.Equal(
            ["lguest/boot", "kernel/broken", "kernel/case 8", "kernel/case 9"],
            root.Descendants("error").Select(x => Key(x.Parent!)));
        Assert.Equal(["kernel/skipped", "kernel/todo"], root.Descendants("skipped").Select(x => Key(x.Parent!)));
        Assert.Equal(["10", "2", "4", "2"], Counts(root));
        Assert.Equal(["9", "2", "3", "2"], Counts(root.Elements("testsuite").Last()));
        Assert.Equal("crashed: the guest panicked: x", root.Descendants("error").ElementAt(2).Attribute("message")!.Value);
    }

    [Fact]
    public void The_text_of_a_failure_is_in_the_element()
    {
        XElement root = Write(Samples.Report("KTAP version 1\n1..1\n# a: expected 1\nnot ok 1 a"));

        Assert.Equal("failed\n# a: expected 1\n", root.Descendants("failure").Single().Value);
    }

    [Fact]
    public void A_suite_that_failed_by_itself_is_a_test_of_its_own()
    {
        XElement root = Write(Samples.Report(
            "KTAP version 1\n1..2\n  KTAP version 1\n  1..1\n  ok 1 a\nnot ok 1 s\n  KTAP version 1\n  1..1\n  not ok 1 a\nnot ok 2 t"));

        Assert.Equal(["kernel/s", "t/a"], root.Descendants("failure").Select(x => Key(x.Parent!)));
    }

    [Fact]
    public void A_run_that_ended_badly_is_an_error_also_without_any_test()
    {
        XElement root = Write(Samples.Report("", RunCondition.LimitReached, "ended after 30s, as --timeout says") with
        {
            Health = [Samples.Complaint("WARNING in a")],
        });

        XElement error = root.Descendants("error").Single();
        Assert.Equal("ended after 30s, as --timeout says", error.Attribute("message")!.Value);
        Assert.Contains("WARNING: CPU: 0 PID: 1 at a.c:1", error.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guests_status_without_a_sentence_says_its_code() =>
        Assert.Equal(
            "the exit code is 7",
            Write(Samples.Report() with { Outcome = new OutcomeReport(RunCondition.GuestStatus, 7, "") }).Descendants("error").Single().Value);

    [Fact]
    public void Test_output_that_cannot_be_right_is_an_error_of_the_run()
    {
        XElement error = Write(Samples.Report("KTAP version 1\n1..1\nok 2 a\nok 1 b", RunCondition.TestsFailed)).Descendants("error").Single();

        Assert.Equal("lguest/boot", Key(error.Parent!));
        Assert.Contains("kernel: number 2 comes where 1 should", error.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Whatever_a_guest_prints_the_file_is_XML_and_says_the_same()
    {
        XElement root = Write(Samples.Report($"KTAP version 1\n1..1\n{Samples.Hostile}\nnot ok 1 {Samples.Hostile}"));

        string expected = "]]> </script> ::error::no <!--&amp; [2J    \U0001f980 \"'";
        Assert.Equal($"kernel/{expected}", Key(root.Descendants("failure").Single().Parent!));
        Assert.Contains(expected, root.Descendants("failure").Single().Value, StringComparison.Ordinal);
    }

    private static XElement Write(RunReport report)
    {
        using var stream = new MemoryStream();
        JUnitReport.Write(stream, report);
        string text = Encoding.UTF8.GetString(stream.ToArray());
        Assert.StartsWith("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<testsuites ", text, StringComparison.Ordinal);
        return XElement.Parse(text, LoadOptions.PreserveWhitespace);
    }

    private static string Key(XElement test) => $"{Value(test, "classname")}/{Value(test, "name")}";

    private static string[] Counts(XElement element) =>
        [Value(element, "tests"), Value(element, "failures"), Value(element, "errors"), Value(element, "skipped")];

    private static string Value(XElement element, string name) => element.Attribute(name)!.Value;
}
