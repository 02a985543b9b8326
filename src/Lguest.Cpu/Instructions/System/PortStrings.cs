using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>INS and OUTS, with and without REP (SDM 2A, INS; SDM 2B, OUTS).</summary>
/// <remarks>
/// Whether the port may be used is asked first, even for a repetition of none, and the access to memory is checked before the port
/// is touched. A step of a REP ends with its page, when the machine wants the run to end, with an element that hits a data breakpoint, and
/// after one element while single-stepping.
/// </remarks>
internal static unsafe class PortStrings<TSize>
    where TSize : struct, IOperandSize
{
    /// <summary>Chooses the handler, and fills in the segment and the address size.</summary>
    public static OperationHandler Select(in Instruction instruction, Operation* op)
    {
        bool isInput = instruction.Op1Kind == OpKind.Register;
        OpKind memory = isInput ? instruction.Op0Kind : instruction.Op1Kind;
        bool is16 = memory is OpKind.MemoryESDI or OpKind.MemorySegSI;
        op->Scale = is16 ? Operation.Address16 : (byte)0;
        op->Segment = isInput ? (byte)(int)SegmentName.Es : StateOffset.OfSegment(instruction.MemorySegment);
        bool repeats = instruction.HasRepPrefix || instruction.HasRepnePrefix;
        return (isInput, repeats) switch
        {
            (true, false) => &InputOne,
            (true, true) => &InputRepeat,
            (false, false) => &OutputOne,
            (false, true) => &OutputRepeat,
        };
    }

    private static Operation* InputOne(ProcessorState* s, Operation* op) => One(s, op, IsAllowed(s, op) && TryInput(s, op));

    private static Operation* OutputOne(ProcessorState* s, Operation* op) => One(s, op, IsAllowed(s, op) && TryOutput(s, op));

    private static Operation* InputRepeat(ProcessorState* s, Operation* op)
    {
        if (!IsAllowed(s, op))
        {
            return null;
        }

        do
        {
            if (IsExhausted(s, op))
            {
                return Operation.Next(s, op);
            }

            if (!TryInput(s, op))
            {
                return null;
            }
        }
        while (!EndsStep(s, op, StateOffset.Edi));

        return AfterStep(s, op);
    }

    private static Operation* OutputRepeat(ProcessorState* s, Operation* op)
    {
        if (!IsAllowed(s, op))
        {
            return null;
        }

        do
        {
            if (IsExhausted(s, op))
            {
                return Operation.Next(s, op);
            }

            if (!TryOutput(s, op))
            {
                return null;
            }
        }
        while (!EndsStep(s, op, StateOffset.Esi));

        return AfterStep(s, op);
    }

    private static Operation* One(ProcessorState* s, Operation* op, bool done) =>
        !done ? null : s->StopRequested == 0 ? Operation.Next(s, op) : BlockExit.Leave(s, op);

    private static Operation* AfterStep(ProcessorState* s, Operation* op) =>
        !IsExhausted(s, op) ? BlockExit.Again(s, op) : One(s, op, done: true);

    /// <summary>Counts the element that has just been moved; true when its step ends with it.</summary>
    private static bool EndsStep(ProcessorState* s, Operation* op, byte pointer)
    {
        SetRegister(s, op, StateOffset.Ecx, GetRegister(s, op, StateOffset.Ecx) - 1);
        uint now = s->Segment(op->Segment).Base + GetRegister(s, op, pointer);
        uint before = s->Segment(op->Segment).Base + ((GetRegister(s, op, pointer) - Stride(s)) & Mask(op));
        return IsExhausted(s, op) || s->StopRequested != 0 || s->StopsAfter != 0 || s->PendingDebug != 0 || (s->SystemFlags & Eflags.Tf) != 0
            || (now ^ before) > PhysicalMemory.PageOffsetMask;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryInput(ProcessorState* s, Operation* op)
    {
        var port = (ushort)s->Edx;
        uint offset = GetRegister(s, op, StateOffset.Edi);
        byte* destination = SegmentedAddressing.WriteAt(s, op, (int)SegmentName.Es, offset, TSize.Bytes);
        if (destination == null)
        {
            return false;
        }

        TSize.Store(destination, Processor.From(s).Ports.Read(port, (int)TSize.Bytes));
        MemoryAccess.Complete(s, destination);
        SetRegister(s, op, StateOffset.Edi, offset + Stride(s));
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryOutput(ProcessorState* s, Operation* op)
    {
        var port = (ushort)s->Edx;
        uint offset = GetRegister(s, op, StateOffset.Esi);
        byte* source = SegmentedAddressing.ReadAt(s, op, op->Segment, offset, TSize.Bytes);
        if (source == null)
        {
            return false;
        }

        Processor.From(s).Ports.Write(port, (int)TSize.Bytes, TSize.Load(source));
        SetRegister(s, op, StateOffset.Esi, offset + Stride(s));
        return true;
    }

    private static bool IsAllowed(ProcessorState* s, Operation* op) =>
        Ports.IsAllowed(s, op, (ushort)s->Edx, TSize.Bytes, hostAllows: false);

    private static bool IsExhausted(ProcessorState* s, Operation* op) => GetRegister(s, op, StateOffset.Ecx) == 0;

    private static uint Stride(ProcessorState* s) =>
        (s->SystemFlags & Eflags.Df) == 0 ? TSize.Bytes : 0 - TSize.Bytes;

    private static uint Mask(Operation* op) =>
        (op->Scale & Operation.Address16) != 0 ? ushort.MaxValue : uint.MaxValue;

    private static uint GetRegister(ProcessorState* s, Operation* op, byte register) =>
        *(uint*)((byte*)s + register) & Mask(op);

    private static void SetRegister(ProcessorState* s, Operation* op, byte register, uint value)
    {
        uint* storage = (uint*)((byte*)s + register);
        *storage = (*storage & ~Mask(op)) | (value & Mask(op));
    }
}
