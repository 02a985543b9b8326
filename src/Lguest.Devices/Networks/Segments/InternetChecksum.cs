using System.Numerics;
using System.Runtime.InteropServices;

namespace Lguest.Devices.Networks.Segments;

/// <summary>The checksum of IP, TCP and UDP: the complement of a ones' complement sum of 16-bit words (RFC 1071).</summary>
/// <remarks>
/// It comes out in the order in which it went in, so words are taken as the host has them and the sum is stored the same way.
/// </remarks>
internal static class InternetChecksum
{
    /// <summary>Adds bytes to a sum. An odd last byte is followed by a zero: only the last piece may have one.</summary>
    public static ulong Add(ulong sum, ReadOnlySpan<byte> bytes)
    {
        // 32-bit lanes of words: none overflows, as a packet has fewer than 65,536 of them.
        ReadOnlySpan<Vector<ushort>> vectors = MemoryMarshal.Cast<byte, Vector<ushort>>(bytes);
        Vector<uint> low = Vector<uint>.Zero;
        Vector<uint> high = Vector<uint>.Zero;
        foreach (Vector<ushort> vector in vectors)
        {
            low += Vector.WidenLower(vector);
            high += Vector.WidenUpper(vector);
        }

        sum += Vector.Sum(low) + (ulong)Vector.Sum(high);
        bytes = bytes[(vectors.Length * Vector<byte>.Count)..];
        foreach (ushort word in MemoryMarshal.Cast<byte, ushort>(bytes))
        {
            sum += word;
        }

        return bytes.Length % sizeof(ushort) == 0 ? sum : sum + Word(bytes[^1], 0);
    }

    /// <summary>Adds a number of 16 bits that stands in the packet in the network's order.</summary>
    public static ulong Add(ulong sum, int number) => sum + Word((byte)(number >> 8), (byte)number);

    /// <summary>Writes the sum itself, as is done with that of a pseudo header.</summary>
    public static void WriteSum(ulong sum, Span<byte> field) => BitConverter.TryWriteBytes(field, Fold(sum));

    /// <summary>Writes the checksum of a sum.</summary>
    public static void Write(ulong sum, Span<byte> field) => BitConverter.TryWriteBytes(field, (ushort)~Fold(sum));

    private static ushort Word(byte first, byte second) => (ushort)(BitConverter.IsLittleEndian ? first | (second << 8) : (first << 8) | second);

    private static ushort Fold(ulong sum)
    {
        while (sum > ushort.MaxValue)
        {
            sum = (sum & ushort.MaxValue) + (sum >> 16);
        }

        return (ushort)sum;
    }
}
