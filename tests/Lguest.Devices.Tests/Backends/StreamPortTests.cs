using System.IO.Pipes;
using System.Text;
using Lguest.Devices.Backends;

namespace Lguest.Devices.Tests.Backends;

public sealed class StreamPortTests : IDisposable
{
    private readonly AnonymousPipeServerStream _typed = new(PipeDirection.Out);
    private readonly AnonymousPipeClientStream _input;
    private readonly MemoryStream _output = new();
    private readonly StreamPort _port;

    public StreamPortTests()
    {
        _input = new AnonymousPipeClientStream(PipeDirection.In, _typed.ClientSafePipeHandle);
        _port = new StreamPort(_input, _output);
        _port.Start();
    }

    public void Dispose()
    {
        _port.Dispose();
        _typed.Dispose();
        _input.Dispose();
    }

    [Fact]
    public void Output_is_written_whole_and_at_once()
    {
        _port.Write("one"u8);
        _port.Write("\u0000\u00ff"u8);

        Assert.Equal("one\u0000\u00ff"u8.ToArray(), _output.ToArray());
    }

    [Fact]
    public void Output_that_fails_is_told_once_and_dropped_from_then_on()
    {
        var told = new List<string>();
        using var port = new StreamPort(Stream.Null, new BrokenStream());
        port.OutputLost += told.Add;

        port.Write("one"u8);
        port.Write("two"u8);

        Assert.Equal(["gone"], told);
    }

    [Fact]
    public void On_demand_each_piece_of_input_is_read_when_somebody_has_asked_for_it_in_vain()
    {
        var input = new WatchedStream("one", "two");
        using var port = new StreamPort(input, Stream.Null, readsOnDemand: true);
        using var arrived = new AutoResetEvent(false);
        port.InputArrived += () => arrived.Set();
        port.Start();
        byte[] buffer = new byte[10];

        foreach (string expected in (string[])["one", "two"])
        {
            input.Permitted++;
            Assert.Equal(0, port.Read(buffer));
            Assert.True(arrived.WaitOne(TimeSpan.FromSeconds(30)));
            Assert.Equal(expected, Encoding.ASCII.GetString(buffer, 0, port.Read(buffer)));
        }

        Assert.Equal(2, input.Reads);
        input.Permitted++;
        Assert.Equal(0, port.ReadBlocking(buffer));
        Assert.True(port.EndOfInput);
        Assert.False(input.WasReadTooEarly);
    }

    [Fact]
    public void On_demand_who_waits_for_a_line_gets_all_of_it()
    {
        using var port = new StreamPort(new WatchedStream("o", "ne\nt", "wo") { Permitted = 9 }, Stream.Null, readsOnDemand: true);
        port.Start();
        byte[] buffer = new byte[10];

        Assert.Equal("one\n", Encoding.ASCII.GetString(buffer, 0, port.ReadBlocking(buffer)));
        Assert.Equal("two", Encoding.ASCII.GetString(buffer, 0, port.ReadBlocking(buffer)));
        Assert.Equal(0, port.ReadBlocking(buffer));
    }

    [Fact]
    public void Input_arrives_with_an_event_and_reading_never_waits()
    {
        using var arrived = new ManualResetEventSlim();
        _port.InputArrived += arrived.Set;
        byte[] buffer = new byte[10];
        Assert.Equal(0, _port.Read(buffer));

        Type("abcd");
        Assert.True(arrived.Wait(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        Assert.Equal(3, _port.Read(buffer.AsSpan(0, 3)));
        Assert.Equal(1, _port.Read(buffer.AsSpan(3)));
        Assert.Equal("abcd"u8.ToArray(), buffer[..4]);
        Assert.Equal(0, _port.Read(buffer));
        Assert.False(_port.EndOfInput);
    }

    [Fact]
    public void Waiting_for_input_gives_lines_however_they_came()
    {
        byte[] buffer = new byte[8];
        var typist = new Thread(() =>
        {
            foreach (string piece in (string[])["o", "ne\ntw", "o\n", "a line that is longer\nlast"])
            {
                Type(piece);
                Thread.Sleep(20);
            }

            _typed.Dispose();
        });
        typist.Start();

        var lines = new List<string>();
        int length;
        while ((length = _port.ReadBlocking(buffer)) > 0)
        {
            lines.Add(Encoding.ASCII.GetString(buffer, 0, length));
        }

        typist.Join();
        Assert.Equal(["one\n", "two\n", "a line t", "hat is l", "onger\n", "last"], lines);
        Assert.True(_port.EndOfInput);
    }

    [Fact]
    public void Much_input_is_held_back_and_nothing_is_lost()
    {
        const int Length = 100_000;
        byte[] sent = [.. Enumerable.Range(0, Length).Select(i => (byte)(i % 253))];
        var typist = new Thread(() =>
        {
            _typed.Write(sent);
            _typed.Dispose();
        });
        typist.Start();

        var received = new MemoryStream();
        byte[] buffer = new byte[333];
        while (!_port.EndOfInput)
        {
            received.Write(buffer, 0, _port.Read(buffer));
        }

        typist.Join();
        Assert.Equal(sent, received.ToArray());
    }

    [Fact]
    public void Whoever_waits_for_input_is_released_when_it_is_ended()
    {
        var waiter = new Thread(() => _port.ReadBlocking(new byte[8]));
        waiter.Start();
        Thread.Sleep(50);

        _port.EndInput();

        Assert.True(waiter.Join(TimeSpan.FromSeconds(30)));
        Assert.True(_port.EndOfInput);
    }

    [Fact]
    public void Input_that_is_closed_has_ended()
    {
        var input = new MemoryStream();
        input.Dispose();
        using var port = new StreamPort(input, _output);
        using var ended = new ManualResetEventSlim();
        port.InputArrived += ended.Set;
        port.Start();

        Assert.True(ended.Wait(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        Assert.True(port.EndOfInput);
    }

    [Fact]
    public void A_port_over_a_stream_is_not_a_person() => Assert.False(_port.Interactive);

    private void Type(string text) => _typed.Write(Encoding.ASCII.GetBytes(text));

    private sealed class BrokenStream : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("gone");
    }

    /// <summary>Input that comes in pieces, and remembers whether somebody wanted one before the test had let them.</summary>
    private sealed class WatchedStream(params string[] pieces) : MemoryStream
    {
        public volatile int Permitted;

        public volatile int Reads;

        public volatile bool WasReadTooEarly;

        public override int Read(Span<byte> buffer)
        {
            WasReadTooEarly |= Reads >= Permitted;
            return Reads < pieces.Length ? Encoding.ASCII.GetBytes(pieces[Reads++], buffer) : 0;
        }
    }
}
