using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>Control of the x87: FNINIT, FNCLEX, FLDCW, FNSTCW, FNSTSW, FINCSTP, FFREE, WAIT (SDM 1, 8.3.11).</summary>
internal static unsafe class X87Control
{
    /// <summary>The control word after FNINIT: all masked, 64 bits, to nearest.</summary>
    public const ushort Initial = 0x37f;

    /// <summary>What a control word keeps of what is loaded: bit 12 (infinity control), too, which has no effect.</summary>
    public const uint Kept = 0x1f3f;

    /// <summary>What reads as 1.</summary>
    public const uint AlwaysSet = 0x40;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Wait: return With(op, &Wait);
            case Mnemonic.Fninit: return With(op, &Initialize);
            case Mnemonic.Fnclex: return With(op, &ClearExceptions);
            case Mnemonic.Fnop: return With(op, &NoOperation);
            case Mnemonic.Fneni or Mnemonic.Fndisi or Mnemonic.Fnsetpm: return With(op, &Obsolete);
            case Mnemonic.Fincstp: return With(op, &Increment);
            case Mnemonic.Fdecstp: return With(op, &Decrement);
            case Mnemonic.Ffree or Mnemonic.Ffreep:
                op->Register = X87Operands.Index(instruction.Op0Register);
                return With(op, instruction.Mnemonic == Mnemonic.Ffree ? &Free<Keep> : &Free<PopOne>);
            case Mnemonic.Fldcw:
                return With(
                    op,
                    X87Operands.SetMemory(instruction, context, op)
                        ? &LoadControl<FlatAddressing>
                        : &LoadControl<SegmentedAddressing>);
            case Mnemonic.Fnstcw: return Store<ControlWord>(instruction, context, op);
            case Mnemonic.Fnstsw when instruction.Op0Kind == OpKind.Register: return With(op, &StoreStatusToAx);
            case Mnemonic.Fnstsw: return Store<StatusWord>(instruction, context, op);
            default: return Lowered.Undefined;
        }
    }

    /// <summary>What the control word becomes when a value is loaded into it.</summary>
    public static ushort Normalize(uint control) => (ushort)((control & Kept) | AlwaysSet);

    /// <summary>FNINIT, and the end of FNSAVE.</summary>
    public static void Reset(ProcessorState* s)
    {
        X87State* x87 = &s->X87;
        x87->Control = Initial;
        x87->Status = 0;
        x87->Valid = 0;
        x87->LastOpcode = 0;
        x87->InstructionPointer = 0;
        x87->DataPointer = 0;
    }

    private interface IWord
    {
        static abstract ushort Read(ProcessorState* s);
    }

    private static Lowered With(Operation* op, delegate*<ProcessorState*, Operation*, Operation*> handler)
    {
        op->Handler = handler;
        return Lowered.Continues;
    }

    private static Lowered Store<TWord>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TWord : struct, IWord =>
        With(
            op,
            X87Operands.SetMemory(instruction, context, op) ? &Store<TWord, FlatAddressing> : &Store<TWord, SegmentedAddressing>);

    private static Operation* Wait(ProcessorState* s, Operation* op) =>
        FloatingPointAccess.CheckWait(s, op) && X87Stack.CheckPending(s, op) ? Operation.Next(s, op) : null;

    private static Operation* NoOperation(ProcessorState* s, Operation* op) =>
        X87Stack.CanExecute(s, op) ? X87Stack.Next(s, op) : null;

    /// <summary>FENI, FDISI of the 8087 and FSETPM of the 80287: they do nothing (SDM 3B, 22.18).</summary>
    private static Operation* Obsolete(ProcessorState* s, Operation* op) =>
        FloatingPointAccess.CheckX87(s, op) ? Operation.Next(s, op) : null;

    private static Operation* Initialize(ProcessorState* s, Operation* op)
    {
        if (!FloatingPointAccess.CheckX87(s, op))
        {
            return null;
        }

        Reset(s);
        return Operation.Next(s, op);
    }

    private static Operation* ClearExceptions(ProcessorState* s, Operation* op)
    {
        if (!FloatingPointAccess.CheckX87(s, op))
        {
            return null;
        }

        const uint cleared = X87Status.Exceptions | X87Status.Sf | X87Status.Es | X87Status.B;
        s->X87.Status &= unchecked((ushort)~cleared);
        return Operation.Next(s, op);
    }

    private static Operation* Increment(ProcessorState* s, Operation* op) => Rotate(s, op, 1);

    private static Operation* Decrement(ProcessorState* s, Operation* op) => Rotate(s, op, -1);

    private static Operation* Rotate(ProcessorState* s, Operation* op, int by)
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        X87Stack.ClearC1(s);
        X87Stack.Rotate(s, by);
        return X87Stack.Next(s, op);
    }

    private static Operation* Free<TPop>(ProcessorState* s, Operation* op)
        where TPop : struct, IX87Pop
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        X87Stack.ClearC1(s);
        X87Stack.Free(s, op->Register);
        TPop.Pop(s);
        return X87Stack.Next(s, op);
    }

    private static Operation* LoadControl<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        if (!X87Stack.CanExecute(s, op))
        {
            return null;
        }

        byte* location = TAddressing.Read(s, op, sizeof(ushort));
        if (location == null)
        {
            return null;
        }

        s->X87.Control = Normalize(Unsafe.ReadUnaligned<ushort>(location));
        X87Error.Summarize(s);
        return Operation.Next(s, op);
    }

    private static Operation* Store<TWord, TAddressing>(ProcessorState* s, Operation* op)
        where TWord : struct, IWord
        where TAddressing : struct, IAddressing
    {
        if (!FloatingPointAccess.CheckX87(s, op))
        {
            return null;
        }

        byte* location = TAddressing.Write(s, op, sizeof(ushort));
        if (location == null)
        {
            return null;
        }

        Unsafe.WriteUnaligned(location, TWord.Read(s));
        MemoryAccess.Complete(s, location);
        return Operation.Next(s, op);
    }

    private static Operation* StoreStatusToAx(ProcessorState* s, Operation* op)
    {
        if (!FloatingPointAccess.CheckX87(s, op))
        {
            return null;
        }

        *(ushort*)Operands.Register(s, StateOffset.Eax) = s->X87.Status;
        return Operation.Next(s, op);
    }

    private readonly struct ControlWord : IWord
    {
        public static ushort Read(ProcessorState* s) => s->X87.Control;
    }

    private readonly struct StatusWord : IWord
    {
        public static ushort Read(ProcessorState* s) => s->X87.Status;
    }
}
