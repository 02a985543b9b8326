using System.Buffers.Binary;

namespace Lguest.Boot.Formats;

/// <summary>What is needed of a section header (Elf32_Shdr).</summary>
/// <param name="Type">sh_type.</param>
/// <param name="Offset">sh_offset.</param>
/// <param name="Size">sh_size.</param>
/// <param name="Link">sh_link: of a symbol table, the section with the names.</param>
internal sealed record ElfSection(uint Type, uint Offset, uint Size, uint Link)
{
    /// <summary>SHT_SYMTAB.</summary>
    public const uint SymbolTable = 2;

    private const int HeaderSize = 40;
    private const int FileHeaderSize = 52;
    private const int TableOffset = 32;
    private const int EntrySizeOffset = 46;
    private const int CountOffset = 48;

    /// <summary>Reads the section headers of an ELF file, as many as there are.</summary>
    public static IEnumerable<ElfSection> ReadAll(Images.ImageFile file)
    {
        for (int i = 0; TryRead(file, i) is { } section; i++)
        {
            yield return section;
        }
    }

    /// <summary>Reads one section header; null when there isn't one of this number.</summary>
    public static ElfSection? TryRead(Images.ImageFile file, int index)
    {
        Span<byte> header = stackalloc byte[FileHeaderSize];
        if (!file.TryRead(0, header)
            || !header.StartsWith(ElfFormat.Magic)
            || index >= BinaryPrimitives.ReadUInt16LittleEndian(header[CountOffset..])
            || BinaryPrimitives.ReadUInt16LittleEndian(header[EntrySizeOffset..]) != HeaderSize)
        {
            return null;
        }

        uint table = BinaryPrimitives.ReadUInt32LittleEndian(header[TableOffset..]);
        Span<byte> section = stackalloc byte[HeaderSize];
        return file.TryRead(table + ((long)index * HeaderSize), section)
            ? new ElfSection(
                BinaryPrimitives.ReadUInt32LittleEndian(section[4..]),
                BinaryPrimitives.ReadUInt32LittleEndian(section[16..]),
                BinaryPrimitives.ReadUInt32LittleEndian(section[20..]),
                BinaryPrimitives.ReadUInt32LittleEndian(section[24..]))
            : null;
    }
}
