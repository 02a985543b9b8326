using System.Buffers.Binary;
using System.Text;

namespace Lguest.Tests.Networks;

/// <summary>A frame in a recording.</summary>
/// <param name="Interface">The network's place.</param>
/// <param name="IsOutbound">Whether the guest sent it.</param>
/// <param name="Length">Its bytes.</param>
internal sealed record RecordedFrame(int Interface, bool IsOutbound, int Length);

/// <summary>Reads what --pcap writes, and sees that it is whole.</summary>
internal static class Recording
{
    private const uint SectionHeader = 0x0a0d0d0a;
    private const uint InterfaceDescription = 1;
    private const uint EnhancedPacket = 6;
    private const int FlagsFromEnd = 12;
    private const uint Outbound = 2;

    /// <summary>Reads a file.</summary>
    public static List<RecordedFrame> Read(string path, out string[] interfaces)
    {
        var frames = new List<RecordedFrame>();
        var names = new List<string>();
        ReadOnlySpan<byte> rest = File.ReadAllBytes(path);
        Assert.Equal(SectionHeader, Word(rest, 0));
        while (!rest.IsEmpty)
        {
            int length = (int)Word(rest, 4);
            Assert.InRange(length, 12, rest.Length);
            ReadOnlySpan<byte> block = rest[..length];
            Assert.Equal((uint)length, Word(block, length - 4));
            switch (Word(block, 0))
            {
                case InterfaceDescription:
                    names.Add(Encoding.ASCII.GetString(block.Slice(20, BinaryPrimitives.ReadUInt16LittleEndian(block[18..]))));
                    break;
                case EnhancedPacket:
                    frames.Add(new RecordedFrame((int)Word(block, 8), Word(block, length - FlagsFromEnd) == Outbound, (int)Word(block, 20)));
                    break;
                default:
                    Assert.Equal(SectionHeader, Word(block, 0));
                    break;
            }

            rest = rest[length..];
        }

        interfaces = [.. names];
        return frames;
    }

    private static uint Word(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);
}
