using System.Buffers.Binary;
using K4os.Compression.LZ4;

namespace Lguest.Boot.Compression;

/// <summary>
/// LZ4's legacy frame, which is what <c>lz4 -l</c> makes for the kernel: after the magic, blocks with their packed sizes
/// before them, each of 8 MiB when unpacked but for the last (LZ4 Frame Format Description, "Legacy frame").
/// </summary>
internal sealed class Lz4LegacyStream : Stream
{
    private const int MagicSize = 4;
    private const int BlockSize = 8 << 20;

    private readonly Stream _packed;
    private readonly byte[] _block = new byte[BlockSize];
    private int _position;
    private int _length;

    /// <summary>Takes a stream at its magic, and closes it in the end.</summary>
    public Lz4LegacyStream(Stream packed)
    {
        _packed = packed;
        packed.Seek(MagicSize, SeekOrigin.Current);
    }

    /// <inheritdoc />
    public override bool CanRead => true;

    /// <inheritdoc />
    public override bool CanSeek => false;

    /// <inheritdoc />
    public override bool CanWrite => false;

    /// <inheritdoc />
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc />
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc />
    public override int Read(byte[] buffer, int offset, int count)
    {
        if (_position == _length && !ReadBlock())
        {
            return 0;
        }

        int length = Math.Min(count, _length - _position);
        _block.AsSpan(_position, length).CopyTo(buffer.AsSpan(offset));
        _position += length;
        return length;
    }

    /// <inheritdoc />
    public override void Flush()
    {
    }

    /// <inheritdoc />
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc />
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc />
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _packed.Dispose();
        }

        base.Dispose(disposing);
    }

    private bool ReadBlock()
    {
        Span<byte> size = stackalloc byte[sizeof(uint)];
        if (_packed.ReadAtLeast(size, size.Length, throwOnEndOfStream: false) < size.Length)
        {
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(size);
        if (length > _packed.Length - _packed.Position)
        {
            throw new InvalidDataException("a block goes beyond its end");
        }

        byte[] packed = new byte[length];
        _packed.ReadExactly(packed);
        _length = LZ4Codec.Decode(packed, _block);
        _position = 0;
        return _length > 0 ? true : throw new InvalidDataException("a block can't be unpacked");
    }
}
