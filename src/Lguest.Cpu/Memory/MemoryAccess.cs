using System.Runtime.CompilerServices;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>
/// How operations reach memory by linear address. Each function answers with a host address to read
/// or write through, or null after it has raised the fault; the caller then just returns null.
/// </summary>
/// <remarks>
/// The fast path is one compare: the tag of the entry for the first byte against the page of the last,
/// which differ when there is no translation, when a slow bit is set, and when the access leaves its
/// page. An access that leaves its page goes through <see cref="ProcessorState.Scratch"/>; whoever writes
/// calls <see cref="Complete"/> afterwards. Nothing can fail after the address has been given.
/// </remarks>
internal static unsafe class MemoryAccess
{
    /// <summary>Host address to read <paramref name="size"/> bytes (16 at most) from, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Read(ProcessorState* s, Operation* op, uint linear, uint size)
    {
        TlbEntry* entry = TranslationBuffer.EntryOf(s->Tlb, linear);
        return entry->ReadTag == ((linear + size - 1) & ~PhysicalMemory.PageOffsetMask)
            ? entry->Addend + linear
            : SlowAccess(s, op, linear, size, AccessKind.Read);
    }

    /// <summary>
    /// Host address to write, or to read and then write, <paramref name="size"/> bytes (16 at most), or
    /// null. The bytes there are the current ones.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Write(ProcessorState* s, Operation* op, uint linear, uint size)
    {
        TlbEntry* entry = TranslationBuffer.EntryOf(s->Tlb, linear);
        return entry->WriteTag == ((linear + size - 1) & ~PhysicalMemory.PageOffsetMask)
            ? entry->Addend + linear
            : SlowAccess(s, op, linear, size, AccessKind.Write);
    }

    /// <summary>Finishes a write through <paramref name="host"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Complete(ProcessorState* s, byte* host)
    {
        if (host == (byte*)&s->Scratch)
        {
            CompleteSplit(s);
        }
    }

    /// <summary>
    /// Host address of a linear one for an access that doesn't leave its page, made with the given
    /// privilege; null after the fault has been put into <paramref name="fault"/>.
    /// </summary>
    /// <param name="s">The processor's state.</param>
    /// <param name="linear">The first byte.</param>
    /// <param name="kind">Read, write or execute.</param>
    /// <param name="user">Checked as CPL 3, or as the processor's own access.</param>
    /// <param name="physical">Physical address of the byte.</param>
    /// <param name="fault">#PF, or (vector -1) an entry that the page table policy rejects.</param>
    public static byte* Translate(
        ProcessorState* s,
        uint linear,
        AccessKind kind,
        bool user,
        out uint physical,
        out PendingException fault)
    {
        TlbEntry* entry = TranslationBuffer.EntryOf(user ? s->UserTlb : s->SupervisorTlb, linear);
        uint tag = kind switch
        {
            AccessKind.Read => entry->ReadTag,
            AccessKind.Write => entry->WriteTag,
            _ => entry->ExecuteTag,
        };
        fault = default;
        const uint KeptBits = TlbEntry.CodePage | TlbEntry.NoMemory;
        if ((tag & ~KeptBits) != (linear & ~PhysicalMemory.PageOffsetMask))
        {
            if (!Fill(s, entry, linear, kind, user, ref fault))
            {
                physical = 0;
                return null;
            }

            tag = entry->ReadTag;
        }

        physical = entry->Physical | (linear & PhysicalMemory.PageOffsetMask);
        return (tag & TlbEntry.NoMemory) != 0 ? NoMemory : entry->Addend + linear;
    }

    /// <summary>What <see cref="Translate"/> answers where there is no memory: not an address.</summary>
    public static byte* NoMemory => (byte*)1;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte* SlowAccess(ProcessorState* s, Operation* op, uint linear, uint size, AccessKind kind)
    {
        if (s->ChecksAlignment && IsMisaligned(linear, size))
        {
            Fault.Raise(s, op, ExceptionVector.AlignmentCheck);
            return null;
        }

        bool user = s->Cpl == 3;
        byte* first = Translate(s, linear, kind, user, out uint physical, out PendingException fault);
        if (first == null)
        {
            Fault.Raise(s, op, fault);
            return null;
        }

        uint inPage = PhysicalMemory.PageSize - (linear & PhysicalMemory.PageOffsetMask);
        byte* second = null;
        uint secondPhysical = 0;
        if (size > inPage)
        {
            second = Translate(s, linear + inPage, kind, user, out secondPhysical, out fault);
            if (second == null)
            {
                Fault.Raise(s, op, fault);
                return null;
            }
        }

        if ((s->Breakpoints & Breakpoints.Data) != 0)
        {
            s->PendingDebug |= Debug.MatchData(s, linear, size, kind);
        }

        if (kind == AccessKind.Write)
        {
            DropCode(s, first, physical, Math.Min(size, inPage));
            if (second != null)
            {
                DropCode(s, second, secondPhysical, size - inPage);
            }
        }

        if (second == null && first != NoMemory)
        {
            return first;
        }

        s->Split = new PendingWrite
        {
            First = first,
            Second = second,
            FirstLength = (int)Math.Min(size, inPage),
            Length = (int)size,
        };
        byte* scratch = (byte*)&s->Scratch;
        for (int i = 0; i < (int)size; i++)
        {
            byte* source = i < s->Split.FirstLength ? first : second;
            int offset = i < s->Split.FirstLength ? i : i - s->Split.FirstLength;
            scratch[i] = source == NoMemory ? byte.MaxValue : source[offset];
        }

        return scratch;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void CompleteSplit(ProcessorState* s)
    {
        byte* scratch = (byte*)&s->Scratch;
        for (int i = 0; i < s->Split.Length; i++)
        {
            bool inFirst = i < s->Split.FirstLength;
            byte* target = inFirst ? s->Split.First : s->Split.Second;
            if (target != NoMemory)
            {
                target[inFirst ? i : i - s->Split.FirstLength] = scratch[i];
            }
        }
    }

    /// <summary>Drops cached code that a store is about to overwrite, this very block's included.</summary>
    private static void DropCode(ProcessorState* s, byte* host, uint physical, uint length)
    {
        if (host != NoMemory)
        {
            Processor.From(s).Memory.NotifyWrite(physical, length);
        }
    }

    /// <summary>What #AC is about (SDM 3A, table 6-7). Operands that are no power of two are the instruction's own matter.</summary>
    private static bool IsMisaligned(uint linear, uint size) =>
        (size & (size - 1)) == 0 && (linear & (size - 1)) != 0;

    private static bool Fill(
        ProcessorState* s,
        TlbEntry* entry,
        uint linear,
        AccessKind kind,
        bool user,
        ref PendingException fault)
    {
        Processor processor = Processor.From(s);
        switch (PageWalker.Walk(processor, linear, kind, user, out PageWalk walk))
        {
            case WalkResult.PageFault:
                fault.Vector = ExceptionVector.PageFault;
                fault.ErrorCode = walk.Error;
                fault.Address = linear;
                return false;
            case WalkResult.PolicyViolation:
                fault.Vector = Fault.PolicyViolation;
                fault.Address = linear;
                return false;
            default:
                break;
        }

        uint page = linear & ~PhysicalMemory.PageOffsetMask;
        byte* host = processor.Memory.HostPage(walk.Physical);
        uint slow = host == null ? TlbEntry.NoMemory : 0;
        bool hasCode = host != null && processor.Memory.CodePageFlags[walk.Physical >> PhysicalMemory.PageShift] != 0;
        entry->ReadTag = page | slow;
        entry->ExecuteTag = page | slow;
        entry->WriteTag = walk.WriteReady ? page | slow | (hasCode ? TlbEntry.CodePage : 0) : uint.MaxValue;
        entry->Physical = walk.Physical;
        entry->Addend = host - page;
        entry->Kind = (walk.Global ? TlbEntry.Global : 0) | (walk.Large ? TlbEntry.Large : 0);
        processor.Translation.HasLargePages |= walk.Large;
        return true;
    }
}
