using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Segments;

namespace Lguest.Devices.Tests.Networks.Segments;

public sealed class SegmentSplitterTests
{
    [Theory]
    [InlineData(1448, false, 0)]
    [InlineData(1428, true, 0)]
    [InlineData(536, false, 0)]
    [InlineData(48, true, 24)]
    public void A_segment_becomes_frames_that_are_right_and_have_its_payload(int largest, bool isVersion6, int extension)
    {
        byte[] segment = TestFrame.Unfinished(10_001, isVersion6, flags: TestFrame.FinPushAckCwr, extension: extension);

        List<byte[]> frames = TestFrame.Split(segment, largest);

        Assert.Equal((10_001 + largest - 1) / largest, frames.Count);
        Assert.All(frames, frame => TestFrame.AssertRight(frame));
        Assert.All(frames.SkipLast(1), frame => Assert.Equal(largest, TestFrame.Payload(frame).Length));
        Assert.Equal(TestFrame.Payload(segment), frames.SelectMany(frame => TestFrame.Payload(frame)));
        Assert.Equal(frames.Select((_, i) => 1000u + (uint)(i * largest)), frames.Select(frame => TestFrame.Sequence(frame)));
    }

    [Fact]
    public void Numbers_count_on_and_the_end_is_said_with_the_last_and_a_smaller_window_with_the_first()
    {
        List<byte[]> frames = TestFrame.Split(TestFrame.Unfinished(3000, flags: TestFrame.FinPushAckCwr, id: 0xffff), 1000);

        Assert.Equal([0xffff, 0, 1], frames.Select(frame => TestFrame.Identification(frame)));
        Assert.Equal([0x90, 0x10, 0x19], frames.Select(frame => (int)TestFrame.Flags(frame)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_segment_of_a_VLAN_is_split_too_and_each_frame_has_the_tag(bool isVersion6)
    {
        byte[] plain = TestFrame.Unfinished(5000, isVersion6);
        byte[] segment = [.. plain[..12], 0x81, 0, 0, 5, .. plain[12..]];

        List<byte[]> frames = TestFrame.Split(segment, 1400);

        Assert.Equal(4, frames.Count);
        Assert.All(frames, frame => Assert.Equal([0x81, 0, 0, 5], frame[12..16]));
        Assert.All(frames, frame => TestFrame.AssertRight([.. frame[..12], .. frame[16..]]));
        Assert.Equal(TestFrame.Payload(plain), frames.SelectMany(frame => TestFrame.Payload([.. frame[..12], .. frame[16..]])));
    }

    [Theory]
    [InlineData(47)]
    [InlineData(1449)]
    [InlineData(0)]
    public void Into_frames_that_are_too_short_or_too_long_nothing_is_split(int largest) =>
        Assert.False(SegmentSplitter.TryBegin(TestFrame.Unfinished(5000), largest, out _));

    [Fact]
    public void Only_TCP_is_split() =>
        Assert.False(SegmentSplitter.TryBegin(TestFrame.Unfinished(5000, protocol: TestFrame.Udp), 1400, out _));

    [Theory]
    [InlineData(0, false, TestFrame.Tcp)]
    [InlineData(1, false, TestFrame.Tcp)]
    [InlineData(1448, true, TestFrame.Tcp)]
    [InlineData(999, false, TestFrame.Udp)]
    [InlineData(4, true, TestFrame.Udp)]
    public void A_frame_is_finished_in_place(int payload, bool isVersion6, int protocol)
    {
        byte[] frame = TestFrame.Unfinished(payload, isVersion6, protocol);

        Assert.True(SegmentSplitter.TryFinish(frame));

        TestFrame.AssertRight(frame);
    }

    [Fact]
    public void Padding_behind_a_packet_is_not_part_of_it()
    {
        byte[] frame = TestFrame.Unfinished(1);
        byte[] padded = [.. frame, 9, 9, 9];

        Assert.True(SegmentSplitter.TryFinish(padded));

        TestFrame.AssertRight(padded.AsSpan(0, frame.Length));
        Assert.Equal([9, 9, 9], padded[^3..]);
    }

    [Fact]
    public void A_UDP_checksum_is_never_zero_as_that_says_there_is_none()
    {
        // With the right last word any sum comes out, zero too.
        byte[] frame = TestFrame.Unfinished(4, protocol: TestFrame.Udp);
        bool wasAllOnes = false;
        for (int i = 0; i <= ushort.MaxValue; i++)
        {
            byte[] copy = [.. frame];
            (copy[^2], copy[^1]) = ((byte)(i >> 8), (byte)i);
            Assert.True(SegmentSplitter.TryFinish(copy));
            int checksum = (copy[^6] << 8) | copy[^5];
            Assert.NotEqual(0, checksum);
            wasAllOnes |= checksum == 0xffff;
        }

        Assert.True(wasAllOnes);
    }

    [Fact]
    public void A_fragment_is_left_alone()
    {
        byte[] frame = TestFrame.Unfinished(100);
        frame[20] = 0x20;

        Assert.False(SegmentSplitter.TryFinish(frame));
    }

    [Fact]
    public void Whatever_is_in_a_frame_nothing_is_touched_beyond_it()
    {
        var random = new Random(2623);
        var room = new byte[IPacketPort.LongestFrame];
        for (int i = 0; i < 200_000; i++)
        {
            byte[] frame = TestFrame.Unfinished(
                random.Next(4000), random.Next(2) == 0, random.Next(4) == 0 ? TestFrame.Udp : TestFrame.Tcp, extension: random.Next(3) * 8);
            for (int bad = random.Next(4); bad > 0; bad--)
            {
                frame[random.Next(random.Next(2) == 0 ? 42 : frame.Length)] = (byte)random.Next(256);
            }

            Array.Resize(ref frame, random.Next(3) == 0 ? random.Next(frame.Length) : frame.Length);
            int largest = random.Next(2) == 0 ? random.Next(2000) : 1400;
            if (SegmentSplitter.TryBegin(frame, largest, out SegmentSplitter splitter))
            {
                while (!splitter.IsAtEnd)
                {
                    Assert.InRange(splitter.Next(frame, room), 55, IPacketPort.LongestFrame);
                }
            }

            SegmentSplitter.TryFinish(frame);
        }
    }
}
