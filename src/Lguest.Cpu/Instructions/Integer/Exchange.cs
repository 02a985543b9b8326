using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>XCHG, XADD, CMPXCHG and CMPXCHG8B (SDM 1, 7.3.1.2). With one processor, LOCK changes nothing.</summary>
/// <remarks>The comparing ones write in any case, the old value if nothing else: so they fault like a store.</remarks>
internal static unsafe class Exchange
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Xchg:
                return LowerPair<Swap>(instruction, context, op);
            case Mnemonic.Xadd:
                return LowerPair<ExchangeAndAdd>(instruction, context, op);
            case Mnemonic.Cmpxchg:
                return LowerPair<CompareAndExchange>(instruction, context, op);
            case Mnemonic.Cmpxchg8b:
                Operands.SetMemory(instruction, op);
                op->Handler = Operands.IsFlat(instruction, context)
                    ? &CompareAndExchange8Bytes<FlatAddressing>
                    : &CompareAndExchange8Bytes<SegmentedAddressing>;
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    private static Lowered LowerPair<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IPairOperation
    {
        op->Handler = Operands.Bits(instruction, 1) switch
        {
            8 => SelectPair<TOperation, Size8>(instruction, context, op),
            16 => SelectPair<TOperation, Size16>(instruction, context, op),
            _ => SelectPair<TOperation, Size32>(instruction, context, op),
        };
        return Lowered.Continues;
    }

    private static OperationHandler SelectPair<TOperation, TSize>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IPairOperation
        where TSize : struct, IOperandSize
    {
        op->Register2 = Operands.RegisterOffset(instruction, 1);
        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            return &PairForms<TOperation, TSize>.Register;
        }

        Operands.SetMemory(instruction, op);
        return Operands.IsFlat(instruction, context)
            ? &PairForms<TOperation, TSize>.Memory<FlatAddressing>
            : &PairForms<TOperation, TSize>.Memory<SegmentedAddressing>;
    }

    private static Operation* CompareAndExchange8Bytes<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        byte* destination = TAddressing.Modify(s, op, sizeof(ulong));
        if (destination == null)
        {
            return null;
        }

        ulong value = *(ulong*)destination;
        bool equal = value == (((ulong)s->Edx << 32) | s->Eax);
        if (equal)
        {
            *(ulong*)destination = ((ulong)s->Ecx << 32) | s->Ebx;
            MemoryAccess.Complete(s, destination);
        }
        else
        {
            s->Eax = (uint)value;
            s->Edx = (uint)(value >> 32);
        }

        s->SetZero(equal);
        return Operation.Next(s, op);
    }

    /// <summary>An operation that may change its destination and its register operand.</summary>
    private interface IPairOperation
    {
        static abstract void Execute<TSize>(ProcessorState* s, byte* destination, byte* register)
            where TSize : struct, IOperandSize;
    }

    private readonly struct Swap : IPairOperation
    {
        public static void Execute<TSize>(ProcessorState* s, byte* destination, byte* register)
            where TSize : struct, IOperandSize
        {
            uint value = TSize.Load(destination);
            TSize.Store(destination, TSize.Load(register));
            TSize.Store(register, value);
        }
    }

    private readonly struct ExchangeAndAdd : IPairOperation
    {
        public static void Execute<TSize>(ProcessorState* s, byte* destination, byte* register)
            where TSize : struct, IOperandSize
        {
            // In this order the sum wins when both are the same register.
            uint value = TSize.Load(destination);
            uint sum = Arithmetic.Add.Execute<TSize>(s, value, TSize.Load(register));
            TSize.Store(register, value);
            TSize.Store(destination, sum);
        }
    }

    private readonly struct CompareAndExchange : IPairOperation
    {
        public static void Execute<TSize>(ProcessorState* s, byte* destination, byte* register)
            where TSize : struct, IOperandSize
        {
            byte* accumulator = Operands.Register(s, StateOffset.Eax);
            uint value = TSize.Load(destination);
            if (Arithmetic.Sub.Execute<TSize>(s, TSize.Load(accumulator), value) == 0)
            {
                TSize.Store(destination, TSize.Load(register));
            }
            else
            {
                TSize.Store(accumulator, value);
            }
        }
    }

    private static class PairForms<TOperation, TSize>
        where TOperation : struct, IPairOperation
        where TSize : struct, IOperandSize
    {
        public static Operation* Register(ProcessorState* s, Operation* op)
        {
            TOperation.Execute<TSize>(s, Operands.Register(s, op->Register), Operands.Register(s, op->Register2));
            return Operation.Next(s, op);
        }

        public static Operation* Memory<TAddressing>(ProcessorState* s, Operation* op)
            where TAddressing : struct, IAddressing
        {
            byte* destination = TAddressing.Modify(s, op, TSize.Bytes);
            if (destination == null)
            {
                return null;
            }

            TOperation.Execute<TSize>(s, destination, Operands.Register(s, op->Register2));
            MemoryAccess.Complete(s, destination);
            return Operation.Next(s, op);
        }
    }
}
