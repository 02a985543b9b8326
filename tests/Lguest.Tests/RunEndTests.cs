using Lguest.Devices.Backends;
using Lguest.Running;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Tests;

/// <summary>What ends a run may come at any time, from any thread.</summary>
public sealed class RunEndTests
{
    private static readonly EndReason Reason = new(130, "a reason");

    [Fact]
    public void A_reason_that_comes_when_the_run_is_over_changes_nothing()
    {
        var end = new RunEnd(null, new WritePatience(), NullLogger.Instance);
        end.Dispose();

        end.Request(Reason);

        Assert.Null(end.Reason);
    }

    [Fact]
    public void The_first_reason_counts_and_all_who_want_to_know_are_told_once()
    {
        using var end = new RunEnd(null, new WritePatience(), NullLogger.Instance);
        int early = 0;
        int late = 0;
        end.WhenRequested(() => early++);

        end.Request(Reason);
        end.Request(Reason with { Sentence = "another" });
        end.WhenRequested(() => late++);

        Assert.True(end.Token.IsCancellationRequested);
        Assert.Equal((Reason, 1, 1), (end.Reason, early, late));
    }

    [Fact]
    public void A_reason_that_comes_while_the_run_ends_harms_nothing()
    {
        var errors = new List<Exception>();
        for (int i = 0; i < 300; i++)
        {
            var end = new RunEnd(null, new WritePatience(), NullLogger.Instance);
            using var start = new Barrier(2);
            var asking = new Thread(() =>
            {
                try
                {
                    start.SignalAndWait(TestContext.Current.CancellationToken);
                    end.Request(Reason);
                }
                catch (Exception e)
                {
                    errors.Add(e);
                }
            });
            asking.Start();
            start.SignalAndWait(TestContext.Current.CancellationToken);
            end.Dispose();
            asking.Join();
        }

        Assert.Empty(errors);
    }
}
