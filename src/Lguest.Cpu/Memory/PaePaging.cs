using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>
/// PAE paging (SDM 3A, 4.4): three levels, entries of 64 bits, 4 KiB and 2 MiB pages, and pages without code (EFER.NXE). The first
/// level is four entries, which the processor keeps in registers.
/// </summary>
internal static unsafe class PaePaging
{
    private const int PointerShift = 30;
    private const int DirectoryShift = 21;
    private const uint IndexMask = 0x1ff;

    /// <summary>The bits of CR3 that are the address of the page-directory-pointer table.</summary>
    private const uint PointerTableMask = 0xffff_ffe0;

    /// <summary>See <see cref="PageWalker.Walk"/>.</summary>
    public static WalkResult Walk(Processor processor, uint linear, AccessKind kind, bool user, ref PageWalk walk)
    {
        ProcessorState* s = processor.StatePointer;
        bool disablesExecution = (s->Msrs.Efer & Efer.Nxe) != 0;
        bool isFetch = kind == AccessKind.Execute;
        bool isWrite = kind is AccessKind.Write or AccessKind.Modify;
        PhysicalMemory memory = processor.Memory;
        ulong reserved = PaeEntry.Reserved | (disablesExecution ? 0 : PaeEntry.ExecuteDisable);
        uint error = (isWrite ? PageFaultError.Write : 0) | (user ? PageFaultError.User : 0)
            | (isFetch && disablesExecution ? PageFaultError.InstructionFetch : 0);
        ulong pointer = s->PageDirectoryPointers[(int)(linear >> PointerShift)];
        if ((pointer & PageEntry.Present) == 0)
        {
            walk.Error = error;
            return WalkResult.PageFault;
        }

        if (PageWalker.IsRejected(processor, pointer & PaeEntry.FrameMask))
        {
            ulong pointerAddress = PointerTable(s->Cr3) + ((linear >> PointerShift) * sizeof(ulong));
            return PageWalker.Reject(processor, linear, pointer, pointerAddress, PagingStructure.PageDirectoryPointerTable);
        }

        ulong directoryAddress = EntryAddress(pointer, linear >> DirectoryShift);
        ulong directoryEntry = PageWalker.ReadEntry<ulong>(memory, directoryAddress);
        if ((directoryEntry & PageEntry.Present) == 0)
        {
            walk.Error = error;
            return WalkResult.PageFault;
        }

        walk.Large = (directoryEntry & PageEntry.LargePage) != 0;
        if (walk.Large && (processor.PageTablePolicy & PageTablePolicy.RejectLargePages) != 0)
        {
            return PageWalker.Reject(processor, linear, directoryEntry, directoryAddress, PagingStructure.PageDirectory);
        }

        if ((directoryEntry & (reserved | (walk.Large ? PaeEntry.LargeReserved : 0))) != 0)
        {
            walk.Error = error | PageFaultError.Protection | PageFaultError.ReservedBit;
            return WalkResult.PageFault;
        }

        // The entry of the page, whichever level it is in, and what all levels have in common.
        ulong entry = directoryEntry;
        ulong entryAddress = directoryAddress;
        ulong frame = (entry & PaeEntry.FrameMask & ~(ulong)PaeEntry.LargeOffsetMask) | (linear & PaeEntry.LargeOffsetMask);
        PagingStructure structure = PagingStructure.PageDirectory;
        ulong rights = entry;
        if (!walk.Large)
        {
            if (PageWalker.IsRejected(processor, entry & PaeEntry.FrameMask))
            {
                return PageWalker.Reject(processor, linear, entry, entryAddress, structure);
            }

            entryAddress = EntryAddress(directoryEntry, linear >> PhysicalMemory.PageShift);
            entry = PageWalker.ReadEntry<ulong>(memory, entryAddress);
            if ((entry & PageEntry.Present) == 0)
            {
                walk.Error = error;
                return WalkResult.PageFault;
            }

            if ((entry & reserved) != 0)
            {
                walk.Error = error | PageFaultError.Protection | PageFaultError.ReservedBit;
                return WalkResult.PageFault;
            }

            frame = entry & PaeEntry.FrameMask;
            structure = PagingStructure.PageTable;
            rights &= entry;
        }

        if (PageWalker.IsRejected(processor, frame))
        {
            return PageWalker.Reject(processor, linear, entry, entryAddress, structure);
        }

        // One level is enough to forbid execution.
        bool isExecutable = ((directoryEntry | entry) & PaeEntry.ExecuteDisable) == 0;
        if (!PageWalker.IsAllowed(s, (uint)rights, isWrite, user, out bool writable) || (isFetch && !isExecutable))
        {
            walk.Error = error | PageFaultError.Protection;
            return WalkResult.PageFault;
        }

        if (!walk.Large)
        {
            PageWalker.SetBits(memory, directoryAddress, (uint)directoryEntry, PageEntry.Accessed);
        }

        return PageWalker.Finish(processor, frame, (uint)entry, entryAddress, isWrite, writable, ref walk);
    }

    /// <summary>See <see cref="PageWalker.TryPeek"/>.</summary>
    public static bool TryPeek(Processor processor, uint linear, out ulong physical)
    {
        physical = linear;
        ulong pointer = processor.StatePointer->PageDirectoryPointers[(int)(linear >> PointerShift)];
        if ((pointer & PageEntry.Present) == 0)
        {
            return false;
        }

        ulong entry = PageWalker.ReadEntry<ulong>(processor.Memory, EntryAddress(pointer, linear >> DirectoryShift));
        if ((entry & PageEntry.Present) == 0)
        {
            return false;
        }

        uint offset = PhysicalMemory.PageOffsetMask;
        if ((entry & PageEntry.LargePage) != 0)
        {
            offset |= PaeEntry.LargeOffsetMask;
        }
        else
        {
            entry = PageWalker.ReadEntry<ulong>(processor.Memory, EntryAddress(entry, linear >> PhysicalMemory.PageShift));
        }

        physical = (entry & PaeEntry.FrameMask & ~(ulong)offset) | (linear & offset);
        return (entry & PageEntry.Present) != 0;
    }

    /// <summary>Whether CR0 and CR4 select PAE paging (SDM 3A, 4.1.1).</summary>
    public static bool IsSelected(uint cr0, uint cr4) => (cr0 & Cr0.Pg) != 0 && (cr4 & Cr4.Pae) != 0;

    /// <summary>
    /// Whether a write to a control register makes the processor load the page-directory-pointer-table entries (SDM 3A, 4.4.1).
    /// </summary>
    /// <param name="s">The state before the write.</param>
    /// <param name="number">0, 3 or 4; any other register doesn't.</param>
    /// <param name="value">What is written.</param>
    public static bool LoadsPointers(ProcessorState* s, int number, uint value) => number switch
    {
        0 => IsSelected(value, s->Cr4) && ((s->Cr0 ^ value) & (Cr0.Cd | Cr0.Nw | Cr0.Pg)) != 0,
        3 => IsSelected(s->Cr0, s->Cr4),
        4 => IsSelected(s->Cr0, value) && ((s->Cr4 ^ value) & (Cr4.Pae | Cr4.Pge | Cr4.Pse)) != 0,
        _ => false,
    };

    /// <summary>Reads the page-directory-pointer table.</summary>
    /// <param name="memory">Where it is.</param>
    /// <param name="cr3">Its address, in bits 31 to 5.</param>
    /// <param name="pointers">Its four entries.</param>
    /// <returns>Whether none that is present has a reserved bit.</returns>
    public static bool TryReadPointers(PhysicalMemory memory, uint cr3, out PageDirectoryPointers pointers)
    {
        bool isGood = true;
        pointers = default;
        for (int i = 0; i < PageDirectoryPointers.Count; i++)
        {
            ulong pointer = PageWalker.ReadEntry<ulong>(memory, PointerTable(cr3) + ((uint)i * sizeof(ulong)));
            pointers[i] = pointer;
            isGood &= (pointer & PageEntry.Present) == 0 || (pointer & (PaeEntry.Reserved | PaeEntry.PointerReserved)) == 0;
        }

        return isGood;
    }

    private static ulong PointerTable(uint cr3) => cr3 & PointerTableMask;

    private static ulong EntryAddress(ulong above, uint index) =>
        (above & PaeEntry.FrameMask) + ((index & IndexMask) * sizeof(ulong));
}
