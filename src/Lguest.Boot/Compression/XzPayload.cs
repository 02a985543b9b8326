using System.Buffers.Binary;
using System.IO.Hashing;
using System.Numerics;
using SharpCompress.Compressors.LZMA;

namespace Lguest.Boot.Compression;

/// <summary>
/// An XZ file as the kernel's build makes one (The .xz File Format 1.2): blocks of LZMA2, with or without the filter for
/// x86 code, and a CRC32 of each, which is the only check that a kernel knows.
/// </summary>
internal sealed class XzPayload
{
    private const int HeaderMagicSize = 6;
    private const int FlagsSize = 2;
    private const int Alignment = 4;

    private const int FilterCountMask = 3;
    private const int HasPackedSize = 0x40;
    private const int HasUnpackedSize = 0x80;
    private const int ReservedFlags = 0x3c;
    private const ulong FilterX86 = 4;
    private const ulong FilterLzma2 = 0x21;

    private const int MostDictionary = 40;
    private const int LeastDictionaryBits = 12;

    private readonly byte[] _packed;
    private readonly byte[] _contents;
    private readonly List<long> _sizes = [];
    private int _position;
    private int _unpacked;
    private int _checkSize;

    private XzPayload(byte[] packed, int size)
    {
        _packed = packed;
        _contents = new byte[size];
    }

    private static ReadOnlySpan<byte> FooterMagic => "YZ"u8;

    /// <summary>Unpacks a file.</summary>
    /// <param name="packed">It begins with the magic. What follows its footer is ignored.</param>
    /// <param name="size">Bytes that come out of it.</param>
    /// <exception cref="InvalidDataException">It is corrupt, truncated, or holds more or less than it should.</exception>
    public static MemoryStream Unpack(byte[] packed, int size)
    {
        var file = new XzPayload(packed, size);
        file.Unpack();
        return new MemoryStream(file._contents, 0, size, writable: false, publiclyVisible: true);
    }

    private void Unpack()
    {
        ReadOnlySpan<byte> flags = Take(HeaderMagicSize + FlagsSize)[HeaderMagicSize..];
        CheckCrc32(flags);
        _checkSize = (flags[0], flags[1]) switch
        {
            (0, 0) => 0,
            (0, 1) => sizeof(uint),
            _ => throw new InvalidDataException("its XZ check isn't CRC32, which is the only one that kernels know"),
        };
        while (Peek() != 0)
        {
            UnpackBlock();
        }

        int indexSize = ReadIndex();
        ReadFooter(flags, indexSize);
        if (_unpacked != _contents.Length)
        {
            throw new InvalidDataException($"it unpacks to {_unpacked} bytes instead of {_contents.Length}");
        }
    }

    private void UnpackBlock()
    {
        int start = _position;
        (uint? branchStart, byte dictionary) = ReadBlockHeader();
        var packed = new MemoryStream(_packed, _position, _packed.Length - _position);
        Span<byte> block = _contents.AsSpan(_unpacked);
        int length = 0;
        using (LzmaStream lzma = LzmaStream.Create([dictionary], packed, -1, -1, null, isLzma2: true, leaveOpen: true))
        {
            for (int read; (read = lzma.Read(_contents, _unpacked + length, block.Length - length)) > 0;)
            {
                length += read;
            }

            if (length == block.Length && lzma.ReadByte() >= 0)
            {
                throw new InvalidDataException($"it unpacks to more than {_contents.Length} bytes");
            }
        }

        block = block[..length];
        _position += (int)packed.Position;
        long unpadded = _position - start + _checkSize;
        TakePadding(start);
        if (branchStart is { } address)
        {
            X86BranchFilter.Decode(block, address);
        }

        if (_checkSize != 0)
        {
            CheckCrc32(block);
        }

        _unpacked += length;
        _sizes.AddRange([unpadded, length]);
    }

    // What the x86 filter counts from, if there is one, and the dictionary's size in LZMA2's way.
    private (uint? BranchStart, byte Dictionary) ReadBlockHeader()
    {
        int size = (Peek() + 1) * Alignment;
        int start = _position;
        int flags = Take(2)[1];
        if ((flags & ReservedFlags) != 0)
        {
            throw new InvalidDataException("its XZ block has reserved flags");
        }

        for (int sizes = BitOperations.PopCount((uint)(flags & (HasPackedSize | HasUnpackedSize))); sizes > 0; sizes--)
        {
            TakeNumber();
        }

        uint? branchStart = null;
        int filters = (flags & FilterCountMask) + 1;
        ReadOnlySpan<byte> properties = TakeFilter(out ulong filter);
        if (filters == 2 && filter == FilterX86 && properties.Length is 0 or sizeof(uint))
        {
            branchStart = properties.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(properties);
            properties = TakeFilter(out filter);
            filters--;
        }

        if (filters != 1 || filter != FilterLzma2 || properties.Length != 1)
        {
            throw new InvalidDataException("it uses a filter of XZ that no kernel for x86 does");
        }

        byte dictionary = SmallestDictionary(properties[0]);
        int padding = start + size - sizeof(uint) - _position;
        if (padding < 0 || Take(padding).ContainsAnyExcept((byte)0))
        {
            throw new InvalidDataException("its XZ block's header has a wrong size");
        }

        CheckCrc32(_packed.AsSpan(start, size - sizeof(uint)));
        return (branchStart, dictionary);
    }

    /// <summary>
    /// A dictionary that is no larger than the contents: what the packer's settings ask for is often much more, and memory
    /// is taken for all of it.
    /// </summary>
    private byte SmallestDictionary(byte wanted)
    {
        if (wanted > MostDictionary)
        {
            throw new InvalidDataException($"it asks for an LZMA2 dictionary of size {wanted}, and {MostDictionary} is the largest");
        }

        byte enough = 0;
        while (enough < wanted && DictionarySize(enough) < (ulong)_contents.Length)
        {
            enough++;
        }

        return enough;
    }

    // 4 KiB, 6 KiB, 8 KiB, 12 KiB, ...
    private static ulong DictionarySize(int coded) => (2UL | (uint)(coded & 1)) << ((coded / 2) + LeastDictionaryBits - 1);

    // The sizes of all blocks once more.
    private int ReadIndex()
    {
        int start = _position;
        Take(1);
        bool agrees = TakeNumber() == (ulong)_sizes.Count / 2;
        for (int i = 0; agrees && i < _sizes.Count; i++)
        {
            agrees = TakeNumber() == (ulong)_sizes[i];
        }

        if (!agrees)
        {
            throw new InvalidDataException("its XZ index doesn't agree with its blocks");
        }

        TakePadding(start);
        CheckCrc32(_packed.AsSpan(start, _position - start));
        return _position - start;
    }

    private void ReadFooter(ReadOnlySpan<byte> flags, int indexSize)
    {
        uint expected = BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));
        ReadOnlySpan<byte> checkedPart = Take(sizeof(uint) + FlagsSize);
        bool isGood = Crc32.HashToUInt32(checkedPart) == expected
            && (BinaryPrimitives.ReadUInt32LittleEndian(checkedPart) + 1UL) * Alignment == (ulong)indexSize
            && checkedPart[sizeof(uint)..].SequenceEqual(flags)
            && Take(FooterMagic.Length).SequenceEqual(FooterMagic);
        if (!isGood)
        {
            throw new InvalidDataException("its XZ footer is wrong");
        }
    }

    private ReadOnlySpan<byte> TakeFilter(out ulong filter)
    {
        filter = TakeNumber();
        ulong size = TakeNumber();
        return Take((int)Math.Min(size, int.MaxValue));
    }

    // Seven bits a byte, the lowest first; bit 7 says that there are more.
    private ulong TakeNumber()
    {
        const int MostBits = 63;
        ulong number = 0;
        for (int shift = 0; shift < MostBits; shift += 7)
        {
            byte next = Take(1)[0];
            number |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return number;
            }
        }

        throw new InvalidDataException("it has a number that is too large for XZ");
    }

    private void TakePadding(int start)
    {
        int over = (_position - start) % Alignment;
        if (over != 0 && Take(Alignment - over).ContainsAnyExcept((byte)0))
        {
            throw new InvalidDataException("its XZ padding isn't zero");
        }
    }

    private void CheckCrc32(ReadOnlySpan<byte> bytes)
    {
        if (Crc32.HashToUInt32(bytes) != BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint))))
        {
            throw new InvalidDataException("its checksum is wrong");
        }
    }

    private byte Peek() => _position < _packed.Length ? _packed[_position] : throw TooEarly();

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length > _packed.Length - _position)
        {
            throw TooEarly();
        }

        _position += length;
        return _packed.AsSpan(_position - length, length);
    }

    private static InvalidDataException TooEarly() => new("it ends too early");
}
