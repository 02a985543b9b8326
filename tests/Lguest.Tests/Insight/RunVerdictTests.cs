using Lguest.CommandLine;
using Lguest.Insight.Health;
using Lguest.Results.Outcomes;
using Lguest.Results.Tap;
using Lguest.Running;
using Lguest.Running.Watching;

namespace Lguest.Tests.Insight;

public sealed class RunVerdictTests
{
    private static readonly Complaint Warning = new() { Class = ComplaintClass.Warning, Title = "WARNING at a", Fingerprint = "warning/a" };

    [Theory]
    [InlineData(0, 104)]
    [InlineData(7, 104)]
    [InlineData(100, 100)]
    [InlineData(101, 101)]
    [InlineData(103, 103)]
    [InlineData(124, 124)]
    [InlineData(130, 130)]
    [InlineData(141, 141)]
    public void A_complaint_is_stronger_than_the_guests_status_and_weaker_than_its_death(int own, int exitCode)
    {
        var ending = new Ending(own, own > 99 ? "its own" : null, own > 99);

        Assert.Equal(exitCode, RunVerdict.Of(ending, [Warning], [], []).Ending.ExitCode);
        Assert.Equal(own, RunVerdict.Of(ending, [], [], []).Ending.ExitCode);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(7, 7)]
    [InlineData(100, 100)]
    public void A_failed_test_counts_where_the_guest_is_content(int own, int exitCode)
    {
        var tests = new TapParser(TapSource.Kernel);
        tests.Line("KTAP version 1");
        tests.Line("1..1");
        tests.Line("not ok 1 a");
        tests.End(TapEnd.Finished);

        RunVerdict verdict = RunVerdict.Of(new Ending(own, null, false), [], [tests], []);

        Assert.Equal(exitCode, verdict.Ending.ExitCode);
        Assert.Equal(own == 0 ? RunCondition.TestsFailed : own == 100 ? RunCondition.KernelDied : RunCondition.GuestStatus, verdict.Finding.Condition);
    }

    [Fact]
    public void Without_a_wish_the_default_counts_and_what_is_allowed_never_does()
    {
        var none = new WatchOptions();

        Assert.Equal([Warning], RunVerdict.Counting([Warning], none, isByDefault: true));
        Assert.Empty(RunVerdict.Counting([Warning], none, isByDefault: false));
        Assert.Equal([Warning], RunVerdict.Counting([Warning], none with { FailOn = [ComplaintClass.Warning] }, isByDefault: false));
        Assert.Empty(RunVerdict.Counting([Warning], none with { FailOn = [] }, isByDefault: true));
        Assert.Empty(RunVerdict.Counting([Warning], none with { Allowed = ["warning/a"] }, isByDefault: true));
        Assert.Equal([Warning with { IsCorrupted = true }], RunVerdict.Counting([Warning with { IsCorrupted = true }], none with { Allowed = ["warning/a"] }, isByDefault: true));
    }
}
