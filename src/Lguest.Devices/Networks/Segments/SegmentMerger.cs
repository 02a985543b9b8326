using System.Buffers.Binary;

namespace Lguest.Devices.Networks.Segments;

/// <summary>
/// Makes one long TCP segment of several that follow each other, which a guest takes in a tenth of the time. What it makes
/// splits into exactly the frames that it was made of, but for their checksums.
/// </summary>
internal struct SegmentMerger
{
    // A guest's buffer is sixteen pages.
    private const int Longest = 65_000;

    private const int Header4 = 20;
    private const int Identification4Offset = 4;
    private const int SequenceOffset = 4;
    private const int AcknowledgementOffset = 8;
    private const int FlagsOffset = 13;
    private const byte FlagAcknowledgement = 0x10;
    private const byte FlagPush = 0x08;

    private SegmentLayout _layout;
    private int _length;
    private int _frames;
    private bool _isOpen;

    /// <summary>Whether there is a segment.</summary>
    public readonly bool HasSegment => _length > 0;

    /// <summary>Bytes of the segment.</summary>
    public readonly int Length => _length;

    /// <summary>Bytes of payload of each frame that it was made of; 0 when it is a single one, as it came.</summary>
    public int Largest { get; private set; }

    /// <summary>Begins with a frame, which is where the segment will be.</summary>
    public void Begin(ReadOnlySpan<byte> frame)
    {
        _length = frame.Length;
        _frames = 1;
        Largest = 0;
        _isOpen = SegmentLayout.TryFind(frame, out _layout) && MayBeFollowed(frame, _layout);
    }

    /// <summary>Adds a frame to the segment; false when it doesn't follow, and the segment has come to its end.</summary>
    /// <param name="segment">Where the segment is, with room for more.</param>
    /// <param name="frame">The frame.</param>
    public bool TryAdd(Span<byte> segment, ReadOnlySpan<byte> frame)
    {
        int headers = _layout.Payload;
        if (!_isOpen || frame.Length <= headers || _length + frame.Length - headers > Longest
            || !SegmentLayout.TryFind(frame, out SegmentLayout layout) || layout.Payload != headers || layout.End != frame.Length
            || !Follows(segment, frame))
        {
            return false;
        }

        int payload = frame.Length - headers;
        int largest = _frames == 1 ? _length - headers : Largest;
        if (payload > largest)
        {
            return false;
        }

        Largest = largest;
        frame[headers..].CopyTo(segment[_length..]);
        _length += payload;
        _frames++;
        segment[_layout.Transport + FlagsOffset] |= frame[_layout.Transport + FlagsOffset];
        _isOpen = payload == Largest && (frame[_layout.Transport + FlagsOffset] & FlagPush) == 0;
        return true;
    }

    /// <summary>Ends the segment: its headers get its length, and its checksum the pseudo header's sum.</summary>
    public void End(Span<byte> segment)
    {
        if (_frames > 1)
        {
            Span<byte> whole = segment[.._length];
            _layout.WriteLength(whole);
            InternetChecksum.WriteSum(
                _layout.PseudoHeader(whole, _length - _layout.Transport), whole.Slice(_layout.Transport + _layout.ChecksumOffset, sizeof(ushort)));
        }

        _length = 0;
    }

    private static bool MayBeFollowed(ReadOnlySpan<byte> frame, SegmentLayout layout) =>
        layout.IsTcp && !layout.IsVersion6 && layout.Transport == layout.Packet + Header4
        && layout.End == frame.Length && layout.Payload < layout.End
        && frame[layout.Transport + FlagsOffset] == FlagAcknowledgement;

    /// <summary>Whether a frame is the next, with nothing new in its headers.</summary>
    private readonly bool Follows(ReadOnlySpan<byte> segment, ReadOnlySpan<byte> frame)
    {
        int packet = _layout.Packet;
        int transport = _layout.Transport;
        uint next = Read32(segment, transport + SequenceOffset) + (uint)(_length - _layout.Payload);
        int expectedId = (ushort)(Read16(segment, packet + Identification4Offset) + _frames);
        return Read32(frame, transport + SequenceOffset) == next
            && Read16(frame, packet + Identification4Offset) == expectedId
            && (frame[transport + FlagsOffset] & ~FlagPush) == FlagAcknowledgement
            && frame[..(packet + 2)].SequenceEqual(segment[..(packet + 2)])
            && frame[(packet + 6)..(packet + 10)].SequenceEqual(segment[(packet + 6)..(packet + 10)])
            && frame[(packet + 12)..(transport + SequenceOffset)].SequenceEqual(segment[(packet + 12)..(transport + SequenceOffset)])
            && frame[(transport + AcknowledgementOffset)..(transport + FlagsOffset)].SequenceEqual(
                segment[(transport + AcknowledgementOffset)..(transport + FlagsOffset)])
            && frame[(transport + FlagsOffset + 1)..(transport + 16)].SequenceEqual(segment[(transport + FlagsOffset + 1)..(transport + 16)])
            && frame[(transport + 18).._layout.Payload].SequenceEqual(segment[(transport + 18).._layout.Payload]);
    }

    private static uint Read32(ReadOnlySpan<byte> frame, int offset) => BinaryPrimitives.ReadUInt32BigEndian(frame[offset..]);

    private static ushort Read16(ReadOnlySpan<byte> frame, int offset) => BinaryPrimitives.ReadUInt16BigEndian(frame[offset..]);
}
