using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>MOV, PUSH and POP of segment registers, and LDS, LES, LFS, LGS, LSS (SDM 1, 7.3.14).</summary>
/// <remarks>A selector is a word in memory and on the stack, also where ESP moves by four (SDM 2B, PUSH).</remarks>
internal static unsafe class Segmentation
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Mov when IsSegment(instruction, 0):
                return LowerMoveTo(instruction, op);
            case Mnemonic.Mov when IsSegment(instruction, 1):
                return LowerMoveFrom(instruction, op);
            case Mnemonic.Push when IsSegment(instruction, 0):
                op->Segment = StateOffset.OfSegment(instruction.Op0Register);
                op->Handler = instruction.StackPointerIncrement == -2
                    ? &Forms<Size16>.Push
                    : context.IsFlat ? &PushFlat : &Forms<Size32>.Push;
                return Lowered.Continues;
            case Mnemonic.Pop when IsSegment(instruction, 0):
                op->Segment = StateOffset.OfSegment(instruction.Op0Register);
                op->Handler = instruction.StackPointerIncrement == 2 ? &Forms<Size16>.Pop : &Forms<Size32>.Pop;
                return Lowered.Continues;
            case Mnemonic.Les:
                return LowerPointer(instruction, op, (int)SegmentName.Es);
            case Mnemonic.Lss:
                return LowerPointer(instruction, op, (int)SegmentName.Ss);
            case Mnemonic.Lds:
                return LowerPointer(instruction, op, (int)SegmentName.Ds);
            case Mnemonic.Lfs:
                return LowerPointer(instruction, op, (int)SegmentName.Fs);
            case Mnemonic.Lgs:
                return LowerPointer(instruction, op, (int)SegmentName.Gs);
            default:
                return Lowered.Undefined;
        }
    }

    private static bool IsSegment(in Instruction instruction, int operand) =>
        Operands.IsRegister(instruction, operand) && instruction.GetOpRegister(operand).IsSegmentRegister();

    private static Lowered LowerMoveTo(in Instruction instruction, Operation* op)
    {
        // Neither to CS nor to the two that don't exist: Iced calls those invalid.
        op->Immediate = StateOffset.OfSegment(instruction.Op0Register);
        if (Operands.IsRegister(instruction, 1))
        {
            op->Register = Operands.RegisterOffset(instruction, 1);
            op->Handler = &MoveFromRegister;
        }
        else
        {
            Operands.SetMemory(instruction, op);
            op->Handler = &MoveFromMemory;
        }

        return Lowered.Continues;
    }

    private static Lowered LowerMoveFrom(in Instruction instruction, Operation* op)
    {
        byte segment = StateOffset.OfSegment(instruction.Op1Register);
        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            op->Handler = Operands.Bits(instruction, 0) == 16 ? &MoveToRegister<Size16> : &MoveToRegister<Size32>;
        }
        else
        {
            Operands.SetMemory(instruction, op);
            op->Handler = &MoveToMemory;
        }

        op->Immediate = segment;
        return Lowered.Continues;
    }

    private static Lowered LowerPointer(in Instruction instruction, Operation* op, uint segment)
    {
        Operands.SetMemory(instruction, op);
        op->Register = Operands.RegisterOffset(instruction, 0);
        op->Immediate = segment;
        op->Handler = Operands.Bits(instruction, 0) == 16 ? &LoadPointer<Size16> : &LoadPointer<Size32>;
        return Lowered.Continues;
    }

    private static Operation* MoveFromRegister(ProcessorState* s, Operation* op) =>
        TryChange(s, op, (int)op->Immediate, (ushort)Size16.Load(Operands.Register(s, op->Register)))
            ? Continue(s, op, (int)op->Immediate)
            : null;

    private static Operation* MoveFromMemory(ProcessorState* s, Operation* op)
    {
        byte* source = SegmentedAddressing.Read(s, op, sizeof(ushort));
        return source != null && TryChange(s, op, (int)op->Immediate, (ushort)Size16.Load(source))
            ? Continue(s, op, (int)op->Immediate)
            : null;
    }

    /// <summary>A 32-bit register gets the selector and zeros.</summary>
    private static Operation* MoveToRegister<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
    {
        TSize.Store(Operands.Register(s, op->Register), s->Segment((int)op->Immediate).Selector);
        return Operation.Next(s, op);
    }

    private static Operation* MoveToMemory(ProcessorState* s, Operation* op)
    {
        byte* destination = SegmentedAddressing.Write(s, op, sizeof(ushort));
        if (destination == null)
        {
            return null;
        }

        Size16.Store(destination, s->Segment((int)op->Immediate).Selector);
        MemoryAccess.Complete(s, destination);
        return Operation.Next(s, op);
    }

    private static Operation* LoadPointer<TSize>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
    {
        uint address = EffectiveAddress.Of(s, op);
        byte* source = SegmentedAddressing.ReadAt(s, op, op->Segment, address, TSize.Bytes);
        if (source == null)
        {
            return null;
        }

        uint offset = TSize.Load(source);
        source = SegmentedAddressing.ReadAt(
            s, op, op->Segment, FarPointer.SelectorOffset<TSize>(op, address), sizeof(ushort));
        if (source == null || !TryChange(s, op, (int)op->Immediate, (ushort)Size16.Load(source)))
        {
            return null;
        }

        TSize.Store(Operands.Register(s, op->Register), offset);
        return op->Immediate == (int)SegmentName.Ss ? ContinueWithoutShadow(s, op) : Continue(s, op, (int)op->Immediate);
    }

    private static Operation* PushFlat(ProcessorState* s, Operation* op) =>
        StackAccess<FlatAddressing>.PushSelector<Size32>(s, op, s->Segment(op->Segment).Selector) ? Operation.Next(s, op) : null;

    private static class Forms<TSize>
        where TSize : struct, IOperandSize
    {
        public static Operation* Push(ProcessorState* s, Operation* op) =>
            StackAccess<SegmentedAddressing>.PushSelector<TSize>(s, op, s->Segment(op->Segment).Selector)
                ? Operation.Next(s, op)
                : null;

        public static Operation* Pop(ProcessorState* s, Operation* op)
        {
            byte* top = StackAccess<SegmentedAddressing>.Peek(s, op, 0, sizeof(ushort));
            if (top == null)
            {
                return null;
            }

            // The old stack's size says how much of ESP moves.
            uint mask = SegmentedAddressing.StackMask(s);
            if (!TryChange(s, op, op->Segment, (ushort)Size16.Load(top)))
            {
                return null;
            }

            s->Esp = (s->Esp & ~mask) | ((s->Esp + TSize.Bytes) & mask);
            return Continue(s, op, op->Segment);
        }
    }

    /// <summary>Loads the register, with what follows from it, or raises. Most loads change nothing.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryChange(ProcessorState* s, Operation* op, int segment, ushort selector)
    {
        ExceptionInfo fault = default;
        Processor processor = Processor.From(s);
        if (!SegmentLoader.TryLoad(processor, segment, selector, out SegmentRegister register, ref fault))
        {
            Fault.Raise(s, op, fault);
            return false;
        }

        bool isSame = register.HasSameMeaning(s->Segment(segment));
        s->Segment(segment) = register;
        if (!isSame && segment < (int)SegmentName.Fs)
        {
            processor.UpdateMode();
        }

        return true;
    }

    private static Operation* Continue(ProcessorState* s, Operation* op, int segment)
    {
        if (segment == (int)SegmentName.Ss)
        {
            InterruptShadow.AfterStackSegment(s, op);
        }

        return ContinueWithoutShadow(s, op);
    }

    /// <summary>The block goes on if it was built for the segments as they are now.</summary>
    private static Operation* ContinueWithoutShadow(ProcessorState* s, Operation* op) =>
        s->Mode == s->Block->Mode ? Operation.Next(s, op) : BlockExit.Leave(s, op);
}

/// <summary>Pointers of an offset and a selector in memory (SDM 1, 4.3).</summary>
internal static unsafe class FarPointer
{
    /// <summary>Where the selector is, for an offset of the given size at an effective address.</summary>
    public static uint SelectorOffset<TSize>(Operation* op, uint address)
        where TSize : struct, IOperandSize
    {
        uint offset = address + TSize.Bytes;
        return (op->Scale & Operation.Address16) != 0 ? (ushort)offset : offset;
    }
}
