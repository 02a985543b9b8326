using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>FCOM, FUCOM, FICOM, FTST, FCOMI, FUCOMI and their popping forms; FXAM (SDM 1, 8.3.6).</summary>
internal static unsafe class X87Comparison
{
    private const uint Conditions = X87Status.C0 | X87Status.C2 | X87Status.C3;

    private interface IComparison
    {
        static abstract bool QuietIsInvalid { get; }
    }

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Fcom or Mnemonic.Ficom: return Any<Keep>(instruction, context, op);
            case Mnemonic.Fcomp or Mnemonic.Ficomp: return Any<PopOne>(instruction, context, op);
            case Mnemonic.Fcompp: return Registers(op, 1, &Compare<Ordered, PopTwo>);
            case Mnemonic.Fucom: return Registers(instruction, op, &Compare<Unordered, Keep>);
            case Mnemonic.Fucomp: return Registers(instruction, op, &Compare<Unordered, PopOne>);
            case Mnemonic.Fucompp: return Registers(op, 1, &Compare<Unordered, PopTwo>);
            case Mnemonic.Fcomi: return Registers(instruction, op, &CompareToFlags<Ordered, Keep>);
            case Mnemonic.Fcomip: return Registers(instruction, op, &CompareToFlags<Ordered, PopOne>);
            case Mnemonic.Fucomi: return Registers(instruction, op, &CompareToFlags<Unordered, Keep>);
            case Mnemonic.Fucomip: return Registers(instruction, op, &CompareToFlags<Unordered, PopOne>);
            case Mnemonic.Ftst: return Registers(op, 0, &CompareWithZero);
            case Mnemonic.Fxam: return Registers(op, 0, &Examine);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered Registers(
        in Instruction instruction, Operation* op, delegate*<ProcessorState*, Operation*, Operation*> handler) =>
        Registers(op, X87Operands.Index(instruction.Op1Register), handler);

    private static Lowered Registers(
        Operation* op, byte index, delegate*<ProcessorState*, Operation*, Operation*> handler)
    {
        op->Register = index;
        op->Handler = handler;
        return Lowered.Continues;
    }

    private static Lowered Any<TPop>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TPop : struct, IX87Pop
    {
        if (instruction.Op0Kind == OpKind.Register)
        {
            return Registers(instruction, op, &Compare<Ordered, TPop>);
        }

        bool flat = X87Operands.SetMemory(instruction, context, op);
        switch (instruction.MemorySize)
        {
            case MemorySize.Float32: return Memory<SingleSource, TPop>(flat, op);
            case MemorySize.Float64: return Memory<DoubleSource, TPop>(flat, op);
            case MemorySize.Int16: return Memory<Int16Source, TPop>(flat, op);
            default: return Memory<Int32Source, TPop>(flat, op);
        }
    }

    private static Lowered Memory<TOperand, TPop>(bool flat, Operation* op)
        where TOperand : struct, IX87Operand
        where TPop : struct, IX87Pop
    {
        op->Handler = flat
            ? &CompareMemory<TOperand, TPop, FlatAddressing>
            : &CompareMemory<TOperand, TPop, SegmentedAddressing>;
        return Lowered.Continues;
    }

    private static Operation* Compare<TComparison, TPop>(ProcessorState* s, Operation* op)
        where TComparison : struct, IComparison
        where TPop : struct, IX87Pop
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        if (X87Stack.IsEmpty(s, 0) || X87Stack.IsEmpty(s, op->Register))
        {
            return Empty<TPop>(s, op);
        }

        FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
        Relation relation = FloatComparison.Compare(
            *X87Stack.At(s, 0), *X87Stack.At(s, op->Register), TComparison.QuietIsInvalid, ref context);
        return Finish<TPop>(s, op, relation, context);
    }

    private static Operation* CompareMemory<TOperand, TPop, TAddressing>(ProcessorState* s, Operation* op)
        where TOperand : struct, IX87Operand
        where TPop : struct, IX87Pop
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

        if (X87Stack.IsEmpty(s, 0))
        {
            return Empty<TPop>(s, op);
        }

        FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
        Float80 source = TOperand.Widen(location, out bool isDenormal);
        Relation relation = FloatComparison.Compare(*X87Stack.At(s, 0), source, quietIsInvalid: true, ref context);
        if (isDenormal)
        {
            context.RaiseWidenedDenormal(relation == Relation.Unordered);
        }

        return Finish<TPop>(s, op, relation, context);
    }

    private static Operation* CompareWithZero(ProcessorState* s, Operation* op)
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        if (X87Stack.IsEmpty(s, 0))
        {
            return Empty<Keep>(s, op);
        }

        FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
        Relation relation = FloatComparison.Compare(
            *X87Stack.At(s, 0), Float80.Zero, quietIsInvalid: true, ref context);
        return Finish<Keep>(s, op, relation, context);
    }

    private static Operation* CompareToFlags<TComparison, TPop>(ProcessorState* s, Operation* op)
        where TComparison : struct, IComparison
        where TPop : struct, IX87Pop
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        Relation relation = Relation.Unordered;
        bool delivers;
        if (X87Stack.IsEmpty(s, 0) || X87Stack.IsEmpty(s, op->Register))
        {
            delivers = X87Stack.Underflow(s, op);
        }
        else
        {
            FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
            relation = FloatComparison.Compare(
                *X87Stack.At(s, 0), *X87Stack.At(s, op->Register), TComparison.QuietIsInvalid, ref context);
            delivers = X87Stack.Complete(s, op, context, 0, 0);
        }

        // The flags are set even if nothing is popped because an exception isn't masked.
        s->ArithmeticFlags = relation switch
        {
            Relation.Less => Eflags.Cf,
            Relation.Equal => Eflags.Zf,
            Relation.Greater => 0,
            _ => Eflags.Cf | Eflags.Pf | Eflags.Zf,
        };
        if (delivers)
        {
            TPop.Pop(s);
        }

        return X87Stack.Next(s, op);
    }

    private static Operation* Empty<TPop>(ProcessorState* s, Operation* op)
        where TPop : struct, IX87Pop
    {
        // "Unordered", even if nothing is popped because the exception isn't masked.
        bool delivers = X87Stack.Underflow(s, op);
        s->X87.Status |= (ushort)Conditions;
        if (delivers)
        {
            TPop.Pop(s);
        }

        return X87Stack.Next(s, op);
    }

    private static Operation* Finish<TPop>(
        ProcessorState* s, Operation* op, Relation relation, in FloatingPointContext context)
        where TPop : struct, IX87Pop
    {
        uint conditions = relation switch
        {
            Relation.Less => X87Status.C0,
            Relation.Equal => X87Status.C3,
            Relation.Greater => 0,
            _ => Conditions,
        };
        if (X87Stack.Complete(s, op, context, Conditions | X87Status.C1, conditions))
        {
            TPop.Pop(s);
        }

        return X87Stack.Next(s, op);
    }

    /// <summary>FXAM: C1 is the sign, even of what an empty register still holds.</summary>
    private static Operation* Examine(ProcessorState* s, Operation* op)
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        Float80 value = *X87Stack.At(s, 0);
        uint conditions = value.IsNegative ? X87Status.C1 : 0;
        if (X87Stack.IsEmpty(s, 0))
        {
            conditions |= X87Status.C3 | X87Status.C0;
        }
        else
        {
            conditions |= value.Class switch
            {
                NumberClass.Unsupported => 0,
                NumberClass.QuietNan or NumberClass.SignalingNan => X87Status.C0,
                NumberClass.Normal => X87Status.C2,
                NumberClass.Infinity => X87Status.C2 | X87Status.C0,
                NumberClass.Zero => X87Status.C3,
                _ => X87Status.C3 | X87Status.C2,
            };
        }

        s->X87.Status = (ushort)((s->X87.Status & ~(Conditions | X87Status.C1)) | conditions);
        return X87Stack.Next(s, op);
    }

    private readonly struct Ordered : IComparison
    {
        public static bool QuietIsInvalid => true;
    }

    private readonly struct Unordered : IComparison
    {
        public static bool QuietIsInvalid => false;
    }
}
