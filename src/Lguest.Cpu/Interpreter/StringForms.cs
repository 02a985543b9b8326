using System.Runtime.CompilerServices;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>What a string instruction does to one element, and to many of them where that can be faster.</summary>
internal unsafe interface IStringOperation
{
    /// <summary>Whether the element at DS:ESI (or in another segment) is involved.</summary>
    static abstract bool UsesSource { get; }

    /// <summary>Whether the element at ES:EDI is involved.</summary>
    static abstract bool UsesDestination { get; }

    /// <summary>Whether it is a comparison, whose result may end the repetition.</summary>
    static abstract bool Compares { get; }

    /// <summary>Does one element, without moving on. False once a fault is raised, with nothing changed.</summary>
    static abstract bool TryOne<TSize, TAddressing>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing;

    /// <summary>
    /// Does some elements at once, none of which leaves its page, and answers how many; 0 leaves them to
    /// <see cref="TryOne"/>. A comparison stops after the element that ends the repetition.
    /// </summary>
    static abstract uint Many<TSize>(ProcessorState* s, in StringRun run)
        where TSize : struct, IOperandSize;
}

/// <summary>How a string instruction repeats.</summary>
internal enum Repetition
{
    /// <summary>ECX times.</summary>
    Always,

    /// <summary>REPE: at most ECX times, as long as the elements are equal.</summary>
    WhileEqual,

    /// <summary>REPNE: at most ECX times, as long as they differ.</summary>
    WhileNotEqual,
}

/// <summary>Elements in host memory: one run of them from the source's page and the destination's.</summary>
internal unsafe ref struct StringRun
{
    /// <summary>Lowest host address of the source's elements.</summary>
    public byte* Source;

    /// <summary>Lowest host address of the destination's elements.</summary>
    public byte* Destination;

    /// <summary>How many elements.</summary>
    public uint Count;

    /// <summary>EFLAGS.DF: the highest element comes first.</summary>
    public bool Backward;

    /// <summary>When a comparison ends.</summary>
    public Repetition Repetition;
}

/// <summary>String instructions (SDM 1, 7.3.9): how they advance, repeat, and give the engine its turn.</summary>
/// <remarks>
/// A step of a repeated instruction ends with the instruction, with a page of either operand, with an element that hits a
/// data breakpoint or a debugger's watchpoint, or, while TF is set, after one element. Whatever ends it, the registers say exactly what has been done, and it counts as one instruction.
/// </remarks>
internal static unsafe class StringForms<TOperation, TSize, TAddressing>
    where TOperation : struct, IStringOperation
    where TSize : struct, IOperandSize
    where TAddressing : struct, IAddressing
{
    private enum StepEnd
    {
        /// <summary>The instruction is complete.</summary>
        Done,

        /// <summary>There is more to do.</summary>
        More,

        /// <summary>A fault has been raised.</summary>
        Fault,
    }

    /// <summary>Without a prefix.</summary>
    public static Operation* Once(ProcessorState* s, Operation* op)
    {
        if (!TOperation.TryOne<TSize, TAddressing>(s, op))
        {
            return null;
        }

        Advance(s, op, 1);
        return Operation.Next(s, op);
    }

    /// <summary>With REP.</summary>
    public static Operation* Repeat(ProcessorState* s, Operation* op) => Repeat(s, op, Repetition.Always);

    /// <summary>With REPE.</summary>
    public static Operation* RepeatWhileEqual(ProcessorState* s, Operation* op) => Repeat(s, op, Repetition.WhileEqual);

    /// <summary>With REPNE.</summary>
    public static Operation* RepeatWhileNotEqual(ProcessorState* s, Operation* op) =>
        Repeat(s, op, Repetition.WhileNotEqual);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Operation* Repeat(ProcessorState* s, Operation* op, Repetition repetition)
    {
        if ((s->Ecx & AddressMask(op)) == 0)
        {
            return Operation.Next(s, op);
        }

        if (TOperation.Compares)
        {
            RepeatedComparison.Begin(s, op);
        }

        switch (Step(s, op, repetition))
        {
            case StepEnd.Done:
                return Operation.Next(s, op);
            case StepEnd.More:
                return BlockExit.Again(s, op);
            default:
                if (TOperation.Compares)
                {
                    RepeatedComparison.RestoreFlags(s);
                }

                return null;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static StepEnd Step(ProcessorState* s, Operation* op, Repetition repetition)
    {
        uint mask = AddressMask(op);
        uint count = s->Ecx & mask;
        if ((s->SystemFlags & Eflags.Tf) != 0)
        {
            count = 1;
        }

        if (TOperation.UsesSource)
        {
            count = Math.Min(count, ElementsInPage(s, LinearSource(s, op)));
        }

        if (TOperation.UsesDestination)
        {
            count = Math.Min(count, ElementsInPage(s, LinearDestination(s, op)));
        }

        uint done = TryMany(s, op, count, repetition);
        if (done != 0)
        {
            AdvanceAndCount(s, op, done);
            if (HasEnded(s, op, repetition))
            {
                return StepEnd.Done;
            }
        }

        for (; done < count; done++)
        {
            if (!TOperation.TryOne<TSize, TAddressing>(s, op))
            {
                return StepEnd.Fault;
            }

            AdvanceAndCount(s, op, 1);
            if (HasEnded(s, op, repetition))
            {
                return StepEnd.Done;
            }

            if (s->PendingDebug != 0 || s->StopsAfter != 0)
            {
                return StepEnd.More;
            }
        }

        return StepEnd.More;
    }

    /// <summary>
    /// Does as many of the next elements as lie wholly in their pages and within their segments, if plain
    /// memory is there; answers how many.
    /// </summary>
    private static uint TryMany(ProcessorState* s, Operation* op, uint count, Repetition repetition)
    {
        bool backward = (s->SystemFlags & Eflags.Df) != 0;
        var run = new StringRun { Backward = backward, Repetition = repetition };
        if (TOperation.UsesSource)
        {
            count = Math.Min(count, WholeElementsInPage(LinearSource(s, op), backward));
        }

        if (TOperation.UsesDestination)
        {
            count = Math.Min(count, WholeElementsInPage(LinearDestination(s, op), backward));
        }

        // While alignment is checked, each element has to be.
        if (count < 2 || s->Tlb == s->EmptyTlb)
        {
            return 0;
        }

        run.Count = count;
        uint before = backward ? (count - 1) * TSize.Bytes : 0;
        if (TOperation.UsesSource)
        {
            uint offset = (s->Esi & AddressMask(op)) - before;
            if (!IsInSegment(s, op, op->Segment, offset, count, AccessKind.Read)
                || !TryFind(s, LinearSource(s, op) - before, count, AccessKind.Read, out run.Source))
            {
                return 0;
            }
        }

        if (TOperation.UsesDestination)
        {
            uint offset = (s->Edi & AddressMask(op)) - before;
            AccessKind kind = TOperation.Compares ? AccessKind.Read : AccessKind.Write;
            if (!IsInSegment(s, op, (int)SegmentName.Es, offset, count, kind)
                || !TryFind(s, LinearDestination(s, op) - before, count, kind, out run.Destination))
            {
                return 0;
            }
        }

        return TOperation.Many<TSize>(s, run);
    }

    /// <summary>Whether a run doesn't wrap around its address size and the segment allows all of it.</summary>
    private static bool IsInSegment(
        ProcessorState* s, Operation* op, int segment, uint offset, uint count, AccessKind kind)
    {
        if (typeof(TAddressing) == typeof(FlatAddressing))
        {
            return true;
        }

        uint size = count * TSize.Bytes;
        return offset <= AddressMask(op) && size - 1 <= AddressMask(op) - offset
            && (kind == AccessKind.Write
                ? SegmentCheck.IsWritable(s->Segment(segment), offset, size)
                : SegmentCheck.IsReadable(s->Segment(segment), offset, size));
    }

    /// <summary>Finds a run in host memory; for a write, drops code that was decoded from it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryFind(ProcessorState* s, uint linear, uint count, AccessKind kind, out byte* host)
    {
        TlbEntry* entry = TranslationBuffer.EntryOf(s->Tlb, linear, kind);
        host = entry->Addend + linear;
        return entry->Tag == (linear & ~PhysicalMemory.PageOffsetMask)
            || TryFindSlowly(s, linear, count, kind, out host);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryFindSlowly(ProcessorState* s, uint linear, uint count, AccessKind kind, out byte* host)
    {
        host = MemoryAccess.Translate(s, linear, kind, s->Cpl == 3, out ulong physical, out _);
        if (host == null || host == MemoryAccess.NoMemory || (s->Watching != 0 && Processor.From(s).Stops.WatchesPage(linear)))
        {
            return false;
        }

        if (kind == AccessKind.Write)
        {
            Processor.From(s).Memory.NotifyWrite(physical, count * TSize.Bytes);
        }

        return true;
    }

    /// <summary>Elements that begin in the page of the next one.</summary>
    private static uint ElementsInPage(ProcessorState* s, uint linear)
    {
        uint inPage = linear & PhysicalMemory.PageOffsetMask;
        return (s->SystemFlags & Eflags.Df) != 0
            ? (inPage / TSize.Bytes) + 1
            : (PhysicalMemory.PageSize - inPage + TSize.Bytes - 1) / TSize.Bytes;
    }

    /// <summary>Elements that begin and end in the page of the next one, counted up to the first that doesn't.</summary>
    private static uint WholeElementsInPage(uint linear, bool backward)
    {
        uint inPage = linear & PhysicalMemory.PageOffsetMask;
        if (!backward)
        {
            return (PhysicalMemory.PageSize - inPage) / TSize.Bytes;
        }

        return inPage > PhysicalMemory.PageSize - TSize.Bytes ? 0 : (inPage / TSize.Bytes) + 1;
    }

    private static bool HasEnded(ProcessorState* s, Operation* op, Repetition repetition) =>
        (s->Ecx & AddressMask(op)) == 0
        || (TOperation.Compares && s->ZeroFlag != (repetition == Repetition.WhileEqual));

    private static uint LinearSource(ProcessorState* s, Operation* op)
    {
        uint offset = s->Esi & AddressMask(op);
        return typeof(TAddressing) == typeof(FlatAddressing) ? offset : s->Segment(op->Segment).Base + offset;
    }

    private static uint LinearDestination(ProcessorState* s, Operation* op)
    {
        uint offset = s->Edi & AddressMask(op);
        return typeof(TAddressing) == typeof(FlatAddressing) ? offset : s->Es.Base + offset;
    }

    private static void AdvanceAndCount(ProcessorState* s, Operation* op, uint elements)
    {
        Advance(s, op, elements);
        uint mask = AddressMask(op);
        s->Ecx = (s->Ecx & ~mask) | ((s->Ecx - elements) & mask);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Advance(ProcessorState* s, Operation* op, uint elements)
    {
        uint distance = elements * TSize.Bytes;
        distance = (s->SystemFlags & Eflags.Df) != 0 ? 0 - distance : distance;
        uint mask = AddressMask(op);
        if (TOperation.UsesSource)
        {
            s->Esi = (s->Esi & ~mask) | ((s->Esi + distance) & mask);
        }

        if (TOperation.UsesDestination)
        {
            s->Edi = (s->Edi & ~mask) | ((s->Edi + distance) & mask);
        }
    }

    /// <summary>The bits of ECX, ESI and EDI that the instruction uses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint AddressMask(Operation* op) => StringAddress.Mask<TAddressing>(op);
}

/// <summary>
/// A fault of CMPS or SCAS with REPE or REPNE restores the flags to those before the instruction (SDM 2B, REP), which may have been
/// some steps ago.
/// </summary>
internal static unsafe class RepeatedComparison
{
    /// <summary>Before a step: remembers the flags, unless the step follows another one of the same instruction.</summary>
    public static void Begin(ProcessorState* s, Operation* op)
    {
        if (s->RepetitionGoesOnAt == 0 || s->RepetitionGoesOnAt != BlockExit.RetiredBefore(s, op))
        {
            s->RepetitionFlags = s->ArithmeticFlags;
        }
    }

    /// <summary>After a fault.</summary>
    public static void RestoreFlags(ProcessorState* s)
    {
        s->ArithmeticFlags = s->RepetitionFlags;
        s->RepetitionGoesOnAt = 0;
    }
}

/// <summary>Offsets of string operands.</summary>
internal static unsafe class StringAddress
{
    /// <summary>The bits of ECX, ESI and EDI that a string instruction uses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Mask<TAddressing>(Operation* op)
        where TAddressing : struct, IAddressing =>
        typeof(TAddressing) == typeof(FlatAddressing) || (op->Scale & Operation.Address16) == 0
            ? uint.MaxValue
            : ushort.MaxValue;

    /// <summary>Host address to read the element at the source from, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ReadSource<TSize, TAddressing>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing =>
        TAddressing.ReadAt(s, op, op->Segment, s->Esi & Mask<TAddressing>(op), TSize.Bytes);

    /// <summary>Host address to read the element at the destination from, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ReadDestination<TSize, TAddressing>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing =>
        TAddressing.ReadAt(s, op, (int)SegmentName.Es, s->Edi & Mask<TAddressing>(op), TSize.Bytes);

    /// <summary>Writes the element at the destination, or raises and answers false.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryWriteDestination<TSize, TAddressing>(ProcessorState* s, Operation* op, uint value)
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        byte* destination = TAddressing.WriteAt(s, op, (int)SegmentName.Es, s->Edi & Mask<TAddressing>(op), TSize.Bytes);
        if (destination == null)
        {
            return false;
        }

        TSize.Store(destination, value);
        MemoryAccess.Complete(s, destination);
        return true;
    }
}
