using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>Moves between registers of the stack: FST, FSTP, FXCH, FCMOVcc (SDM 1, 8.3.3).</summary>
internal static unsafe class X87Registers
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Fst: return Register(op, instruction.Op0Register, &Store<Keep>);
            case Mnemonic.Fstp: return Register(op, instruction.Op0Register, &Store<PopOne>);
            case Mnemonic.Fstpnce: return Register(op, instruction.Op0Register, &StoreUnchecked);
            case Mnemonic.Fxch: return Register(op, instruction.Op1Register, &Exchange);
            case Mnemonic.Fcmovb: return Register(op, instruction.Op1Register, &MoveIf<IfBelow>);
            case Mnemonic.Fcmovnb: return Register(op, instruction.Op1Register, &MoveIf<Not<IfBelow>>);
            case Mnemonic.Fcmove: return Register(op, instruction.Op1Register, &MoveIf<IfEqual>);
            case Mnemonic.Fcmovne: return Register(op, instruction.Op1Register, &MoveIf<Not<IfEqual>>);
            case Mnemonic.Fcmovbe: return Register(op, instruction.Op1Register, &MoveIf<IfBelowOrEqual>);
            case Mnemonic.Fcmovnbe: return Register(op, instruction.Op1Register, &MoveIf<Not<IfBelowOrEqual>>);
            case Mnemonic.Fcmovu: return Register(op, instruction.Op1Register, &MoveIf<IfParity>);
            case Mnemonic.Fcmovnu: return Register(op, instruction.Op1Register, &MoveIf<Not<IfParity>>);
            default: return Lowered.Undefined;
        }
    }

    private static Lowered Register(
        Operation* op, Register register, delegate*<ProcessorState*, Operation*, Operation*> handler)
    {
        op->Register = X87Operands.Index(register);
        op->Handler = handler;
        return Lowered.Continues;
    }

    private static Operation* Store<TPop>(ProcessorState* s, Operation* op)
        where TPop : struct, IX87Pop
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        Float80 value = *X87Stack.At(s, 0);
        if (X87Stack.IsEmpty(s, 0))
        {
            if (!X87Stack.Underflow(s, op))
            {
                return X87Stack.Next(s, op);
            }

            value = Float80.Indefinite;
        }
        else
        {
            X87Stack.ClearC1(s);
        }

        X87Stack.Set(s, op->Register, value);
        TPop.Pop(s);
        return X87Stack.Next(s, op);
    }

    /// <summary>FSTPNCE, an undocumented FSTP that just pops if there is nothing to store.</summary>
    private static Operation* StoreUnchecked(ProcessorState* s, Operation* op)
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        X87Stack.ClearC1(s);
        if (!X87Stack.IsEmpty(s, 0))
        {
            X87Stack.Set(s, op->Register, *X87Stack.At(s, 0));
        }

        X87Stack.Pop(s);
        return X87Stack.Next(s, op);
    }

    private static Operation* Exchange(ProcessorState* s, Operation* op)
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        bool firstEmpty = X87Stack.IsEmpty(s, 0);
        bool secondEmpty = X87Stack.IsEmpty(s, op->Register);
        Float80 first = *X87Stack.At(s, 0);
        Float80 second = *X87Stack.At(s, op->Register);
        if (firstEmpty || secondEmpty)
        {
            if (!X87Stack.Underflow(s, op))
            {
                return X87Stack.Next(s, op);
            }

            first = firstEmpty ? Float80.Indefinite : first;
            second = secondEmpty ? Float80.Indefinite : second;
        }
        else
        {
            X87Stack.ClearC1(s);
        }

        X87Stack.Set(s, op->Register, first);
        X87Stack.Set(s, 0, second);
        return X87Stack.Next(s, op);
    }

    private static Operation* MoveIf<TCondition>(ProcessorState* s, Operation* op)
        where TCondition : struct, ICondition
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        if (X87Stack.IsEmpty(s, 0) || X87Stack.IsEmpty(s, op->Register))
        {
            // Whether the condition holds or not.
            if (X87Stack.Underflow(s, op))
            {
                X87Stack.Set(s, 0, Float80.Indefinite);
            }

            return X87Stack.Next(s, op);
        }

        if (TCondition.IsTrue(s))
        {
            X87Stack.Set(s, 0, *X87Stack.At(s, op->Register));
        }

        return X87Stack.Next(s, op);
    }
}
