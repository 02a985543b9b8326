using System.Runtime.CompilerServices;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>
/// How the processor reaches memory by linear address when the one compare of the fast path has failed. Both engines come here.
/// </summary>
/// <remarks>
/// An access that leaves its page, or that a device answers, goes through <see cref="ProcessorState.Scratch"/>; whoever writes
/// calls <see cref="Complete"/> afterwards. An instruction that a device answers is executed alone, whatever block it is in: so the
/// device finds the count of instructions exact, and the run can end right after it. Nothing can fail after the address has been given. A fault is described in
/// <see cref="ProcessorState.Exception"/>; who knows the instruction raises it.
/// </remarks>
internal static unsafe class MemoryAccess
{
    /// <summary>What <see cref="Translate"/> answers where there is no memory: not an address.</summary>
    public static byte* NoMemory => (byte*)1;

    /// <summary>Host address for an operand of 16 bytes at most, or null after the fault has been described.</summary>
    /// <param name="s">The processor's state.</param>
    /// <param name="linear">The first byte.</param>
    /// <param name="size">Bytes.</param>
    /// <param name="kind">
    /// Read: the bytes there are the operand. Write: they may be anything. Modify: they are the operand, and the caller writes it back.
    /// </param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static byte* Find(ProcessorState* s, uint linear, uint size, AccessKind kind)
    {
        if (s->ChecksAlignment && IsMisaligned(linear, size))
        {
            s->Exception = ExceptionInfo.Of(ExceptionVector.AlignmentCheck, 0);
            return null;
        }

        bool user = s->Cpl == 3;
        byte* first = Translate(s, linear, kind, user, out ulong physical, out s->Exception);
        if (first == null)
        {
            return null;
        }

        uint inPage = PhysicalMemory.PageSize - (linear & PhysicalMemory.PageOffsetMask);
        byte* second = null;
        ulong secondPhysical = 0;
        if (size > inPage)
        {
            second = Translate(s, linear + inPage, kind, user, out secondPhysical, out s->Exception);
            if (second == null)
            {
                return null;
            }
        }

        if ((first == NoMemory || second == NoMemory) && (s->Block->Mode & ExecutionMode.Single) == 0)
        {
            s->Exception = new ExceptionInfo { Vector = ExceptionInfo.DeviceAccess };
            return null;
        }

        if ((s->Breakpoints & Breakpoints.Data) != 0)
        {
            s->PendingDebug |= Debug.MatchData(s, linear, size, kind);
        }

        if (s->Watching != 0)
        {
            Processor.From(s).Stops.NoteAccess(linear, size, kind);
        }

        if (kind != AccessKind.Read)
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
            FirstPhysical = physical,
            SecondPhysical = secondPhysical,
            FirstLength = (int)Math.Min(size, inPage),
            Length = (int)size,
        };
        if (kind != AccessKind.Write)
        {
            ReadSplit(s);
        }

        return (byte*)&s->Scratch;
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
    /// <param name="kind">What the access does.</param>
    /// <param name="user">Checked as CPL 3, or as the processor's own access.</param>
    /// <param name="physical">Physical address of the byte.</param>
    /// <param name="fault">#PF, or an entry that the page table policy rejects (<see cref="ExceptionInfo.PolicyViolation"/>).</param>
    public static byte* Translate(
        ProcessorState* s,
        uint linear,
        AccessKind kind,
        bool user,
        out ulong physical,
        out ExceptionInfo fault)
    {
        TlbEntry* entry = TranslationBuffer.EntryOf(user ? s->UserTlb : s->SupervisorTlb, linear, kind);
        TranslationBuffer translation = Processor.From(s).Translation;
        fault = default;
        const ulong KeptBits = TlbEntry.CodePage | TlbEntry.NoMemory | TlbEntry.Watched;
        if ((entry->Tag & ~KeptBits) != (linear & ~PhysicalMemory.PageOffsetMask)
            && !Fill(s, translation, linear, kind, user, ref fault))
        {
            physical = 0;
            return null;
        }

        ulong page = translation.OriginOf(entry)->Page;
        physical = (page << PhysicalMemory.PageShift) | (linear & PhysicalMemory.PageOffsetMask);
        return (entry->Tag & TlbEntry.NoMemory) != 0 ? NoMemory : entry->Addend + linear;
    }

    /// <summary>What #AC is about (SDM 3A, table 6-7). Operands that are no power of two are the instruction's own matter.</summary>
    /// <summary>
    /// Whether #AC is due. What has 16 bytes has either raised #GP before, or needs no alignment: Intel's processors don't check
    /// MOVUPS and the like.
    /// </summary>
    private static bool IsMisaligned(uint linear, uint size) =>
        size < 16 && (size & (size - 1)) == 0 && (linear & (size - 1)) != 0;

    /// <summary>Drops cached code that a store is about to overwrite, this very block's included.</summary>
    private static void DropCode(ProcessorState* s, byte* host, ulong physical, uint length)
    {
        if (host != NoMemory)
        {
            Processor.From(s).Memory.NotifyWrite(physical, length);
        }
    }

    private static void ReadSplit(ProcessorState* s)
    {
        var scratch = new Span<byte>(&s->Scratch, s->Split.Length);
        ReadPiece(s, s->Split.First, s->Split.FirstPhysical, scratch[..s->Split.FirstLength]);
        ReadPiece(s, s->Split.Second, s->Split.SecondPhysical, scratch[s->Split.FirstLength..]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void CompleteSplit(ProcessorState* s)
    {
        var scratch = new ReadOnlySpan<byte>(&s->Scratch, s->Split.Length);
        WritePiece(s, s->Split.First, s->Split.FirstPhysical, scratch[..s->Split.FirstLength]);
        WritePiece(s, s->Split.Second, s->Split.SecondPhysical, scratch[s->Split.FirstLength..]);
    }

    private static void ReadPiece(ProcessorState* s, byte* host, ulong physical, Span<byte> to)
    {
        if (host != NoMemory)
        {
            new ReadOnlySpan<byte>(host, to.Length).CopyTo(to);
            return;
        }

        PhysicalMemory memory = Processor.From(s).Memory;
        for (int size; !to.IsEmpty; to = to[size..], physical += (uint)size)
        {
            size = DeviceAccessSize(physical, to.Length);
            uint value = memory.ReadDevice(physical, size);
            for (int i = 0; i < size; i++)
            {
                to[i] = (byte)(value >> (8 * i));
            }
        }
    }

    private static void WritePiece(ProcessorState* s, byte* host, ulong physical, ReadOnlySpan<byte> from)
    {
        if (host != NoMemory)
        {
            from.CopyTo(new Span<byte>(host, from.Length));
            return;
        }

        PhysicalMemory memory = Processor.From(s).Memory;
        for (int size; !from.IsEmpty; from = from[size..], physical += (uint)size)
        {
            size = DeviceAccessSize(physical, from.Length);
            uint value = 0;
            for (int i = 0; i < size; i++)
            {
                value |= (uint)from[i] << (8 * i);
            }

            memory.WriteDevice(physical, size, value);
        }
    }

    /// <summary>The largest of 4, 2 and 1 bytes that is aligned and no longer than what is left.</summary>
    private static int DeviceAccessSize(ulong physical, int left) =>
        (physical & 3) == 0 && left >= 4 ? 4 : (physical & 1) == 0 && left >= 2 ? 2 : 1;

    /// <summary>Walks the tables and keeps what comes of it: for reading and writing at once where both are allowed.</summary>
    private static bool Fill(
        ProcessorState* s, TranslationBuffer translation, uint linear, AccessKind kind, bool user, ref ExceptionInfo fault)
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
                fault.Vector = ExceptionInfo.PolicyViolation;
                fault.Address = linear;
                return false;
            default:
                break;
        }

        uint page = linear & ~PhysicalMemory.PageOffsetMask;
        byte* host = processor.Memory.HostPage(walk.Page);
        byte* addend = host - page;
        uint tag = page | (host == null ? TlbEntry.NoMemory : 0);
        TlbEntry* tables = user ? s->UserTlb : s->SupervisorTlb;
        if (kind == AccessKind.Execute)
        {
            translation.Fill(TranslationBuffer.EntryOf(tables, linear, kind), tag, addend, walk);
            return true;
        }

        if (s->Watching != 0 && processor.Stops.WatchesPage(linear))
        {
            tag |= TlbEntry.Watched;
        }

        translation.Fill(TranslationBuffer.ReadEntry(tables, linear), tag, addend, walk);
        if (walk.WriteReady)
        {
            uint code = processor.Memory.Code.Holds(walk.Page) ? TlbEntry.CodePage : 0;
            translation.Fill(TranslationBuffer.WriteEntry(tables, linear), tag | code, addend, walk);
        }

        return true;
    }
}
