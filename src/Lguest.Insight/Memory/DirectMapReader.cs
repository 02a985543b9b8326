namespace Lguest.Insight.Memory;

/// <summary>
/// Finds the kernel also where its page tables don't: before paging is on, and after a guest has destroyed them. Linux maps
/// the beginning of physical memory at one distance, and itself with it.
/// </summary>
/// <param name="memory">By the page tables.</param>
/// <param name="pageOffset">Where physical address 0 is mapped: PAGE_OFFSET.</param>
public sealed class DirectMapReader(IGuestMemoryReader memory, uint pageOffset) : IGuestMemoryReader
{
    /// <summary>Linux keeps the last 128 MiB of its addresses (VMALLOC_RESERVE) for vmalloc and fixed mappings.</summary>
    private const uint End = 0xf800_0000;

    /// <summary>Whether an address may be one at which Linux maps physical memory directly.</summary>
    /// <param name="address">Linear.</param>
    /// <param name="pageOffset">PAGE_OFFSET.</param>
    public static bool Covers(uint address, uint pageOffset) => address >= pageOffset && address < End;

    /// <inheritdoc />
    public bool TryReadVirtual(uint address, Span<byte> destination) =>
        memory.TryReadVirtual(address, destination)
            || (Covers(address, pageOffset) && memory.TryReadPhysical(address - pageOffset, destination));

    /// <inheritdoc />
    public bool TryReadPhysical(ulong address, Span<byte> destination) => memory.TryReadPhysical(address, destination);
}
