using System.Runtime.CompilerServices;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>Translates by the guest's own paging structures, in the mode that CR0 and CR4 select (SDM 3A, 4.1.1).</summary>
internal static unsafe class PageWalker
{
    /// <summary>Walks the tables for one access, and sets accessed and dirty bits.</summary>
    /// <param name="processor">Whose control registers and memory count.</param>
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

        processor.Statistics.PageWalks++;
        return (s->Cr4 & Cr4.Pae) == 0
            ? TwoLevelPaging.Walk(processor, linear, kind, user, ref walk)
            : PaePaging.Walk(processor, linear, kind, user, ref walk);
    }

    /// <summary>Translates without setting bits or checking rights: for messages and debuggers.</summary>
    public static bool TryPeek(Processor processor, uint linear, out ulong physical)
    {
        ProcessorState* s = processor.StatePointer;
        if ((s->Cr0 & Cr0.Pg) == 0)
        {
            physical = linear;
            return true;
        }

        return (s->Cr4 & Cr4.Pae) == 0
            ? TwoLevelPaging.TryPeek(processor, linear, out physical)
            : PaePaging.TryPeek(processor, linear, out physical);
    }

    /// <summary>SDM 3A, 4.6.1: the U and W bits of all levels, and CR0.WP.</summary>
    /// <param name="s">The processor's state.</param>
    /// <param name="rights">What all entries have in common.</param>
    /// <param name="isWrite">The access writes.</param>
    /// <param name="user">It is one of CPL 3.</param>
    /// <param name="writable">Whether one that writes is allowed.</param>
    public static bool IsAllowed(ProcessorState* s, uint rights, bool isWrite, bool user, out bool writable)
    {
        writable = (rights & PageEntry.Writable) != 0 || (!user && (s->Cr0 & Cr0.Wp) == 0);
        return (!user || (rights & PageEntry.User) != 0) && (!isWrite || writable);
    }

    /// <summary>The end of a walk that an access is allowed: sets the bits in the entry of its page, and says what the translation is.</summary>
    /// <param name="processor">Whose walk it is.</param>
    /// <param name="frame">Physical address of the 4 KiB page.</param>
    /// <param name="entry">The low half of the page's entry.</param>
    /// <param name="entryAddress">Its physical address.</param>
    /// <param name="isWrite">The access writes.</param>
    /// <param name="writable">Whether one that writes is allowed.</param>
    /// <param name="walk">Gets the translation.</param>
    public static WalkResult Finish(
        Processor processor, ulong frame, uint entry, ulong entryAddress, bool isWrite, bool writable, ref PageWalk walk)
    {
        uint marks = isWrite ? PageEntry.Accessed | PageEntry.Dirty : PageEntry.Accessed;
        SetBits(processor.Memory, entryAddress, entry, marks);
        walk.Page = (uint)(frame >> PhysicalMemory.PageShift);
        walk.WriteReady = writable && ((entry | marks) & PageEntry.Dirty) != 0;
        walk.Global = (processor.StatePointer->Cr4 & Cr4.Pge) != 0 && (entry & PageEntry.Global) != 0;
        return WalkResult.Ok;
    }

    /// <summary>Whether the policy allows no entry with a frame.</summary>
    public static bool IsRejected(Processor processor, ulong frame) =>
        (processor.PageTablePolicy & PageTablePolicy.RejectFramesOutsideMemory) != 0
        && processor.Memory.HostPage((uint)(frame >> PhysicalMemory.PageShift)) == null;

    /// <summary>Says which entry the policy rejects.</summary>
    public static WalkResult Reject(Processor processor, uint linear, ulong entry, ulong entryAddress, PagingStructure structure)
    {
        processor.PageTableViolation = new PageTableViolation(linear, entry, entryAddress, structure);
        return WalkResult.PolicyViolation;
    }

    /// <summary>An entry of a paging structure. Where no memory is, none is present.</summary>
    /// <typeparam name="TEntry">As wide as entries are: uint or ulong.</typeparam>
    public static TEntry? ReadEntry<TEntry>(PhysicalMemory memory, ulong address)
    {
        byte* host = memory.HostPage((uint)(address >> PhysicalMemory.PageShift));
        return host == null ? default : Unsafe.ReadUnaligned<TEntry>(host + (address & PhysicalMemory.PageOffsetMask));
    }

    /// <summary>Sets the accessed or dirty bit of an entry that was found. They are in its first byte.</summary>
    public static void SetBits(PhysicalMemory memory, ulong address, uint entry, uint bits)
    {
        if ((entry & bits) == bits)
        {
            return;
        }

        byte* host = memory.HostPage((uint)(address >> PhysicalMemory.PageShift));
        *(uint*)(host + (address & PhysicalMemory.PageOffsetMask)) = entry | bits;
        memory.NotifyWrite(address, sizeof(uint));
    }
}
