using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Segments;

namespace Lguest.Devices.Tests.Networks.Segments;

public sealed class SegmentMergerTests
{
    [Fact]
    public void Frames_that_follow_each_other_are_one_segment_that_splits_into_them_again()
    {
        byte[][] frames = Flow(1448, 1448, 1448, 100);

        (byte[] segment, int largest, int used) = Merge(frames);

        Assert.Equal((1448, 4), (largest, used));
        Assert.Equal(frames, TestFrame.Split(segment, largest));
    }

    [Fact]
    public void One_frame_alone_stays_as_it_is()
    {
        byte[] frame = TestFrame.Finished(1448);

        (byte[] segment, int largest, _) = Merge(frame);

        Assert.Equal(0, largest);
        Assert.Equal(frame, segment);
    }

    [Theory]
    [InlineData("another sequence number", 1, 42)]
    [InlineData("another address", 1, 29)]
    [InlineData("another port", 1, 36)]
    [InlineData("another acknowledgement", 1, 43)]
    [InlineData("another window", 1, 49)]
    [InlineData("another option", 1, 55)]
    [InlineData("another time to live", 1, 22)]
    [InlineData("another number", 1, 19)]
    [InlineData("another host", 1, 3)]
    [InlineData("another kind of packet", 1, 23)]
    public void What_is_not_the_next_of_the_same_ends_a_segment(string what, int frame, int place)
    {
        byte[][] frames = Flow(1000, 1000, 1000);
        frames[frame][place] ^= 1;

        (_, _, int used) = Merge(frames);

        Assert.True(used == 1, what);
    }

    [Fact]
    public void A_longer_frame_begins_a_new_segment_and_a_shorter_one_ends_its_own()
    {
        Assert.Equal(1, Merge(Flow(100, 101)).Used);
        Assert.Equal(2, Merge(Flow(100, 99, 99)).Used);
    }

    [Fact]
    public void What_must_be_heard_at_once_is()
    {
        byte[][] frames = Flow(1000, 1000, 1000);
        frames[1] = TestFrame.Finished(1000, TestFrame.PushAck, 2000, 8);

        (byte[] segment, int largest, int used) = Merge(frames);

        Assert.Equal(2, used);
        Assert.Equal(frames[..2], TestFrame.Split(segment, largest));
    }

    [Fact]
    public void A_segment_is_no_longer_than_a_packet_can_be()
    {
        (byte[] segment, _, int used) = Merge(Flow([.. Enumerable.Repeat(1448, 60)]));

        Assert.Equal((44, 66 + (44 * 1448)), (used, segment.Length));
    }

    [Theory]
    [InlineData(0x11)]
    [InlineData(0x02)]
    [InlineData(0x14)]
    [InlineData(0x30)]
    public void A_frame_with_news_of_the_connection_stands_alone(byte flags)
    {
        byte[][] frames = Flow(1000, 1000);
        frames[0] = TestFrame.Finished(1000, flags);

        Assert.Equal(1, Merge(frames).Used);
    }

    private static byte[][] Flow(params int[] payloads)
    {
        uint sequence = 1000;
        return [.. payloads.Select((payload, i) => TestFrame.Finished(payload, sequence: (sequence += (uint)payload) - (uint)payload, id: (ushort)(7 + i)))];
    }

    private static (byte[] Segment, int Largest, int Used) Merge(params byte[][] frames)
    {
        var merger = default(SegmentMerger);
        var room = new byte[IPacketPort.LongestSegment];
        frames[0].CopyTo(room, 0);
        merger.Begin(frames[0]);
        int used = 1;
        while (used < frames.Length && merger.TryAdd(room, frames[used]))
        {
            used++;
        }

        int length = merger.Length;
        merger.End(room);
        Assert.False(merger.HasSegment);
        return (room[..length], merger.Largest, used);
    }
}
