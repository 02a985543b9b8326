using System.Buffers.Binary;
using System.Text;
using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Insight.Cores;

/// <summary>
/// An ELF core of a guest (System V ABI, chapters 4 and 5), for gdb and others: a note with the processor's registers, all RAM where
/// the kernel maps it, and what the kernel has mapped elsewhere.
/// </summary>
/// <remarks>
/// The kernel's linear map, from PAGE_OFFSET on, comes first, with physical addresses beside the virtual ones. RAM that it has no room for
/// has the virtual address that kexec-tools gives it, all ones. What lies above it (vmalloc, modules, fixed mappings) is found by the
/// page tables, and takes no more room in the file. A file of 32 bits has physical addresses of 32 bits: what is above isn't in it.
/// </remarks>
public static class CoreFile
{
    private const int HeaderBytes = 52;
    private const int ProgramHeaderBytes = 32;
    private const int MostMappings = 4096;
    private const uint PageSize = PhysicalMemory.PageSize;
    private const int ChunkBytes = 64 << 10;
    private const ulong AddressSpace = 1ul << 32;

    /// <summary>Where the linear map ends at the latest: vmalloc's 128 MiB follow (Linux, arch/x86/include/asm/page_32_types.h).</summary>
    private const uint EndOfLinearMap = 0xf800_0000;
    private const uint NoAddress = uint.MaxValue;

    private const uint TypeLoad = 1;
    private const uint TypeNote = 4;
    private const uint ReadWriteExecute = 7;
    private const uint NoteStatus = 1;
    private const uint NoteFxsave = 0x46e6_2b7f;
    private const int StatusBytes = 144;
    private const int SignalOffset = 12;
    private const int ProcessOffset = 24;
    private const int RegistersOffset = 72;
    private const int FxsaveBytes = 512;

    /// <summary>Writes one.</summary>
    /// <param name="output">An empty file; where it can be sought in, zero memory becomes holes.</param>
    /// <param name="processor">The processor, between two runs.</param>
    /// <param name="memory">Its memory.</param>
    /// <param name="ram">The physical ranges to write, in order.</param>
    /// <param name="pageOffset">Where the kernel maps physical address 0.</param>
    public static void Write(Stream output, Processor processor, PhysicalMemory memory, IEnumerable<(ulong Start, ulong End)> ram, uint pageOffset)
    {
        byte[] notes = [.. Note("CORE", NoteStatus, Status(processor)), .. Note("LINUX", NoteFxsave, Fxsave(processor))];
        List<Stretch> stretches = Stretches(ram, pageOffset);
        List<Mapping> mappings = Mappings(processor, stretches, pageOffset);
        int headers = HeaderBytes + (ProgramHeaderBytes * (1 + stretches.Count + mappings.Count));
        uint data = AlignedToPage((uint)(headers + notes.Length));

        byte[] start = new byte[data];
        WriteHeader(start, 1 + stretches.Count + mappings.Count);
        int place = HeaderBytes;
        WriteProgramHeader(start, ref place, TypeNote, (uint)headers, 0, 0, (uint)notes.Length);
        foreach (Stretch stretch in stretches)
        {
            WriteProgramHeader(start, ref place, TypeLoad, data + stretch.Offset, stretch.Virtual, stretch.Physical, stretch.Length);
        }

        foreach (Mapping mapping in mappings)
        {
            WriteProgramHeader(start, ref place, TypeLoad, data + mapping.Offset, mapping.Virtual, mapping.Physical, mapping.Length);
        }

        notes.CopyTo(start, headers);
        output.Write(start);
        foreach (Stretch stretch in stretches)
        {
            WriteMemory(output, memory, stretch);
        }

        if (output.CanSeek)
        {
            output.SetLength(output.Position);
        }
    }

    /// <summary>RAM, cut where the linear map ends.</summary>
    private static List<Stretch> Stretches(IEnumerable<(ulong Start, ulong End)> ram, uint pageOffset)
    {
        ulong mapped = EndOfLinearMap > pageOffset ? EndOfLinearMap - pageOffset : 0;
        var stretches = new List<Stretch>();
        uint offset = 0;
        foreach ((ulong start, ulong whole) in ram)
        {
            ulong end = Math.Min(whole, AddressSpace - PageSize);
            ulong cut = Math.Clamp(mapped, start, Math.Max(start, end));
            foreach ((ulong from, ulong to) in ((ulong, ulong)[])[(start, cut), (cut, end)])
            {
                if (to > from)
                {
                    stretches.Add(new Stretch(from < mapped ? (uint)(pageOffset + from) : NoAddress, (uint)from, (uint)(to - from), offset));
                    offset += (uint)(to - from);
                }
            }
        }

        return stretches;
    }

    /// <summary>What the page tables have above the linear map, as far as it is RAM.</summary>
    private static List<Mapping> Mappings(Processor processor, List<Stretch> stretches, uint pageOffset)
    {
        var mappings = new List<Mapping>();
        ulong linear = stretches.Where(stretch => stretch.Virtual != NoAddress).Select(stretch => (ulong)stretch.Virtual + stretch.Length)
            .DefaultIfEmpty(pageOffset).Max();
        for (; linear < AddressSpace && mappings.Count < MostMappings; linear += PageSize)
        {
            if (!processor.TryTranslate((uint)linear, out ulong physical)
                || stretches.Find(each => physical - each.Physical < each.Length) is not { } stretch)
            {
                continue;
            }

            uint offset = stretch.Offset + ((uint)physical - stretch.Physical);
            if (mappings.Count > 0 && mappings[^1] is var last && last.Virtual + (ulong)last.Length == linear && last.Offset + (ulong)last.Length == offset)
            {
                mappings[^1] = last with { Length = last.Length + PageSize };
            }
            else
            {
                mappings.Add(new Mapping((uint)linear, (uint)physical, PageSize, offset));
            }
        }

        return mappings;
    }

    private static void WriteHeader(Span<byte> file, int programHeaders)
    {
        const byte Class32 = 1;
        const byte LittleEndian = 1;
        const byte Version = 1;
        const ushort TypeCore = 4;
        const ushort MachineI386 = 3;
        "\u007fELF"u8.CopyTo(file);
        (file[4], file[5], file[6]) = (Class32, LittleEndian, Version);
        Half(file, 16, TypeCore);
        Half(file, 18, MachineI386);
        Word(file, 20, Version);
        Word(file, 28, HeaderBytes);
        Half(file, 40, HeaderBytes);
        Half(file, 42, ProgramHeaderBytes);
        Half(file, 44, (ushort)programHeaders);
    }

    private static void WriteProgramHeader(Span<byte> file, ref int place, uint type, uint offset, uint linear, uint physical, uint length)
    {
        Span<byte> header = file[place..];
        Word(header, 0, type);
        Word(header, 4, offset);
        Word(header, 8, linear);
        Word(header, 12, physical);
        Word(header, 16, length);
        Word(header, 20, type == TypeLoad ? length : 0);
        Word(header, 24, type == TypeLoad ? ReadWriteExecute : 0);
        Word(header, 28, type == TypeLoad ? PageSize : sizeof(uint));
        place += ProgramHeaderBytes;
    }

    private static byte[] Note(string name, uint type, byte[] content)
    {
        const int Fields = 12;
        int nameBytes = (name.Length + 1 + 3) & ~3;
        byte[] note = new byte[Fields + nameBytes + content.Length];
        Word(note, 0, (uint)name.Length + 1);
        Word(note, 4, (uint)content.Length);
        Word(note, 8, type);
        Encoding.ASCII.GetBytes(name).CopyTo(note, Fields);
        content.CopyTo(note, Fields + nameBytes);
        return note;
    }

    /// <summary>struct elf_prstatus of i386 (Linux, include/linux/elfcore.h): of a process 1, with the registers in the order of ptrace(2).</summary>
    private static byte[] Status(Processor processor)
    {
        const ushort Aborted = 6;
        ref ProcessorState s = ref processor.State;
        byte[] status = new byte[StatusBytes];
        Half(status, SignalOffset, Aborted);
        Word(status, ProcessOffset, 1);
        int place = RegistersOffset;
        foreach (uint value in (uint[])
            [
                s.Ebx, s.Ecx, s.Edx, s.Esi, s.Edi, s.Ebp, s.Eax, s.Ds.Selector, s.Es.Selector, s.Fs.Selector, s.Gs.Selector, uint.MaxValue,
                s.Eip, s.Cs.Selector, processor.Eflags, s.Esp, s.Ss.Selector,
            ])
        {
            Word(status, place, value);
            place += sizeof(uint);
        }

        return status;
    }

    private static byte[] Fxsave(Processor processor)
    {
        byte[] area = new byte[FxsaveBytes];
        processor.ReadFloatingPoint(area);
        return area;
    }

    private static void WriteMemory(Stream output, PhysicalMemory memory, Stretch stretch)
    {
        for (uint done = 0; done < stretch.Length;)
        {
            uint length = Math.Min(ChunkBytes, stretch.Length - done);
            ReadOnlySpan<byte> chunk = memory.Span(stretch.Physical + done, length);
            if (output.CanSeek && !chunk.ContainsAnyExcept((byte)0))
            {
                output.Seek(length, SeekOrigin.Current);
            }
            else
            {
                output.Write(chunk);
            }

            done += length;
        }
    }

    private static uint AlignedToPage(uint value) => (value + PageSize - 1) & ~(PageSize - 1);

    private static void Half(Span<byte> bytes, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(bytes[offset..], value);

    private static void Word(Span<byte> bytes, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(bytes[offset..], value);

    /// <summary>RAM in the file.</summary>
    private sealed record Stretch(uint Virtual, uint Physical, uint Length, uint Offset);

    /// <summary>Another place at which some of it is mapped.</summary>
    private sealed record Mapping(uint Virtual, uint Physical, uint Length, uint Offset);
}
