using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>Far JMP, CALL and RET (SDM 2A, CALL and JMP; SDM 2B, RET).</summary>
internal static unsafe class FarTransfers
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Jmp_ptr1616:
                return LowerDirect(instruction, op, instruction.FarBranch16, &Forms<Size16>.JumpDirect);
            case Code.Jmp_ptr1632:
                return LowerDirect(instruction, op, instruction.FarBranch32, &Forms<Size32>.JumpDirect);
            case Code.Call_ptr1616:
                return LowerDirect(instruction, op, instruction.FarBranch16, &Forms<Size16>.CallDirect);
            case Code.Call_ptr1632:
                return LowerDirect(instruction, op, instruction.FarBranch32, &Forms<Size32>.CallDirect);
            case Code.Jmp_m1616:
                return LowerIndirect(instruction, op, &Forms<Size16>.JumpIndirect);
            case Code.Jmp_m1632:
                return LowerIndirect(instruction, op, &Forms<Size32>.JumpIndirect);
            case Code.Call_m1616:
                return LowerIndirect(instruction, op, &Forms<Size16>.CallIndirect);
            case Code.Call_m1632:
                return LowerIndirect(instruction, op, &Forms<Size32>.CallIndirect);
            case Code.Retfw:
            case Code.Retfw_imm16:
                return LowerReturn(instruction, op, &Forms<Size16>.Return);
            case Code.Retfd:
            case Code.Retfd_imm16:
                return LowerReturn(instruction, op, &Forms<Size32>.Return);
            default:
                return Lowered.Undefined;
        }
    }

    private static Lowered LowerDirect(in Instruction instruction, Operation* op, uint offset, OperationHandler handler)
    {
        op->Immediate = offset;
        op->Displacement = instruction.FarBranchSelector;
        op->Handler = handler;
        return Lowered.EndsBlock;
    }

    private static Lowered LowerIndirect(in Instruction instruction, Operation* op, OperationHandler handler)
    {
        Operands.SetMemory(instruction, op);
        op->Handler = handler;
        return Lowered.EndsBlock;
    }

    private static Lowered LowerReturn(in Instruction instruction, Operation* op, OperationHandler handler)
    {
        op->Immediate = instruction.OpCount == 0 ? 0u : instruction.Immediate16;
        op->Handler = handler;
        return Lowered.EndsBlock;
    }

    private static class Forms<TSize>
        where TSize : struct, IOperandSize
    {
        public static Operation* JumpDirect(ProcessorState* s, Operation* op) =>
            Jump(s, op, (ushort)op->Displacement, op->Immediate);

        public static Operation* CallDirect(ProcessorState* s, Operation* op) =>
            Call(s, op, (ushort)op->Displacement, op->Immediate);

        public static Operation* JumpIndirect(ProcessorState* s, Operation* op)
        {
            uint address = EffectiveAddress.Of(s, op);
            byte* source = SegmentedAddressing.ReadAt(s, op, op->Segment, address, TSize.Bytes);
            if (source == null)
            {
                return null;
            }

            uint offset = TSize.Load(source);
            source = ReadSelector(s, op, address);
            return source == null ? null : Jump(s, op, (ushort)Size16.Load(source), offset);
        }

        public static Operation* CallIndirect(ProcessorState* s, Operation* op)
        {
            uint address = EffectiveAddress.Of(s, op);
            byte* source = SegmentedAddressing.ReadAt(s, op, op->Segment, address, TSize.Bytes);
            if (source == null)
            {
                return null;
            }

            uint offset = TSize.Load(source);
            source = ReadSelector(s, op, address);
            return source == null ? null : Call(s, op, (ushort)Size16.Load(source), offset);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        public static Operation* Return(ProcessorState* s, Operation* op)
        {
            Processor processor = Processor.From(s);
            ExceptionInfo fault = default;
            return FarExit.Finish(s, op, TryReturn(processor, op->Immediate, ref fault), fault);
        }

        private static bool TryReturn(Processor processor, uint parameters, ref ExceptionInfo fault)
        {
            ProcessorState* s = processor.StatePointer;
            bool user = s->Cpl == 3;
            const uint FrameWords = 2;
            if (!SystemStack.TryPeek(processor, s->Ss, s->Esp, 0, TSize.Bytes, user, out uint eip, ref fault)
                || !SystemStack.TryPeek(
                    processor, s->Ss, s->Esp, TSize.Bytes, TSize.Bytes, user, out uint cs, ref fault)
                || !FarReturn.TryUnwind(
                    processor,
                    (ushort)cs,
                    eip,
                    FrameWords * TSize.Bytes,
                    parameters,
                    TSize.Bytes,
                    out FarReturn target,
                    ref fault))
            {
                return false;
            }

            target.Apply(processor);
            processor.UpdateMode();
            return true;
        }

        private static byte* ReadSelector(ProcessorState* s, Operation* op, uint address) =>
            SegmentedAddressing.ReadAt(
                s, op, op->Segment, FarPointer.SelectorOffset<TSize>(op, address), sizeof(ushort));

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static Operation* Jump(ProcessorState* s, Operation* op, ushort selector, uint offset) =>
            FarTarget.Transfer(s, op, selector, offset, TSize.Bytes, isCall: false);

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static Operation* Call(ProcessorState* s, Operation* op, ushort selector, uint offset) =>
            FarTarget.Transfer(s, op, selector, offset, TSize.Bytes, isCall: true);
    }
}
