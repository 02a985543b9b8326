using System.Runtime.CompilerServices;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>How an operation that can't complete leaves the engine: it raises, and returns the null it gets.</summary>
internal static unsafe class Fault
{
    /// <summary>Raises a fault of the instruction that <paramref name="op"/> belongs to.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operation* Raise(ProcessorState* s, Operation* op, int vector, uint errorCode = 0)
    {
        ExceptionInfo exception = default;
        exception.Vector = vector;
        exception.ErrorCode = errorCode;
        return Raise(s, op, exception);
    }

    /// <summary>Raises a fault that a lower layer has described.</summary>
    public static Operation* Raise(ProcessorState* s, Operation* op, in ExceptionInfo exception)
    {
        s->Exception = exception;
        return RaiseDescribed(s, op);
    }

    /// <summary>Raises the fault that <see cref="ProcessorState.Exception"/> describes.</summary>
    public static Operation* RaiseDescribed(ProcessorState* s, Operation* op)
    {
        s->Exception.Origin = ExceptionOrigin.Fault;
        s->PendingDebug = 0;
        BlockExit.BeforeInstruction(s, op);
        s->Exception.InstructionEip = s->Eip;
        s->Exit = s->Exception.Exit;
        return null;
    }

    /// <summary>Raises what follows an instruction that has completed: INT n, INT3, INTO, INT1.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operation* RaiseSoftware(ProcessorState* s, Operation* op, int vector, ExceptionOrigin origin)
    {
        s->Exception = default;
        s->Exception.Vector = vector;
        s->Exception.Origin = origin;
        s->Exception.InstructionEip = s->BlockEip + op->EipOffset;
        BlockExit.AfterInstruction(s, op);
        s->Exit = ExitReason.Exception;
        return null;
    }
}
