using Lguest.Results.Outcomes;

namespace Lguest.Results.Tests;

public sealed class ExitCodeTests
{
    [Fact]
    public void Every_condition_has_one_row_and_every_code_belongs_to_one()
    {
        Assert.Equal(Enum.GetValues<RunCondition>(), ExitCodeTable.Rows.Select(row => row.Condition));
        Assert.Equal(
            ["125", "129, 130, 141, 143", "100", "101", "103", "124", "104", "1-99", "102", "1", "0"],
            ExitCodeTable.Rows.Select(row => row.Codes));
    }

    [Fact]
    public void Of_any_two_findings_the_one_further_up_counts()
    {
        RunFinding[] all = [.. ExitCodeTable.Rows.Select(row => new RunFinding(row.Condition, row.First, row.Meaning))];
        for (int i = 0; i < all.Length; i++)
        {
            for (int j = i; j < all.Length; j++)
            {
                Assert.Same(all[i], ExitCodeTable.Strongest([all[i], all[j]]));
                Assert.Same(all[i], ExitCodeTable.Strongest([all[j], all[i]]));
            }
        }
    }

    [Fact]
    public void Of_two_findings_in_a_row_the_first_counts()
    {
        var hangup = new RunFinding(RunCondition.Signal, 129, "hung up");
        var terminated = new RunFinding(RunCondition.Signal, 143, "terminated");

        Assert.Same(hangup, ExitCodeTable.Strongest([hangup, terminated]));
    }

    [Fact]
    public void A_run_without_a_finding_has_no_exit_code() =>
        Assert.Throws<ArgumentException>(() => ExitCodeTable.Strongest([]));

    [Fact]
    public void A_row_of_several_codes_needs_to_be_told_which() =>
        Assert.Throws<ArgumentException>(() => ExitCodeTable.Find(RunCondition.Signal, "which?"));
}
