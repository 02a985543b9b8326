using System.Buffers.Binary;
using System.Globalization;
using System.IO.Hashing;
using Lguest.Cpu.Memory;

namespace Lguest.Host.Saving;

/// <summary>Writes a saved state: header, description, and from the next page on RAM, whose stretches of zeros are holes.</summary>
internal static class SavedStateWriter
{
    /// <summary>Bytes of RAM that are looked at, and written, at once.</summary>
    public const int Piece = 1 << 16;

    /// <summary>What has been written of each region.</summary>
    /// <param name="memory">Memory of the guest.</param>
    public static IReadOnlyList<SavedRegion> Describe(PhysicalMemory memory) =>
        [.. memory.Ram.Select(region => new SavedRegion(region.Address, region.Length, Hash(memory, region)))];

    /// <summary>Writes.</summary>
    /// <param name="output">Empty, and can be sought in.</param>
    /// <param name="memory">Memory of the guest.</param>
    /// <param name="guest">All else.</param>
    public static void Write(Stream output, PhysicalMemory memory, SavedStateDescription guest)
    {
        byte[] description = SavedStateFormat.Write(guest);
        var header = new SavedStateHeader(SavedStateHeader.ThisBuild, 0, description.Length, XxHash128.HashToUInt128(description));
        header = header with { FileLength = header.RamStart + guest.Regions.Sum(region => (long)region.Length) };
        Span<byte> bytes = stackalloc byte[SavedStateHeader.Size];
        header.Write(bytes);
        output.SetLength(header.FileLength);
        output.Write(bytes);
        output.Write(description);
        long offset = header.RamStart;
        foreach (SavedRegion region in guest.Regions)
        {
            WriteRegion(output, offset, memory, region);
            offset += (long)region.Length;
        }
    }

    /// <summary>Gives a piece of a region.</summary>
    /// <param name="offset">Where it begins, in the region.</param>
    /// <param name="length">Bytes.</param>
    public delegate ReadOnlySpan<byte> PieceReader(ulong offset, int length);

    private static string Text(UInt128 hash) => hash.ToString("x32", CultureInfo.InvariantCulture);

    /// <summary>
    /// The hash of a region, of which only those pieces count that aren't zero throughout, each with its place: most of RAM is zero, and
    /// that is seen much faster than it is hashed.
    /// </summary>
    /// <param name="length">Bytes of the region.</param>
    /// <param name="pieceAt">Gives a piece: where it begins and how long it is.</param>
    public static string Hash(ulong length, PieceReader pieceAt)
    {
        var hash = new XxHash128();
        Span<byte> place = stackalloc byte[sizeof(ulong)];
        for (ulong done = 0; done < length; done += Piece)
        {
            ReadOnlySpan<byte> piece = pieceAt(done, (int)Math.Min(Piece, length - done));
            if (piece.ContainsAnyExcept((byte)0))
            {
                BinaryPrimitives.WriteUInt64LittleEndian(place, done);
                hash.Append(place);
                hash.Append(piece);
            }
        }

        return Text(hash.GetCurrentHashAsUInt128());
    }

    private static void WriteRegion(Stream output, long offset, PhysicalMemory memory, SavedRegion region)
    {
        for (ulong done = 0; done < region.Length; done += Piece)
        {
            ReadOnlySpan<byte> piece = memory.Span(region.Address + done, (uint)Math.Min(Piece, region.Length - done));
            if (piece.ContainsAnyExcept((byte)0))
            {
                output.Position = offset + (long)done;
                output.Write(piece);
            }
        }
    }

    private static string Hash(PhysicalMemory memory, RamRegion region) =>
        Hash(region.Length, (offset, length) => memory.Span(region.Address + offset, (uint)length));
}
