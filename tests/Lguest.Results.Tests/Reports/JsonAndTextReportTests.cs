using System.Text;
using System.Text.Json;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;
using Lguest.Results.Tap;

namespace Lguest.Results.Tests.Reports;

public sealed class JsonAndTextReportTests
{
    [Fact]
    public void JSON_says_its_schema_how_the_run_ended_and_KCIDBs_status_of_each_test()
    {
        using JsonDocument json = JsonDocument.Parse(Json(Samples.Report(
            "KTAP version 1\n1..7\nok 1 a\nnot ok 2 b\nok 3 c # SKIP\nnot ok 4 d # XFAIL\nnot ok 5 e # ERROR", RunCondition.KernelDied, "died", TapEnd.Crashed)));
        JsonElement root = json.RootElement;

        Assert.Equal(1, root.GetProperty("schema").GetInt32());
        Assert.Equal(100, root.GetProperty("outcome").GetProperty("exitCode").GetInt32());
        Assert.Equal("KernelDied", root.GetProperty("outcome").GetProperty("condition").GetString());
        Assert.Equal("2024-02-29T12:00:00+02:00", root.GetProperty("times").GetProperty("started").GetString());
        Assert.Equal(
            ["PASS", "FAIL", "SKIP", "PASS", "ERROR", "ERROR", "MISS"],
            root.GetProperty("tests").EnumerateArray().Select(test => test.GetProperty("kcidb").GetString()));
        Assert.Equal(
            ["passed", "failed", "skipped", "xfail", "error", "crashed", "notrun"],
            root.GetProperty("tests").EnumerateArray().Select(test => test.GetProperty("status").GetString()));
    }

    [Fact]
    public void JSON_that_was_written_is_read_again()
    {
        RunReport report = Samples.Report($"KTAP version 1\n1..1\n{Samples.Hostile}\nnot ok 1 a") with
        {
            Health = [Samples.Complaint("WARNING in a")],
            Counters = new SortedDictionary<string, ulong> { ["requests"] = ulong.MaxValue },
            Devices = [new DeviceReport("root.img", "block")],
            Versions = new SortedDictionary<string, string> { ["lguest"] = "1.0" },
            Inputs = [new InputReport("kernel", "vmlinux", "00")],
            State = new StateReport("00", ["the host's clock"]),
            Repeat = "lguest 64m vmlinux",
        };

        RunReport again = JsonReport.Read(new MemoryStream(Json(report)));

        Assert.Equal(Encoding.UTF8.GetString(Json(report)), Encoding.UTF8.GetString(Json(again)));
        Assert.Equal(report.Health[0].Trace, again.Health[0].Trace);
        Assert.Equal(ulong.MaxValue, again.Counters["requests"]);
    }

    [Fact]
    public void The_text_says_what_a_person_wants_to_know_first()
    {
        string text = Text(Samples.Report("KTAP version 1\n1..3\nok 1 a\n# b: expected 1\nnot ok 2 b", RunCondition.Complaint, "the kernel complained", TapEnd.Crashed) with
        {
            Health = [Samples.Complaint("WARNING in a"), Samples.Complaint("known") with { Counts = false, Occurrences = 3 }],
            Repeat = "lguest 64m vmlinux",
        });

        Assert.StartsWith("boot: the kernel complained\nexit code 104, 1.500 s (60.000 s of the guest's time), 123456789 instructions\n", text, StringComparison.Ordinal);
        Assert.Contains("\nWARNING in a\n  fingerprint: warning:a:b\n  task: init[1]\n  taint: W\n  test: suite.case\n  trace:\n    a+0x1/0x2\n", text, StringComparison.Ordinal);
        Assert.Contains("\nknown (allowed)\n", text, StringComparison.Ordinal);
        Assert.Contains("\n  times: 3\n", text, StringComparison.Ordinal);
        Assert.Contains("tests: 1 passed, 1 failed, 1 crashed\n  failed: kernel: b\n    # b: expected 1\n", text, StringComparison.Ordinal);
        Assert.EndsWith("Repeat it: lguest 64m vmlinux\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_text_never_moves_a_terminals_cursor()
    {
        string text = Text(Samples.Report($"KTAP version 1\n1..1\n{Samples.Hostile}\nnot ok 1 {Samples.Hostile}") with
        {
            Health = [Samples.Complaint(Samples.Hostile)],
        });

        Assert.DoesNotContain(text, c => char.IsControl(c) && c is not ('\n' or '\t'));
        Assert.Contains("\\e[2J\\x07\\x00", text, StringComparison.Ordinal);
    }

    private static byte[] Json(RunReport report)
    {
        using var stream = new MemoryStream();
        JsonReport.Write(stream, report);
        return stream.ToArray();
    }

    private static string Text(RunReport report)
    {
        using var stream = new MemoryStream();
        TextReport.Write(stream, report);
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
