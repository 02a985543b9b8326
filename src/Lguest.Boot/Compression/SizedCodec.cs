using System.Buffers.Binary;

namespace Lguest.Boot.Compression;

/// <summary>
/// A compression whose own format may not tell how much there is: the kernel's build adds that, four bytes, after the
/// payload (size_append in scripts/Makefile.lib).
/// </summary>
/// <param name="magic">What begins a payload.</param>
/// <param name="open">Makes a stream of the contents.</param>
internal sealed class SizedCodec(byte[] magic, Func<Stream, Stream> open) : IPayloadCodec
{
    /// <inheritdoc />
    public ReadOnlySpan<byte> Magic => magic;

    /// <inheritdoc />
    public MemoryStream? Unpack(Stream payload, long limit)
    {
        byte[] packed = new byte[payload.Length - payload.Position];
        payload.ReadExactly(packed);
        if (packed.Length < magic.Length + sizeof(uint))
        {
            throw new InvalidDataException("it ends too early");
        }

        int end = packed.Length - sizeof(uint);
        uint size = BinaryPrimitives.ReadUInt32LittleEndian(packed.AsSpan(end));
        if (size > limit)
        {
            return null;
        }

        var contents = new MemoryStream((int)size);
        try
        {
            using Stream from = open(new MemoryStream(packed, 0, end));
            CopyAtMost(from, contents, size);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Each library has its own exceptions for bad input, and some throw what they stumble over.
            throw new InvalidDataException(e.Message, e);
        }

        return contents.Length == size
            ? contents
            : throw new InvalidDataException($"it unpacks to {contents.Length} bytes instead of {size}");
    }

    private static void CopyAtMost(Stream from, MemoryStream to, uint size)
    {
        byte[] buffer = new byte[64 * 1024];
        int read;
        while (to.Length <= size && (read = from.Read(buffer)) > 0)
        {
            to.Write(buffer, 0, read);
        }
    }
}
