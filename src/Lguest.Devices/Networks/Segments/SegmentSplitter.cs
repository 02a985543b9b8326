using System.Buffers.Binary;

namespace Lguest.Devices.Networks.Segments;

/// <summary>
/// Finishes frames whose checksum is only begun, and splits TCP segments that are too long for a cable, as Linux's software
/// and network cards do it.
/// </summary>
internal struct SegmentSplitter
{
    /// <summary>The least payload that segments are split to: Linux's TCP_MIN_SND_MSS. Less is nothing but a flood.</summary>
    public const int LeastPayload = 48;

    private const int Identification4Offset = 4;
    private const int SequenceOffset = 4;
    private const int FlagsOffset = 13;
    private const byte FlagsOfLast = 0x09;
    private const byte FlagsOfFirst = 0x80;

    private readonly SegmentLayout _layout;
    private readonly int _largest;
    private int _done;

    private SegmentSplitter(SegmentLayout layout, int largest)
    {
        _layout = layout;
        _largest = largest;
    }

    /// <summary>Whether there are no more frames.</summary>
    public readonly bool IsAtEnd => _done >= _layout.End - _layout.Payload;

    /// <summary>Begins with a segment; false when it can't be split into frames that a cable carries.</summary>
    /// <param name="frame">A TCP segment.</param>
    /// <param name="largest">Bytes of payload of each frame but the last.</param>
    /// <param name="splitter">Makes the frames.</param>
    public static bool TryBegin(ReadOnlySpan<byte> frame, int largest, out SegmentSplitter splitter)
    {
        splitter = default;
        if (largest < LeastPayload || !SegmentLayout.TryFind(frame, out SegmentLayout layout)
            || !layout.IsTcp || layout.End != frame.Length || layout.Payload + Math.Min(largest, frame.Length - layout.Payload) > IPacketPort.LongestFrame)
        {
            return false;
        }

        splitter = new SegmentSplitter(layout, largest);
        return true;
    }

    /// <summary>Finishes a frame in place whose checksum field has the sum of the pseudo header; false when there is no such field.</summary>
    public static bool TryFinish(Span<byte> frame)
    {
        if (!SegmentLayout.TryFind(frame, out SegmentLayout layout))
        {
            return false;
        }

        Span<byte> message = frame[layout.Transport..layout.End];
        Write(message, layout, InternetChecksum.Add(0, message));
        return true;
    }

    /// <summary>Makes the TCP or UDP checksum of a frame anew, whatever its field has; false when there is no such field.</summary>
    public static bool TryRenew(Span<byte> frame)
    {
        if (!SegmentLayout.TryFind(frame, out SegmentLayout layout))
        {
            return false;
        }

        Span<byte> message = frame[layout.Transport..layout.End];
        message.Slice(layout.ChecksumOffset, sizeof(ushort)).Clear();
        Write(message, layout, InternetChecksum.Add(layout.PseudoHeader(frame, message.Length), message));
        return true;
    }

    /// <summary>Makes the next frame.</summary>
    /// <param name="frame">The segment.</param>
    /// <param name="destination">Room for a frame.</param>
    /// <returns>Bytes of the frame.</returns>
    public int Next(ReadOnlySpan<byte> frame, Span<byte> destination)
    {
        int left = frame.Length - _layout.Payload - _done;
        int payload = Math.Min(left, _largest);
        Span<byte> made = destination[..(_layout.Payload + payload)];
        frame[.._layout.Payload].CopyTo(made);
        frame.Slice(_layout.Payload + _done, payload).CopyTo(made[_layout.Payload..]);

        if (!_layout.IsVersion6)
        {
            Increase16(made[(_layout.Packet + Identification4Offset)..], _done / _largest);
        }

        _layout.WriteLength(made);
        Span<byte> message = made[_layout.Transport..];
        Span<byte> sequence = message[SequenceOffset..];
        BinaryPrimitives.WriteUInt32BigEndian(sequence, BinaryPrimitives.ReadUInt32BigEndian(sequence) + (uint)_done);
        message[FlagsOffset] &= (byte)~((left > payload ? FlagsOfLast : 0) | (_done > 0 ? FlagsOfFirst : 0));
        message.Slice(_layout.ChecksumOffset, sizeof(ushort)).Clear();
        Write(message, _layout, InternetChecksum.Add(_layout.PseudoHeader(made, message.Length), message));
        _done += payload;
        return made.Length;
    }

    private static void Increase16(Span<byte> field, int by) =>
        BinaryPrimitives.WriteUInt16BigEndian(field, (ushort)(BinaryPrimitives.ReadUInt16BigEndian(field) + by));

    private static void Write(Span<byte> message, SegmentLayout layout, ulong sum)
    {
        Span<byte> field = message.Slice(layout.ChecksumOffset, sizeof(ushort));
        InternetChecksum.Write(sum, field);

        // Zero says "no checksum" in UDP, and is the same number as all ones.
        if (!layout.IsTcp && field[0] == 0 && field[1] == 0)
        {
            field.Fill(0xff);
        }
    }
}
