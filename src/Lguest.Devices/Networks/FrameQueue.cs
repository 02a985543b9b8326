using System.Runtime.InteropServices;

namespace Lguest.Devices.Networks;

/// <summary>
/// Frames between two threads, one that adds and one that removes: a ring of bytes, made once. Neither ever waits for
/// the other in here.
/// </summary>
internal sealed class FrameQueue
{
    /// <summary>Bytes of a queue with room for the traffic of a moment.</summary>
    public const int UsualSize = 1 << 20;

    private const int Alignment = 8;
    private const int HeaderSize = 8;
    private const int ToTheStart = -1;

    // A byte more, by which a frame that is too long can be told.
    private const int BufferSize = IPacketPort.LongestSegment + 1;
    private const int LongestRecord = HeaderSize + BufferSize + Alignment;

    private readonly byte[] _bytes;
    private readonly int _size;

    // Counts of all bytes ever added and removed; each is written by one thread.
    private uint _added;
    private uint _removed;

    /// <summary>Makes an empty queue.</summary>
    /// <param name="size">Bytes, a power of two.</param>
    public FrameQueue(int size)
    {
        _size = size;
        _bytes = GC.AllocateUninitializedArray<byte>(size, pinned: true);
    }

    /// <summary>Whether there is room for a longest frame; the thread that adds may count on it.</summary>
    /// <remarks>A frame stands in one piece. What is left at the ring's end may have to be passed over, and is shorter than one.</remarks>
    public bool HasRoom => Room >= 2 * LongestRecord;

    /// <summary>Whether there is no frame; the thread that removes may count on there being one otherwise.</summary>
    public bool IsEmpty => Volatile.Read(ref _added) == Volatile.Read(ref _removed);

    /// <summary>Whether no more than half of the queue is in use.</summary>
    public bool IsHalfEmpty => Room >= _size / 2;

    /// <summary>Whether no more than a quarter of the queue is in use.</summary>
    public bool IsNearlyEmpty => Room >= _size / 4 * 3;

    /// <summary>Where the next frame is to be written, if the queue <see cref="HasRoom"/>: a longest frame and a byte more.</summary>
    public Span<byte> NextBuffer => _bytes.AsSpan(Place(_added + (uint)PassedOver) + HeaderSize, BufferSize);

    private int Room => _size - (int)(Volatile.Read(ref _added) - Volatile.Read(ref _removed));

    // Bytes at the ring's end that are too few for a longest frame.
    private int PassedOver
    {
        get
        {
            int left = _size - Place(_added);
            return left < LongestRecord ? left : 0;
        }
    }

    /// <summary>Adds a frame; false when there is no room.</summary>
    /// <param name="frame">The frame, no longer than a longest one.</param>
    /// <param name="largest">What <see cref="IPacketPort"/> calls so.</param>
    public bool TryAdd(ReadOnlySpan<byte> frame, int largest)
    {
        if (!HasRoom)
        {
            return false;
        }

        frame.CopyTo(NextBuffer);
        Add(frame.Length, largest);
        return true;
    }

    /// <summary>Adds the frame that is in <see cref="NextBuffer"/>.</summary>
    public void Add(int length, int largest)
    {
        int passedOver = PassedOver;
        if (passedOver > 0)
        {
            Header(_added).Length = ToTheStart;
        }

        uint start = _added + (uint)passedOver;
        Header(start) = new FrameHeader { Length = length, Largest = largest };
        Volatile.Write(ref _added, start + RecordSize(length));
    }

    /// <summary>Shows the first frame; false when there is none.</summary>
    public bool TryPeek(out ReadOnlySpan<byte> frame, out int largest)
    {
        if (IsEmpty)
        {
            frame = default;
            largest = 0;
            return false;
        }

        if (Header(_removed).Length == ToTheStart)
        {
            Volatile.Write(ref _removed, _removed + (uint)(_size - Place(_removed)));
        }

        FrameHeader header = Header(_removed);
        frame = _bytes.AsSpan(Place(_removed) + HeaderSize, header.Length);
        largest = header.Largest;
        return true;
    }

    /// <summary>Removes the frame that was shown.</summary>
    public void Remove() => Volatile.Write(ref _removed, _removed + RecordSize(Header(_removed).Length));

    private static uint RecordSize(int length) => (uint)(HeaderSize + length + Alignment - 1) / Alignment * Alignment;

    private int Place(uint position) => (int)(position & (uint)(_size - 1));

    private ref FrameHeader Header(uint position) =>
        ref MemoryMarshal.AsRef<FrameHeader>(_bytes.AsSpan(Place(position), HeaderSize));

    [StructLayout(LayoutKind.Sequential)]
    private struct FrameHeader
    {
        public int Length;
        public int Largest;
    }
}
