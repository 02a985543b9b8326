using Lguest.Devices.Networks;
using Lguest.Devices.Tests.Networks.Segments;
using Lguest.Host;
using Lguest.Host.Bus;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>Guests that send to each other, by the rules of BIND_DMA and SEND_DMA.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class SharedNetworkDeviceTests : IDisposable
{
    private const uint List = 0x600;

    private readonly string _folder = Directory.CreateTempSubdirectory("lguest-shared").FullName;
    private readonly Peer _first;
    private readonly Peer _second;

    public SharedNetworkDeviceTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Shared networks need Linux.");
        _first = new Peer(Path);
        _second = new Peer(Path);
    }

    private string Path => System.IO.Path.Combine(_folder, "net");

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Each_guest_has_a_slot_of_its_own_and_all_share_the_page()
    {
        Assert.Equal(new DeviceIdentity(DeviceType.Network, 0x6000, 1), _first.Device.Identity);
        Assert.Equal(new DeviceIdentity(DeviceType.Network, 0x6001, 1), _second.Device.Identity);

        _first.Bench.Memory.WriteUInt32(Bench.Page, 0x0000_1202, "a slot");

        Assert.Equal(0x0000_1202u, _second.Bench.Memory.ReadUInt32(Bench.Page, "a slot"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(60)]
    [InlineData(1514)]
    [InlineData(2048)]
    public void A_frame_arrives_whole_and_both_sides_learn_its_length(int length)
    {
        _second.Bind();
        byte[] frame = Peer.Frame(length);

        Assert.Equal((uint)length, _first.Send(_second, frame));
        Assert.Equal(0u, _second.Used(0));
        _second.Bench.Service();

        Assert.Equal(frame, _second.Received(0));
        Assert.Equal(0u, _second.Used(1));
        Assert.Equal(1u << Peer.Irq, _second.Bench.Pending);
        Assert.Equal(0u, _first.Bench.Pending);
        Assert.Equal((1ul, (ulong)length), (_first.Device.Statistics.FramesSent, _second.Device.Statistics.BytesReceived));
    }

    [Fact]
    public void What_does_not_fit_is_cut_off_and_both_sides_learn_that()
    {
        _second.BindTo(_second.Slot * 4, 2, size: 100);

        Assert.Equal(100u, _first.Send(_second, Peer.Frame(1514)));
        _second.Bench.Service();

        Assert.Equal(100u, _second.Used(0));
        Assert.Equal(Peer.Frame(100), _second.Received(0));
        Assert.Equal(new byte[8], _second.Bench.Read(Peer.Buffer(0) + 100, 8));
    }

    [Fact]
    public void A_long_segment_is_split_for_a_guest_that_has_no_room_for_it()
    {
        _second.Bind();
        _first.Bench.SetStatus(0x000f);
        byte[] segment = TestFrame.Unfinished(3500);

        Assert.Equal((uint)segment.Length, _first.Send(_second, segment, request: 1000));
        _second.Bench.Service();

        byte[][] received = [.. Enumerable.Range(0, 4).Select(_second.Received)];
        Assert.All(received, frame => TestFrame.AssertRight(frame));
        Assert.Equal(TestFrame.Payload(segment), received.SelectMany(frame => TestFrame.Payload(frame)));
        Assert.Equal(1ul, _first.Device.Statistics.FramesSent);
    }

    [Fact]
    public void A_long_segment_goes_whole_to_a_guest_that_is_known_to_have_room()
    {
        _second.BindTo(_second.Slot * 4, buffers: 4, size: 4096);
        _first.Bench.SetStatus(0x000f);
        byte[] segment = TestFrame.Unfinished(3500);

        _first.Send(_second, Peer.Frame(60));
        Assert.Equal((uint)segment.Length, _first.Send(_second, segment, request: 1000));
        _second.Bench.Service();

        Assert.Equal((60u, (uint)segment.Length, 0u), (_second.Used(0), _second.Used(1), _second.Used(2)));
        Assert.Equal(segment, _second.Bench.Read(Peer.Buffer(1, 4096), segment.Length));
    }

    [Fact]
    public void A_segment_that_not_all_of_can_be_sent_is_an_error()
    {
        _second.Bind(buffers: 2);
        _first.Bench.SetStatus(0x000f);

        Assert.Equal(0u, _first.Send(_second, TestFrame.Unfinished(3500), request: 1000));
        Assert.Equal(1ul, _first.Device.Statistics.SendingDropped);
    }

    [Fact]
    public void A_segment_with_a_piece_that_crosses_a_page_ends_its_sender_too()
    {
        _second.Bind();
        _first.Bench.SetStatus(0x000f);
        _first.Bench.WriteList(List, (0x1f00, 0x800));
        _first.Bench.SetUsed(List, 1000);

        Assert.Throws<GuestFaultException>(() => _first.SendList(_second.Slot * 4, List));
    }

    [Fact]
    public void Buffers_are_filled_in_turn_and_from_the_first_again_when_the_last_has_been_read()
    {
        _second.Bind(buffers: 3);
        _first.Send(_second, Peer.Frame(60));
        _first.Send(_second, Peer.Frame(61));
        _second.Bench.Service();
        _second.Free(0);
        _second.Bench.Service();
        _first.Send(_second, Peer.Frame(62));
        Assert.Equal(63u, _first.Send(_second, Peer.Frame(63)));
        _second.Bench.Service();

        Assert.Equal((0u, 61u, 62u), (_second.Used(0), _second.Used(1), _second.Used(2)));

        _second.Free(2);
        _second.Bench.Service();
        Assert.Equal((63u, 61u, 0u), (_second.Used(0), _second.Used(1), _second.Used(2)));
    }

    [Fact]
    public void Nobody_who_receives_means_that_nothing_is_used_and_nothing_is_said()
    {
        Assert.Equal(0u, _first.Send(_second, Peer.Frame(60)));
        Assert.Equal(0u, _first.SendTo(4092, Peer.Frame(60)));
    }

    [Fact]
    public void A_guest_never_sends_to_itself()
    {
        _first.Bind();

        Assert.Equal(0u, _first.Send(_first, Peer.Frame(60)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(2724)]
    [InlineData(4092)]
    public void Any_key_in_the_page_will_do(int key)
    {
        _second.BindTo(key, 2);
        _first.BindTo(key, 2);

        Assert.Equal(60u, _first.SendTo(key, Peer.Frame(60)));
        Assert.Equal(61u, _second.SendTo(key, Peer.Frame(61)));
        _first.Bench.Service();
        _second.Bench.Service();

        Assert.Equal((61u, 60u), (_first.Used(0), _second.Used(0)));
    }

    [Fact]
    public void All_bindings_that_a_guest_may_have_can_be_in_the_page()
    {
        for (int i = 0; i < 32; i++)
        {
            _second.BindTo(i * 128, 1);
        }

        for (int i = 0; i < 32; i++)
        {
            Assert.Equal(50u, _first.SendTo(i * 128, Peer.Frame(50)));
            _second.Bench.Service();
            _second.Free(0);
        }
    }

    [Fact]
    public void A_full_guest_is_interrupted_and_takes_the_frame_when_it_makes_room_in_time()
    {
        _second.Bind(buffers: 1);
        _first.Send(_second, Peer.Frame(60));
        _second.Bench.Service();
        _second.Bench.ClearInterrupts();
        int interrupts = 0;
        using var stop = new CancellationTokenSource();
        var guest = new Thread(() =>
        {
            // A guest that frees its buffer whenever it is told to look.
            while (!stop.IsCancellationRequested)
            {
                _second.Bench.Service();
                if (_second.Bench.Pending != 0)
                {
                    interrupts++;
                    _second.Bench.ClearInterrupts();
                    _second.Free(0);
                }
            }
        });
        guest.Start();

        // It may be late on a busy host, and then it is only skipped until it has made room.
        bool isTaken = SpinWait.SpinUntil(() => _first.Send(_second, Peer.Frame(61)) == 61, TimeSpan.FromSeconds(30));

        stop.Cancel();
        guest.Join();
        Assert.True(isTaken);
        Assert.True(interrupts > 0);
    }

    [Fact]
    public void A_full_guest_that_makes_no_room_is_interrupted_and_then_skipped_until_it_does()
    {
        _second.Bind(buffers: 1);
        _first.Send(_second, Peer.Frame(60));
        _second.Bench.Service();
        _second.Bench.ClearInterrupts();

        for (int i = 0; i < 100_000; i++)
        {
            Assert.Equal(0u, _first.Send(_second, Peer.Frame(61)));
        }

        _second.Bench.Service();
        Assert.Equal(1u << Peer.Irq, _second.Bench.Pending);
        Assert.Equal(60u, _second.Used(0));

        _second.Free(0);
        _second.Bench.Service();
        Assert.Equal(62u, _first.Send(_second, Peer.Frame(62)));
    }

    [Fact]
    public void A_guest_that_has_room_again_is_not_interrupted_for_nothing()
    {
        _second.Bind(buffers: 1);
        _first.Send(_second, Peer.Frame(60));
        _second.Bench.Service();
        _first.Send(_second, Peer.Frame(61));
        _second.Bench.ClearInterrupts();
        _second.Free(0);

        _second.Bench.Service();

        Assert.Equal(0u, _second.Bench.Pending);
    }

    [Fact]
    public void After_unbinding_nothing_arrives_and_what_was_on_its_way_is_lost()
    {
        _second.Bind();
        _first.Send(_second, Peer.Frame(60));
        _second.Unbind();

        Assert.Equal(0u, _first.Send(_second, Peer.Frame(61)));
        Assert.Equal(0u, _second.Used(0));

        _second.Bind();
        Assert.Equal(62u, _first.Send(_second, Peer.Frame(62)));
        _second.Bench.Service();
        Assert.Equal(62u, _second.Used(0));
    }

    [Fact]
    public void A_sender_whose_piece_crosses_a_page_is_over_and_the_receiver_gets_nothing()
    {
        _second.Bind();
        _first.Bench.WriteList(List, (0x4ff0, 17));

        GuestFaultException fault = Assert.Throws<GuestFaultException>(() => _first.SendList(_second.Slot * 4, List));
        _second.Bench.Service();

        Assert.Equal("a piece of a dma list at 0x00004ff0, 17 bytes, crosses a page, which it may not between guests", fault.Message);
        Assert.Equal((0u, 0u), (_second.Used(0), _second.Bench.Pending));
    }

    [Theory]
    [InlineData(0x4ff0u, 17, "crosses a page")]
    [InlineData(0x0f00_0000u, 100, "is outside guest memory")]
    public void A_receiver_with_a_bad_list_is_over_when_somebody_sends_and_the_sender_is_not(uint address, int length, string why)
    {
        _second.Bench.WriteList(Peer.List(0), (address, (ushort)length));
        _second.Bench.Router.Bind(Bench.Page + 4, Peer.List(0), 1, Peer.Irq);
        _second.Bench.Service();

        Assert.Equal(0u, _first.Send(_second, Peer.Frame(60)));

        Assert.Contains(why, Assert.Throws<GuestFaultException>(_second.Bench.Service).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_array_that_is_not_in_memory_ends_its_owner()
    {
        _second.Bench.Router.Bind(Bench.Page + 4, 0x0f00_0000, 1, Peer.Irq);

        Assert.Throws<GuestFaultException>(_second.Bench.Service);
        Assert.Equal(0u, _first.Send(_second, Peer.Frame(60)));
    }

    [Fact]
    public void Lists_that_cannot_be_used_are_offered_without_room_and_without_an_exception()
    {
        int exceptions = 0;
        int thread = Environment.CurrentManagedThreadId;
        void Count(object? sender, System.Runtime.ExceptionServices.FirstChanceExceptionEventArgs e) =>
            exceptions += Environment.CurrentManagedThreadId == thread ? 1 : 0;
        for (int i = 0; i < 8; i++)
        {
            _second.Bench.WriteList(Peer.List(i), i % 2 == 0 ? (0x0f00_0000u, (ushort)60) : (0x8ff0u, (ushort)60));
        }

        _second.Bench.Router.Bind(Bench.Page + 4, Peer.List(0), 8, Peer.Irq);
        AppDomain.CurrentDomain.FirstChanceException += Count;
        _second.Bench.Service();
        AppDomain.CurrentDomain.FirstChanceException -= Count;

        Assert.Equal(0, exceptions);
        Assert.Equal(0u, _first.Send(_second, Peer.Frame(60)));
    }

    [Fact]
    public void A_guest_that_says_it_has_sixteen_million_buffers_gets_its_frames()
    {
        for (int i = 0; i < 8; i++)
        {
            _second.Bench.WriteList(Peer.List(i), (Peer.Buffer(i), 2048));
        }

        _second.Bench.Router.Bind(Bench.Page + 4, Peer.List(0), 0xff_ffff, Peer.Irq);
        _second.Bench.Service();

        Assert.Equal(60u, _first.Send(_second, Peer.Frame(60)));
        _second.Bench.Service();
        Assert.Equal(60u, _second.Used(0));
    }

    [Fact]
    public void Frames_keep_their_order_while_buffers_come_and_go()
    {
        const int Frames = 100_000;
        _second.Bind();
        using var stop = new CancellationTokenSource();
        var sizes = new List<uint>();
        var guest = new Thread(() =>
        {
            int next = 0;
            while (!stop.IsCancellationRequested)
            {
                _second.Bench.Service();
                for (; _second.Used(next) != 0; next = (next + 1) % 8)
                {
                    sizes.Add(_second.Used(next));
                    _second.Free(next);
                }
            }
        });
        guest.Start();
        var sent = new List<uint>();
        for (int i = 0; i < Frames; i++)
        {
            uint size = (uint)(1 + (i % 1500));
            if (_first.Send(_second, new byte[size]) == size)
            {
                sent.Add(size);
            }
        }

        SpinWait.SpinUntil(() => sizes.Count >= sent.Count, TimeSpan.FromSeconds(30));
        stop.Cancel();
        guest.Join();
        Assert.Equal(sent, sizes);
        Assert.NotEmpty(sent);
    }

    [Fact]
    public void An_arrival_wakes_a_sleeping_guest()
    {
        _second.Bind();
        var sender = new Thread(() => _first.Send(_second, Peer.Frame(60)));
        sender.Start();

        _second.Bench.ServiceUntilInterrupt();

        sender.Join();
        Assert.Equal(60u, _second.Used(0));
    }

    [Fact]
    public void A_recorder_sees_what_goes_through_both_ways()
    {
        var recorder = new Recorder();
        using var third = new Peer(Path, recorder);
        third.Bind();
        _first.Bind();

        _first.Send(third, Peer.Frame(70));
        third.Bench.Service();
        third.Send(_first, Peer.Frame(80));
        third.Send(_second, Peer.Frame(90));

        Assert.Equal(["got 70", "sent 80"], recorder.Seen);
    }

    [Fact]
    public void A_frame_costs_no_allocation()
    {
        _second.Bind();
        _first.Send(_second, Peer.Frame(1000));
        _second.Bench.Service();
        Exchange(100);

        long before = GC.GetAllocatedBytesForCurrentThread();
        uint used = Exchange(10_000);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(1000u, used);
        Assert.Equal(0, allocated);
    }

    private uint Exchange(int times)
    {
        uint used = 0;
        for (int i = 0; i < times; i++)
        {
            for (int buffer = 0; buffer < 8; buffer++)
            {
                _second.Free(buffer);
            }

            _second.Bench.Service();
            used = _first.SendList(_second.Slot * 4, 0x800);
            _second.Bench.Service();
        }

        return used;
    }

    private sealed class Recorder : IFrameRecorder
    {
        public List<string> Seen { get; } = [];

        public void Record(bool sent, ReadOnlySpan<byte> frame) => Seen.Add($"{(sent ? "sent" : "got")} {frame.Length}");
    }
}
