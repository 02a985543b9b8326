using Lguest.Cpu;
using Lguest.Cpu.Memory;

namespace Lguest.Host.Tests.Components;

public sealed class ClockTests
{
    [Fact]
    public void A_timer_is_due_once_and_when_it_was_set_for()
    {
        var time = new FakeTime();
        var clock = new RealClock(time);
        time.Advance(1000);
        clock.SetTimer(500);

        time.Advance(499);
        Assert.False(clock.TakeExpired());
        time.Advance(1);
        Assert.True(clock.TakeExpired());
        Assert.False(clock.TakeExpired());
    }

    [Fact]
    public void Setting_a_timer_replaces_the_last_one_and_0_cancels_it()
    {
        var time = new FakeTime();
        var clock = new RealClock(time);
        clock.SetTimer(500);
        clock.SetTimer(5000);
        time.Advance(1000);
        Assert.False(clock.TakeExpired());

        clock.SetTimer(0);
        time.Advance(10_000);
        Assert.False(clock.TakeExpired());
        Assert.Null(clock.Deadline);
    }

    [Fact]
    public void The_longest_timer_is_a_little_more_than_four_seconds()
    {
        var clock = new RealClock(new FakeTime());

        clock.SetTimer(uint.MaxValue);

        Assert.Equal(4_294_967_295ul, clock.Deadline);
    }

    [Fact]
    public void Real_dates_are_the_hosts_unless_told_otherwise()
    {
        var time = new FakeTime { Date = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000).AddTicks(1234567) };
        var start = DateTimeOffset.FromUnixTimeSeconds(1_000_000_000);
        var clock = new RealClock(time);
        var other = new RealClock(time, start);
        time.Advance(2_500_000_000);

        Assert.Equal(new WallTime(1_700_000_000, 123_456_700), clock.WallTime);
        Assert.Equal(new WallTime(1_000_000_002, 500_000_000), other.WallTime);
    }

    [Fact]
    public void Real_time_goes_on_from_where_it_was_saved()
    {
        var time = new FakeTime();
        var clock = new RealClock(time);
        time.Advance(1000);
        clock.SetTimer(50);
        ClockState state = clock.State;
        var later = new FakeTime();
        later.Advance(123_456);
        var other = new RealClock(later) { State = state };

        Assert.Equal(1000ul, other.Now);
        later.Advance(50);
        Assert.True(other.TakeExpired());
    }

    [Fact]
    public void Virtual_time_passes_only_by_instructions_and_by_skipping()
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0, 4096);
        using var processor = new Processor(memory);
        var clock = new VirtualClock(processor);

        Assert.Equal(0ul, clock.Now);
        Assert.Equal(5000ul, clock.Read(1000));
        clock.SkipTo(12_345);
        Assert.Equal(12_345ul, clock.Now);
        clock.SkipTo(10);
        Assert.Equal(12_345ul, clock.Now);
    }

    [Theory]
    [InlineData(0ul, 0ul)]
    [InlineData(1ul, 1ul)]
    [InlineData(5ul, 1ul)]
    [InlineData(6ul, 2ul)]
    [InlineData(1000ul, 200ul)]
    public void Virtual_time_knows_how_many_instructions_a_moment_is_away(ulong moment, ulong instructions)
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0, 4096);
        using var processor = new Processor(memory);

        Assert.Equal(instructions, new VirtualClock(processor).InstructionsUntil(moment));
    }

    [Fact]
    public void Events_come_in_order_of_time_and_then_of_posting()
    {
        var events = new DeviceEvents();
        events.Post(20, 1);
        events.Post(10, 2);
        events.Post(20, 3);
        Assert.Equal(10ul, events.NextDue);
        Assert.False(events.TryTake(9, out _));

        var copy = new DeviceEvents { State = events.State };
        foreach (DeviceEvents queue in new[] { events, copy })
        {
            Assert.True(queue.TryTake(20, out int first));
            Assert.True(queue.TryTake(20, out int second));
            Assert.True(queue.TryTake(20, out int third));
            Assert.Equal((2, 1, 3), (first, second, third));
            Assert.Null(queue.NextDue);
        }
    }

    private sealed class FakeTime : TimeProvider
    {
        private long _now = 987_654_321;

        public DateTimeOffset Date { get; init; }

        public override long TimestampFrequency => 1_000_000_000;

        public void Advance(long nanoseconds) => _now += nanoseconds;

        public override long GetTimestamp() => _now;

        public override DateTimeOffset GetUtcNow() => Date;
    }
}
