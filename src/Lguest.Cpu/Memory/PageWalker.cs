using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>Present paging entries that end the run rather than being used: for hosts that check their guest.</summary>
[Flags]
public enum PageTablePolicy
{
    /// <summary>Behave as the processor does.</summary>
    None = 0,

    /// <summary>Reject a directory entry with bit 7 (PS) set.</summary>
    RejectLargePages = 1,

    /// <summary>Reject an entry whose frame isn't memory.</summary>
    RejectFramesOutsideMemory = 2,
}

/// <summary>A paging entry that the policy rejects.</summary>
/// <param name="Linear">The linear address whose translation used it.</param>
/// <param name="Entry">The entry's value.</param>
/// <param name="EntryAddress">The entry's physical address.</param>
/// <param name="IsDirectory">A page directory's entry rather than a page table's.</param>
public readonly record struct PageTableViolation(uint Linear, uint Entry, uint EntryAddress, bool IsDirectory);

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

    /// <summary>The page is part of a 4 MiB one.</summary>
    public bool Large;

    /// <summary>The page fault's error code.</summary>
    public uint Error;
}

/// <summary>
/// 32-bit paging (SDM 3A, 4.3): two levels, 4 KiB pages, 4 MiB ones with CR4.PSE; sets accessed and
/// dirty bits.
/// </summary>
internal static unsafe class PageWalker
{
    /// <summary>Walks the tables for one access.</summary>
    /// <param name="processor">Whose CR3, CR0, CR4 and memory count.</param>
    /// <param name="linear">Any address in the page.</param>
    /// <param name="kind">Read, write or execute.</param>
    /// <param name="user">An access made at CPL 3, and not one that the processor makes for itself.</param>
    /// <param name="walk">The translation, or the fault's error code.</param>
    public static WalkResult Walk(Processor processor, uint linear, AccessKind kind, bool user, out PageWalk walk)
    {
        ProcessorState* s = processor.StatePointer;
        walk = default;
        if ((s->Cr0 & Cr0.Pg) == 0)
        {
            walk.Page = linear >> PhysicalMemory.PageShift;
            walk.WriteReady = true;
            return WalkResult.Ok;
        }

        bool isWrite = kind is AccessKind.Write or AccessKind.Modify;
        processor.Statistics.PageWalks++;
        PhysicalMemory memory = processor.Memory;
        uint error = (isWrite ? PageFaultError.Write : 0) | (user ? PageFaultError.User : 0);
        uint directoryAddress = (s->Cr3 & PageEntry.FrameMask) + ((linear >> 22) << 2);
        uint directoryEntry = ReadEntry(memory, directoryAddress);
        if ((directoryEntry & PageEntry.Present) == 0)
        {
            walk.Error = error;
            return WalkResult.PageFault;
        }

        bool large = (directoryEntry & PageEntry.LargePage) != 0;
        if (large && (processor.PageTablePolicy & PageTablePolicy.RejectLargePages) != 0)
        {
            return Reject(processor, linear, directoryEntry, directoryAddress, isDirectory: true);
        }

        if (large && (s->Cr4 & Cr4.Pse) != 0)
        {
            return FinishLarge(processor, linear, isWrite, user, directoryEntry, directoryAddress, error, ref walk);
        }

        uint tableFrame = directoryEntry & PageEntry.FrameMask;
        if (IsRejected(processor, tableFrame))
        {
            return Reject(processor, linear, directoryEntry, directoryAddress, isDirectory: true);
        }

        uint tableAddress = tableFrame + (((linear >> 12) & 0x3ff) << 2);
        uint tableEntry = ReadEntry(memory, tableAddress);
        if ((tableEntry & PageEntry.Present) == 0)
        {
            walk.Error = error;
            return WalkResult.PageFault;
        }

        if (IsRejected(processor, tableEntry & PageEntry.FrameMask))
        {
            return Reject(processor, linear, tableEntry, tableAddress, isDirectory: false);
        }

        uint rights = directoryEntry & tableEntry;
        if (!IsAllowed(s, rights, isWrite, user, out bool writable))
        {
            walk.Error = error | PageFaultError.Protection;
            return WalkResult.PageFault;
        }

        SetBits(memory, directoryAddress, directoryEntry, PageEntry.Accessed);
        uint wanted = isWrite ? PageEntry.Accessed | PageEntry.Dirty : PageEntry.Accessed;
        SetBits(memory, tableAddress, tableEntry, wanted);
        walk.Page = tableEntry >> PhysicalMemory.PageShift;
        walk.WriteReady = writable && ((tableEntry | wanted) & PageEntry.Dirty) != 0;
        walk.Global = (s->Cr4 & Cr4.Pge) != 0 && (tableEntry & PageEntry.Global) != 0;
        return WalkResult.Ok;
    }

    /// <summary>Translates without setting bits or checking rights: for messages and debuggers.</summary>
    public static bool TryPeek(Processor processor, uint linear, out ulong physical)
    {
        ProcessorState* s = processor.StatePointer;
        physical = linear;
        if ((s->Cr0 & Cr0.Pg) == 0)
        {
            return true;
        }

        uint directoryEntry = ReadEntry(processor.Memory, (s->Cr3 & PageEntry.FrameMask) + ((linear >> 22) << 2));
        if ((directoryEntry & PageEntry.Present) == 0)
        {
            return false;
        }

        if ((directoryEntry & PageEntry.LargePage) != 0 && (s->Cr4 & Cr4.Pse) != 0)
        {
            physical = (directoryEntry & PageEntry.LargeFrameMask) | (linear & ~PageEntry.LargeFrameMask);
            return true;
        }

        uint tableEntry = ReadEntry(
            processor.Memory, (directoryEntry & PageEntry.FrameMask) + (((linear >> 12) & 0x3ff) << 2));
        physical = (tableEntry & PageEntry.FrameMask) | (linear & PhysicalMemory.PageOffsetMask);
        return (tableEntry & PageEntry.Present) != 0;
    }

    private static WalkResult FinishLarge(
        Processor processor,
        uint linear,
        bool isWrite,
        bool user,
        uint entry,
        uint entryAddress,
        uint error,
        ref PageWalk walk)
    {
        ProcessorState* s = processor.StatePointer;
        if ((entry & PageEntry.LargeReserved) != 0)
        {
            walk.Error = error | PageFaultError.Protection | PageFaultError.ReservedBit;
            return WalkResult.PageFault;
        }

        walk.Large = true;
        uint frame = (entry & PageEntry.LargeFrameMask) | (linear & PageEntry.LargeOffsetMask);
        if (IsRejected(processor, frame))
        {
            return Reject(processor, linear, entry, entryAddress, isDirectory: true);
        }

        if (!IsAllowed(s, entry, isWrite, user, out bool writable))
        {
            walk.Error = error | PageFaultError.Protection;
            return WalkResult.PageFault;
        }

        uint wanted = isWrite ? PageEntry.Accessed | PageEntry.Dirty : PageEntry.Accessed;
        SetBits(processor.Memory, entryAddress, entry, wanted);
        walk.Page = frame >> PhysicalMemory.PageShift;
        walk.WriteReady = writable && ((entry | wanted) & PageEntry.Dirty) != 0;
        walk.Global = (s->Cr4 & Cr4.Pge) != 0 && (entry & PageEntry.Global) != 0;
        return WalkResult.Ok;
    }

    /// <summary>SDM 3A, 4.6.1: the U and W bits of all levels, and CR0.WP.</summary>
    private static bool IsAllowed(ProcessorState* s, uint rights, bool isWrite, bool user, out bool writable)
    {
        writable = (rights & PageEntry.Writable) != 0 || (!user && (s->Cr0 & Cr0.Wp) == 0);
        return (!user || (rights & PageEntry.User) != 0) && (!isWrite || writable);
    }

    private static bool IsRejected(Processor processor, uint frame) =>
        (processor.PageTablePolicy & PageTablePolicy.RejectFramesOutsideMemory) != 0
        && processor.Memory.HostPage(frame >> PhysicalMemory.PageShift) == null;

    private static WalkResult Reject(Processor processor, uint linear, uint entry, uint entryAddress, bool isDirectory)
    {
        processor.PageTableViolation = new PageTableViolation(linear, entry, entryAddress, isDirectory);
        return WalkResult.PolicyViolation;
    }

    private static uint ReadEntry(PhysicalMemory memory, uint address)
    {
        byte* host = memory.HostPage(address >> PhysicalMemory.PageShift);
        return host == null ? 0 : *(uint*)(host + (address & PhysicalMemory.PageOffsetMask));
    }

    private static void SetBits(PhysicalMemory memory, uint address, uint entry, uint bits)
    {
        if ((entry & bits) == bits)
        {
            return;
        }

        byte* host = memory.HostPage(address >> PhysicalMemory.PageShift);
        *(uint*)(host + (address & PhysicalMemory.PageOffsetMask)) = entry | bits;
        memory.NotifyWrite(address, sizeof(uint));
    }
}
