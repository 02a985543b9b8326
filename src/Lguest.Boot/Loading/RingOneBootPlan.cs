using Lguest.Boot.Images;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Boot.Loading;

/// <summary>A kernel that starts at ring 1, on page tables that the host has made, or without any until it has its own.</summary>
/// <param name="kernel">The kernel.</param>
internal abstract class RingOneBootPlan(KernelImage kernel) : BootPlan(kernel)
{
    // Linux keeps this much of its address space for vmalloc and ioremap (VMALLOC_RESERVE)...
    private const ulong ReservedForVmalloc = 128 * 1024 * 1024;

    // ... and the host the top of it, which is where a guest without HIGHMEM looks for devices it cannot map.
    private const ulong ReservedForHost = 4 * 1024 * 1024;

    private const ulong Reserved = ReservedForVmalloc + ReservedForHost;
    private const ulong AddressSpace = 1UL << 32;

    /// <inheritdoc />
    public override ulong? MostMemory => PageOffset is { } offset
        ? offset + Reserved < AddressSpace ? AddressSpace - Reserved - offset : 0
        : null;

    /// <summary>Linear address at which physical 0 is mapped at first; null for a kernel that starts with paging off.</summary>
    protected abstract uint? MapsAt { get; }

    /// <summary>Where those tables end at the latest, if the kernel itself leaves room for them below.</summary>
    protected virtual uint EndOfTables => uint.MaxValue;

    /// <summary>What its first page tables look like.</summary>
    protected virtual PageTableFormat Format => PageTableFormat.TwoLevel;

    /// <summary>One range: it looks at no other.</summary>
    internal override IReadOnlyList<MemoryRange> MemoryMap(IBootMemory memory) => [new MemoryRange(0, memory.Size)];

    /// <inheritdoc />
    internal override uint RoomBeside(ulong memory) => MapsAt is { } place ? new InitialPageTables(Format, place, (uint)memory).Size : 0;

    /// <inheritdoc />
    internal override KernelEntry Prepare(IBootMemory memory, LoadedKernel loaded, uint end)
    {
        uint? pageDirectory = MapsAt is { } place ? BuildTables(memory, place, loaded, end) : null;
        return new KernelEntry(EntryPoint - loaded.Shift, pageDirectory, PageOffset ?? 0, BootParameters.Address);
    }

    private uint BuildTables(IBootMemory memory, uint place, LoadedKernel loaded, uint end)
    {
        var tables = new InitialPageTables(Format, place, memory.Size);
        uint size = tables.Size;
        ulong kernelEnd = MemorySize.RoundUpToPage(loaded.End);
        if (kernelEnd + size > end)
        {
            ulong enough = MemorySize.RoundUpToMebibyte(kernelEnd + size + (memory.Size - end) + MemorySize.RoomForKernel);
            throw new BootException(
                $"{Kernel.Description} and its first page tables do not fit into the guest's {MemorySize.Format(memory.Size)} of memory: "
                + $"give it at least {MemorySize.Format(enough)}");
        }

        return tables.Build(memory, kernelEnd + size <= EndOfTables ? Math.Min(end, EndOfTables) : end);
    }
}
