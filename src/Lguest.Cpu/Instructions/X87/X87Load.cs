using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>What is pushed: FLD, FILD, FBLD and the constants (SDM 1, 8.3.3 and 8.3.4).</summary>
internal static unsafe class X87Load
{
    private const uint ExtendedAlignment = 8;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Fld_m32fp: return Memory<SingleSource>(instruction, context, op);
            case Code.Fld_m64fp: return Memory<DoubleSource>(instruction, context, op);
            case Code.Fld_m80fp: return Memory<ExtendedSource>(instruction, context, op);
            case Code.Fild_m16int: return Memory<Int16Source>(instruction, context, op);
            case Code.Fild_m32int: return Memory<Int32Source>(instruction, context, op);
            case Code.Fild_m64int: return Memory<Int64Source>(instruction, context, op);
            case Code.Fbld_m80bcd: return Memory<PackedDecimalSource>(instruction, context, op);
            case Code.Fld_sti:
                op->Register = X87Operands.Index(instruction.Op0Register);
                op->Handler = &LoadRegister;
                return Lowered.Continues;
            case Code.Fld1: return Constant(op, X87Constant.One);
            case Code.Fldz: return Constant(op, X87Constant.Zero);
            case Code.Fldl2t: return Constant(op, X87Constant.Log2Of10);
            case Code.Fldl2e: return Constant(op, X87Constant.Log2OfE);
            case Code.Fldpi: return Constant(op, X87Constant.Pi);
            case Code.Fldlg2: return Constant(op, X87Constant.Log10Of2);
            case Code.Fldln2: return Constant(op, X87Constant.LnOf2);
            default: return Lowered.Undefined;
        }
    }

    /// <summary>#AC for an operand of ten bytes, which MemoryAccess leaves to us (SDM 3A, table 6-7).</summary>
    public static bool CheckExtendedAlignment(ProcessorState* s, Operation* op, uint bytes)
    {
        if (bytes <= ExtendedAlignment || s->Tlb != s->EmptyTlb)
        {
            return true;
        }

        uint linear = s->Segment(op->Segment).Base + EffectiveAddress.Of(s, op);
        if ((linear & (ExtendedAlignment - 1)) == 0)
        {
            return true;
        }

        Fault.Raise(s, op, ExceptionVector.AlignmentCheck);
        return false;
    }

    private static Lowered Memory<TSource>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TSource : struct, IX87Source
    {
        op->Handler = X87Operands.SetMemory(instruction, context, op)
            ? &Load<TSource, FlatAddressing>
            : &Load<TSource, SegmentedAddressing>;
        return Lowered.Continues;
    }

    private static Lowered Constant(Operation* op, X87Constant constant)
    {
        op->Register = (byte)constant;
        op->Handler = &LoadConstant;
        return Lowered.Continues;
    }

    private static Operation* Load<TSource, TAddressing>(ProcessorState* s, Operation* op)
        where TSource : struct, IX87Source
        where TAddressing : struct, IAddressing
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        byte* location = TAddressing.Read(s, op, TSource.Bytes);
        if (location == null || !CheckExtendedAlignment(s, op, TSource.Bytes))
        {
            return null;
        }

        if (X87Stack.IsFull(s))
        {
            return PushIndefinite(s, op);
        }

        FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
        Float80 value = TSource.Load(location, ref context);
        if (X87Stack.Complete(s, op, context))
        {
            X87Stack.Push(s, value);
        }

        return X87Stack.Next(s, op);
    }

    private static Operation* LoadRegister(ProcessorState* s, Operation* op)
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        if (X87Stack.IsEmpty(s, op->Register))
        {
            if (X87Stack.Underflow(s, op))
            {
                X87Stack.Push(s, Float80.Indefinite);
            }

            return X87Stack.Next(s, op);
        }

        if (X87Stack.IsFull(s))
        {
            return PushIndefinite(s, op);
        }

        Float80 value = *X87Stack.At(s, op->Register);
        X87Stack.ClearC1(s);
        X87Stack.Push(s, value);
        return X87Stack.Next(s, op);
    }

    private static Operation* LoadConstant(ProcessorState* s, Operation* op)
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        if (X87Stack.IsFull(s))
        {
            return PushIndefinite(s, op);
        }

        FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
        Float80 value = X87Constants.Get((X87Constant)op->Register, context.Rounding);
        X87Stack.ClearC1(s);
        X87Stack.Push(s, value);
        return X87Stack.Next(s, op);
    }

    private static Operation* PushIndefinite(ProcessorState* s, Operation* op)
    {
        if (X87Stack.Overflow(s, op))
        {
            X87Stack.Push(s, Float80.Indefinite);
        }

        return X87Stack.Next(s, op);
    }
}
