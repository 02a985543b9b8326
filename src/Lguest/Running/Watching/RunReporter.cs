using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using Lguest.CommandLine;
using Lguest.Host;
using Lguest.Insight.Health;
using Lguest.Results.Reports;

namespace Lguest.Running.Watching;

/// <summary>Puts together what is known of a finished run.</summary>
internal static class RunReporter
{
    private const double NanosecondsPerSecond = 1e9;

    private static readonly string[] NotInState = ["what is on the disks", "what devices and hosts know of it", "cached translations"];

    /// <summary>Makes the report.</summary>
    public static RunReport Make(FinishedRun run)
    {
        Guest guest = run.Guest;
        Ending ending = run.Verdict.Ending;
        return new RunReport
        {
            Outcome = new OutcomeReport(
                run.Verdict.Finding.Condition,
                ending.ExitCode,
                ending.Sentence ?? string.Empty,
                run.GuestStatus,
                ending.ExitCode == ExitCode.LimitReached ? ending.Sentence : null,
                run.Verdict.Also),
            Times = new TimeReport(run.Started, run.Elapsed.TotalSeconds, guest.Age / NanosecondsPerSecond, guest.IdleNanoseconds / NanosecondsPerSecond),
            Instructions = guest.Processor.Retired,
            Health = Complaints(run),
            Tasks = ending.ExitCode == ExitCode.LimitReached ? run.Watch.Tasks(guest) : [],
            Tests = TestReports.Of(run.Tests),
            TestErrors = TestReports.ErrorsOf(run.Tests),
            Counters = Counters(guest),
            Devices =
            [
                .. run.Launch.Disks.Select(disk => new DeviceReport(disk.Path, "disk")),
                .. run.Launch.Networks.Select(network => new DeviceReport(network.ToString(), "network")),
            ],
            Versions = Versions(),
            Inputs = run.Inputs,
            State = run.Launch.Watch.Json is null ? null : new StateReport(StateHash.Of(guest, run.Pages), NotInState),
        };
    }

    private static List<ComplaintReport> Complaints(FinishedRun run)
    {
        KernelWatch watch = run.Watch;
        List<ComplaintReport> reports =
        [
            .. watch.Complaints.GroupBy(complaint => complaint.Fingerprint, StringComparer.Ordinal).Select(same =>
                Report(same.First(), watch.RunningTest(same.First())) with { Occurrences = same.Count(), Counts = run.Counting.Contains(same.First()) }),
        ];
        if (run.IsSudden)
        {
            // Where it was when it ended, and what it said last.
            reports.Add(new ComplaintReport
            {
                Class = "end",
                Title = run.Verdict.Ending.Sentence ?? string.Empty,
                Fingerprint = string.Empty,
                Trace = watch.Stack(run.Guest),
                Records = [.. watch.LastRecords.Select(record => record.ToString())],
                RunningTest = Text(watch.LastTest),
            });
        }

        return reports;
    }

    private static ComplaintReport Report(Complaint complaint, string? runningTest) => new()
    {
        Class = complaint.Class.ToWord(),
        Title = complaint.CanBeForged ? $"{complaint.Title} (root of the guest could have written this)" : complaint.Title,
        Fingerprint = complaint.Fingerprint,
        GuestSeconds = complaint.Nanoseconds / NanosecondsPerSecond,
        Task = complaint.Task,
        Taint = Text(complaint.Taint),
        Registers = complaint.Registers,
        Code = complaint.Code is null ? [] : CodeLine.Disassemble(complaint.Code),
        Trace = [.. complaint.Trace.Select(frame => frame.IsReliable ? frame.Text : $"? {frame.Text}")],
        Records = complaint.Lines,
        RunningTest = Text(runningTest),
    };

    private static SortedDictionary<string, ulong> Counters(Guest guest)
    {
        var counters = new SortedDictionary<string, ulong>(StringComparer.Ordinal)
        {
            ["page faults"] = guest.Processor.Statistics.PageFaults,
            ["exceptions"] = guest.Processor.Statistics.Exceptions,
        };
        foreach ((string name, ulong count) in guest.HypercallCounts)
        {
            counters[$"hypercall {name}"] = count;
        }

        int irq = 0;
        foreach (ulong count in guest.Interrupts.Delivered)
        {
            if (count > 0)
            {
                counters[string.Create(CultureInfo.InvariantCulture, $"interrupt {irq}")] = count;
            }

            irq++;
        }

        return counters;
    }

    private static SortedDictionary<string, string> Versions() => new(StringComparer.Ordinal)
    {
        ["lguest"] = typeof(RunReporter).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0",
        ["runtime"] = RuntimeInformation.FrameworkDescription,
        ["host"] = $"{RuntimeInformation.OSDescription} {RuntimeInformation.ProcessArchitecture}",
    };

    private static string? Text(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
