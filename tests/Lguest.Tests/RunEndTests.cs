using Lguest.Devices.Backends;
using Lguest.Host;
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
        var end = new RunEnd(null, new WritePatience(), NullLogger.Instance, TimeProvider.System);
        end.Dispose();

        end.Request(Reason);

        Assert.Null(end.Reason);
    }

    [Fact]
    public void The_first_reason_counts_and_all_who_want_to_know_are_told_once()
    {
        using var end = new RunEnd(null, new WritePatience(), NullLogger.Instance, TimeProvider.System);
        int early = 0;
        int late = 0;
        end.WhenRequested(() => early++);

        end.Request(Reason);
        end.Request(Reason with { Sentence = "another" });
        end.WhenRequested(() => late++);

        Assert.True(end.Token.IsCancellationRequested);
        Assert.Equal((Reason, 1, 1), (end.Reason, early, late));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Once_the_run_has_come_back_its_reports_have_the_time_that_they_take(bool isRequestedBefore)
    {
        var clock = new ListedTimers();
        using var end = new RunEnd(null, new WritePatience(), NullLogger.Instance, clock);
        if (isRequestedBefore)
        {
            end.Request(Reason);
            Assert.Equal(1, clock.Running);
        }

        end.Returned();
        end.Request(Reason);

        Assert.Equal((Reason, 0), (end.Reason, clock.Running));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(0)]
    [InlineData(7)]
    public void Output_that_was_lost_counts_more_than_what_a_command_or_its_guest_says(int? status)
    {
        var lost = new EndReason(ExitCode.OutputLost, "lost");

        Assert.Equal(new Ending(141, "lost", true), Ending.OfTold(new GuestOutcome.PowerOff(0), lost, status, isCommands: true));
        Assert.Equal(new Ending(141, "lost", true), Ending.Of(new GuestOutcome.PowerOff(status ?? 0), lost));
    }

    [Fact]
    public void A_reason_that_comes_while_the_run_ends_harms_nothing()
    {
        var errors = new List<Exception>();
        for (int i = 0; i < 300; i++)
        {
            var end = new RunEnd(null, new WritePatience(), NullLogger.Instance, TimeProvider.System);
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

    /// <summary>Knows its timers, none of which ever comes.</summary>
    private sealed class ListedTimers : TimeProvider
    {
        /// <summary>Those that weren't disposed of.</summary>
        public int Running { get; private set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Running++;
            return new ListedTimer(this);
        }

        private sealed class ListedTimer(ListedTimers list) : ITimer
        {
            private bool _isDisposed;

            public bool Change(TimeSpan dueTime, TimeSpan period) => !_isDisposed;

            public void Dispose()
            {
                list.Running -= _isDisposed ? 0 : 1;
                _isDisposed = true;
            }

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }
}
