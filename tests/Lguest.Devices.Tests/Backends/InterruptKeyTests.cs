using Lguest.Devices.Backends;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Tests.Backends;

public class InterruptKeyTests
{
    private readonly SteppedTime _time = new();
    private readonly Listener _logger = new();
    private readonly InterruptKey _key;
    private int _ends;

    public InterruptKeyTests() => _key = new InterruptKey(_time, _logger, () => _ends++);

    [Fact]
    public void Three_within_a_second_end_the_run_and_the_second_says_so()
    {
        Press(after: 0);
        Assert.Empty(_logger.Messages);
        Press(after: 400);
        Assert.Equal(["press ^C once more, within a second of the first, to end the run"], _logger.Messages);
        Assert.Equal(0, _ends);
        Press(after: 600);
        Assert.Equal(1, _ends);
    }

    [Fact]
    public void Three_in_a_longer_time_do_not()
    {
        Press(after: 0);
        Press(after: 600);
        Press(after: 600);
        Press(after: 600);

        Assert.Equal(0, _ends);
        Press(after: 300);
        Assert.Equal(1, _ends);
    }

    [Fact]
    public void One_now_and_then_is_the_guest_s_business()
    {
        for (int i = 0; i < 10; i++)
        {
            Press(after: 1100);
        }

        Assert.Equal(0, _ends);
        Assert.Empty(_logger.Messages);
    }

    [Fact]
    public void Those_that_arrive_together_count_each()
    {
        _key.Observe("a\u0003b\u0003\u0003"u8);

        Assert.Equal(1, _ends);
    }

    [Fact]
    public void Other_keys_count_for_nothing()
    {
        _key.Observe("\u0001\u0002\u0004ccc\u001b[A"u8);

        Assert.Equal(0, _ends);
        Assert.Empty(_logger.Messages);
    }

    private void Press(int after)
    {
        _time.Advance(TimeSpan.FromMilliseconds(after));
        _key.Observe("\u0003"u8);
    }

    private sealed class SteppedTime : TimeProvider
    {
        private long _now = 1;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Advance(TimeSpan time) => _now += time.Ticks;
    }

    private sealed class Listener : ILogger
    {
        public List<string> Messages { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Messages.Add(formatter(state, exception));
    }
}
