using System.Globalization;
using System.Text;
using Lguest.Results.Tap;

namespace Lguest.Results.Reports;

/// <summary>The report for people.</summary>
public static class TextReport
{
    private static readonly string[] Good =
        [TestStatus.Passed.ToWord(), TestStatus.Skipped.ToWord(), TestStatus.Todo.ToWord(), TestStatus.ExpectedFailure.ToWord()];

    /// <summary>Writes it, in UTF-8. Control characters that the guest wrote are shown, not written.</summary>
    public static void Write(Stream stream, RunReport report)
    {
        using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
        WriteOutcome(writer, report);
        foreach (ComplaintReport complaint in report.Health)
        {
            WriteComplaint(writer, complaint);
        }

        WriteTasks(writer, report.Tasks);
        WriteTests(writer, report);
        if (report.Repeat is not null)
        {
            writer.WriteLine();
            writer.WriteLine($"Repeat it: {report.Repeat}");
        }
    }

    private static void WriteOutcome(StreamWriter writer, RunReport report)
    {
        string sentence = report.Outcome.Sentence.Length > 0 ? report.Outcome.Sentence : "the guest switched itself off";
        writer.WriteLine($"{Shown(report.Name)}: {Shown(sentence)}");
        writer.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"exit code {report.Outcome.ExitCode}, {report.Times.WallSeconds:f3} s ({report.Times.GuestSeconds:f3} s of the guest's time), {report.Instructions} instructions"));
        foreach (string also in report.Outcome.Also ?? [])
        {
            writer.WriteLine($"also: {Shown(also)}");
        }
    }

    private static void WriteComplaint(StreamWriter writer, ComplaintReport complaint)
    {
        writer.WriteLine();
        writer.WriteLine($"{Shown(complaint.Title)}{(complaint.Counts ? string.Empty : " (allowed)")}");
        Field("fingerprint", complaint.Fingerprint);
        Field("task", complaint.Task);
        Field("taint", complaint.Taint);
        Field("test", complaint.RunningTest);
        if (complaint.Occurrences > 1)
        {
            Field("times", complaint.Occurrences.ToString(CultureInfo.InvariantCulture));
        }

        Block("trace", complaint.Trace);
        Block("registers", complaint.Registers);
        Block("code", complaint.Code);
        Block("log", complaint.Records);

        void Field(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                writer.WriteLine($"  {name}: {Shown(value)}");
            }
        }

        void Block(string name, IReadOnlyList<string> lines)
        {
            if (lines.Count > 0)
            {
                writer.WriteLine($"  {name}:");
                foreach (string line in lines)
                {
                    writer.WriteLine($"    {Shown(line)}");
                }
            }
        }
    }

    private static void WriteTasks(StreamWriter writer, IReadOnlyList<TaskReport> tasks)
    {
        foreach (TaskReport task in tasks)
        {
            writer.WriteLine();
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"task {task.Id} {Shown(task.Name)}: {task.State ?? "of unknown state"}{(task.IsCurrent ? ", on the processor" : string.Empty)}"));
            foreach (string line in task.Trace)
            {
                writer.WriteLine($"    {Shown(line)}");
            }
        }
    }

    private static void WriteTests(StreamWriter writer, RunReport report)
    {
        if (report.Tests.Count == 0 && report.TestErrors.Count == 0)
        {
            return;
        }

        writer.WriteLine();
        string counts = string.Join(", ", report.Tests.Where(test => !test.IsSuite).GroupBy(test => test.Status).Select(group => $"{group.Count()} {group.Key}"));
        writer.WriteLine($"tests: {(counts.Length > 0 ? counts : "none")}");
        foreach (TestReport test in report.Tests.Where(test => !Good.Contains(test.Status)))
        {
            writer.WriteLine($"  {Shown(test.Status)}: {Shown(test.Suite)}: {Shown(test.Name)}{(test.Reason.Length > 0 ? $" ({Shown(test.Reason)})" : string.Empty)}");
            foreach (string line in test.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                writer.WriteLine($"    {Shown(line)}");
            }
        }

        foreach (string error in report.TestErrors)
        {
            writer.WriteLine($"  not right: {Shown(error)}");
        }
    }

    private static string Shown(string text) => GuestText.ForPeople(text);
}
