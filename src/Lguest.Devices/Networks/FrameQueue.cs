namespace Lguest.Devices.Networks;

/// <summary>
/// Frames between two threads, one that adds and one that removes: a ring of buffers, made once. Neither ever waits for
/// the other in here.
/// </summary>
internal sealed class FrameQueue
{
    // A frame's buffer begins with a cache line of its own.
    private const int BufferSize = 1536;

    private readonly byte[] _bytes;
    private readonly int[] _lengths;
    private readonly int _capacity;

    // Counts of all frames ever added and removed; each is written by one thread.
    private uint _added;
    private uint _removed;

    /// <summary>Makes an empty queue.</summary>
    /// <param name="capacity">Most frames that it holds, a power of two.</param>
    public FrameQueue(int capacity)
    {
        _capacity = capacity;
        _bytes = GC.AllocateUninitializedArray<byte>(capacity * BufferSize, pinned: true);
        _lengths = new int[capacity];
    }

    /// <summary>How many frames there is room for; the thread that adds may count on it.</summary>
    public int Room => _capacity - (int)(Volatile.Read(ref _added) - Volatile.Read(ref _removed));

    /// <summary>Whether there is no frame; the thread that removes may count on there being one otherwise.</summary>
    public bool IsEmpty => Volatile.Read(ref _added) == Volatile.Read(ref _removed);

    /// <summary>Whether no more than a quarter of the queue is in use.</summary>
    public bool IsNearlyEmpty => Room >= _capacity / 4 * 3;

    /// <summary>Adds a frame; false when there is no room.</summary>
    public bool TryAdd(ReadOnlySpan<byte> frame)
    {
        if (Room == 0)
        {
            return false;
        }

        frame.CopyTo(NextBuffer);
        Add(frame.Length);
        return true;
    }

    /// <summary>Where the next frame is to be written, if there is <see cref="Room"/>: a longest frame and a byte more.</summary>
    public Span<byte> NextBuffer => Buffer(_added, IPacketPort.LongestFrame + 1);

    /// <summary>Adds the frame that is in <see cref="NextBuffer"/>.</summary>
    public void Add(int length)
    {
        _lengths[_added % (uint)_capacity] = length;
        Volatile.Write(ref _added, _added + 1);
    }

    /// <summary>Shows the first frame; false when there is none.</summary>
    public bool TryPeek(out ReadOnlySpan<byte> frame)
    {
        if (IsEmpty)
        {
            frame = default;
            return false;
        }

        frame = Buffer(_removed, _lengths[_removed % (uint)_capacity]);
        return true;
    }

    /// <summary>Removes the first frame, which there is.</summary>
    public void Remove() => Volatile.Write(ref _removed, _removed + 1);

    private Span<byte> Buffer(uint number, int length) =>
        _bytes.AsSpan((int)(number % (uint)_capacity) * BufferSize, length);
}
