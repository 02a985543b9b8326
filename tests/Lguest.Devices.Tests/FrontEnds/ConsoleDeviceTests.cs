using System.Text;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Host.Bus;

namespace Lguest.Devices.Tests.FrontEnds;

public sealed class ConsoleDeviceTests
{
    private const uint List = 0x1000;
    private const uint Buffer = 0x2000;

    [Fact]
    public void It_is_a_console_without_pages()
    {
        using var console = new ConsoleDevice(new FakePort());

        Assert.Equal(new DeviceIdentity(DeviceType.Console, 0, 0), console.Identity);
    }

    [Fact]
    public void What_the_guest_sends_is_written_whole_at_once_and_used_up()
    {
        var port = new FakePort();
        using var bench = new Bench(new ConsoleDevice(port));
        bench.Memory.Write(0x3ffe, "Linux"u8, "text");
        bench.Memory.Write(0x5000, " version"u8, "text");
        bench.WriteList(List, (0x3ffe, 5), (0x5000, 8));

        bench.Router.Send(ConsoleDevice.Key, List);

        Assert.Equal(["Linux version"], port.Writes);
        Assert.Equal(13u, bench.Used(List));
    }

    [Fact]
    public void Every_byte_comes_through_as_it_is()
    {
        var port = new FakePort();
        using var bench = new Bench(new ConsoleDevice(port));
        byte[] all = [.. Enumerable.Range(0, 256).Select(value => (byte)value)];
        bench.Memory.Write(Buffer, all, "bytes");
        bench.WriteList(List, (Buffer, 256));

        bench.Router.Send(ConsoleDevice.Key, List);

        Assert.Equal(Encoding.Latin1.GetString(all), port.Output);
    }

    [Fact]
    public void Input_goes_into_the_free_buffer_and_raises_its_interrupt()
    {
        var port = new FakePort();
        using var bench = Bound(port);
        port.Type("ls\n");

        bench.Service();

        Assert.Equal("ls\n"u8, bench.Read(Buffer, 3));
        Assert.Equal(3u, bench.Used(List));
        Assert.Equal(1u << 5, bench.Pending);
    }

    [Fact]
    public void Without_input_there_is_no_interrupt()
    {
        using var bench = Bound(new FakePort());

        bench.Service();
        bench.Service();

        Assert.Equal(0u, bench.Pending);
    }

    [Fact]
    public void Input_is_held_while_the_buffer_is_full_and_given_when_it_is_free()
    {
        var port = new FakePort();
        using var bench = Bound(port);
        port.Type("one");
        bench.Service();
        bench.ClearInterrupts();
        port.Type("two");
        bench.Service();
        Assert.Equal("one"u8, bench.Read(Buffer, 3));
        Assert.Equal(0u, bench.Pending);

        bench.SetUsed(List, 0);
        bench.Service();

        Assert.Equal("two"u8, bench.Read(Buffer, 3));
        Assert.Equal(1u << 5, bench.Pending);
    }

    [Fact]
    public void Input_before_the_guest_has_a_buffer_is_held()
    {
        var port = new FakePort();
        using var bench = new Bench(new ConsoleDevice(port));
        port.Type("early");
        bench.Service();

        bench.WriteList(List, (Buffer, 256));
        bench.Router.Bind(ConsoleDevice.Key, List, 1, 5);
        bench.Service();

        Assert.Equal("early"u8, bench.Read(Buffer, 5));
    }

    [Fact]
    public void Input_that_is_longer_than_the_buffer_comes_in_pieces()
    {
        var port = new FakePort();
        using var bench = Bound(port, 4);
        port.Type("abcdefghij");
        var received = new StringBuilder();
        for (int i = 0; i < 3; i++)
        {
            bench.Service();
            received.Append(Encoding.ASCII.GetString(bench.Read(Buffer, (int)bench.Used(List))));
            bench.SetUsed(List, 0);
        }

        Assert.Equal("abcdefghij", received.ToString());
        bench.ClearInterrupts();
        bench.Service();
        Assert.Equal(0u, bench.Pending);
    }

    [Fact]
    public void Typing_wakes_a_sleeping_guest()
    {
        var port = new FakePort();
        using var bench = Bound(port);
        bench.Service();

        port.Type("x");

        // Returns at once, or this test never ends.
        bench.Signal.Wait(null);
        bench.Service();
        Assert.Equal(1u, bench.Used(List));
    }

    [Fact]
    public void In_virtual_time_piped_input_is_waited_for_but_only_when_there_is_room()
    {
        var port = new FakePort { Interactive = false };
        using var bench = Bound(port, 256, ClockKind.Virtual);
        port.Type("one");
        bench.Service();
        bench.Service();
        Assert.Equal(1, port.BlockingReads);

        port.Type("two");
        bench.SetUsed(List, 0);
        bench.Service();

        Assert.Equal(2, port.BlockingReads);
        Assert.Equal("two"u8, bench.Read(Buffer, 3));
    }

    [Fact]
    public void In_virtual_time_nobody_waits_for_a_person_or_after_the_end()
    {
        var person = new FakePort();
        using var bench = Bound(person, 256, ClockKind.Virtual);
        bench.Service();
        var ended = new FakePort { Interactive = false, IsClosed = true };
        using var other = Bound(ended, 256, ClockKind.Virtual);
        other.Service();

        Assert.Equal(0, person.BlockingReads + ended.BlockingReads);
        Assert.Equal(0u, bench.Pending | other.Pending);
    }

    [Fact]
    public void It_closes_its_port()
    {
        var port = new FakePort();
        new ConsoleDevice(port).Dispose();

        Assert.True(port.IsDisposed);
    }

    private static Bench Bound(FakePort port, ushort size = 256, ClockKind clock = ClockKind.Real)
    {
        var bench = new Bench(new ConsoleDevice(port), clock);
        bench.WriteList(List, (Buffer, size));
        bench.Router.Bind(ConsoleDevice.Key, List, 1, 5);
        return bench;
    }
}
