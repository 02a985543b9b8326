using System.Buffers.Binary;

namespace Lguest.Boot.Compression;

/// <summary>
/// A compression whose own format may not tell how much there is: the kernel's build adds that, four bytes, after the
/// payload (size_append in scripts/Makefile.lib).
/// </summary>
/// <param name="unpack">Unpacks one, given how many bytes come out of it; what it throws says that the payload is bad.</param>
internal sealed class SizedCodec(Func<byte[], int, MemoryStream> unpack) : IPayloadCodec
{
    /// <summary>Unpacks by a stream of a library's.</summary>
    /// <param name="open">Makes a stream of the contents.</param>
    public static Func<byte[], int, MemoryStream> Through(Func<Stream, Stream> open) => (packed, size) =>
    {
        var contents = new MemoryStream(size);
        using Stream from = open(new MemoryStream(packed));
        CopyAtMost(from, contents, size);
        return contents.Length == size
            ? contents
            : throw new InvalidDataException($"it unpacks to {contents.Length} bytes instead of {size}");
    };

    /// <inheritdoc />
    public MemoryStream? Unpack(Stream payload, long limit)
    {
        long length = payload.Length - payload.Position - sizeof(uint);
        if (length < 0)
        {
            throw new InvalidDataException("it ends too early");
        }

        byte[] packed = new byte[length];
        payload.ReadExactly(packed);
        Span<byte> size = stackalloc byte[sizeof(uint)];
        payload.ReadExactly(size);
        uint unpackedSize = BinaryPrimitives.ReadUInt32LittleEndian(size);
        if (unpackedSize > limit)
        {
            return null;
        }

        try
        {
            return unpack(packed, (int)unpackedSize);
        }
        catch (Exception e) when (e is not (OutOfMemoryException or InvalidDataException))
        {
            // Each library has its own exceptions for bad input, and some throw what they stumble over.
            throw new InvalidDataException(e.Message, e);
        }
    }

    private static void CopyAtMost(Stream from, MemoryStream to, int size)
    {
        byte[] buffer = new byte[64 * 1024];
        int read;
        while (to.Length <= size && (read = from.Read(buffer)) > 0)
        {
            to.Write(buffer, 0, read);
        }
    }
}
