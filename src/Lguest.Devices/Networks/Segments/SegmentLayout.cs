using System.Buffers.Binary;

namespace Lguest.Devices.Networks.Segments;

/// <summary>Where things are in a frame, perhaps of a VLAN (IEEE 802.1Q), that has a TCP or UDP header in an IPv4 or IPv6 packet that isn't a fragment.</summary>
internal readonly struct SegmentLayout
{
    private const int EthernetHeader = 14;
    private const int TagSize = 4;
    private const int TypeOffset = 12;
    private const ushort TypeTag = 0x8100;
    private const ushort TypeInternet4 = 0x0800;
    private const ushort TypeInternet6 = 0x86dd;

    private const int Header4 = 20;
    private const int Header6 = 40;
    private const int Length4Offset = 2;
    private const int FragmentOffset = 6;
    private const int FragmentMask = 0x3fff;
    private const int Protocol4Offset = 9;
    private const int Checksum4Offset = 10;
    private const int Addresses4Offset = 12;
    private const int Addresses4Size = 8;
    private const int Length6Offset = 4;
    private const int Next6Offset = 6;
    private const int Addresses6Offset = 8;
    private const int Addresses6Size = 32;
    private const int ExtensionUnit = 8;

    private const byte HopByHop = 0;
    private const byte Tcp = 6;
    private const byte Udp = 17;
    private const byte Routing = 43;
    private const byte DestinationOptions = 60;

    private const int TcpHeader = 20;
    private const int TcpLengthOffset = 12;
    private const int TcpChecksumOffset = 16;
    private const int UdpHeader = 8;
    private const int UdpChecksumOffset = 6;

    private SegmentLayout(bool isVersion6, byte protocol, int packet, int transport, int payload, int end)
    {
        Packet = packet;
        IsVersion6 = isVersion6;
        Protocol = protocol;
        Transport = transport;
        Payload = payload;
        End = end;
    }

    /// <summary>Where the packet begins, behind the Ethernet header.</summary>
    public int Packet { get; }

    /// <summary>IPv6, else IPv4.</summary>
    public bool IsVersion6 { get; }

    /// <summary>Whether it is TCP, else UDP.</summary>
    public bool IsTcp => Protocol == Tcp;

    /// <summary>Where the TCP or UDP header begins.</summary>
    public int Transport { get; }

    /// <summary>Where the payload begins.</summary>
    public int Payload { get; }

    /// <summary>Where the packet ends: there may be padding behind it.</summary>
    public int End { get; }

    /// <summary>Where the TCP or UDP checksum is, from the start of its header.</summary>
    public int ChecksumOffset => IsTcp ? TcpChecksumOffset : UdpChecksumOffset;

    private byte Protocol { get; }

    /// <summary>Finds one's way in a frame; false when it is of another kind, or its lengths contradict each other.</summary>
    public static bool TryFind(ReadOnlySpan<byte> frame, out SegmentLayout layout)
    {
        layout = default;
        if (frame.Length < EthernetHeader + TagSize + Header4)
        {
            return false;
        }

        bool isTagged = BinaryPrimitives.ReadUInt16BigEndian(frame[TypeOffset..]) == TypeTag;
        int tag = isTagged ? TagSize : 0;
        int start = EthernetHeader + tag;
        ReadOnlySpan<byte> packet = frame[start..];
        return BinaryPrimitives.ReadUInt16BigEndian(frame[(TypeOffset + tag)..]) switch
        {
            TypeInternet4 => TryFind4(packet, start, out layout),
            TypeInternet6 => TryFind6(packet, start, out layout),
            _ => false,
        };
    }

    /// <summary>The sum over the pseudo header of this frame's addresses.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="length">Bytes of header and payload.</param>
    public ulong PseudoHeader(ReadOnlySpan<byte> frame, int length)
    {
        ReadOnlySpan<byte> addresses = IsVersion6
            ? frame.Slice(Packet + Addresses6Offset, Addresses6Size)
            : frame.Slice(Packet + Addresses4Offset, Addresses4Size);
        return InternetChecksum.Add(InternetChecksum.Add(InternetChecksum.Add(0, addresses), Protocol), length);
    }

    /// <summary>Writes the packet's length into the headers of a frame with this layout, and makes them right.</summary>
    /// <param name="frame">From the frame's start to where the packet ends.</param>
    public void WriteLength(Span<byte> frame)
    {
        Span<byte> packet = frame[Packet..];
        if (IsVersion6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet[Length6Offset..], (ushort)(packet.Length - Header6));
            return;
        }

        BinaryPrimitives.WriteUInt16BigEndian(packet[Length4Offset..], (ushort)packet.Length);
        Span<byte> checksum = packet.Slice(Checksum4Offset, sizeof(ushort));
        checksum.Clear();
        InternetChecksum.Write(InternetChecksum.Add(0, packet[..(Transport - Packet)]), checksum);
    }

    private static bool TryFind4(ReadOnlySpan<byte> packet, int start, out SegmentLayout layout)
    {
        layout = default;
        int header = (packet[0] & 0xf) * sizeof(uint);
        int length = BinaryPrimitives.ReadUInt16BigEndian(packet[Length4Offset..]);
        bool isFragment = (BinaryPrimitives.ReadUInt16BigEndian(packet[FragmentOffset..]) & FragmentMask) != 0;
        return packet[0] >> 4 == 4 && header >= Header4 && length >= header && length <= packet.Length && !isFragment
            && TryFindPayload(packet[..length], start, isVersion6: false, packet[Protocol4Offset], header, out layout);
    }

    private static bool TryFind6(ReadOnlySpan<byte> packet, int start, out SegmentLayout layout)
    {
        layout = default;
        if (packet.Length < Header6 || packet[0] >> 4 != 6)
        {
            return false;
        }

        int length = Header6 + BinaryPrimitives.ReadUInt16BigEndian(packet[Length6Offset..]);
        if (length > packet.Length)
        {
            return false;
        }

        byte next = packet[Next6Offset];
        int place = Header6;
        while (next is HopByHop or Routing or DestinationOptions)
        {
            if (place + ExtensionUnit > length)
            {
                return false;
            }

            next = packet[place];
            place += (packet[place + 1] + 1) * ExtensionUnit;
        }

        return TryFindPayload(packet[..length], start, isVersion6: true, next, place, out layout);
    }

    private static bool TryFindPayload(
        ReadOnlySpan<byte> packet, int start, bool isVersion6, byte protocol, int transport, out SegmentLayout layout)
    {
        layout = default;
        int header = protocol switch
        {
            Tcp when transport + TcpHeader <= packet.Length => (packet[transport + TcpLengthOffset] >> 4) * sizeof(uint),
            Udp => UdpHeader,
            _ => 0,
        };
        if (header < (protocol == Tcp ? TcpHeader : UdpHeader) || transport + header > packet.Length)
        {
            return false;
        }

        layout = new SegmentLayout(isVersion6, protocol, start, start + transport, start + transport + header, start + packet.Length);
        return true;
    }
}
