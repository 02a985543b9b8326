using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>IRET (SDM 2A, IRET): to the same ring, to an outer one, or back from a nested task.</summary>
/// <remarks>There is no virtual-8086 mode: an image of EFLAGS with VM set raises #GP(0) at CPL 0.</remarks>
internal static unsafe class InterruptReturn
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Code)
        {
            case Code.Iretw:
                op->Handler = &Return16;
                return Lowered.EndsBlock;
            case Code.Iretd:
                op->Handler = &Return32;
                return Lowered.EndsBlock;
            default:
                return Lowered.Undefined;
        }
    }

    private static Operation* Return16(ProcessorState* s, Operation* op) => Return(s, op, sizeof(ushort));

    private static Operation* Return32(ProcessorState* s, Operation* op) => Return(s, op, sizeof(uint));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Operation* Return(ProcessorState* s, Operation* op, uint size)
    {
        Processor processor = Processor.From(s);
        ExceptionInfo fault = default;
        return (s->SystemFlags & Eflags.Nt) != 0
            ? ReturnFromTask(s, op)
            : FarExit.Finish(s, op, TryReturn(processor, size, ref fault), fault);
    }

    /// <summary>NT is set: the TSS names the task to go back to (SDM 3A, 7.4).</summary>
    private static Operation* ReturnFromTask(ProcessorState* s, Operation* op)
    {
        ExceptionInfo fault = default;
        Processor processor = Processor.From(s);
        if (!s->Tr.IsUsable)
        {
            return Fault.Raise(s, op, ExceptionVector.InvalidTss, Selector.ErrorCode(s->Tr.Selector));
        }

        if (!LinearRange.TryMap(
            s, s->Tr.Base + TaskState.Link, sizeof(ushort), AccessKind.Read, user: false, out LinearRange link, ref fault))
        {
            return Fault.Raise(s, op, fault);
        }

        var request = new TaskSwitchRequest(
            link.ReadUInt16(0), TaskSwitchKind.Return, Operation.NextEip(s, op), s->Eflags, ErrorCode: null);
        bool done = TaskSwitch.TrySwitch(processor, request, out bool inNewTask, ref fault);
        return FarExit.FinishTaskSwitch(s, op, done, inNewTask, fault);
    }

    private static bool TryReturn(Processor processor, uint size, ref ExceptionInfo fault)
    {
        ProcessorState* s = processor.StatePointer;
        int cpl = s->Cpl;
        bool user = cpl == 3;
        if (!SystemStack.TryPeek(processor, s->Ss, s->Esp, 0, size, user, out uint eip, ref fault)
            || !SystemStack.TryPeek(processor, s->Ss, s->Esp, size, size, user, out uint cs, ref fault)
            || !SystemStack.TryPeek(processor, s->Ss, s->Esp, 2 * size, size, user, out uint eflags, ref fault))
        {
            return false;
        }

        if (size == sizeof(uint) && (eflags & Eflags.Vm) != 0 && cpl == 0)
        {
            fault = ExceptionInfo.Of(ExceptionVector.GeneralProtection, 0);
            return false;
        }

        const uint FrameWords = 3;
        if (!FarReturn.TryUnwind(processor, (ushort)cs, eip, FrameWords * size, 0, size, out FarReturn target, ref fault))
        {
            return false;
        }

        // The flags that may change are those of the level that returns (SDM 2A, IRET, RETURN-TO-OUTER-PRIVILEGE-LEVEL).
        uint writable = EflagsTransfer.WritableFlags(cpl, s->Iopl) | Eflags.Rf
            | (cpl == 0 ? Eflags.Vif | Eflags.Vip : 0);
        if (size == sizeof(ushort))
        {
            writable &= ushort.MaxValue;
        }

        target.Apply(processor);
        InterruptShadow.SetSystemFlags(s, (s->SystemFlags & ~writable) | (eflags & writable & ~Eflags.Arithmetic));
        s->ArithmeticFlags = eflags;
        processor.UpdateMode();
        return true;
    }
}
