using System.Text;
using Lguest.Devices.Backends;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Host.Bus;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>A command for the guest, with the test in the place of the guest.</summary>
public sealed class CommandDeviceTests
{
    private const uint Output = Bench.Page;
    private const uint Errors = Bench.Page + 4;
    private const uint Input = Bench.Page + 8;
    private const uint List = 0x1000;
    private const uint Request = 0x1100;
    private const uint Buffer = 0x2000;
    private const int Irq = 5;

    [Fact]
    public void The_arguments_are_on_the_page_each_with_a_nul_behind_it()
    {
        using var bench = new Bench(Device("sh", string.Empty, "a b"));

        Assert.Equal(8u, Read(bench, 0));
        Assert.Equal("sh\0\0a b\0"u8, bench.Read(Bench.Page + 12, 8));
        Assert.Equal(0u, Read(bench, 4));
        Assert.Equal(0u, Read(bench, 8));
    }

    [Theory]
    [InlineData(4096 - 12 - 1, 1)]
    [InlineData(4096 - 12, 2)]
    [InlineData(CommandDevice.LongestArguments - 1, 33)]
    public void There_are_as_many_pages_as_the_arguments_take(int length, int pages)
    {
        string argument = new('x', length);
        using var bench = new Bench(Device(argument));

        Assert.Equal(new DeviceIdentity(DeviceType.Command, 0, pages), Device(argument).Identity);
        Assert.Equal(Encoding.ASCII.GetBytes(argument), bench.Read(Bench.Page + 12, length));
    }

    [Fact]
    public void More_arguments_than_a_linux_takes_are_refused() =>
        Assert.Throws<ArgumentException>(() => Device(new string('x', CommandDevice.LongestArguments)));

    [Fact]
    public void Output_and_errors_go_different_ways_whole_and_at_once()
    {
        var (streams, errors) = (new FakePort(), new FakePort());
        using var bench = new Bench(Device(streams, errors));
        byte[] all = [.. Enumerable.Range(0, 256).Select(value => (byte)value)];
        bench.Memory.Write(Buffer, all, "bytes");
        bench.WriteList(List, (Buffer, 100), (Buffer + 100, 156));

        bench.Router.Send(Output, List);
        Assert.Equal([Encoding.Latin1.GetString(all)], streams.Writes);
        Assert.Empty(errors.Writes);
        Assert.Equal(256u, bench.Used(List));

        bench.Router.Send(Errors, List);
        Assert.Equal([Encoding.Latin1.GetString(all)], errors.Writes);
        Assert.Single(streams.Writes);
    }

    [Fact]
    public void Nothing_is_read_before_the_guest_asks_and_one_request_has_one_answer()
    {
        var streams = new FakePort();
        using var bench = Bound(streams);
        streams.Type("one");
        bench.Service();
        Assert.Equal(0u, bench.Used(List));
        Assert.Equal(0u, bench.Pending);

        bench.Router.Send(Input, Request);
        bench.Service();
        Assert.Equal("one"u8, bench.Read(Buffer, 3));
        Assert.Equal(3u, bench.Used(List));
        Assert.Equal(1u << Irq, bench.Pending);

        bench.SetUsed(List, 0);
        bench.ClearInterrupts();
        streams.Type("two");
        bench.Service();
        Assert.Equal(0u, bench.Used(List));
        Assert.Equal(0u, bench.Pending);
    }

    [Fact]
    public void Input_that_comes_later_wakes_the_guest()
    {
        var streams = new FakePort();
        using var bench = Bound(streams);
        bench.Router.Send(Input, Request);
        bench.Service();
        Assert.Equal(0u, bench.Pending);

        streams.Type("late");

        // Returns at once, or this test never ends.
        bench.Signal.Wait(null);
        bench.Service();
        Assert.Equal("late"u8, bench.Read(Buffer, 4));
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void The_end_of_input_is_told_after_the_last_of_it_as_often_as_somebody_asks(ClockKind clock)
    {
        var streams = new FakePort { Interactive = false };
        using var bench = Bound(streams, clock: clock);
        streams.Type("last");
        streams.IsClosed = true;
        Ask(bench);
        Assert.Equal(4u, bench.Used(List));
        Assert.Equal(0u, Read(bench, 4));

        bench.SetUsed(List, 0);
        for (int i = 0; i < 2; i++)
        {
            bench.ClearInterrupts();
            Ask(bench);
            Assert.Equal(0u, bench.Used(List));
            Assert.Equal(1u, Read(bench, 4));
            Assert.Equal(1u << Irq, bench.Pending);
        }
    }

    [Fact]
    public void Input_longer_than_the_buffer_comes_in_pieces()
    {
        var streams = new FakePort();
        using var bench = Bound(streams, size: 4);
        streams.Type("abcdefghij");
        var received = new StringBuilder();
        for (int i = 0; i < 3; i++)
        {
            Ask(bench);
            received.Append(Encoding.ASCII.GetString(bench.Read(Buffer, (int)bench.Used(List))));
            bench.SetUsed(List, 0);
        }

        Assert.Equal("abcdefghij", received.ToString());
    }

    [Fact]
    public void A_request_without_a_free_buffer_waits_for_one()
    {
        var streams = new FakePort();
        using var bench = Bound(streams);
        bench.SetUsed(List, 1);
        streams.Type("x");
        bench.Router.Send(Input, Request);
        bench.Service();
        Assert.Equal(0u, bench.Pending);

        bench.SetUsed(List, 0);
        bench.Service();
        Assert.Equal(1u << Irq, bench.Pending);
        Assert.Equal("x"u8, bench.Read(Buffer, 1));
    }

    [Fact]
    public void In_virtual_time_an_answer_takes_as_long_each_time()
    {
        var streams = new FakePort { Interactive = false };
        using var bench = Bound(streams, clock: ClockKind.Virtual);
        streams.Type("one\n");
        bench.Router.Send(Input, Request);

        bench.Pass(CommandDevice.VirtualDelay - 1);
        Assert.Equal(0, streams.BlockingReads);
        bench.Pass(1);

        Assert.Equal(1, streams.BlockingReads);
        Assert.Equal("one\n"u8, bench.Read(Buffer, 4));
    }

    [Theory]
    [InlineData(0u, null)]
    [InlineData(0x100u, 0)]
    [InlineData(0x1ffu, 255)]
    [InlineData(0x103u, 3)]
    [InlineData(3u, null)]
    [InlineData(0xffff_ff07u, 7)]
    public void The_exit_status_is_what_the_guest_has_left_on_the_page(uint word, int? status)
    {
        CommandDevice device = Device("true");
        using var bench = new Bench(device);
        bench.Memory.WriteUInt32(Bench.Page + 8, word, "the status");

        Assert.Equal(status, device.ExitStatus);
    }

    [Fact]
    public void A_request_that_has_had_no_answer_is_part_of_what_is_saved()
    {
        CommandDevice before = Device("true");
        using var bench = new Bench(before);
        Assert.Equal("a command of 5 bytes", before.Kind);
        Assert.Equal(string.Empty, before.Save());
        bench.Router.Send(Input, Request);
        Assert.NotEqual(string.Empty, before.Save());

        var streams = new FakePort();
        CommandDevice after = Device(streams, new FakePort());
        using var other = new Bench(after);
        other.WriteList(List, (Buffer, 256));
        other.Router.Bind(Input, List, 1, Irq);
        after.Restore(before.Save());
        Assert.Equal(before.Save(), after.Save());
        streams.Type("x");
        other.Service();

        Assert.Equal(1u, other.Used(List));
        Assert.Equal(string.Empty, after.Save());
    }

    [Fact]
    public void In_virtual_time_a_moment_that_has_come_without_a_free_buffer_is_saved_too()
    {
        var streams = new FakePort { Interactive = false };
        CommandDevice before = Device(streams, new FakePort());
        using var bench = new Bench(before, ClockKind.Virtual);
        bench.Router.Send(Input, Request);
        string asked = before.Save();
        bench.Pass(CommandDevice.VirtualDelay);
        Assert.NotEqual(asked, before.Save());

        var typed = new FakePort { Interactive = false };
        typed.Type("x\n");
        CommandDevice after = Device(typed, new FakePort());
        using var other = new Bench(after, ClockKind.Virtual);
        other.WriteList(List, (Buffer, 256));
        other.Router.Bind(Input, List, 1, Irq);
        after.Restore(before.Save());
        other.Service();

        Assert.Equal("x\n"u8, other.Read(Buffer, 2));
    }

    [Fact]
    public void It_closes_its_ports()
    {
        var (streams, errors) = (new FakePort(), new FakePort());
        Device(streams, errors).Dispose();

        Assert.True(streams.IsDisposed && errors.IsDisposed);
    }

    private static CommandDevice Device(params string[] arguments) =>
        new(arguments.Select(Encoding.UTF8.GetBytes), new FakePort(), new FakePort());

    private static CommandDevice Device(ICharPort streams, ICharPort errors) => new([[]], streams, errors);

    private static Bench Bound(FakePort streams, ushort size = 256, ClockKind clock = ClockKind.Real)
    {
        var bench = new Bench(Device(streams, new FakePort()), clock);
        bench.WriteList(List, (Buffer, size));
        bench.Router.Bind(Input, List, 1, Irq);
        return bench;
    }

    private static void Ask(Bench bench)
    {
        bench.Router.Send(Input, Request);
        bench.Pass(CommandDevice.VirtualDelay);
    }

    private static uint Read(Bench bench, uint offset) => bench.Memory.ReadUInt32(Bench.Page + offset, "the page");
}
