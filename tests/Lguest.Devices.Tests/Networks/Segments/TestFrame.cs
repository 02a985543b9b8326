using System.Buffers.Binary;
using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Segments;

namespace Lguest.Devices.Tests.Networks.Segments;

/// <summary>Frames with TCP and UDP in them, made and checked in the plainest way.</summary>
internal static class TestFrame
{
    public const int Tcp = 6;
    public const int Udp = 17;
    public const byte Ack = 0x10;
    public const byte PushAck = 0x18;
    public const byte FinPushAckCwr = 0x99;

    private const int Ethernet = 14;

    /// <summary>Makes a frame whose checksum is that of the pseudo header alone.</summary>
    public static byte[] Unfinished(
        int payload, bool isVersion6 = false, int protocol = Tcp, byte flags = Ack, uint sequence = 1000, ushort id = 7, int options = 12, int extension = 0)
    {
        byte[] frame = Make(payload, isVersion6, protocol, flags, sequence, id, options, extension);
        ushort sum = (ushort)~Checksum(PseudoHeader(frame));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(ChecksumPlace(frame)), sum);
        return frame;
    }

    /// <summary>Makes a frame as it goes over a cable.</summary>
    public static byte[] Finished(int payload, byte flags = Ack, uint sequence = 1000, ushort id = 7, int options = 12)
    {
        byte[] frame = Make(payload, isVersion6: false, Tcp, flags, sequence, id, options, extension: 0);
        ushort sum = Checksum([.. PseudoHeader(frame), .. frame[Transport(frame)..]]);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(ChecksumPlace(frame)), sum);
        return frame;
    }

    /// <summary>Sees that all checksums and lengths of a frame are right.</summary>
    public static void AssertRight(ReadOnlySpan<byte> span)
    {
        byte[] frame = span.ToArray();
        if (IsVersion6(frame))
        {
            Assert.Equal(frame.Length - Ethernet - 40, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(Ethernet + 4)));
        }
        else
        {
            Assert.Equal(frame.Length - Ethernet, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(Ethernet + 2)));
            Assert.Equal(0, Checksum(frame[Ethernet..Transport(frame)]));
        }

        Assert.Equal(0, Checksum([.. PseudoHeader(frame), .. frame[Transport(frame)..]]));
    }

    /// <summary>Has the splitter make all frames of a segment.</summary>
    public static List<byte[]> Split(byte[] segment, int largest)
    {
        var frames = new List<byte[]>();
        var room = new byte[IPacketPort.LongestFrame];
        Assert.True(SegmentSplitter.TryBegin(segment, largest, out SegmentSplitter splitter));
        while (!splitter.IsAtEnd)
        {
            frames.Add(room[..splitter.Next(segment, room)]);
        }

        return frames;
    }

    public static uint Sequence(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadUInt32BigEndian(frame[(Transport(frame) + 4)..]);

    public static byte Flags(ReadOnlySpan<byte> frame) => frame[Transport(frame) + 13];

    public static int Identification(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadUInt16BigEndian(frame[(Ethernet + 4)..]);

    public static byte[] Payload(ReadOnlySpan<byte> frame) => frame[(Transport(frame) + TransportHeader(frame))..].ToArray();

    private static byte[] Make(
        int payload, bool isVersion6, int protocol, byte flags, uint sequence, ushort id, int options, int extension)
    {
        int network = isVersion6 ? 40 + extension : 20;
        int header = protocol == Tcp ? 20 + options : 8;
        var frame = new byte[Ethernet + network + header + payload];
        frame.AsSpan(0, 12).Fill(2);
        Span<byte> packet = frame.AsSpan(Ethernet);
        if (isVersion6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), 0x86dd);
            packet[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(packet.Length - 40));
            packet[6] = (byte)(extension > 0 ? 60 : protocol);
            packet[7] = 64;
            packet[8..40].Fill(0xfd);
            if (extension > 0)
            {
                packet[40] = (byte)protocol;
                packet[41] = (byte)((extension / 8) - 1);
            }
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), 0x0800);
            packet[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
            BinaryPrimitives.WriteUInt16BigEndian(packet[4..], id);
            packet[6] = 0x40;
            packet[8] = 64;
            packet[9] = (byte)protocol;
            packet[12..20].Fill(10);
            BinaryPrimitives.WriteUInt16BigEndian(packet[10..], Checksum(packet[..20].ToArray()));
        }

        Span<byte> transport = packet[network..];
        BinaryPrimitives.WriteUInt16BigEndian(transport, 4000);
        BinaryPrimitives.WriteUInt16BigEndian(transport[2..], 80);
        if (protocol == Tcp)
        {
            BinaryPrimitives.WriteUInt32BigEndian(transport[4..], sequence);
            transport[12] = (byte)(header / 4 << 4);
            transport[13] = flags;
            BinaryPrimitives.WriteUInt16BigEndian(transport[14..], 501);
            transport[20..header].Fill(1);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(transport[4..], (ushort)transport.Length);
        }

        for (int i = 0; i < payload; i++)
        {
            transport[header + i] = (byte)(((i + sequence) * 31) + ((i + sequence) >> 8));
        }

        return frame;
    }

    private static bool IsVersion6(ReadOnlySpan<byte> frame) => frame[12] == 0x86;

    private static int Transport(ReadOnlySpan<byte> frame) =>
        Ethernet + (!IsVersion6(frame) ? 20 : frame[Ethernet + 6] == 60 ? 40 + ((frame[Ethernet + 41] + 1) * 8) : 40);

    private static int Protocol(ReadOnlySpan<byte> frame) =>
        !IsVersion6(frame) ? frame[Ethernet + 9] : frame[Ethernet + 6] == 60 ? frame[Ethernet + 40] : frame[Ethernet + 6];

    private static int TransportHeader(ReadOnlySpan<byte> frame) => Protocol(frame) == Tcp ? (frame[Transport(frame) + 12] >> 4) * 4 : 8;

    private static int ChecksumPlace(ReadOnlySpan<byte> frame) => Transport(frame) + (Protocol(frame) == Tcp ? 16 : 6);

    private static byte[] PseudoHeader(byte[] frame)
    {
        int length = frame.Length - Transport(frame);
        byte[] addresses = IsVersion6(frame) ? frame[(Ethernet + 8)..(Ethernet + 40)] : frame[(Ethernet + 12)..(Ethernet + 20)];
        return [.. addresses, 0, 0, (byte)(length >> 8), (byte)length, 0, 0, 0, (byte)Protocol(frame)];
    }

    private static ushort Checksum(byte[] bytes)
    {
        uint sum = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            sum += i % 2 == 0 ? (uint)bytes[i] << 8 : bytes[i];
            sum = (sum & 0xffff) + (sum >> 16);
        }

        return (ushort)~sum;
    }
}
