using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>MUL, IMUL, DIV and IDIV (SDM 1, 7.3.2).</summary>
/// <remarks>
/// After a multiplication the manual defines only CF and OF; SF, ZF and PF are those of the product's low half here,
/// and AF is clear. A division leaves all flags as they were.
/// </remarks>
internal static unsafe class MultiplyDivide
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Imul when instruction.OpCount == 3:
                op->Handler = Operands.Bits(instruction, 0) == 16
                    ? SelectThreeOperands<Size16>(instruction, context, op)
                    : SelectThreeOperands<Size32>(instruction, context, op);
                return Lowered.Continues;
            case Mnemonic.Imul when instruction.OpCount == 2:
                return BinaryLowering<SignedProduct>.Lower(instruction, context, op);
            case Mnemonic.Imul:
                return LowerOneOperand<SignedMultiply>(instruction, context, op);
            case Mnemonic.Mul:
                return LowerOneOperand<UnsignedMultiply>(instruction, context, op);
            case Mnemonic.Div:
                return LowerOneOperand<UnsignedDivide>(instruction, context, op);
            case Mnemonic.Idiv:
                return LowerOneOperand<SignedDivide>(instruction, context, op);
            default:
                return Lowered.Undefined;
        }
    }

    private static OperationHandler SelectThreeOperands<TSize>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TSize : struct, IOperandSize
    {
        op->Register = Operands.RegisterOffset(instruction, 0);
        op->Immediate = (uint)instruction.GetImmediate(2) & TSize.Mask;
        if (Operands.IsRegister(instruction, 1))
        {
            op->Register2 = Operands.RegisterOffset(instruction, 1);
            return &ThreeOperandForms<TSize>.Register;
        }

        Operands.SetMemory(instruction, op);
        return Operands.IsFlat(instruction, context)
            ? &ThreeOperandForms<TSize>.Memory<FlatAddressing>
            : &ThreeOperandForms<TSize>.Memory<SegmentedAddressing>;
    }

    private static Lowered LowerOneOperand<TOperation>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IAccumulatorOperation
    {
        op->Handler = Operands.Bits(instruction, 0) switch
        {
            8 => SelectOneOperand<TOperation, Size8>(instruction, context, op),
            16 => SelectOneOperand<TOperation, Size16>(instruction, context, op),
            _ => SelectOneOperand<TOperation, Size32>(instruction, context, op),
        };
        return Lowered.Continues;
    }

    private static OperationHandler SelectOneOperand<TOperation, TSize>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IAccumulatorOperation
        where TSize : struct, IOperandSize
    {
        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            return &AccumulatorForms<TOperation, TSize>.Register;
        }

        Operands.SetMemory(instruction, op);
        return Operands.IsFlat(instruction, context)
            ? &AccumulatorForms<TOperation, TSize>.Memory<FlatAddressing>
            : &AccumulatorForms<TOperation, TSize>.Memory<SegmentedAddressing>;
    }

    /// <summary>AX, DX:AX or EDX:EAX.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong GetAccumulator<TSize>(ProcessorState* s)
        where TSize : struct, IOperandSize => TSize.Bits switch
        {
            8 => (ushort)s->Eax,
            16 => (s->Edx << 16) | (ushort)s->Eax,
            _ => ((ulong)s->Edx << 32) | s->Eax,
        };

    /// <summary>Sets the two halves of the accumulator: AL and AH, AX and DX, EAX and EDX.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void SetAccumulator<TSize>(ProcessorState* s, uint low, uint high)
        where TSize : struct, IOperandSize
    {
        TSize.Store(Operands.Register(s, StateOffset.Eax), low);
        TSize.Store(Operands.Register(s, TSize.Bits == 8 ? StateOffset.Ah : StateOffset.Edx), high);
    }

    /// <summary>An operation on the double-width accumulator and one operand.</summary>
    private interface IAccumulatorOperation
    {
        /// <summary>False, with nothing changed, for a divide error.</summary>
        static abstract bool TryExecute<TSize>(ProcessorState* s, uint source)
            where TSize : struct, IOperandSize;
    }

    /// <summary>IMUL with a destination: a product that has to fit into it.</summary>
    internal readonly struct SignedProduct : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            long product = (long)(int)TSize.SignExtend(destination) * (int)TSize.SignExtend(source);
            uint result = (uint)product & TSize.Mask;
            bool overflows = (int)TSize.SignExtend(result) != product;
            s->SetResultFlags<TSize>(result, overflows, overflows, auxiliary: false);
            return result;
        }
    }

    private readonly struct UnsignedMultiply : IAccumulatorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryExecute<TSize>(ProcessorState* s, uint source)
            where TSize : struct, IOperandSize
        {
            ulong product = (ulong)TSize.Load(Operands.Register(s, StateOffset.Eax)) * source;
            uint low = (uint)product & TSize.Mask;
            uint high = (uint)(product >> TSize.Bits);
            SetAccumulator<TSize>(s, low, high);
            s->SetResultFlags<TSize>(low, high != 0, high != 0, auxiliary: false);
            return true;
        }
    }

    private readonly struct SignedMultiply : IAccumulatorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryExecute<TSize>(ProcessorState* s, uint source)
            where TSize : struct, IOperandSize
        {
            uint factor = TSize.Load(Operands.Register(s, StateOffset.Eax));
            long product = (long)(int)TSize.SignExtend(factor) * (int)TSize.SignExtend(source);
            uint low = (uint)product & TSize.Mask;
            bool overflows = (int)TSize.SignExtend(low) != product;
            SetAccumulator<TSize>(s, low, (uint)(product >> TSize.Bits) & TSize.Mask);
            s->SetResultFlags<TSize>(low, overflows, overflows, auxiliary: false);
            return true;
        }
    }

    private readonly struct UnsignedDivide : IAccumulatorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryExecute<TSize>(ProcessorState* s, uint source)
            where TSize : struct, IOperandSize
        {
            if (source == 0)
            {
                return false;
            }

            ulong dividend = GetAccumulator<TSize>(s);
            ulong quotient = dividend / source;
            if (quotient > TSize.Mask)
            {
                return false;
            }

            SetAccumulator<TSize>(s, (uint)quotient, (uint)(dividend - (quotient * source)));
            return true;
        }
    }

    private readonly struct SignedDivide : IAccumulatorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool TryExecute<TSize>(ProcessorState* s, uint source)
            where TSize : struct, IOperandSize
        {
            long divisor = (int)TSize.SignExtend(source);
            long dividend = (long)(GetAccumulator<TSize>(s) << (64 - (2 * TSize.Bits))) >> (64 - (2 * TSize.Bits));

            // The one quotient that doesn't fit into 64 bits would be a fault of ours rather than the guest's.
            if (divisor == 0 || (TSize.Bits == 32 && dividend == long.MinValue))
            {
                return false;
            }

            long quotient = dividend / divisor;
            if ((int)TSize.SignExtend((uint)quotient & TSize.Mask) != quotient)
            {
                return false;
            }

            SetAccumulator<TSize>(s, (uint)quotient, (uint)(dividend - (quotient * divisor)));
            return true;
        }
    }

    private static class AccumulatorForms<TOperation, TSize>
        where TOperation : struct, IAccumulatorOperation
        where TSize : struct, IOperandSize
    {
        public static Operation* Register(ProcessorState* s, Operation* op) =>
            TOperation.TryExecute<TSize>(s, TSize.Load(Operands.Register(s, op->Register)))
                ? Operation.Next(s, op)
                : Fault.Raise(s, op, ExceptionVector.DivideError);

        public static Operation* Memory<TAddressing>(ProcessorState* s, Operation* op)
            where TAddressing : struct, IAddressing
        {
            byte* source = TAddressing.Read(s, op, TSize.Bytes);
            if (source == null)
            {
                return null;
            }

            return TOperation.TryExecute<TSize>(s, TSize.Load(source))
                ? Operation.Next(s, op)
                : Fault.Raise(s, op, ExceptionVector.DivideError);
        }
    }

    private static class ThreeOperandForms<TSize>
        where TSize : struct, IOperandSize
    {
        public static Operation* Register(ProcessorState* s, Operation* op)
        {
            uint factor = TSize.Load(Operands.Register(s, op->Register2));
            TSize.Store(Operands.Register(s, op->Register), SignedProduct.Execute<TSize>(s, factor, op->Immediate));
            return Operation.Next(s, op);
        }

        public static Operation* Memory<TAddressing>(ProcessorState* s, Operation* op)
            where TAddressing : struct, IAddressing
        {
            byte* factor = TAddressing.Read(s, op, TSize.Bytes);
            if (factor == null)
            {
                return null;
            }

            uint product = SignedProduct.Execute<TSize>(s, TSize.Load(factor), op->Immediate);
            TSize.Store(Operands.Register(s, op->Register), product);
            return Operation.Next(s, op);
        }
    }
}
