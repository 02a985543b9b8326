using System.Buffers.Binary;
using Lguest.Devices.Networks;

namespace Lguest.Devices.Tests.Networks;

public sealed class FrameQueueTests
{
    private const int Size = 1 << 19;

    [Fact]
    public void Frames_come_out_as_they_went_in()
    {
        var queue = new FrameQueue(Size);
        Assert.True(queue.TryAdd([1, 2, 3], largest: 5));
        Assert.True(queue.TryAdd([4], largest: 0));

        Assert.True(queue.TryPeek(out ReadOnlySpan<byte> first, out int largest));
        Assert.Equal([1, 2, 3], first.ToArray());
        Assert.Equal(5, largest);
        queue.Remove();
        Assert.True(queue.TryPeek(out ReadOnlySpan<byte> second, out largest));
        Assert.Equal([4], second.ToArray());
        Assert.Equal(0, largest);
        queue.Remove();

        Assert.True(queue.IsEmpty);
        Assert.False(queue.TryPeek(out _, out _));
    }

    [Fact]
    public void It_takes_the_longest_frame_until_it_is_full_and_again_when_one_is_gone()
    {
        var queue = new FrameQueue(Size);
        var frame = new byte[IPacketPort.LongestSegment];
        int count = 0;
        while (queue.TryAdd(frame, largest: 1))
        {
            count++;
        }

        Assert.InRange(count, 5, 7);
        Assert.Equal((false, false, false), (queue.HasRoom, queue.IsHalfEmpty, queue.IsNearlyEmpty));

        // What is too short at the ring's end is passed over, and room for no frame until it has been.
        for (int i = 0; i < 1000; i++)
        {
            Assert.True(queue.TryPeek(out ReadOnlySpan<byte> first, out _));
            Assert.Equal(frame.Length, first.Length);
            queue.Remove();
            count--;
            if (queue.TryAdd(frame, largest: 1))
            {
                count++;
            }

            Assert.InRange(count, 4, 7);
        }
    }

    [Fact]
    public void It_says_how_full_it_is()
    {
        var queue = new FrameQueue(Size);
        Assert.True(queue.HasRoom && queue.IsHalfEmpty && queue.IsNearlyEmpty);

        for (int i = 0; i < 3; i++)
        {
            queue.TryAdd(new byte[IPacketPort.LongestSegment], largest: 0);
        }

        Assert.Equal((true, true, false), (queue.HasRoom, queue.IsHalfEmpty, queue.IsNearlyEmpty));

        queue.TryAdd(new byte[IPacketPort.LongestSegment], largest: 0);
        queue.TryAdd(new byte[IPacketPort.LongestSegment], largest: 0);
        Assert.Equal((false, false), (queue.IsHalfEmpty, queue.IsNearlyEmpty));
    }

    [Fact]
    public void Between_two_threads_nothing_is_lost_or_torn()
    {
        const int Frames = 300_000;
        var queue = new FrameQueue(Size);
        var adder = new Thread(() =>
        {
            var frame = new byte[IPacketPort.LongestSegment];
            for (int i = 0; i < Frames; i++)
            {
                BinaryPrimitives.WriteInt32LittleEndian(frame, i);
                BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(Length(i) - sizeof(int)), i);
                while (!queue.TryAdd(frame.AsSpan(0, Length(i)), largest: i))
                {
                    Thread.Yield();
                }
            }
        });
        adder.Start();

        for (int i = 0; i < Frames; i++)
        {
            ReadOnlySpan<byte> frame;
            int largest;
            while (!queue.TryPeek(out frame, out largest))
            {
                Thread.Yield();
            }

            Assert.Equal((Length(i), i), (frame.Length, largest));
            Assert.Equal(i, BinaryPrimitives.ReadInt32LittleEndian(frame));
            Assert.Equal(i, BinaryPrimitives.ReadInt32LittleEndian(frame[^sizeof(int)..]));
            queue.Remove();
        }

        adder.Join();
    }

    private static int Length(int number) => 14 + (number * 7 % (number % 100 == 0 ? 65_000 : 1500));
}
