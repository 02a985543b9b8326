namespace Lguest.Cpu.Memory;

/// <summary>Present paging entries that end the run rather than being used: for hosts that check their guest.</summary>
[Flags]
public enum PageTablePolicy
{
    /// <summary>Behave as the processor does.</summary>
    None = 0,

    /// <summary>Reject an entry of a page directory with bit 7 (PS) set.</summary>
    RejectLargePages = 1,

    /// <summary>Reject an entry whose frame isn't memory.</summary>
    RejectFramesOutsideMemory = 2,
}

/// <summary>The paging structures, from the one whose entries are pages (SDM 3A, table 4-2).</summary>
public enum PagingStructure
{
    /// <summary>A page table.</summary>
    PageTable,

    /// <summary>A page directory.</summary>
    PageDirectory,

    /// <summary>A page-directory-pointer table, which PAE paging has.</summary>
    PageDirectoryPointerTable,
}

/// <summary>A paging entry that the policy rejects.</summary>
/// <param name="Linear">The linear address whose translation used it.</param>
/// <param name="Entry">The entry's value.</param>
/// <param name="EntryAddress">The entry's physical address.</param>
/// <param name="Structure">Which paging structure it is in.</param>
public readonly record struct PageTableViolation(uint Linear, ulong Entry, ulong EntryAddress, PagingStructure Structure);

/// <summary>Bits of paging-structure entries (SDM 3A, table 4-4 to 4-6).</summary>
internal static class PageEntry
{
    public const uint Present = 1 << 0;
    public const uint Writable = 1 << 1;
    public const uint User = 1 << 2;
    public const uint Accessed = 1 << 5;
    public const uint Dirty = 1 << 6;
    public const uint LargePage = 1 << 7;
    public const uint Global = 1 << 8;
    public const uint FrameMask = 0xffff_f000;
    public const uint LargeFrameMask = 0xffc0_0000;
    public const uint LargeOffsetMask = 0x003f_f000;

    /// <summary>Reserved in a 4 MiB page's entry, as there is no PSE-36 (SDM 3A, table 4-4).</summary>
    public const uint LargeReserved = 0x003f_e000;
}

/// <summary>Bits of PAE paging's entries, of 64 bits, where they aren't the same (SDM 3A, table 4-8 to 4-11).</summary>
internal static class PaeEntry
{
    public const ulong ExecuteDisable = 1ul << 63;
    public const ulong FrameMask = ((1ul << PhysicalMemory.AddressBits) - 1) & ~(ulong)PhysicalMemory.PageOffsetMask;
    public const uint LargeOffsetMask = 0x001f_f000;

    /// <summary>Reserved in every entry: what no physical address has, but for <see cref="ExecuteDisable"/>.</summary>
    public const ulong Reserved = ~FrameMask & ~(ulong)PhysicalMemory.PageOffsetMask & ~ExecuteDisable;

    /// <summary>Reserved besides in the entry of a 2 MiB page.</summary>
    public const ulong LargeReserved = 0x001f_e000;

    /// <summary>Reserved besides in an entry of the page-directory-pointer table.</summary>
    public const ulong PointerReserved = ExecuteDisable | 0x1e6;
}

/// <summary>What kind of access a translation is for.</summary>
internal enum AccessKind
{
    /// <summary>A load.</summary>
    Read,

    /// <summary>A store.</summary>
    Write,

    /// <summary>A load and a store of the same bytes.</summary>
    Modify,

    /// <summary>A fetch of code.</summary>
    Execute,
}

/// <summary>How a page walk ended.</summary>
internal enum WalkResult
{
    Ok,
    PageFault,
    PolicyViolation,
}

/// <summary>A finished page walk.</summary>
internal struct PageWalk
{
    /// <summary>Number of the physical 4 KiB page.</summary>
    public uint Page;

    /// <summary>Writes at this privilege would be allowed, and have nothing left to set.</summary>
    public bool WriteReady;

    /// <summary>The page is global.</summary>
    public bool Global;

    /// <summary>The page is part of a large one: 4 MiB, or 2 MiB with PAE.</summary>
    public bool Large;

    /// <summary>The page fault's error code.</summary>
    public uint Error;
}
