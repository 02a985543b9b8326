using System.Buffers.Binary;
using System.Text;

namespace Lguest.Insight.Symbols;

/// <summary>The symbols of an ELF file: of <c>vmlinux</c>, if it isn't stripped (System V ABI, "Symbol Table").</summary>
public static class ElfSymbolFile
{
    private const int HeaderSize = 52;
    private const int SectionHeaderSize = 40;
    private const int SymbolSize = 16;
    private const uint SymbolTableType = 2;
    private const uint ExecutableFlag = 4;
    private const int LargestTable = 256 << 20;

    private const ushort Undefined = 0;
    private const ushort FirstReserved = 0xff00;
    private const ushort Absolute = 0xfff1;
    private const int TypeMask = 15;
    private const int NoType = 0;
    private const int Function = 2;
    private const int HighestNamed = 2;

    /// <summary>Reads them.</summary>
    /// <param name="file">The file; it can be sought in.</param>
    /// <param name="description">What it is called, for messages.</param>
    /// <param name="shift">By how many bytes lower than it is linked for it was loaded.</param>
    /// <exception cref="SymbolException">It isn't a 32-bit little-endian ELF file, is cut short, or has no symbols.</exception>
    public static SymbolTable Read(Stream file, string description, uint shift = 0)
    {
        try
        {
            return new SymbolTable(ReadAll(file, description, shift));
        }
        catch (EndOfStreamException e)
        {
            throw new SymbolException($"{description} is truncated: copy or build it again", e);
        }
        catch (IOException e)
        {
            throw new SymbolException($"{description} cannot be read: {e.Message.TrimEnd('.')}", e);
        }
    }

    private static List<Symbol> ReadAll(Stream file, string description, uint shift)
    {
        byte[] header = Read(file, 0, HeaderSize, description);
        if (!header.AsSpan().StartsWith("\u007fELF\u0001\u0001"u8))
        {
            throw new SymbolException($"{description} is not a 32-bit little-endian ELF file: give vmlinux or System.map of the kernel's build folder");
        }

        uint sectionsAt = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(32));
        int sectionSize = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(46));
        int sectionCount = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(48));
        if (sectionsAt == 0 || sectionCount == 0 || sectionSize != SectionHeaderSize)
        {
            throw NoSymbols(description);
        }

        byte[] sections = Read(file, sectionsAt, sectionCount * SectionHeaderSize, description);
        for (int i = 0; i < sectionCount; i++)
        {
            ReadOnlySpan<byte> section = sections.AsSpan(i * SectionHeaderSize, SectionHeaderSize);
            if (Word(section, 1) == SymbolTableType)
            {
                return ReadTable(file, description, sections, sectionCount, section, shift);
            }
        }

        throw NoSymbols(description);
    }

    private static List<Symbol> ReadTable(
        Stream file, string description, byte[] sections, int sectionCount, ReadOnlySpan<byte> table, uint shift)
    {
        uint namesIndex = Word(table, 6);
        if (namesIndex >= sectionCount)
        {
            throw NoSymbols(description);
        }

        ReadOnlySpan<byte> names = sections.AsSpan((int)namesIndex * SectionHeaderSize, SectionHeaderSize);
        byte[] symbols = Read(file, Word(table, 4), Word(table, 5), description);
        byte[] strings = Read(file, Word(names, 4), Word(names, 5), description);
        var result = new List<Symbol>(symbols.Length / SymbolSize);
        for (int at = 0; at + SymbolSize <= symbols.Length; at += SymbolSize)
        {
            ReadOnlySpan<byte> symbol = symbols.AsSpan(at, SymbolSize);
            int type = symbol[12] & TypeMask;
            ushort section = BinaryPrimitives.ReadUInt16LittleEndian(symbol[14..]);
            string name = NameAt(strings, Word(symbol, 0));
            bool isPlaced = section != Undefined && (section < FirstReserved || section == Absolute);
            if (!isPlaced || name.Length == 0 || type > HighestNamed)
            {
                continue;
            }

            bool isCode = type == Function || (type == NoType && IsExecutable(sections, sectionCount, section));
            result.Add(new Symbol(name, Word(symbol, 1) - shift, Word(symbol, 2), isCode));
        }

        return result.Count > 0 ? result : throw NoSymbols(description);
    }

    private static bool IsExecutable(byte[] sections, int count, ushort section) =>
        section < count && (Word(sections.AsSpan(section * SectionHeaderSize), 2) & ExecutableFlag) != 0;

    private static string NameAt(byte[] strings, uint offset)
    {
        if (offset >= strings.Length)
        {
            return string.Empty;
        }

        ReadOnlySpan<byte> rest = strings.AsSpan((int)offset);
        int end = rest.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? rest : rest[..end]);
    }

    private static byte[] Read(Stream file, uint offset, long length, string description)
    {
        if (length > LargestTable || offset + length > file.Length)
        {
            throw new SymbolException($"{description} is truncated: copy or build it again");
        }

        byte[] bytes = new byte[length];
        file.Position = offset;
        file.ReadExactly(bytes);
        return bytes;
    }

    private static uint Word(ReadOnlySpan<byte> record, int index) =>
        BinaryPrimitives.ReadUInt32LittleEndian(record[(index * sizeof(uint))..]);

    private static SymbolException NoSymbols(string description) =>
        new($"{description} has no symbols, as it is stripped: give the vmlinux or System.map of the kernel's build folder");
}
