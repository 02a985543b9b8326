using System.Buffers.Binary;
using Lguest.Devices.Networks;

namespace Lguest.Devices.Tests.Networks;

public sealed class FrameQueueTests
{
    [Fact]
    public void Frames_come_out_as_they_went_in()
    {
        var queue = new FrameQueue(4);
        Assert.True(queue.TryAdd([1, 2, 3]));
        Assert.True(queue.TryAdd([4]));

        Assert.True(queue.TryPeek(out ReadOnlySpan<byte> first));
        Assert.Equal([1, 2, 3], first.ToArray());
        queue.Remove();
        Assert.True(queue.TryPeek(out ReadOnlySpan<byte> second));
        Assert.Equal([4], second.ToArray());
        queue.Remove();

        Assert.True(queue.IsEmpty);
        Assert.False(queue.TryPeek(out _));
    }

    [Fact]
    public void It_holds_as_many_as_it_has_room_for_and_no_more()
    {
        var queue = new FrameQueue(4);
        for (byte i = 0; i < 4; i++)
        {
            Assert.Equal(4 - i, queue.Room);
            Assert.True(queue.TryAdd([i]));
        }

        Assert.False(queue.TryAdd([9]));
        Assert.Equal((0, false), (queue.Room, queue.IsNearlyEmpty));

        queue.Remove();
        Assert.True(queue.TryAdd([4]));
        for (byte i = 1; i <= 4; i++)
        {
            Assert.True(queue.TryPeek(out ReadOnlySpan<byte> frame));
            Assert.Equal([i], frame.ToArray());
            queue.Remove();
        }
    }

    [Fact]
    public void Between_two_threads_nothing_is_lost_or_torn()
    {
        const int Frames = 300_000;
        var queue = new FrameQueue(8);
        var adder = new Thread(() =>
        {
            var frame = new byte[IPacketPort.LongestFrame];
            for (int i = 0; i < Frames; i++)
            {
                BinaryPrimitives.WriteInt32LittleEndian(frame, i);
                BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(Length(i) - sizeof(int)), i);
                while (!queue.TryAdd(frame.AsSpan(0, Length(i))))
                {
                    Thread.Yield();
                }
            }
        });
        adder.Start();

        for (int i = 0; i < Frames; i++)
        {
            ReadOnlySpan<byte> frame;
            while (!queue.TryPeek(out frame))
            {
                Thread.Yield();
            }

            Assert.Equal(Length(i), frame.Length);
            Assert.Equal(i, BinaryPrimitives.ReadInt32LittleEndian(frame));
            Assert.Equal(i, BinaryPrimitives.ReadInt32LittleEndian(frame[^sizeof(int)..]));
            queue.Remove();
        }

        adder.Join();
    }

    private static int Length(int number) => 14 + (number * 7 % 1500);
}
