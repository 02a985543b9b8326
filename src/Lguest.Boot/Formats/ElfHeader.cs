using System.Buffers.Binary;
using Lguest.Boot.Images;

namespace Lguest.Boot.Formats;

/// <summary>What is needed of an ELF32 header (Elf32_Ehdr).</summary>
/// <param name="Entry">e_entry.</param>
/// <param name="ProgramHeaderOffset">e_phoff.</param>
/// <param name="ProgramHeaderCount">e_phnum.</param>
internal readonly record struct ElfHeader(uint Entry, uint ProgramHeaderOffset, ushort ProgramHeaderCount)
{
    private const int Size = 52;
    private const int IdentitySize = 20;
    private const int ClassOffset = 4;
    private const int DataOffset = 5;
    private const int TypeOffset = 16;
    private const int MachineOffset = 18;
    private const int EntryOffset = 24;
    private const int ProgramHeaderTableOffset = 28;
    private const int ProgramHeaderSizeOffset = 42;
    private const int ProgramHeaderCountOffset = 44;

    private const byte Class32 = 1;
    private const byte Class64 = 2;
    private const byte LittleEndian = 1;
    private const ushort Executable = 2;
    private const ushort MachineI386 = 3;

    /// <summary>Reads the header and sees that it is of an i386 executable.</summary>
    /// <exception cref="BootException">It isn't.</exception>
    public static ElfHeader Read(ImageFile file)
    {
        Span<byte> header = stackalloc byte[Size];
        if (!file.TryRead(0, header[..IdentitySize]))
        {
            file.ThrowTruncated("its ELF header");
        }

        CheckProcessor(file, header[..IdentitySize]);
        if (!file.TryRead(0, header))
        {
            file.ThrowTruncated("its ELF header");
        }

        if (BinaryPrimitives.ReadUInt16LittleEndian(header[TypeOffset..]) != Executable)
        {
            throw new BootException($"{file.Description} is an ELF file but not an executable: give the vmlinux of the kernel's build folder");
        }

        ushort count = BinaryPrimitives.ReadUInt16LittleEndian(header[ProgramHeaderCountOffset..]);
        if (count > 0 && BinaryPrimitives.ReadUInt16LittleEndian(header[ProgramHeaderSizeOffset..]) != ElfSegment.Size)
        {
            throw new BootException($"{file.Description} has ELF program headers of an unknown size: build it again");
        }

        return new ElfHeader(
            BinaryPrimitives.ReadUInt32LittleEndian(header[EntryOffset..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[ProgramHeaderTableOffset..]),
            count);
    }

    /// <summary>Reads one program header.</summary>
    /// <exception cref="BootException">The file ends before it.</exception>
    public ElfSegment ReadSegment(ImageFile file, int index)
    {
        Span<byte> header = stackalloc byte[ElfSegment.Size];
        if (!file.TryRead(ProgramHeaderOffset + ((long)index * ElfSegment.Size), header))
        {
            file.ThrowTruncated("its program header table");
        }

        return ElfSegment.Parse(header);
    }

    private static void CheckProcessor(ImageFile file, ReadOnlySpan<byte> header)
    {
        bool littleEndian = header[DataOffset] == LittleEndian;
        ushort machine = littleEndian
            ? BinaryPrimitives.ReadUInt16LittleEndian(header[MachineOffset..])
            : BinaryPrimitives.ReadUInt16BigEndian(header[MachineOffset..]);
        if (header[ClassOffset] != Class32 || !littleEndian || machine != MachineI386)
        {
            string width = header[ClassOffset] switch
            {
                Class32 => "32-bit ",
                Class64 => "64-bit ",
                _ => string.Empty,
            };
            throw KernelFormats.WrongProcessor(file, width + MachineName(machine));
        }
    }

    // e_machine of what a Linux kernel is likely to have been built for (ELF's registry of machines).
    private static string MachineName(ushort machine) => machine switch
    {
        2 or 43 => "SPARC",
        MachineI386 => "i386",
        8 => "MIPS",
        20 or 21 => "PowerPC",
        22 => "S/390",
        40 => "ARM",
        62 => "x86-64",
        183 => "ARM64",
        243 => "RISC-V",
        258 => "LoongArch",
        _ => $"foreign (ELF machine {machine})",
    };
}

/// <summary>One program header (Elf32_Phdr).</summary>
/// <param name="Type">p_type.</param>
/// <param name="Offset">p_offset.</param>
/// <param name="VirtualAddress">p_vaddr.</param>
/// <param name="PhysicalAddress">p_paddr.</param>
/// <param name="FileSize">p_filesz.</param>
/// <param name="MemorySize">p_memsz.</param>
internal readonly record struct ElfSegment(
    uint Type,
    uint Offset,
    uint VirtualAddress,
    uint PhysicalAddress,
    uint FileSize,
    uint MemorySize)
{
    /// <summary>Bytes of a program header.</summary>
    public const int Size = 32;

    /// <summary>PT_LOAD: to be loaded.</summary>
    public const uint Load = 1;

    /// <summary>PT_NOTE: notes.</summary>
    public const uint Note = 4;

    /// <summary>Reads the fields.</summary>
    /// <param name="header"><see cref="Size"/> bytes.</param>
    public static ElfSegment Parse(ReadOnlySpan<byte> header) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(header),
        BinaryPrimitives.ReadUInt32LittleEndian(header[4..]),
        BinaryPrimitives.ReadUInt32LittleEndian(header[8..]),
        BinaryPrimitives.ReadUInt32LittleEndian(header[12..]),
        BinaryPrimitives.ReadUInt32LittleEndian(header[16..]),
        BinaryPrimitives.ReadUInt32LittleEndian(header[20..]));
}
