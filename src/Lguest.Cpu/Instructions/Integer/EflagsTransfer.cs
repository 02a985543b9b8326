using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>PUSHF, POPF, CLI and STI (SDM 2B): EFLAGS as a whole, and IF.</summary>
internal static unsafe class EflagsTransfer
{
    /// <summary>System flags that end a block when they become set: they change how the next instruction executes.</summary>
    private const uint LeavingFlags = Eflags.Tf | Eflags.Ac | Eflags.Rf;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Pushfw:
                op->Handler = &Forms<Size16, SegmentedAddressing>.Push;
                return Lowered.Continues;
            case Code.Pushfd:
                op->Handler = context.IsFlat ? &Forms<Size32, FlatAddressing>.Push : &Forms<Size32, SegmentedAddressing>.Push;
                return Lowered.Continues;
            case Code.Popfw:
                op->Handler = &Forms<Size16, SegmentedAddressing>.Pop;
                return Lowered.Continues;
            case Code.Popfd:
                op->Handler = context.IsFlat ? &Forms<Size32, FlatAddressing>.Pop : &Forms<Size32, SegmentedAddressing>.Pop;
                return Lowered.Continues;
            case Code.Cli:
                op->Handler = &ClearInterrupt;
                return Lowered.Continues;
            case Code.Sti:
                op->Handler = &SetInterrupt;
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    /// <summary>The flags that POPF and IRET may change at a privilege level, of those that every level may.</summary>
    public static uint WritableFlags(int cpl, int iopl) =>
        Eflags.Arithmetic | Eflags.Tf | Eflags.Df | Eflags.Nt | Eflags.Ac | Eflags.Id
        | (cpl == 0 ? Eflags.Iopl : 0)
        | (cpl <= iopl ? Eflags.If : 0);

    private static Operation* ClearInterrupt(ProcessorState* s, Operation* op)
    {
        if (s->Cpl > s->Iopl)
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        s->SystemFlags &= ~Eflags.If;
        return Operation.Next(s, op);
    }

    private static Operation* SetInterrupt(ProcessorState* s, Operation* op)
    {
        if (s->Cpl > s->Iopl)
        {
            return Fault.Raise(s, op, ExceptionVector.GeneralProtection);
        }

        if ((s->SystemFlags & Eflags.If) != 0)
        {
            return Operation.Next(s, op);
        }

        InterruptShadow.AfterEnabling(s, op);
        InterruptShadow.SetSystemFlags(s, s->SystemFlags | Eflags.If);
        return s->WindowWanted != 0 ? BlockExit.Leave(s, op) : Operation.Next(s, op);
    }

    private static class Forms<TSize, TAddressing>
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        public static Operation* Push(ProcessorState* s, Operation* op) =>
            StackAccess<TAddressing>.Push<TSize>(s, op, s->Eflags & ~(Eflags.Vm | Eflags.Rf))
                ? Operation.Next(s, op)
                : null;

        public static Operation* Pop(ProcessorState* s, Operation* op)
        {
            byte* top = StackAccess<TAddressing>.Peek(s, op, 0, TSize.Bytes);
            if (top == null)
            {
                return null;
            }

            uint writable = WritableFlags(s->Cpl, s->Iopl) & TSize.Mask;
            uint image = TSize.Load(top) & writable;
            StackAccess<TAddressing>.Release(s, TSize.Bytes);
            uint before = s->SystemFlags;
            InterruptShadow.SetSystemFlags(s, (before & ~writable) | (image & ~Eflags.Arithmetic));
            s->ArithmeticFlags = image;
            return s->WindowWanted == 0 && ((before ^ s->SystemFlags) & LeavingFlags) == 0
                ? Operation.Next(s, op)
                : LeaveUpdated(s, op);
        }
    }

    private static Operation* LeaveUpdated(ProcessorState* s, Operation* op)
    {
        Processor.From(s).UpdateMode();
        return BlockExit.Leave(s, op);
    }
}
