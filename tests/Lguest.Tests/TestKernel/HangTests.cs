using Lguest.Results.Reports;
using Lguest.Tests.Insight;
using Lguest.TestSupport;
using static Lguest.Tests.TestKernel.TestKernelRun;

namespace Lguest.Tests.TestKernel;

/// <summary>A real kernel in which something doesn't go on, in virtual time.</summary>
public sealed class HangTests(ReadyKernels kernels) : IClassFixture<ReadyKernels>, IDisposable
{
    private const double Hour = 3600;
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_task_that_hangs_for_an_hour_is_told_and_the_hour_costs_nothing()
    {
        RunReport report = Command(_folder, $"{Provoke("HUNG_TASK")} & sleep 3600", string.Empty, "--clock=virtual");

        Assert.True(report.Outcome.ExitCode == 104 && report.Times.GuestSeconds > Hour, Describe(report));
        ComplaintReport complaint = Assert.Single(report.Health);
        Assert.StartsWith("hung-task/lkdtm_HUNG_TASK/lkdtm_do_action/direct_entry", complaint.Fingerprint, StringComparison.Ordinal);
        Assert.Matches(@"^INFO: task sh:\d+ blocked for more than \d+ seconds\.$", complaint.Title);
        Assert.Matches(@"^sh\[\d+\]$", complaint.Task);
        AssertCheap(report);
    }

    [Fact]
    public void A_kernel_thread_that_hangs_for_an_hour_is_told_and_the_hour_costs_nothing()
    {
        // A KUnit case is a kernel thread. KUnit gives up after five minutes, and then waits for it all the same.
        const uint MillisecondsAnHour = 3_600_000;
        string kernel = new SabotagedKernel(_folder, ShippedImages.TestImage("vmlinux")).WithCall("list_sort", "msleep", MillisecondsAnHour).Write();

        RunReport report = Report(_folder, "64m", kernel, "--clock=virtual", "quiet", "kunit.enable=1", "kunit.filter_glob=list_sort", "kunit_shutdown=poweroff");

        Assert.True(report.Outcome.ExitCode == 104 && report.Outcome.GuestStatus == 0 && report.Times.GuestSeconds > Hour, Describe(report));
        Assert.Contains(report.Health, each => each.Class == "hung-task" && each.Fingerprint.StartsWith("hung-task/msleep/list_sort/list_sort_test/", StringComparison.Ordinal)
            && each.Task!.StartsWith("kunit_try_catch[", StringComparison.Ordinal) && each.RunningTest == "list_sort.case 1");
        AssertCheap(report);
    }

    [Fact]
    public void A_processor_that_never_leaves_one_task_is_told_by_the_watchdog()
    {
        // Who sets a probe anew waits for RCU: so RCU waits for the processor when that is lost.
        RunReport report = kernels.Command(
            $"(while :; do {Provoke("WARNING", "TIMERADD")}; done) & usleep 5000; {Provoke("SOFTLOCKUP")}",
            "watchdog_thresh=1 rcupdate.rcu_cpu_stall_timeout=3",
            "--max-guest-time=12s");

        Assert.True(report.Outcome.ExitCode == 124, Describe(report));
        Assert.Contains(report.Health, each => each.Class == "soft-lockup" && each.Fingerprint.StartsWith("soft-lockup/lkdtm_SOFTLOCKUP/lkdtm_do_action/direct_entry", StringComparison.Ordinal));
        Assert.Contains(report.Health, each => each.Class == "rcu-stall" && each.Fingerprint.StartsWith("rcu-stall/lkdtm_SOFTLOCKUP/lkdtm_do_action/direct_entry", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("LOOP")]
    [InlineData("HARDLOCKUP")]
    public void A_kernel_that_loops_where_no_watchdog_barks_reaches_a_limit_that_says_where_it_was(string type)
    {
        RunReport report = kernels.Command(Provoke(type), string.Empty, "--max-guest-time=3s");

        Assert.True(report.Outcome.ExitCode == 124, Describe(report));
        Assert.StartsWith($"lkdtm_{type}+", report.Health[^1].Trace[0], StringComparison.Ordinal);
        Assert.StartsWith("lkdtm_do_action+", report.Health[^1].Trace[1], StringComparison.Ordinal);
        Assert.Contains(report.Tasks, task => task.IsCurrent && task.Name == "sh" && task.Trace.Any(line => line.Contains("direct_entry", StringComparison.Ordinal)));
    }

    /// <summary>What an hour of waiting may cost: the instructions of a few seconds of work.</summary>
    private static void AssertCheap(RunReport report) =>
        Assert.True(report.Instructions < 2_000_000_000, $"{report.Instructions} instructions in {report.Times.WallSeconds} s");
}
