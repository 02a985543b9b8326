using Lguest.Results.Outcomes;
using Lguest.Results.Reports;
using Lguest.Results.Tap;
using Lguest.Results.Tests.Tap;

namespace Lguest.Results.Tests.Reports;

/// <summary>Reports for tests of how they are written.</summary>
internal static class Samples
{
    /// <summary>What a hostile guest prints: markup of three kinds, controls, and halves of characters.</summary>
    public const string Hostile = "]]> </script> ::error::no <!--&amp; \u001b[2J\a\0 \ud800 \udc00 \ufffe \U0001f980 \"'";

    public static RunReport Report(string tests = "", RunCondition condition = RunCondition.PowerOff, string sentence = "", TapEnd end = TapEnd.Finished)
    {
        TapParser[] parsers = tests.Length > 0 ? [Parsed.Parse(tests, TapSource.Kernel, end, sentence)] : [];
        return new RunReport
        {
            Outcome = new OutcomeReport(condition, ExitCodeTable.RowOf(condition).First, sentence),
            Times = new TimeReport(new DateTimeOffset(2024, 2, 29, 12, 0, 0, TimeSpan.FromHours(2)), 1.5, 60, 0.25),
            Instructions = 123456789,
            Tests = TestReports.Of(parsers),
            TestErrors = TestReports.ErrorsOf(parsers),
        };
    }

    public static ComplaintReport Complaint(string title) => new()
    {
        Class = "warning",
        Title = title,
        Fingerprint = "warning:a:b",
        Task = "init[1]",
        Taint = "W",
        Trace = ["a+0x1/0x2", "b+0x3/0x4"],
        Records = ["WARNING: CPU: 0 PID: 1 at a.c:1 a+0x1/0x2", "---[ end trace 0000000000000000 ]---"],
        RunningTest = "suite.case",
    };
}
