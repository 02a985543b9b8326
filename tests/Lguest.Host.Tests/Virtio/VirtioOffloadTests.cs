using Lguest.Devices.Tests.FrontEnds;
using Lguest.Devices.Tests.Networks.Segments;
using Lguest.Devices.Virtio;
using Lguest.Host.Abi;
using static Lguest.Host.Tests.Virtio.VirtioGuest;

namespace Lguest.Host.Tests.Virtio;

/// <summary>What a driver may leave to a virtio network card, and take from it, once both have agreed on it.</summary>
public sealed class VirtioOffloadTests : IDisposable
{
    private const uint Agreed = Descriptors + 5 + (3 * 8) + 4;
    private const uint Sending = Buffers;
    private const uint Receiving = Buffers + 0x1_0000;
    private const byte Transport4 = 34;
    private const byte Transport6 = 54;
    private const byte TcpChecksum = 16;
    private const byte UdpChecksum = 6;

    // Features.
    private const uint SendsUnfinished = 1 << 0;
    private const uint TakesSegments = (1 << 1) | (1 << 7) | (1 << 8);
    private const uint SendsTcp4 = 1 << 11;
    private const uint SendsTcp6 = 1 << 12;
    private const uint MergesBuffers = 1 << 15;

    private const byte Tcp4 = 1;
    private const byte Udp4 = 3;
    private const byte Tcp6 = 4;

    private readonly FakeCable _cable = new();
    private readonly VirtioNetwork _card;
    private readonly VirtioGuest _guest;

    public VirtioOffloadTests()
    {
        _card = new VirtioNetwork(_cable);
        _guest = new VirtioGuest(KnownAbis.Linux2631, ClockKind.Virtual, _card);
        _guest.SetDriverReady();
    }

    public void Dispose()
    {
        _guest.Dispose();
        _card.Dispose();
    }

    [Fact]
    public void All_of_it_is_offered_and_that_the_cable_is_plugged_in()
    {
        Assert.Equal([1, 3, 4, 8], _guest.Bytes(Descriptors, 4));
        Assert.Equal(SendsUnfinished | TakesSegments | SendsTcp4 | SendsTcp6 | MergesBuffers | (1 << 5) | (7 << 16), _guest.Read(Agreed - 4));
        Assert.Equal([1, 0], _guest.Bytes(Agreed + 4 + 6, 2));
    }

    [Theory]
    [InlineData(100, false, TestFrame.Tcp, Transport4, TcpChecksum)]
    [InlineData(101, true, TestFrame.Tcp, Transport6, TcpChecksum)]
    [InlineData(7, false, TestFrame.Udp, Transport4, UdpChecksum)]
    public void A_frame_whose_checksum_was_left_to_the_card_goes_out_finished(int payload, bool isVersion6, int protocol, int start, int offset)
    {
        byte[] frame = TestFrame.Unfinished(payload, isVersion6, protocol);

        Send(SendsUnfinished, frame, NeedsChecksum(start, offset));

        TestFrame.AssertRight(Assert.Single(_cable.Sent));
        Assert.Equal([0], _cable.SentLargest);
    }

    [Fact]
    public void A_checksum_that_comes_out_as_zero_is_sent_as_all_ones()
    {
        byte[] frame = new byte[60];
        frame.AsSpan(36, 2).Fill(0xff);

        Send(SendsUnfinished, frame, NeedsChecksum(36, 10));

        Assert.Equal([0xff, 0xff], Assert.Single(_cable.Sent)[46..48]);
    }

    [Theory]
    [InlineData(100, 0)]
    [InlineData(60, 39)]
    [InlineData(0xffff, 0xffff)]
    public void A_checksum_that_is_no_place_of_the_frame_s_loses_it(int start, int offset)
    {
        Send(SendsUnfinished, new byte[100], NeedsChecksum(start, offset));

        Assert.Empty(_cable.Sent);
        Assert.Equal(1ul, _card.Statistics.SendingDropped);
    }

    [Fact]
    public void What_a_driver_says_that_has_not_agreed_means_nothing()
    {
        byte[] frame = TestFrame.Unfinished(1000);

        Send(agreed: 0, frame, [1, Tcp4, 0, 0, 100, 0, Transport4, 0, TcpChecksum, 0]);

        Assert.Equal(frame, Assert.Single(_cable.Sent));
        Assert.Equal([0], _cable.SentLargest);
    }

    [Theory]
    [InlineData(false, Tcp4, SendsTcp4)]
    [InlineData(true, Tcp6, SendsTcp6)]
    public void A_segment_goes_to_the_port_as_it_is(bool isVersion6, byte kind, uint feature)
    {
        byte[] segment = TestFrame.Unfinished(30_001, isVersion6);

        Send(SendsUnfinished | feature, segment, Segment(kind, 1400, isVersion6 ? Transport6 : Transport4));

        Assert.Equal(segment, Assert.Single(_cable.Sent));
        Assert.Equal([1400], _cable.SentLargest);
    }

    [Theory]
    [InlineData(Tcp6, 1400, SendsUnfinished | SendsTcp4)]
    [InlineData(Tcp4, 1400, SendsUnfinished | SendsTcp6)]
    [InlineData(Udp4, 1400, SendsUnfinished | SendsTcp4)]
    [InlineData(Tcp4, 0, SendsUnfinished | SendsTcp4)]
    [InlineData(Tcp4, 1400, SendsTcp4)]
    [InlineData(Tcp4, 1400, 0u)]
    public void One_of_a_kind_that_was_not_agreed_on_is_lost(byte kind, ushort largest, uint agreed)
    {
        Send(agreed, TestFrame.Unfinished(5000), Segment(kind, largest, Transport4));

        Assert.Empty(_cable.Sent);
        Assert.Equal(1ul, _card.Statistics.SendingDropped);
    }

    [Theory]
    [InlineData(false, Tcp4, Transport4)]
    [InlineData(true, Tcp6, Transport6)]
    public void A_segment_comes_to_who_takes_them_in_one_buffer_with_what_is_left_to_be_done(bool isVersion6, byte kind, byte transport)
    {
        byte[] segment = TestFrame.Unfinished(9000, isVersion6);
        _cable.ArriveUnfinished(segment, 1400);

        Receive(TakesSegments, 10 + segment.Length);

        Assert.Equal([(0u, (uint)(10 + segment.Length))], _guest.Used(0));
        byte headers = (byte)(transport + 32);
        Assert.Equal([1, kind, headers, 0, 0x78, 5, transport, 0, TcpChecksum, 0, .. segment], _guest.Bytes(Receiving, 10 + segment.Length));
        Assert.Equal(0, _cable.Waiting);
    }

    [Theory]
    [InlineData(0u, 9100)]
    [InlineData(TakesSegments, 1524)]
    [InlineData(TakesSegments & ~2u, 9100)]
    public void To_others_and_into_short_buffers_it_comes_as_finished_frames(uint agreed, int room)
    {
        byte[] segment = TestFrame.Unfinished(4000);
        _cable.ArriveUnfinished(segment, 1400);

        Receive(agreed, room, room, room);

        (uint Head, uint Length)[] used = _guest.Used(0);
        Assert.Equal([1476u, 1476u, 1276u], used.Select(each => each.Length));
        for (int i = 0; i < used.Length; i++)
        {
            uint buffer = Receiving + (uint)(i * room);
            Assert.Equal(new byte[10], _guest.Bytes(buffer, 10));
            TestFrame.AssertRight(_guest.Bytes(buffer + 10, (int)used[i].Length - 10));
        }
    }

    [Fact]
    public void Buffers_are_merged_for_what_one_has_no_room_for_and_the_header_counts_them()
    {
        byte[] segment = TestFrame.Unfinished(9000);
        _cable.Arrive(new byte[60]);
        _cable.ArriveUnfinished(segment, 1400);

        Receive(TakesSegments | MergesBuffers, 4096, 4096, 4096, 4096, 4096);

        uint second = Receiving + 4096;
        Assert.Equal([(0u, 72u), (1u, 4096u), (2u, 4096u), (3u, (uint)(segment.Length + 12 - 8192))], _guest.Used(0));
        Assert.Equal([.. new byte[10], 1, 0], _guest.Bytes(Receiving, 12));
        Assert.Equal(
            [1, Tcp4, Transport4 + 32, 0, 0x78, 5, Transport4, 0, TcpChecksum, 0, 3, 0, .. segment], _guest.Bytes(second, 12 + segment.Length));
    }

    [Fact]
    public void If_they_are_too_few_for_a_segment_it_comes_as_frames()
    {
        _cable.ArriveUnfinished(TestFrame.Unfinished(9000), 1400);

        Receive(TakesSegments | MergesBuffers, 4096, 4096);

        Assert.Equal([1478u, 1478u], _guest.Used(0).Select(each => each.Length));
        Assert.Equal(1, _cable.Waiting);
    }

    [Fact]
    public void If_they_are_too_few_for_a_frame_it_is_lost_and_they_stay()
    {
        _cable.Arrive(new byte[60]);

        Receive(MergesBuffers, 20, 20);

        Assert.Empty(_guest.Used(0));
        Assert.Equal((0, 1ul), (_cable.Waiting, _card.Statistics.ReceivingDropped));
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 1 }, 0, true)]
    [InlineData(new byte[] { 0, 0, 0 }, 0, false)]
    [InlineData(new byte[] { 0, 1, 1 }, 0, null)]
    [InlineData(new byte[] { 0, 5, 1 }, 0, null)]
    [InlineData(new byte[] { 0, 6, 1 }, 1, null)]
    [InlineData(new byte[] { 0, 0 }, 1, null)]
    [InlineData(new byte[] { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 0, null)]
    [InlineData(new byte[] { 1, 1, 2, 0, 0, 0, 0, 9 }, 1, null)]
    [InlineData(new byte[] { 2, 0, 1, 0 }, 1, null)]
    [InlineData(new byte[] { 4, 0, 1, 0 }, 1, null)]
    [InlineData(new byte[] { }, 1, null)]
    public void The_driver_says_which_frames_it_wants(byte[] command, byte answer, bool? listensToAll)
    {
        _guest.Write(Sending, command);
        _guest.Write(Receiving, [0xee, 0xee]);
        _guest.MakeAvailable(2, command.Length > 2
            ? [(Sending, 2, false), (Sending + 2, (uint)command.Length - 2, false), (Receiving, 1, true)]
            : [(Sending, (uint)command.Length, false), (Receiving, 1, true)]);
        Notify(2);

        Assert.Equal([(0u, 1u)], _guest.Used(2));
        Assert.Equal([answer, 0xee], _guest.Bytes(Receiving, 2));
        Assert.Equal(listensToAll is { } all ? [all] : [], _cable.ListensToAll);
    }

    private static byte[] NeedsChecksum(int start, int offset) =>
        [1, 0, 0, 0, 0, 0, (byte)start, (byte)(start >> 8), (byte)offset, (byte)(offset >> 8)];

    private static byte[] Segment(byte kind, ushort largest, byte transport) =>
        [1, kind, (byte)(transport + 32), 0, (byte)largest, (byte)(largest >> 8), transport, 0, TcpChecksum, 0];

    private void Send(uint agreed, byte[] frame, byte[] header)
    {
        _guest.Write(Agreed, agreed);
        _guest.Write(Sending, header);
        _guest.Write(Sending + 10, frame);
        _guest.MakeAvailable(1, (Sending, 10, false), (Sending + 10, (uint)frame.Length, false));
        Notify(1);
        Assert.Equal([(0u, 0u)], _guest.Used(1));
    }

    private void Receive(uint agreed, params int[] buffers)
    {
        _guest.Write(Agreed, agreed);
        uint buffer = Receiving;
        foreach (int length in buffers)
        {
            _guest.MakeAvailable(0, (buffer, (uint)length, true));
            buffer += (uint)length;
        }

        Notify(0);
    }

    private void Notify(int queue)
    {
        _guest.Kernel(a =>
        {
            Vmcall(a, 1, Data);
            Vmcall(a, VirtioGuest.Notify, Queue(queue));
            Vmcall(a, Shutdown, Strings, PowerOff);
        });
        _guest.RunUntilPowerOff();
    }
}
