using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>PUSH and POP of general registers, immediates and memory (SDM 1, 6.2).</summary>
internal static unsafe class StackTransfer
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        bool is16 = instruction.StackPointerIncrement is 2 or -2;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Push when !IsSegment(instruction):
                op->Handler = is16
                    ? SelectPush<Size16>(instruction, context, op)
                    : SelectPush<Size32>(instruction, context, op);
                return Lowered.Continues;
            case Mnemonic.Pop when !IsSegment(instruction):
                op->Handler = is16
                    ? SelectPop<Size16>(instruction, context, op)
                    : SelectPop<Size32>(instruction, context, op);
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    private static bool IsSegment(in Instruction instruction) =>
        Operands.IsRegister(instruction, 0) && instruction.Op0Register.IsSegmentRegister();

    private static OperationHandler SelectPush<TSize>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TSize : struct, IOperandSize
    {
        if (Operands.IsMemory(instruction, 0))
        {
            Operands.SetMemory(instruction, op);
            return Operands.IsFlat(instruction, context)
                ? &Forms<TSize, FlatAddressing>.PushMemory
                : &Forms<TSize, SegmentedAddressing>.PushMemory;
        }

        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            return context.IsFlat
                ? &Forms<TSize, FlatAddressing>.PushRegister
                : &Forms<TSize, SegmentedAddressing>.PushRegister;
        }

        op->Immediate = (uint)instruction.GetImmediate(0) & TSize.Mask;
        return context.IsFlat
            ? &Forms<TSize, FlatAddressing>.PushImmediate
            : &Forms<TSize, SegmentedAddressing>.PushImmediate;
    }

    private static OperationHandler SelectPop<TSize>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TSize : struct, IOperandSize
    {
        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            return context.IsFlat
                ? &Forms<TSize, FlatAddressing>.PopRegister
                : &Forms<TSize, SegmentedAddressing>.PopRegister;
        }

        Operands.SetMemory(instruction, op);
        if (instruction.MemoryBase == Register.ESP)
        {
            // "The effective address is computed after ESP is incremented" (SDM 2B, POP).
            op->Displacement += TSize.Bytes;
        }

        return Operands.IsFlat(instruction, context)
            ? &Forms<TSize, FlatAddressing>.PopMemory
            : &Forms<TSize, SegmentedAddressing>.PopMemory;
    }

    private static class Forms<TSize, TAddressing>
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        public static Operation* PushRegister(ProcessorState* s, Operation* op) =>
            StackAccess<TAddressing>.Push<TSize>(s, op, TSize.Load(Operands.Register(s, op->Register)))
                ? Operation.Next(s, op)
                : null;

        public static Operation* PushImmediate(ProcessorState* s, Operation* op) =>
            StackAccess<TAddressing>.Push<TSize>(s, op, op->Immediate) ? Operation.Next(s, op) : null;

        public static Operation* PushMemory(ProcessorState* s, Operation* op)
        {
            byte* source = TAddressing.Read(s, op, TSize.Bytes);
            return source != null && StackAccess<TAddressing>.Push<TSize>(s, op, TSize.Load(source))
                ? Operation.Next(s, op)
                : null;
        }

        public static Operation* PopRegister(ProcessorState* s, Operation* op)
        {
            byte* top = StackAccess<TAddressing>.Peek(s, op, 0, TSize.Bytes);
            if (top == null)
            {
                return null;
            }

            uint value = TSize.Load(top);
            StackAccess<TAddressing>.Release(s, TSize.Bytes);
            TSize.Store(Operands.Register(s, op->Register), value);
            return Operation.Next(s, op);
        }

        public static Operation* PopMemory(ProcessorState* s, Operation* op)
        {
            byte* top = StackAccess<TAddressing>.Peek(s, op, 0, TSize.Bytes);
            if (top == null)
            {
                return null;
            }

            uint value = TSize.Load(top);
            byte* destination = TAddressing.Write(s, op, TSize.Bytes);
            if (destination == null)
            {
                return null;
            }

            TSize.Store(destination, value);
            MemoryAccess.Complete(s, destination);
            StackAccess<TAddressing>.Release(s, TSize.Bytes);
            return Operation.Next(s, op);
        }
    }
}
