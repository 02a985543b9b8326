using System.Buffers.Binary;
using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Boot;

/// <summary>
/// The way of 2.6.23's lguest: paging on from the start, at ring 1, at the byte after a signature in the image.
/// </summary>
internal sealed class LguestBoot : IBootMethod
{
    private static ReadOnlySpan<byte> Signature => "GenuineLguest"u8;

    /// <inheritdoc />
    public IPreparedKernel? Recognize(KernelImage kernel, IBootMemory memory)
    {
        uint? first = null;
        foreach (uint physical in FindEntries(kernel, memory))
        {
            if (kernel.PageOffset is { } recorded)
            {
                return PreparedFor(kernel, physical, recorded);
            }

            if (LguestEntryCode.ReadPageOffset(CodeAt(kernel, memory, physical)) is { } read)
            {
                return PreparedFor(kernel, physical, read);
            }

            first ??= physical;
        }

        return first is null
            ? null
            : throw new BootException(
                $"{kernel.Description} does not start like an lguest guest at physical address 0x{first:x}, so its page offset is unknown: "
                + "give its vmlinux instead");
    }

    private static PreparedLguestKernel PreparedFor(KernelImage kernel, uint physical, uint pageOffset) =>
        pageOffset != 0 && pageOffset % MemorySize.Page == 0
            ? new PreparedLguestKernel(kernel, pageOffset + physical, pageOffset)
            : throw new BootException(
                $"{kernel.Description} is linked 0x{pageOffset:x} above its physical addresses, which is no page offset of Linux: "
                + "build it again with CONFIG_PAGE_OFFSET at its default");

    // Physical addresses of the bytes after each signature.
    private static IEnumerable<uint> FindEntries(KernelImage kernel, IBootMemory memory)
    {
        foreach (LoadedRange range in kernel.Ranges)
        {
            int found;
            for (int from = 0; (found = memory.Slice(range.Address, range.Length)[from..].IndexOf(Signature)) >= 0;)
            {
                from += found + Signature.Length;
                yield return range.Address + (uint)from;
            }
        }
    }

    private static ReadOnlySpan<byte> CodeAt(KernelImage kernel, IBootMemory memory, uint physical)
    {
        foreach (LoadedRange range in kernel.Ranges)
        {
            if (physical - range.Address <= (uint)range.Length && physical >= range.Address)
            {
                return memory.Slice(physical, range.Length - (int)(physical - range.Address));
            }
        }

        return default;
    }
}

/// <summary>The first instructions of an lguest kernel, which tell the page_offset that a raw image doesn't record.</summary>
internal static class LguestEntryCode
{
    private const byte MovEspImmediate = 0xbc;
    private const byte AddEaxImmediate = 0x05;
    private const int Size = 1 + sizeof(uint) + 2 + 1 + sizeof(uint);

    // The two encodings of mov eax,esi: assemblers may choose either.
    private static ReadOnlySpan<byte> MovEaxEsiStore => [0x89, 0xf0];

    private static ReadOnlySpan<byte> MovEaxEsiLoad => [0x8b, 0xc6];

    /// <summary>
    /// Reads page_offset from <c>mov esp,imm32; mov eax,esi; add eax,imm32</c>: it is what the kernel adds to
    /// the physical address of its boot parameters.
    /// </summary>
    /// <returns>Null when the code is something else.</returns>
    public static uint? ReadPageOffset(ReadOnlySpan<byte> code)
    {
        if (code.Length < Size || code[0] != MovEspImmediate)
        {
            return null;
        }

        ReadOnlySpan<byte> rest = code[(1 + sizeof(uint))..];
        bool moves = rest.StartsWith(MovEaxEsiStore) || rest.StartsWith(MovEaxEsiLoad);
        return moves && rest[2] == AddEaxImmediate ? BinaryPrimitives.ReadUInt32LittleEndian(rest[3..]) : null;
    }
}

/// <summary>A kernel with an lguest entry.</summary>
/// <param name="kernel">The kernel.</param>
/// <param name="entryPoint">Virtual address of its entry.</param>
/// <param name="pageOffset">Virtual minus physical address.</param>
internal sealed class PreparedLguestKernel(KernelImage kernel, uint entryPoint, uint pageOffset) : IPreparedKernel
{
    // Linux keeps this much of its address space for vmalloc and ioremap (VMALLOC_RESERVE)...
    private const ulong ReservedForVmalloc = 128 * 1024 * 1024;

    // ... and the host the top of it, which is where a guest without HIGHMEM looks for devices it cannot map.
    private const ulong ReservedForHost = 4 * 1024 * 1024;

    private const ulong AddressSpace = 1UL << 32;

    /// <inheritdoc />
    public ReadOnlySpan<byte> SetupHeader => default;

    /// <summary>One range: it looks at no other.</summary>
    public IReadOnlyList<RamRange> MemoryMap(uint size) => [new RamRange(0, size)];

    /// <inheritdoc />
    public void CheckMemory(IBootMemory memory)
    {
        ulong reserved = pageOffset + ReservedForVmalloc + ReservedForHost;
        ulong most = reserved < AddressSpace ? AddressSpace - reserved : 0;
        if (memory.Size > most)
        {
            throw new BootException(
                $"{kernel.Description} can use at most {MemorySize.Format(most)} of memory (its page offset is 0x{pageOffset:x}), "
                + $"not {MemorySize.Format(memory.Size)}: give the guest less");
        }
    }

    /// <inheritdoc />
    public BootRecord Prepare(IBootMemory memory, uint end)
    {
        uint size = InitialPageTables.Size(memory.Size, pageOffset);
        ulong kernelEnd = MemorySize.RoundUpToPage(kernel.End);
        if (kernelEnd + size > end)
        {
            ulong enough = MemorySize.RoundUpToMebibyte(kernelEnd + size + (memory.Size - end) + MemorySize.RoomForKernel);
            throw new BootException(
                $"{kernel.Description} and its first page tables do not fit into the guest's {MemorySize.Format(memory.Size)} of memory: "
                + $"give it at least {MemorySize.Format(enough)}");
        }

        uint pageDirectory = InitialPageTables.Build(memory, pageOffset, end);
        return new BootRecord(
            BootMethod.LguestSignature,
            new KernelEntry(entryPoint, pageDirectory, pageOffset, BootParameters.Address));
    }
}
