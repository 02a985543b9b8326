using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace Lguest.TestSupport;

/// <summary>Kernel images made of nothing but what a loader looks at.</summary>
internal static class TestImages
{
    public const uint KernelAddress = 0x100000;
    public const uint UsualPageOffset = 0xc0000000;

    /// <summary>Where the entry is in <see cref="KernelBytes"/>.</summary>
    public const uint EntryOffset = 0x340 + 13;

    /// <summary>A kernel's bytes: recognizable filler, the signature, and the entry code of 2.6.23.</summary>
    public static byte[] KernelBytes(uint pageOffset = UsualPageOffset, int length = 0x2345)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++)
        {
            bytes[i] = (byte)((i * 7) ^ (i >> 8));
        }

        "GenuineLguest"u8.CopyTo(bytes.AsSpan((int)EntryOffset - 13));
        EntryCode(pageOffset).CopyTo(bytes, (int)EntryOffset);
        return bytes;
    }

    /// <summary>mov esp,0xc0345678; mov eax,esi; add eax,page_offset; jmp.</summary>
    public static byte[] EntryCode(uint pageOffset)
    {
        byte[] code = [0xbc, 0x78, 0x56, 0x34, 0xc0, 0x89, 0xf0, 0x05, 0, 0, 0, 0, 0xe9];
        BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(8), pageOffset);
        return code;
    }

    /// <summary>An ELF32 executable for the i386.</summary>
    public static byte[] Elf(params ElfPart[] parts) => Elf(entry: 0, parts);

    /// <summary>An ELF32 executable that says where it starts.</summary>
    public static byte[] Elf(uint entry, params ElfPart[] parts)
    {
        const int HeaderSize = 52;
        const int ProgramHeaderSize = 32;
        int dataStart = HeaderSize + (parts.Length * ProgramHeaderSize);
        byte[] image = new byte[dataStart + parts.Sum(part => part.Bytes.Length)];
        "\u007fELF\u0001\u0001\u0001"u8.CopyTo(image);
        Write16(image, 16, 2);
        Write16(image, 18, 3);
        Write32(image, 20, 1);
        Write32(image, 24, entry);
        Write32(image, 28, HeaderSize);
        Write16(image, 40, HeaderSize);
        Write16(image, 42, ProgramHeaderSize);
        Write16(image, 44, (ushort)parts.Length);
        for (int i = 0; i < parts.Length; i++)
        {
            ElfPart part = parts[i];
            int header = HeaderSize + (i * ProgramHeaderSize);
            Write32(image, header, part.Type);
            Write32(image, header + 4, (uint)dataStart);
            Write32(image, header + 8, part.Virtual);
            Write32(image, header + 12, part.Physical);
            Write32(image, header + 16, (uint)part.Bytes.Length);
            Write32(image, header + 20, part.MemorySize ?? (uint)part.Bytes.Length);
            part.Bytes.CopyTo(image, dataStart);
            dataStart += part.Bytes.Length;
        }

        return image;
    }

    /// <summary>The ELF of an ordinary little kernel at 1 MiB.</summary>
    public static byte[] OrdinaryElf(uint pageOffset = UsualPageOffset) =>
        Elf(new ElfPart(KernelAddress + pageOffset, KernelAddress, KernelBytes(pageOffset), MemorySize: 0x8000));

    /// <summary>A bzImage of protocol 2.06, as 2.6.23 makes them.</summary>
    /// <param name="payload">Already compressed.</param>
    /// <param name="after">Bytes that follow the payload.</param>
    public static byte[] BzImage(byte[] payload, byte[]? after = null)
    {
        const int SetupSectors = 5;
        const int Sector = 512;
        const int Unpacker = 0x700;
        byte[] code = [.. Enumerable.Repeat((byte)0x90, Unpacker), .. payload, .. after ?? new byte[64]];
        byte[] image = new byte[((1 + SetupSectors) * Sector) + code.Length];
        image[0x1f1] = SetupSectors;
        Write32(image, 0x1f4, (uint)((code.Length + 15) / 16));
        Write16(image, 0x1fe, 0xaa55);
        "HdrS"u8.CopyTo(image.AsSpan(0x202));
        Write16(image, 0x206, 0x206);
        image[0x211] = 1;
        code.CopyTo(image, (1 + SetupSectors) * Sector);
        return image;
    }

    /// <summary>A bzImage of protocol 2.15, as Linux 6.1 makes them: its header says where the payload is.</summary>
    /// <param name="payload">Already compressed, with what the kernel's build adds to it.</param>
    /// <param name="alignment">To what it may be moved; 0 for a kernel that may not.</param>
    public static byte[] ModernBzImage(byte[] payload, uint alignment = 0)
    {
        const int Unpacker = 0x700;
        byte[] image = BzImage(payload);
        Write16(image, 0x1f2, 1);
        image[0x201] = 0x6a;
        Write16(image, 0x206, 0x20f);
        Write32(image, 0x230, alignment);
        image[0x234] = (byte)(alignment == 0 ? 0 : 1);
        Write32(image, 0x248, Unpacker);
        Write32(image, 0x24c, (uint)payload.Length);
        return image;
    }

    /// <summary>An ELF file with a symbol table behind all else.</summary>
    public static byte[] WithSymbols(byte[] elf, params (string Name, uint Value)[] symbols)
    {
        const int SectionHeaderSize = 40;
        const int SymbolSize = 16;
        var names = new MemoryStream();
        names.WriteByte(0);
        byte[] table = new byte[(symbols.Length + 1) * SymbolSize];
        for (int i = 0; i < symbols.Length; i++)
        {
            Write32(table, (i + 1) * SymbolSize, (uint)names.Length);
            Write32(table, ((i + 1) * SymbolSize) + 4, symbols[i].Value);
            names.Write([.. Encoding.ASCII.GetBytes(symbols[i].Name), 0]);
        }

        byte[] headers = new byte[3 * SectionHeaderSize];
        WriteSection(headers, 1, type: 2, elf.Length, table.Length, link: 2);
        WriteSection(headers, 2, type: 3, elf.Length + table.Length, (int)names.Length, link: 0);
        byte[] image = [.. elf, .. table, .. names.ToArray(), .. headers];
        Write32(image, 32, (uint)(image.Length - headers.Length));
        Write16(image, 46, SectionHeaderSize);
        Write16(image, 48, 3);
        return image;

        static void WriteSection(byte[] headers, int index, uint type, int offset, int size, uint link)
        {
            int header = index * SectionHeaderSize;
            Write32(headers, header + 4, type);
            Write32(headers, header + 16, (uint)offset);
            Write32(headers, header + 20, (uint)size);
            Write32(headers, header + 24, link);
        }
    }

    /// <summary>What is in a PT_NOTE segment with one note.</summary>
    public static byte[] Note(string name, uint type, byte[] descriptor)
    {
        byte[] owner = [.. Encoding.ASCII.GetBytes(name), 0];
        return
        [
            .. BitConverter.GetBytes(owner.Length), .. BitConverter.GetBytes(descriptor.Length), .. BitConverter.GetBytes(type),
            .. owner, .. new byte[(4 - (owner.Length % 4)) % 4], .. descriptor, .. new byte[(4 - (descriptor.Length % 4)) % 4],
        ];
    }

    /// <summary>A configuration as CONFIG_IKCONFIG puts it into a kernel.</summary>
    public static byte[] Configuration(string text) =>
        [.. "IKCFG_ST"u8, .. Gzip(Encoding.ASCII.GetBytes(text)), .. "IKCFG_ED"u8];

    public static byte[] Gzip(byte[] bytes)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal))
        {
            gzip.Write(bytes);
        }

        return packed.ToArray();
    }

    public static void Write16(byte[] image, int offset, ushort value) =>
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(offset), value);

    public static void Write32(byte[] image, int offset, uint value) =>
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(offset), value);
}

/// <summary>A program header and what it loads.</summary>
internal sealed record ElfPart(uint Virtual, uint Physical, byte[] Bytes, uint? MemorySize = null, uint Type = 1);

/// <summary>A folder that goes away with the test.</summary>
internal sealed class TestFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lguest-boot-");

    public string Name => _folder.FullName;

    public string File(string name, byte[] contents)
    {
        string path = System.IO.Path.Combine(_folder.FullName, name);
        System.IO.File.WriteAllBytes(path, contents);
        return path;
    }

    public string Path(string name) => System.IO.Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);
}
