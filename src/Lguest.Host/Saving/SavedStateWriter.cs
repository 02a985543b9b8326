using System.Globalization;
using System.IO.Hashing;
using System.Text.Json;
using Lguest.Cpu.Memory;

namespace Lguest.Host.Saving;

/// <summary>Writes a saved state: header, description, and from the next page on RAM, whose stretches of zeros are holes.</summary>
internal static class SavedStateWriter
{
    private const int Piece = 1 << 16;

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
        byte[] description = JsonSerializer.SerializeToUtf8Bytes(guest, SavedStateJson.Default.SavedStateDescription);
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

    /// <summary>A hash as it is written.</summary>
    public static string Text(UInt128 hash) => hash.ToString("x32", CultureInfo.InvariantCulture);

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

    private static string Hash(PhysicalMemory memory, RamRegion region)
    {
        var hash = new XxHash128();
        for (ulong done = 0; done < region.Length; done += Piece)
        {
            hash.Append(memory.Span(region.Address + done, (uint)Math.Min(Piece, region.Length - done)));
        }

        return Text(hash.GetCurrentHashAsUInt128());
    }
}
