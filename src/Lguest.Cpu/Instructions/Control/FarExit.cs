using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>How a far transfer leaves its block.</summary>
internal static unsafe class FarExit
{
    /// <summary>After a transfer that has set EIP and the mode, or has failed: goes on there, or raises.</summary>
    public static Operation* Finish(ProcessorState* s, Operation* op, bool done, in ExceptionInfo fault)
    {
        if (!done)
        {
            return Fault.Raise(s, op, fault);
        }

        BlockExit.GiveBackRest(s, op);
        const uint Leaving = Eflags.Tf | Eflags.Rf;
        return (s->SystemFlags & Leaving) == 0 && s->WindowWanted == 0 ? BlockExit.ToAddress(s, s->Eip) : null;
    }

    /// <summary>
    /// After a task switch. A fault in the new task comes before its first instruction; the one that switched has retired.
    /// </summary>
    public static Operation* FinishTaskSwitch(
        ProcessorState* s, Operation* op, bool done, bool inNewTask, in ExceptionInfo fault)
    {
        if (!done && !inNewTask)
        {
            return Fault.Raise(s, op, fault);
        }

        BlockExit.GiveBackRest(s, op);
        if (!done)
        {
            s->Exception = fault;
            s->Exception.Origin = ExceptionOrigin.Fault;
            s->Exception.InstructionEip = s->Eip;
            s->Exit = fault.Exit;
        }

        return null;
    }
}
