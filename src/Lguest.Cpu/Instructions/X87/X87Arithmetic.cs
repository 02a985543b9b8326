using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>FADD, FSUB, FSUBR, FMUL, FDIV, FDIVR, with their popping and integer forms (SDM 1, 8.3.5).</summary>
internal static unsafe class X87Arithmetic
{
    private interface IBinary
    {
        static abstract Float80 Execute(Float80 destination, Float80 source, ref FloatingPointContext context);
    }

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Fadd or Mnemonic.Faddp or Mnemonic.Fiadd: return Any<Add>(instruction, context, op);
            case Mnemonic.Fmul or Mnemonic.Fmulp or Mnemonic.Fimul: return Any<Multiply>(instruction, context, op);
            case Mnemonic.Fsub or Mnemonic.Fsubp or Mnemonic.Fisub: return Any<Subtract>(instruction, context, op);
            case Mnemonic.Fsubr or Mnemonic.Fsubrp or Mnemonic.Fisubr:
                return Any<SubtractReversed>(instruction, context, op);
            case Mnemonic.Fdiv or Mnemonic.Fdivp or Mnemonic.Fidiv: return Any<Divide>(instruction, context, op);
            case Mnemonic.Fdivr or Mnemonic.Fdivrp or Mnemonic.Fidivr:
                return Any<DivideReversed>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered Any<TBinary>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TBinary : struct, IBinary
    {
        if (instruction.Op0Kind == OpKind.Register)
        {
            op->Register = X87Operands.Index(instruction.Op0Register);
            op->Register2 = X87Operands.Index(instruction.Op1Register);
            op->Handler = IsPopping(instruction.Mnemonic) ? &Registers<TBinary, PopOne> : &Registers<TBinary, Keep>;
            return Lowered.Continues;
        }

        bool flat = X87Operands.SetMemory(instruction, context, op);
        switch (instruction.MemorySize)
        {
            case MemorySize.Float32: return Memory<TBinary, SingleSource>(flat, op);
            case MemorySize.Float64: return Memory<TBinary, DoubleSource>(flat, op);
            case MemorySize.Int16: return Memory<TBinary, Int16Source>(flat, op);
            default: return Memory<TBinary, Int32Source>(flat, op);
        }
    }

    private static bool IsPopping(Mnemonic mnemonic) => mnemonic
        is Mnemonic.Faddp or Mnemonic.Fmulp or Mnemonic.Fsubp or Mnemonic.Fsubrp or Mnemonic.Fdivp or Mnemonic.Fdivrp;

    private static Lowered Memory<TBinary, TOperand>(bool flat, Operation* op)
        where TBinary : struct, IBinary
        where TOperand : struct, IX87Operand
    {
        op->Handler = flat ? &Memory<TBinary, TOperand, FlatAddressing> : &Memory<TBinary, TOperand, SegmentedAddressing>;
        return Lowered.Continues;
    }

    private static Operation* Registers<TBinary, TPop>(ProcessorState* s, Operation* op)
        where TBinary : struct, IBinary
        where TPop : struct, IX87Pop
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        Float80 result;
        bool delivers;
        if (X87Stack.IsEmpty(s, op->Register) || X87Stack.IsEmpty(s, op->Register2))
        {
            result = Float80.Indefinite;
            delivers = X87Stack.Underflow(s, op);
        }
        else
        {
            FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
            result = TBinary.Execute(*X87Stack.At(s, op->Register), *X87Stack.At(s, op->Register2), ref context);
            delivers = X87Stack.Complete(s, op, context);
        }

        if (delivers)
        {
            X87Stack.Set(s, op->Register, result);
            TPop.Pop(s);
        }

        return X87Stack.Next(s, op);
    }

    private static Operation* Memory<TBinary, TOperand, TAddressing>(ProcessorState* s, Operation* op)
        where TBinary : struct, IBinary
        where TOperand : struct, IX87Operand
        where TAddressing : struct, IAddressing
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        byte* location = TAddressing.Read(s, op, TOperand.Bytes);
        if (location == null)
        {
            return null;
        }

        Float80 result;
        bool delivers;
        if (X87Stack.IsEmpty(s, 0))
        {
            result = Float80.Indefinite;
            delivers = X87Stack.Underflow(s, op);
        }
        else
        {
            FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
            Float80 destination = *X87Stack.At(s, 0);
            Float80 source = TOperand.Widen(location, out bool isDenormal);
            result = TBinary.Execute(destination, source, ref context);
            if (isDenormal)
            {
                context.RaiseWidenedDenormal(destination.IsNan);
            }

            delivers = X87Stack.Complete(s, op, context);
        }

        if (delivers)
        {
            X87Stack.Set(s, 0, result);
        }

        return X87Stack.Next(s, op);
    }

    private readonly struct Add : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Float80 Execute(Float80 destination, Float80 source, ref FloatingPointContext context) =>
            FloatArithmetic.Add(destination, source, ref context);
    }

    private readonly struct Multiply : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Float80 Execute(Float80 destination, Float80 source, ref FloatingPointContext context) =>
            FloatArithmetic.Multiply(destination, source, ref context);
    }

    private readonly struct Subtract : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Float80 Execute(Float80 destination, Float80 source, ref FloatingPointContext context) =>
            FloatArithmetic.Subtract(destination, source, ref context);
    }

    private readonly struct SubtractReversed : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Float80 Execute(Float80 destination, Float80 source, ref FloatingPointContext context) =>
            FloatArithmetic.Subtract(source, destination, ref context);
    }

    private readonly struct Divide : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Float80 Execute(Float80 destination, Float80 source, ref FloatingPointContext context) =>
            FloatArithmetic.Divide(destination, source, ref context);
    }

    private readonly struct DivideReversed : IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Float80 Execute(Float80 destination, Float80 source, ref FloatingPointContext context) =>
            FloatArithmetic.Divide(source, destination, ref context);
    }
}
