using System.Buffers;
using System.Text;

namespace Lguest.Boot.Images;

/// <summary>Texts in a kernel that say what it is, from one pass over what goes into memory.</summary>
/// <param name="Entries">The places after each <c>GenuineLguest</c>.</param>
/// <param name="Banner">The first <c>Linux version N...</c>, to the end of the line.</param>
/// <param name="NamesLguest">Whether there is the name <c>lguest</c>, by which kernels from 2.6.24 to 4.13 call what they run on.</param>
/// <param name="ConfigurationOffset">Where the packed configuration begins in the kernel's contents.</param>
internal sealed record KernelTexts(IReadOnlyList<SignedEntry> Entries, string? Banner, bool NamesLguest, long? ConfigurationOffset)
{
    private const int PieceSize = 64 * 1024;
    private const int LongestBanner = 512;

    private static ReadOnlySpan<byte> Signature => "GenuineLguest"u8;

    private static ReadOnlySpan<byte> Name => "\0lguest\0"u8;

    private static ReadOnlySpan<byte> BannerStart => "Linux version "u8;

    // The byte after it is gzip's first: code that only names the marker isn't meant.
    private static ReadOnlySpan<byte> ConfigurationStart => "IKCFG_ST\u001f"u8;

    /// <summary>Looks for them.</summary>
    public static KernelTexts Find(KernelImage image)
    {
        var entries = new List<SignedEntry>();
        long? banner = null;
        bool namesLguest = false;
        long? configuration = null;
        int overlap = Math.Max(Signature.Length, BannerStart.Length + 1) - 1;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(PieceSize);
        foreach (KernelSegment segment in image.Segments)
        {
            for (int at = 0; at < segment.FileSize;)
            {
                Span<byte> piece = buffer.AsSpan(0, Math.Min(PieceSize, segment.FileSize - at));
                if (!image.TryRead(segment.Offset + at, piece))
                {
                    image.ThrowTruncated("a segment");
                }

                foreach (int found in All(piece, Signature))
                {
                    var entry = new SignedEntry(segment.PhysicalAddress + (uint)(at + found + Signature.Length));
                    if (entries.Count == 0 || entries[^1] != entry)
                    {
                        entries.Add(entry);
                    }
                }

                namesLguest = namesLguest || piece.IndexOf(Name) >= 0;
                banner ??= FirstBanner(piece) is { } line ? segment.Offset + at + line : null;
                configuration ??= piece.IndexOf(ConfigurationStart) is >= 0 and int start
                    ? segment.Offset + at + start + ConfigurationStart.Length - 1
                    : null;
                at += at + piece.Length < segment.FileSize ? piece.Length - overlap : piece.Length;
            }
        }

        ArrayPool<byte>.Shared.Return(buffer);
        return new KernelTexts(entries, banner is { } place ? ReadLine(image, place) : null, namesLguest, configuration);
    }

    private static List<int> All(ReadOnlySpan<byte> piece, ReadOnlySpan<byte> pattern)
    {
        var places = new List<int>();
        for (int from = 0, found; (found = piece[from..].IndexOf(pattern)) >= 0; from += found + pattern.Length)
        {
            places.Add(from + found);
        }

        return places;
    }

    // One with a number: the words alone are in other messages too.
    private static int? FirstBanner(ReadOnlySpan<byte> piece)
    {
        foreach (int place in All(piece, BannerStart))
        {
            int number = place + BannerStart.Length;
            if (number < piece.Length && char.IsAsciiDigit((char)piece[number]))
            {
                return place;
            }
        }

        return null;
    }

    private static string ReadLine(KernelImage image, long offset)
    {
        Span<byte> line = stackalloc byte[(int)Math.Min(LongestBanner, image.Length - offset)];
        image.TryRead(offset, line);
        int end = line.IndexOfAny((byte)'\n', (byte)0);
        return Printable(end < 0 ? line : line[..end]);
    }

    /// <summary>Bytes of a kernel as a text that does nothing to a terminal.</summary>
    public static string Printable(ReadOnlySpan<byte> bytes)
    {
        const char Unprintable = '.';
        var text = new StringBuilder(bytes.Length);
        foreach (byte each in bytes)
        {
            text.Append(char.IsBetween((char)each, ' ', '~') ? (char)each : Unprintable);
        }

        return text.ToString();
    }
}
