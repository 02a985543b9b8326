namespace Lguest.Host.Virtio;

/// <summary>
/// A chain of descriptors that the guest has made available: pieces of its memory, first those that the device reads, then those
/// that it fills. Either kind is one run of bytes, however the guest has cut it.
/// </summary>
/// <remarks>
/// One chain is used again and again, so that a transfer allocates nothing once it has grown. All of it has been checked when it is
/// loaded: it is in guest memory, and no longer than <see cref="MostBytes"/>.
/// </remarks>
/// <param name="memory">Guest memory.</param>
public sealed class VirtioChain(GuestMemory memory)
{
    /// <summary>
    /// The most bytes of a chain: a guest with more is over. Linux asks a disk for 512 KiB at a time, and for 4 MiB only if its root
    /// wants that; pieces may overlap, so that a small guest can have large chains.
    /// </summary>
    public const int MostBytes = 5 << 20;

    private const string What = "a piece of a virtqueue's chain";

    private readonly List<Piece> _pieces = [];
    private int _firstWritable;

    /// <summary>The index of its first descriptor, by which the guest knows it.</summary>
    public ushort Head { get; private set; }

    /// <summary>Bytes for the device to read.</summary>
    public int ReadableLength { get; private set; }

    /// <summary>Bytes for the device to fill.</summary>
    public int WritableLength { get; private set; }

    /// <summary>Copies bytes out of the readable part.</summary>
    /// <param name="offset">Bytes of the part before the first one.</param>
    /// <param name="destination">Is filled as far as there are bytes.</param>
    /// <returns>Bytes copied.</returns>
    public int Read(int offset, Span<byte> destination)
    {
        int done = 0;
        for (int i = 0; i < _firstWritable && done < destination.Length; i++)
        {
            if (TryCut(_pieces[i], ref offset, destination.Length - done, out uint address, out int length))
            {
                memory.Read(address, destination.Slice(done, length), What);
                done += length;
            }
        }

        return done;
    }

    /// <summary>Copies bytes into the writable part.</summary>
    /// <param name="offset">Bytes of the part before the first one.</param>
    /// <param name="source">Is copied as far as there is room.</param>
    /// <returns>Bytes copied.</returns>
    public int Write(int offset, ReadOnlySpan<byte> source)
    {
        int done = 0;
        for (int i = _firstWritable; i < _pieces.Count && done < source.Length; i++)
        {
            if (TryCut(_pieces[i], ref offset, source.Length - done, out uint address, out int length))
            {
                memory.Write(address, source.Slice(done, length), What);
                done += length;
            }
        }

        return done;
    }

    /// <summary>Begins a new chain.</summary>
    internal void Begin(ushort head)
    {
        Head = head;
        _pieces.Clear();
        _firstWritable = 0;
        ReadableLength = 0;
        WritableLength = 0;
    }

    /// <summary>Adds a piece.</summary>
    /// <exception cref="GuestFaultException">It isn't all guest memory, makes the chain too long, or is to be read after others to be filled.</exception>
    internal void Add(ulong address, uint length, bool isWritable)
    {
        if (address > uint.MaxValue)
        {
            throw new GuestFaultException($"{What} at 0x{address:x} is outside guest memory");
        }

        memory.Check((uint)address, length, What);
        if (length > (uint)(MostBytes - ReadableLength - WritableLength))
        {
            throw new GuestFaultException($"a virtqueue's chain has more than {MostBytes} bytes");
        }

        if (!isWritable && _firstWritable < _pieces.Count)
        {
            throw new GuestFaultException("a virtqueue's chain has a piece to be read after one to be filled");
        }

        _pieces.Add(new Piece((uint)address, (int)length));
        if (isWritable)
        {
            WritableLength += (int)length;
        }
        else
        {
            ReadableLength += (int)length;
            _firstWritable++;
        }
    }

    // What of a piece is to be copied, behind an offset that is what is left of it after the pieces before.
    private static bool TryCut(Piece piece, ref int offset, int wanted, out uint address, out int length)
    {
        int skipped = Math.Min(offset, piece.Length);
        offset -= skipped;
        address = piece.Address + (uint)skipped;
        length = Math.Min(piece.Length - skipped, wanted);
        return length > 0;
    }

    private readonly record struct Piece(uint Address, int Length);
}
