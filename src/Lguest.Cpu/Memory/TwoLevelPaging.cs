using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>32-bit paging (SDM 3A, 4.3): two levels, 4 KiB pages, 4 MiB ones with CR4.PSE.</summary>
internal static unsafe class TwoLevelPaging
{
    private const int DirectoryShift = 22;
    private const uint IndexMask = 0x3ff;

    /// <summary>See <see cref="PageWalker.Walk"/>.</summary>
    public static WalkResult Walk(Processor processor, uint linear, AccessKind kind, bool user, ref PageWalk walk)
    {
        ProcessorState* s = processor.StatePointer;
        bool isWrite = kind is AccessKind.Write or AccessKind.Modify;
        PhysicalMemory memory = processor.Memory;
        uint error = (isWrite ? PageFaultError.Write : 0) | (user ? PageFaultError.User : 0);
        uint directoryAddress = DirectoryEntryAddress(s, linear);
        uint directoryEntry = PageWalker.ReadEntry<uint>(memory, directoryAddress);
        if ((directoryEntry & PageEntry.Present) == 0)
        {
            walk.Error = error;
            return WalkResult.PageFault;
        }

        bool large = (directoryEntry & PageEntry.LargePage) != 0;
        if (large && (processor.PageTablePolicy & PageTablePolicy.RejectLargePages) != 0)
        {
            return PageWalker.Reject(processor, linear, directoryEntry, directoryAddress, PagingStructure.PageDirectory);
        }

        if (large && (s->Cr4 & Cr4.Pse) != 0)
        {
            return FinishLarge(processor, linear, isWrite, user, directoryEntry, directoryAddress, error, ref walk);
        }

        uint tableFrame = directoryEntry & PageEntry.FrameMask;
        if (PageWalker.IsRejected(processor, tableFrame))
        {
            return PageWalker.Reject(processor, linear, directoryEntry, directoryAddress, PagingStructure.PageDirectory);
        }

        uint tableAddress = TableEntryAddress(tableFrame, linear);
        uint tableEntry = PageWalker.ReadEntry<uint>(memory, tableAddress);
        if ((tableEntry & PageEntry.Present) == 0)
        {
            walk.Error = error;
            return WalkResult.PageFault;
        }

        if (PageWalker.IsRejected(processor, tableEntry & PageEntry.FrameMask))
        {
            return PageWalker.Reject(processor, linear, tableEntry, tableAddress, PagingStructure.PageTable);
        }

        if (!PageWalker.IsAllowed(s, directoryEntry & tableEntry, isWrite, user, out bool writable))
        {
            walk.Error = error | PageFaultError.Protection;
            return WalkResult.PageFault;
        }

        PageWalker.SetBits(memory, directoryAddress, directoryEntry, PageEntry.Accessed);
        return PageWalker.Finish(processor, tableEntry & PageEntry.FrameMask, tableEntry, tableAddress, isWrite, writable, ref walk);
    }

    /// <summary>See <see cref="PageWalker.TryPeek"/>.</summary>
    public static bool TryPeek(Processor processor, uint linear, out ulong physical)
    {
        ProcessorState* s = processor.StatePointer;
        physical = linear;
        uint directoryEntry = PageWalker.ReadEntry<uint>(processor.Memory, DirectoryEntryAddress(s, linear));
        if ((directoryEntry & PageEntry.Present) == 0)
        {
            return false;
        }

        if ((directoryEntry & PageEntry.LargePage) != 0 && (s->Cr4 & Cr4.Pse) != 0)
        {
            physical = (directoryEntry & PageEntry.LargeFrameMask) | (linear & ~PageEntry.LargeFrameMask);
            return true;
        }

        uint tableEntry = PageWalker.ReadEntry<uint>(
            processor.Memory, TableEntryAddress(directoryEntry & PageEntry.FrameMask, linear));
        physical = (tableEntry & PageEntry.FrameMask) | (linear & PhysicalMemory.PageOffsetMask);
        return (tableEntry & PageEntry.Present) != 0;
    }

    private static uint DirectoryEntryAddress(ProcessorState* s, uint linear) =>
        (s->Cr3 & PageEntry.FrameMask) + ((linear >> DirectoryShift) * sizeof(uint));

    private static uint TableEntryAddress(uint tableFrame, uint linear) =>
        tableFrame + (((linear >> PhysicalMemory.PageShift) & IndexMask) * sizeof(uint));

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
        if (PageWalker.IsRejected(processor, frame))
        {
            return PageWalker.Reject(processor, linear, entry, entryAddress, PagingStructure.PageDirectory);
        }

        if (!PageWalker.IsAllowed(s, entry, isWrite, user, out bool writable))
        {
            walk.Error = error | PageFaultError.Protection;
            return WalkResult.PageFault;
        }

        return PageWalker.Finish(processor, frame, entry, entryAddress, isWrite, writable, ref walk);
    }
}
