using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;

namespace Lguest.Boot.Compression;

/// <summary>gzip (RFC 1952): one member, whatever follows it.</summary>
/// <remarks>
/// <see cref="GZipStream"/> would take bytes after the member for the next one if they looked like it, so
/// header and trailer are read here, and only the deflate stream between them is the library's. It doesn't
/// tell where that stream ended, only what it has read in vain at most: the trailer is looked for there.
/// </remarks>
internal sealed class GzipCodec : IPayloadCodec
{
    private const int HeaderSize = 10;
    private const int FlagsOffset = 3;
    private const int TrailerSize = 8;

    // No less than what DeflateStream reads at once.
    private const int ReadAhead = 64 * 1024;

    [Flags]
    private enum Fields : byte
    {
        HeaderChecksum = 2,
        Extra = 4,
        Name = 8,
        Comment = 16,
        Reserved = 0xe0,
    }

    /// <inheritdoc />
    public MemoryStream? Unpack(Stream payload, long limit)
    {
        SkipHeader(payload);
        var contents = new MemoryStream(capacity: (int)Math.Min(limit, 4 * (payload.Length - payload.Position)));
        using (var deflate = new DeflateStream(payload, CompressionMode.Decompress, leaveOpen: true))
        {
            if (!CopyAtMost(deflate, contents, limit))
            {
                return null;
            }
        }

        CheckTrailer(payload, contents);
        contents.Position = 0;
        return contents;
    }

    private static void SkipHeader(Stream payload)
    {
        Span<byte> header = stackalloc byte[HeaderSize];
        ReadWhole(payload, header);
        var fields = (Fields)header[FlagsOffset];
        if ((fields & Fields.Reserved) != 0)
        {
            throw new InvalidDataException("its gzip header has reserved flags");
        }

        if (fields.HasFlag(Fields.Extra))
        {
            Span<byte> length = stackalloc byte[sizeof(ushort)];
            ReadWhole(payload, length);
            payload.Seek(BinaryPrimitives.ReadUInt16LittleEndian(length), SeekOrigin.Current);
        }

        for (int strings = (fields.HasFlag(Fields.Name) ? 1 : 0) + (fields.HasFlag(Fields.Comment) ? 1 : 0); strings > 0; strings--)
        {
            SkipString(payload);
        }

        if (fields.HasFlag(Fields.HeaderChecksum))
        {
            payload.Seek(sizeof(ushort), SeekOrigin.Current);
        }
    }

    private static void SkipString(Stream payload)
    {
        int next;
        do
        {
            next = payload.ReadByte();
        }
        while (next > 0);
        if (next < 0)
        {
            throw new InvalidDataException("it ends inside its gzip header");
        }
    }

    private static bool CopyAtMost(DeflateStream from, MemoryStream to, long limit)
    {
        byte[] buffer = new byte[64 * 1024];
        int read;
        while ((read = from.Read(buffer)) > 0)
        {
            if (to.Length + read > limit)
            {
                return false;
            }

            to.Write(buffer, 0, read);
        }

        return true;
    }

    private static void CheckTrailer(Stream payload, MemoryStream contents)
    {
        ReadOnlySpan<byte> bytes = contents.GetBuffer().AsSpan(0, (int)contents.Length);
        Span<byte> trailer = stackalloc byte[TrailerSize];
        BinaryPrimitives.WriteUInt32LittleEndian(trailer, Crc32.HashToUInt32(bytes));
        BinaryPrimitives.WriteUInt32LittleEndian(trailer[sizeof(uint)..], (uint)bytes.Length);

        byte[] tail = new byte[ReadAhead + TrailerSize];
        payload.Position = Math.Max(0, payload.Position - ReadAhead);
        int length = payload.ReadAtLeast(tail, tail.Length, throwOnEndOfStream: false);
        if (tail.AsSpan(0, length).IndexOf(trailer) < 0)
        {
            throw new InvalidDataException("its checksum is wrong");
        }
    }

    private static void ReadWhole(Stream payload, Span<byte> destination)
    {
        if (payload.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false) < destination.Length)
        {
            throw new InvalidDataException("it ends too early");
        }
    }
}
