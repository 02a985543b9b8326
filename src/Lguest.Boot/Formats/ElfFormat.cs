using Lguest.Boot.Images;
using Lguest.Boot.Loading;

namespace Lguest.Boot.Formats;

/// <summary>
/// An ELF executable for the i386, as Linux builds <c>vmlinux</c>: each PT_LOAD segment goes to its physical
/// address (System V ABI, "Program Loading").
/// </summary>
internal sealed class ElfFormat : IKernelFormat
{
    /// <summary>The first bytes of every ELF file.</summary>
    public static ReadOnlySpan<byte> Magic => "\u007fELF"u8;

    /// <summary>Whether a file is ELF.</summary>
    public static bool IsElf(ImageFile file)
    {
        Span<byte> head = stackalloc byte[Magic.Length];
        return file.TryRead(0, head) && head.SequenceEqual(Magic);
    }

    /// <inheritdoc />
    public bool Recognizes(ReadOnlySpan<byte> head) => head.StartsWith(Magic);

    /// <inheritdoc />
    public KernelImage Read(ImageFile file)
    {
        ElfLayout layout = ElfLayout.Read(file);
        return new KernelImage(file)
        {
            Format = KernelFormat.Elf,
            Segments = layout.Segments,
            NoteSegments = layout.Notes,
            PageOffset = layout.PageOffset,
            Entry = layout.Entry,
        };
    }
}

/// <summary>What an ELF file says of the kernel in it.</summary>
/// <param name="Segments">What goes into memory.</param>
/// <param name="Notes">Where notes are.</param>
/// <param name="PageOffset">Virtual minus physical address of all segments.</param>
/// <param name="Entry">Physical address of the first instruction.</param>
internal sealed record ElfLayout(IReadOnlyList<KernelSegment> Segments, IReadOnlyList<KernelSegment> Notes, uint? PageOffset, uint? Entry)
{
    /// <summary>Reads it.</summary>
    /// <exception cref="BootException">The file is malformed or not for this machine.</exception>
    public static ElfLayout Read(ImageFile file)
    {
        ElfHeader header = ElfHeader.Read(file);
        var segments = new List<KernelSegment>();
        var notes = new List<KernelSegment>();
        uint? pageOffset = null;
        for (int i = 0; i < header.ProgramHeaderCount; i++)
        {
            ElfSegment segment = header.ReadSegment(file, i);
            if (segment is { Type: ElfSegment.Note, FileSize: <= int.MaxValue })
            {
                notes.Add(Describe(segment));
            }

            if (segment.Type != ElfSegment.Load || segment.MemorySize == 0)
            {
                continue;
            }

            pageOffset ??= segment.VirtualAddress - segment.PhysicalAddress;
            Check(file, segment, i, pageOffset.GetValueOrDefault());
            segments.Add(Describe(segment));
        }

        return segments.Count > 0
            ? new ElfLayout(segments, notes, pageOffset, header.Entry)
            : throw Malformed(file, "it has nothing to load");
    }

    private static KernelSegment Describe(in ElfSegment segment) =>
        new(segment.PhysicalAddress, segment.Offset, (int)segment.FileSize, segment.MemorySize);

    private static void Check(ImageFile file, in ElfSegment segment, int index, uint pageOffset)
    {
        if (segment.VirtualAddress - segment.PhysicalAddress != pageOffset)
        {
            throw Malformed(file, $"segment {index} is not at the same distance from its physical address as the one before");
        }

        if (segment.FileSize > segment.MemorySize)
        {
            throw Malformed(file, $"segment {index} is larger in the file than in memory");
        }

        if (segment.PhysicalAddress < BootParameters.EndOfReservedMemory)
        {
            throw Malformed(file, $"segment {index} is at physical address 0x{segment.PhysicalAddress:x}, where the boot parameters go");
        }

        if (segment.Offset + (long)segment.FileSize > file.Length || segment.FileSize > int.MaxValue)
        {
            file.ThrowTruncated($"segment {index}");
        }
    }

    private static BootException Malformed(ImageFile file, string why) =>
        new($"{file.Description} is not a kernel that lguest can load: {why}; build it again with Linux's own linker script");
}
