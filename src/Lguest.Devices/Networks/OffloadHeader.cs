using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lguest.Devices.Networks.Segments;

namespace Lguest.Devices.Networks;

/// <summary>
/// struct virtio_net_hdr: what is still to be done to a frame (virtio 1.2, 5.1.6). A tap has it before each frame, in the host's order, and so has a
/// virtio network card's driver, in little-endian order.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct OffloadHeader
{
    /// <summary>Bytes of it.</summary>
    public const int Size = 10;

    /// <summary>Flags: the checksum is to be computed.</summary>
    public const byte NeedsChecksum = 1;

    /// <summary>Kind: a TCP segment over IPv4 that is to be split.</summary>
    public const byte Tcp4 = 1;

    /// <summary>Kind: a TCP segment over IPv6 that is to be split.</summary>
    public const byte Tcp6 = 4;

    /// <summary>TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6: all of that may be asked of us.</summary>
    public const nuint All = 1 | 2 | 4;

    public byte Flags;
    public byte Kind;

    /// <summary>Bytes of all headers.</summary>
    public ushort HeaderLength;

    /// <summary>Bytes of payload of each frame.</summary>
    public ushort Largest;

    /// <summary>Where what the checksum covers begins.</summary>
    public ushort ChecksumStart;

    /// <summary>Where in that the checksum is.</summary>
    public ushort ChecksumOffset;

    /// <summary>Reads one in little-endian order.</summary>
    /// <param name="bytes">At least <see cref="Size"/>.</param>
    public static OffloadHeader Read(ReadOnlySpan<byte> bytes) => new()
    {
        Flags = bytes[0],
        Kind = bytes[1],
        HeaderLength = BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]),
        Largest = BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]),
        ChecksumStart = BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]),
        ChecksumOffset = BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]),
    };

    /// <summary>Says what is to be done to an unfinished frame, as <see cref="IPacketPort"/> means it; false when it can't be done.</summary>
    public static bool TryDescribe(ReadOnlySpan<byte> frame, int largest, out OffloadHeader header)
    {
        header = default;
        if (!SegmentLayout.TryFind(frame, out SegmentLayout layout))
        {
            return false;
        }

        header.Flags = NeedsChecksum;
        header.ChecksumStart = (ushort)layout.Transport;
        header.ChecksumOffset = (ushort)layout.ChecksumOffset;
        bool isSplit = frame.Length - layout.Payload > largest;
        if (isSplit)
        {
            header.Kind = layout.IsVersion6 ? Tcp6 : Tcp4;
            header.HeaderLength = (ushort)layout.Payload;
            header.Largest = (ushort)largest;
        }

        return isSplit ? SegmentSplitter.TryBegin(frame, largest, out _) : frame.Length <= IPacketPort.LongestFrame;
    }

    /// <summary>Computes the checksum that the header asks for, if it does; false when there is no room for one where it says.</summary>
    public readonly bool TryFinish(Span<byte> frame)
    {
        if ((Flags & NeedsChecksum) == 0)
        {
            return true;
        }

        int place = ChecksumStart + ChecksumOffset;
        if (place + sizeof(ushort) > frame.Length)
        {
            return false;
        }

        Span<byte> field = frame.Slice(place, sizeof(ushort));
        InternetChecksum.Write(InternetChecksum.Add(0, frame[ChecksumStart..]), field);

        // Zero says "no checksum" in UDP, and is the same number as all ones.
        if (field is [0, 0])
        {
            field.Fill(0xff);
        }

        return true;
    }

    /// <summary>Writes it in little-endian order.</summary>
    /// <param name="bytes">At least <see cref="Size"/>.</param>
    public readonly void Write(Span<byte> bytes)
    {
        bytes[0] = Flags;
        bytes[1] = Kind;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[2..], HeaderLength);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[4..], Largest);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[6..], ChecksumStart);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[8..], ChecksumOffset);
    }
}
