using System.Runtime.CompilerServices;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// How an operation gets from its operand to memory, as a type. Each answers as <see cref="OperandAccess"/>
/// does: a host address, or null once the fault is raised.
/// </summary>
internal unsafe interface IAddressing
{
    /// <summary>Host address to read the memory operand from, or null.</summary>
    static abstract byte* Read(ProcessorState* s, Operation* op, uint size);

    /// <summary>Host address to write the memory operand through, or null.</summary>
    static abstract byte* Write(ProcessorState* s, Operation* op, uint size);

    /// <summary>Host address to read the memory operand from and to write it through, or null.</summary>
    static abstract byte* Modify(ProcessorState* s, Operation* op, uint size);

    /// <summary>As <see cref="Read"/>, but #GP(0) unless the linear address is a multiple of the size.</summary>
    static abstract byte* ReadAligned(ProcessorState* s, Operation* op, uint size);

    /// <summary>As <see cref="Write"/>, but #GP(0) unless the linear address is a multiple of the size.</summary>
    static abstract byte* WriteAligned(ProcessorState* s, Operation* op, uint size);

    /// <summary>Host address to read at an offset in a segment, or null.</summary>
    static abstract byte* ReadAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size);

    /// <summary>Host address to write at an offset in a segment, or null.</summary>
    static abstract byte* WriteAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size);

    /// <summary>Host address to read and then write at an offset in a segment, or null.</summary>
    static abstract byte* ModifyAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size);

    /// <summary>Bits of ESP that the stack uses.</summary>
    static abstract uint StackMask(ProcessorState* s);
}

/// <summary>
/// For blocks in <see cref="ExecutionMode.Flat"/>: an offset is a linear address. Not for CS, FS and GS, nor 16-bit
/// addresses.
/// </summary>
internal readonly unsafe struct FlatAddressing : IAddressing
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Read(ProcessorState* s, Operation* op, uint size) =>
        OperandAccess.Read(s, op, EffectiveAddress.Of32(s, op), size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Write(ProcessorState* s, Operation* op, uint size) =>
        OperandAccess.Write(s, op, EffectiveAddress.Of32(s, op), size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Modify(ProcessorState* s, Operation* op, uint size) =>
        OperandAccess.Modify(s, op, EffectiveAddress.Of32(s, op), size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ReadAligned(ProcessorState* s, Operation* op, uint size)
    {
        uint linear = EffectiveAddress.Of32(s, op);
        return (linear & (size - 1)) == 0
            ? OperandAccess.Read(s, op, linear, size)
            : (byte*)Fault.Raise(s, op, ExceptionVector.GeneralProtection);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* WriteAligned(ProcessorState* s, Operation* op, uint size)
    {
        uint linear = EffectiveAddress.Of32(s, op);
        return (linear & (size - 1)) == 0
            ? OperandAccess.Write(s, op, linear, size)
            : (byte*)Fault.Raise(s, op, ExceptionVector.GeneralProtection);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ReadAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size) =>
        OperandAccess.Read(s, op, offset, size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* WriteAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size) =>
        OperandAccess.Write(s, op, offset, size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ModifyAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size) =>
        OperandAccess.Modify(s, op, offset, size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint StackMask(ProcessorState* s) => uint.MaxValue;
}

/// <summary>For everything else: type, limit and base of the segment count.</summary>
internal readonly unsafe struct SegmentedAddressing : IAddressing
{
    public static byte* Read(ProcessorState* s, Operation* op, uint size) =>
        ReadAt(s, op, op->Segment, EffectiveAddress.Of(s, op), size);

    public static byte* Write(ProcessorState* s, Operation* op, uint size) =>
        WriteAt(s, op, op->Segment, EffectiveAddress.Of(s, op), size);

    public static byte* Modify(ProcessorState* s, Operation* op, uint size) =>
        ModifyAt(s, op, op->Segment, EffectiveAddress.Of(s, op), size);

    public static byte* ReadAligned(ProcessorState* s, Operation* op, uint size) =>
        SegmentCheck.IsReadable(s->Segment(op->Segment), EffectiveAddress.Of(s, op), size) && !IsAligned(s, op, size)
            ? (byte*)Fault.Raise(s, op, ExceptionVector.GeneralProtection)
            : Read(s, op, size);

    public static byte* WriteAligned(ProcessorState* s, Operation* op, uint size) =>
        SegmentCheck.IsWritable(s->Segment(op->Segment), EffectiveAddress.Of(s, op), size) && !IsAligned(s, op, size)
            ? (byte*)Fault.Raise(s, op, ExceptionVector.GeneralProtection)
            : Write(s, op, size);

    public static byte* ReadAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size)
    {
        ref SegmentRegister register = ref s->Segment(segment);
        return SegmentCheck.IsReadable(register, offset, size)
            ? OperandAccess.Read(s, op, register.Base + offset, size)
            : (byte*)SegmentCheck.Raise(s, op, segment);
    }

    public static byte* WriteAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size)
    {
        ref SegmentRegister register = ref s->Segment(segment);
        return SegmentCheck.IsWritable(register, offset, size)
            ? OperandAccess.Write(s, op, register.Base + offset, size)
            : (byte*)SegmentCheck.Raise(s, op, segment);
    }

    public static byte* ModifyAt(ProcessorState* s, Operation* op, int segment, uint offset, uint size)
    {
        ref SegmentRegister register = ref s->Segment(segment);
        return SegmentCheck.IsWritable(register, offset, size)
            ? OperandAccess.Modify(s, op, register.Base + offset, size)
            : (byte*)SegmentCheck.Raise(s, op, segment);
    }

    public static uint StackMask(ProcessorState* s) => s->Ss.IsDefault32 ? uint.MaxValue : ushort.MaxValue;

    private static bool IsAligned(ProcessorState* s, Operation* op, uint size) =>
        ((s->Segment(op->Segment).Base + EffectiveAddress.Of(s, op)) & (size - 1)) == 0;
}

/// <summary>Offsets that memory operands name.</summary>
internal static unsafe class EffectiveAddress
{
    /// <summary>Base + index * scale + displacement, 32 bits wide.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Of32(ProcessorState* s, Operation* op) =>
        *(uint*)((byte*)s + op->Base) + (*(uint*)((byte*)s + op->Index) << op->Scale) + op->Displacement;

    /// <summary>The same, or 16 bits wide where the instruction says so.</summary>
    public static uint Of(ProcessorState* s, Operation* op)
    {
        uint offset = *(uint*)((byte*)s + op->Base) + (*(uint*)((byte*)s + op->Index) << (op->Scale & 3)) + op->Displacement;
        return (op->Scale & Operation.Address16) != 0 ? (ushort)offset : offset;
    }
}

/// <summary>What a segment allows (SDM 3A, 5.3 and 5.5).</summary>
internal static unsafe class SegmentCheck
{
    /// <summary>Whether the bytes may be read through the segment.</summary>
    public static bool IsReadable(in SegmentRegister segment, uint offset, uint size) =>
        (segment.Access & (SegmentAccess.Code | SegmentAccess.WritableOrReadable)) != SegmentAccess.Code
        && IsWithinLimit(segment, offset, size);

    /// <summary>Whether the bytes may be written through the segment.</summary>
    public static bool IsWritable(in SegmentRegister segment, uint offset, uint size) =>
        (segment.Access & (SegmentAccess.Code | SegmentAccess.WritableOrReadable)) == SegmentAccess.WritableOrReadable
        && IsWithinLimit(segment, offset, size);

    /// <summary>Raises #SS(0) for the stack's segment, #GP(0) for any other; always null.</summary>
    public static Operation* Raise(ProcessorState* s, Operation* op, int segment) =>
        Fault.Raise(
            s,
            op,
            segment == (int)SegmentName.Ss ? ExceptionVector.StackSegment : ExceptionVector.GeneralProtection);

    /// <summary>Whether the segment holds the bytes, whatever may be done with them.</summary>
    public static bool IsWithinLimit(in SegmentRegister segment, uint offset, uint size)
    {
        if (!segment.IsUsable)
        {
            return false;
        }

        ulong last = (ulong)offset + size - 1;
        bool expandsDown = (segment.Access & (SegmentAccess.Code | SegmentAccess.ExpandDownOrConforming))
            == SegmentAccess.ExpandDownOrConforming;
        return expandsDown
            ? offset > segment.Limit && last <= (segment.IsDefault32 ? uint.MaxValue : ushort.MaxValue)
            // In 4 GiB what reaches beyond the end goes on at 0, as it does in flat segments: docs/undefined-behaviour.md, 33.
            : last <= segment.Limit || segment.Limit == uint.MaxValue;
    }
}
