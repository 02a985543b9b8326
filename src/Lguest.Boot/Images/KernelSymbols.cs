using System.Buffers.Binary;
using System.Text;
using Lguest.Boot.Formats;

namespace Lguest.Boot.Images;

/// <summary>The symbol table of a vmlinux (ELF's .symtab).</summary>
public sealed class KernelSymbols
{
    private const int EntrySize = 16;
    private const int ValueOffset = 4;
    private const int MostBytes = 256 << 20;

    private readonly byte[] _table;
    private readonly byte[] _names;

    private KernelSymbols(byte[] table, byte[] names)
    {
        _table = table;
        _names = names;
    }

    /// <summary>How many there are, with the unnamed ones that every table begins with.</summary>
    public int Count => _table.Length / EntrySize;

    /// <summary>Finds a symbol.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">What it stands for: usually a virtual address. Of several with the name, the first one's.</param>
    public bool TryFind(string name, out uint value)
    {
        // A name may be the end of a longer one.
        byte[] wanted = [.. Encoding.ASCII.GetBytes(name), 0];
        var places = new HashSet<uint>();
        for (int from = 0, found; (found = _names.AsSpan(from).IndexOf(wanted)) >= 0; from += found + 1)
        {
            places.Add((uint)(from + found));
        }

        for (int at = 0; places.Count > 0 && at + EntrySize <= _table.Length; at += EntrySize)
        {
            if (places.Contains(BinaryPrimitives.ReadUInt32LittleEndian(_table.AsSpan(at))))
            {
                value = BinaryPrimitives.ReadUInt32LittleEndian(_table.AsSpan(at + ValueOffset));
                return true;
            }
        }

        value = 0;
        return false;
    }

    /// <summary>Reads an ELF file's; null when it has none, or a malformed one: no kernel needs them.</summary>
    internal static KernelSymbols? Read(ImageFile file)
    {
        foreach (ElfSection section in ElfSection.ReadAll(file))
        {
            if (section.Type == ElfSection.SymbolTable
                && ElfSection.TryRead(file, (int)section.Link) is { } names
                && ReadContents(file, section) is { } table
                && ReadContents(file, names) is { } text)
            {
                return new KernelSymbols(table, text);
            }
        }

        return null;
    }

    private static byte[]? ReadContents(ImageFile file, ElfSection section)
    {
        if (section.Size > MostBytes || section.Offset + (ulong)section.Size > (ulong)file.Length)
        {
            return null;
        }

        byte[] contents = new byte[section.Size];
        return file.TryRead(section.Offset, contents) ? contents : null;
    }
}
