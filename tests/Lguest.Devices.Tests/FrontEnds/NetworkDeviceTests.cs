using Lguest.Devices.Lgbus;
using Lguest.Devices.Networks;
using Lguest.Devices.Tests.Networks.Segments;
using Lguest.Host;
using Lguest.Host.Bus;

namespace Lguest.Devices.Tests.FrontEnds;

public sealed class NetworkDeviceTests
{
    private const uint HostKey = Bench.Page;
    private const uint GuestKey = Bench.Page + 4;
    private const uint Lists = 0x1000;
    private const uint ListSize = 100;
    private const uint Buffers = 0x8000;
    private const uint BufferSize = 2048;
    private const uint SentList = 0x3000;
    private const uint Outgoing = 0x4ff0;
    private const int Irq = 5;

    [Fact]
    public void It_is_a_network_with_one_page_whose_second_slot_is_the_guests_and_which_takes_long_segments()
    {
        using var device = new NetworkDevice(new FakeCable());

        Assert.Equal(new DeviceIdentity(DeviceType.Network, 0xa001, 1), device.Identity);
    }

    [Fact]
    public void The_hosts_slot_has_its_address_and_wants_every_frame_and_the_others_are_empty()
    {
        using var bench = new Bench(new NetworkDevice(new FakeCable()));

        byte[] page = bench.Read(Bench.Page, 4096);
        Assert.Equal([0x0b, 1, 2, 3, 4, 5], page[..6]);
        Assert.All(page[6..], value => Assert.Equal(0, value));
    }

    [Fact]
    public void A_guest_that_was_restored_sees_the_address_of_the_host_that_it_has_now()
    {
        var device = new NetworkDevice(new FakeCable());
        using var bench = new Bench(device);
        bench.Memory.Write(Bench.Page, [3, 3, 3, 3, 3, 3, 7, 7], "what was saved");

        device.Restore(string.Empty);

        Assert.Equal([0x0b, 1, 2, 3, 4, 5, 7, 7], bench.Read(Bench.Page, 8));
    }

    [Theory]
    [InlineData(14)]
    [InlineData(60)]
    [InlineData(1514)]
    public void A_frame_that_the_guest_sends_goes_out_whole_and_is_used_up(int length)
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device);
        byte[] frame = Frame(length);

        Send(bench, frame, firstPiece: 13);

        Assert.Equal([frame], cable.Sent);
        Assert.Equal((uint)length, bench.Used(SentList));
        Assert.Equal((1ul, (ulong)length, 0ul), (device.Statistics.FramesSent, device.Statistics.BytesSent, device.Statistics.SendingDropped));
        Assert.Equal(0u, bench.Pending);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(13)]
    [InlineData(1515)]
    [InlineData(65000)]
    public void What_is_no_frame_is_dropped_and_the_guest_is_told(int length)
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device);

        Send(bench, Frame(length), length);

        Assert.Empty(cable.Sent);
        Assert.Equal(0u, bench.Used(SentList));
        Assert.Equal(1ul, device.Statistics.SendingDropped);
    }

    [Fact]
    public void An_empty_message_is_no_frame()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device);
        bench.WriteList(SentList);

        bench.Router.Send(HostKey, SentList);

        Assert.Empty(cable.Sent);
        Assert.Equal(1ul, device.Statistics.SendingDropped);
    }

    [Fact]
    public void A_frame_that_the_other_side_cannot_take_is_an_error_in_the_guest()
    {
        var cable = new FakeCable { IsBlocked = true };
        using Bench bench = Bound(cable, out NetworkDevice device);

        Send(bench, Frame(100), 100);

        Assert.Equal(0u, bench.Used(SentList));
        Assert.Equal((0ul, 1ul), (device.Statistics.FramesSent, device.Statistics.SendingDropped));
    }

    [Fact]
    public void Frames_for_the_guest_fill_its_free_buffers_in_order_and_raise_the_interrupt()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device);
        (byte[] first, byte[] second) = (Frame(60), Frame(1514));
        cable.Arrive(first, second);

        bench.Service();

        Assert.Equal(first, bench.Read(Buffer(0), 60));
        Assert.Equal(second, bench.Read(Buffer(1), 1514));
        Assert.Equal((60u, 1514u, 0u), (bench.Used(List(0)), bench.Used(List(1)), bench.Used(List(2))));
        Assert.Equal(1u << Irq, bench.Pending);
        Assert.Equal((2ul, 1574ul, 0ul), (device.Statistics.FramesReceived, device.Statistics.BytesReceived, device.Statistics.ReceivingDropped));
    }

    [Fact]
    public void Without_frames_there_is_no_interrupt()
    {
        using Bench bench = Bound(new FakeCable(), out _);

        bench.Service();

        Assert.Equal(0u, bench.Pending);
    }

    [Fact]
    public void Frames_wait_while_all_buffers_are_full_and_come_when_one_is_free()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device, buffers: 1);
        (byte[] first, byte[] second) = (Frame(60), Frame(61));
        cable.Arrive(first, second);
        bench.Service();
        bench.ClearInterrupts();
        bench.Service();
        Assert.Equal((1, 0u), (cable.Waiting, bench.Pending));

        bench.SetUsed(List(0), 0);
        bench.Service();

        Assert.Equal(second, bench.Read(Buffer(0), 61));
        Assert.Equal(1u << Irq, bench.Pending);
        Assert.Equal(0ul, device.Statistics.ReceivingDropped);
    }

    [Fact]
    public void Frames_that_wait_come_also_when_the_guest_sends()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out _, buffers: 1);
        cable.Arrive(Frame(60), Frame(61));
        bench.Service();
        bench.SetUsed(List(0), 0);

        Send(bench, Frame(14), 14);

        Assert.Equal(61u, bench.Used(List(0)));
    }

    [Fact]
    public void A_guest_whose_interface_is_down_gets_nothing_later()
    {
        var cable = new FakeCable();
        var device = new NetworkDevice(cable);
        using var bench = new Bench(device);
        cable.Arrive(Frame(60), Frame(61));
        bench.Service();
        Bind(bench, 1);

        bench.Service();

        Assert.Equal((0, 0u, 0u), (cable.Waiting, bench.Used(List(0)), bench.Pending));
        Assert.Equal(2ul, device.Statistics.ReceivingDropped);
    }

    [Theory]
    [InlineData(100, 60)]
    [InlineData(13, 2048)]
    [InlineData(1515, 2048)]
    public void A_frame_that_does_not_fit_is_dropped_and_the_buffer_stays_free(int frame, int buffer)
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device);
        bench.WriteList(List(0), (Buffer(0), (ushort)buffer));
        cable.Arrive(Frame(frame));

        bench.Service();

        Assert.Equal((0u, 0u), (bench.Used(List(0)), bench.Pending));
        Assert.Equal(1ul, device.Statistics.ReceivingDropped);
    }

    [Fact]
    public void A_flood_does_not_keep_the_guest_from_running()
    {
        const int Flood = 10_000;
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out _);
        bench.Router.Unbind(GuestKey, Lists);
        cable.Arrive([.. Enumerable.Repeat(Frame(60), Flood)]);
        bench.Signal.Wait(null);

        bench.Service();

        Assert.InRange(cable.Waiting, Flood - 1000, Flood - 1);

        // And the rest isn't forgotten: this returns at once, or this test never ends.
        bench.Signal.Wait(null);
    }

    [Fact]
    public void An_arrival_wakes_a_sleeping_guest()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out _);

        cable.Arrive(Frame(60));

        bench.Signal.Wait(null);
        bench.Service();
        Assert.Equal(60u, bench.Used(List(0)));
    }

    [Theory]
    [InlineData(0xffff_f000u, 0x1000)]
    [InlineData(Bench.Ram + 0x1ff0, 100)]
    public void A_buffer_outside_memory_ends_the_guest(uint address, int length)
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out _);
        bench.WriteList(List(0), (address, (ushort)length));
        cable.Arrive(Frame(60));

        Assert.Throws<GuestFaultException>(bench.Service);
    }

    [Fact]
    public void A_message_that_is_not_in_memory_ends_the_guest()
    {
        using Bench bench = Bound(new FakeCable(), out _);
        bench.WriteList(SentList, (0xffff_fff0, 60));

        Assert.Throws<GuestFaultException>(() => bench.Router.Send(HostKey, SentList));
    }

    [Fact]
    public void A_recorder_sees_what_goes_through_both_ways_and_nothing_else()
    {
        var cable = new FakeCable();
        var recorder = new Recorder();
        var device = new NetworkDevice(cable, recorder);
        using var bench = new Bench(device);
        Bind(bench, 1);
        Send(bench, Frame(100), 100);
        Send(bench, Frame(10), 10);
        cable.Arrive(Frame(60), Frame(61));

        bench.Service();

        Assert.Equal(["sent 100", "got 60"], recorder.Seen);
    }

    [Fact]
    public void What_a_driver_leaves_in_used_len_means_nothing_unless_it_says_so()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out _);
        bench.Memory.Write(Outgoing, Frame(100), "a frame");
        bench.WriteList(SentList, (Outgoing, 100));
        bench.SetUsed(SentList, 0xdead_beef);

        bench.Router.Send(HostKey, SentList);

        Assert.Equal(100u, bench.Used(SentList));
        Assert.Equal([0], cable.SentLargest);
    }

    [Theory]
    [InlineData(1514, 0u, true)]
    [InlineData(1515, 0u, false)]
    [InlineData(60, 0xffffu, true)]
    [InlineData(40_000, 1448u, true)]
    [InlineData(65_549, 1448u, true)]
    [InlineData(65_550, 1448u, false)]
    [InlineData(60, 0x1_0000u, false)]
    public void A_driver_that_says_so_leaves_checksums_and_splitting_to_the_host(int length, uint request, bool isTaken)
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out _);
        bench.SetStatus(0x000f);
        bench.Memory.Write(Buffers, Frame(length), "a frame");
        bench.WriteList(SentList, (Buffers, (ushort)Math.Min(length, 60_000)), (Buffers + 60_000, (ushort)Math.Max(0, length - 60_000)));
        bench.SetUsed(SentList, request);

        bench.Router.Send(HostKey, SentList);

        Assert.Equal(isTaken ? (uint)length : 0, bench.Used(SentList));
        Assert.Equal(isTaken ? [(int)request] : Array.Empty<int>(), cable.SentLargest);
    }

    [Fact]
    public void A_long_segment_fills_one_buffer_if_there_is_room_for_it()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device, buffers: 1);
        bench.WriteList(List(0), (Buffer(0), 0x8000), (Buffer(20), 0x8000));
        byte[] segment = TestFrame.Unfinished(40_000);
        cable.ArriveUnfinished(segment, 1448);

        bench.Service();

        Assert.Equal((uint)segment.Length, bench.Used(List(0)));
        Assert.Equal(segment[..0x8000], bench.Read(Buffer(0), 0x8000));
        Assert.Equal((0, 1ul), (cable.Waiting, device.Statistics.FramesReceived));
    }

    [Fact]
    public void Buffers_without_room_for_a_long_segment_get_frames_of_it_as_they_become_free()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device, buffers: 2);
        byte[] segment = TestFrame.Unfinished(3500);
        cable.ArriveUnfinished(segment, 1000);
        cable.Arrive(Frame(60));
        var received = new List<byte>();

        for (uint i = 0; i < 4; i++)
        {
            bench.Service();
            int length = (int)bench.Used(List(i % 2));
            byte[] frame = bench.Read(Buffer(i % 2), length);
            TestFrame.AssertRight(frame);
            received.AddRange(TestFrame.Payload(frame));
            bench.SetUsed(List(i % 2), 0);
        }

        bench.Service();
        Assert.Equal(TestFrame.Payload(segment), received);
        Assert.Equal(60u, bench.Used(List(0)));
        Assert.Equal((0, 5ul, 0ul), (cable.Waiting, device.Statistics.FramesReceived, device.Statistics.ReceivingDropped));
    }

    [Fact]
    public void A_short_segment_that_is_to_be_split_is_even_where_a_long_one_has_room()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out _, buffers: 2);
        cable.ArriveUnfinished(TestFrame.Unfinished(600), 400);

        bench.Service();

        Assert.Equal((466u, 266u), (bench.Used(List(0)), bench.Used(List(1))));
    }

    [Fact]
    public void What_cannot_be_split_is_dropped()
    {
        var cable = new FakeCable();
        using Bench bench = Bound(cable, out NetworkDevice device);
        cable.ArriveUnfinished(Frame(3000), 1448);
        cable.Arrive(Frame(60));

        bench.Service();

        Assert.Equal((60u, 1ul), (bench.Used(List(0)), device.Statistics.ReceivingDropped));
    }

    [Fact]
    public void A_frame_costs_no_allocation()
    {
        var cable = new SilentCable();
        using Bench bench = new(new NetworkDevice(cable));
        Bind(bench, 1);
        bench.WriteList(SentList, (Outgoing, 1514));
        Exchange(bench, 100);

        long before = GC.GetAllocatedBytesForCurrentThread();
        Exchange(bench, 10_000);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(0, allocated);
    }

    [Fact]
    public void It_closes_its_port()
    {
        var cable = new FakeCable();
        new NetworkDevice(cable).Dispose();

        Assert.True(cable.IsDisposed);
    }

    private static void Exchange(Bench bench, int times)
    {
        for (int i = 0; i < times; i++)
        {
            bench.SetUsed(List(0), 0);
            bench.Router.Send(HostKey, SentList);
            bench.Service();
        }
    }

    private static uint List(uint number) => Lists + (number * ListSize);

    private static uint Buffer(uint number) => Buffers + (number * BufferSize);

    private static byte[] Frame(int length) => [.. Enumerable.Range(0, length).Select(value => (byte)(value * 31))];

    private static Bench Bound(FakeCable cable, out NetworkDevice device, uint buffers = 8)
    {
        device = new NetworkDevice(cable);
        var bench = new Bench(device);
        Bind(bench, buffers);
        return bench;
    }

    private static void Bind(Bench bench, uint buffers)
    {
        for (uint i = 0; i < buffers; i++)
        {
            bench.WriteList(List(i), (Buffer(i), (ushort)BufferSize));
        }

        bench.Router.Bind(GuestKey, Lists, buffers, Irq);
    }

    private static void Send(Bench bench, byte[] frame, int firstPiece)
    {
        bench.Memory.Write(Outgoing, frame, "a frame");
        int rest = frame.Length - firstPiece;
        bench.WriteList(SentList, [(Outgoing, (ushort)firstPiece), .. rest > 0 ? [(Outgoing + (uint)firstPiece, (ushort)rest)] : Array.Empty<(uint, ushort)>()]);
        bench.Router.Send(HostKey, SentList);
    }

    private sealed class Recorder : IFrameRecorder
    {
        public List<string> Seen { get; } = [];

        public void Record(bool sent, ReadOnlySpan<byte> frame) => Seen.Add($"{(sent ? "sent" : "got")} {frame.Length}");
    }

    /// <summary>Takes everything, and always has a frame.</summary>
    private sealed class SilentCable : IPacketPort
    {
        private readonly byte[] _frame = Frame(1514);

        public string Name => "cable";

        public ReadOnlySpan<byte> HostAddress => [0x0a, 1, 2, 3, 4, 5];

        public void Start(Action attention)
        {
        }

        public bool Send(Span<byte> frame, int largest) => true;

        public bool TryPeek(out ReadOnlySpan<byte> frame, out int largest)
        {
            frame = _frame;
            largest = 0;
            return true;
        }

        public void Remove()
        {
        }

        public void Dispose()
        {
        }
    }
}
