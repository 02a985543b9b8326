using System.Buffers.Binary;
using Lguest.Boot.Images;

namespace Lguest.Boot.Loading;

/// <summary>A kernel that is in the guest's memory.</summary>
/// <param name="Shift">How many bytes lower it is than it is linked.</param>
/// <param name="End">First address after it, with what it will clear itself as far as the image tells.</param>
internal sealed record LoadedKernel(uint Shift, uint End);

/// <summary>Puts a kernel into memory.</summary>
internal static class KernelLoader
{
    private const int PieceSize = 64 * 1024;

    /// <summary>Loads a kernel where it is linked to be, or lower, if it is relocatable and memory ends before that.</summary>
    /// <exception cref="BootException">It doesn't fit, or is truncated.</exception>
    public static LoadedKernel Load(KernelImage kernel, IBootMemory memory)
    {
        uint shift = kernel.End > memory.Size ? kernel.Start - kernel.LowestStart : 0;
        foreach (KernelSegment segment in kernel.Segments)
        {
            LoadSegment(kernel, segment, shift, memory);
        }

        var loaded = new LoadedKernel(shift, (uint)(kernel.End - shift));
        if (shift != 0)
        {
            Relocate(kernel, shift, memory);
        }

        return loaded;
    }

    private static void LoadSegment(KernelImage kernel, KernelSegment segment, uint shift, IBootMemory memory)
    {
        uint address = segment.PhysicalAddress - shift;
        ulong end = (ulong)address + segment.MemorySize;
        if (end > memory.Size)
        {
            throw DoesNotFit(kernel, memory, end);
        }

        if (!kernel.TryRead(segment.Offset, memory.Slice(address, segment.FileSize)))
        {
            kernel.ThrowTruncated("a segment");
        }
    }

    /// <summary>
    /// Corrects the addresses in a kernel that was loaded lower than it is linked. After its ELF file comes a table of where
    /// they are, each a virtual address as linked, read from its end to a zero (handle_relocations in the kernel's misc.c).
    /// </summary>
    private static void Relocate(KernelImage kernel, uint shift, IBootMemory memory)
    {
        byte[] piece = new byte[PieceSize];
        for (long end = kernel.Length; end >= sizeof(uint);)
        {
            Span<byte> table = piece.AsSpan(0, (int)Math.Min(PieceSize, end / sizeof(uint) * sizeof(uint)));
            end -= table.Length;
            kernel.TryRead(end, table);
            for (; !table.IsEmpty; table = table[..^sizeof(uint)])
            {
                uint linked = BinaryPrimitives.ReadUInt32LittleEndian(table[^sizeof(uint)..]);
                if (linked == 0)
                {
                    return;
                }

                Span<byte> place = LoadedAt(kernel, linked - kernel.PageOffset.GetValueOrDefault(), shift, memory);
                BinaryPrimitives.WriteUInt32LittleEndian(place, BinaryPrimitives.ReadUInt32LittleEndian(place) - shift);
            }
        }
    }

    private static Span<byte> LoadedAt(KernelImage kernel, uint linked, uint shift, IBootMemory memory)
    {
        foreach (KernelSegment segment in kernel.Segments)
        {
            if (linked >= segment.PhysicalAddress && (long)linked - segment.PhysicalAddress + sizeof(uint) <= segment.FileSize)
            {
                return memory.Slice(linked - shift, sizeof(uint));
            }
        }

        uint address = linked + kernel.PageOffset.GetValueOrDefault();
        throw new BootException($"{kernel.Description} has a relocation outside itself, at 0x{address:x}: copy or build it again");
    }

    private static BootException DoesNotFit(KernelImage kernel, IBootMemory memory, ulong end) => new(
        $"{kernel.Description} reaches up to physical address 0x{end:x}, outside the guest's {MemorySize.Format(memory.Size)} of memory: "
        + (end <= int.MaxValue ? $"give it at least {MemorySize.Format(MemorySize.RoundUpToMebibyte(end))}" : "the image is malformed; build it again"));
}
