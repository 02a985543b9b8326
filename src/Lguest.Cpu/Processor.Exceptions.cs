using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu;

/// <content>From a raised exception to the hook, to the guest's handler, or to a double or triple fault.</content>
public sealed unsafe partial class Processor
{
    private StopReason? _endOfNextRun;

    /// <summary>
    /// The exception whose delivery led to the last double fault: after <see cref="StopReason.TripleFault"/>, what it all began
    /// with.
    /// </summary>
    public ExceptionInfo DoubleFaultCause { get; private set; }

    /// <summary>
    /// Delivers an external interrupt through the IDT, which ends a HLT. Hooks don't see it, only exceptions on its way.
    /// </summary>
    /// <param name="vector">0 to 255.</param>
    /// <returns>
    /// False when interrupts are disabled or shadowed, and nothing has happened. When delivering ends in a triple fault, the next
    /// run says so.
    /// </returns>
    public bool TryDeliverInterrupt(int vector)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(vector);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vector, byte.MaxValue);
        if ((_state->SystemFlags & Cpu.State.Eflags.If) == 0 || InterruptsShadowed)
        {
            return false;
        }

        var interrupt = new ExceptionInfo(vector, 0, ExceptionOrigin.External, 0, _state->Eip);
        ExceptionInfo fault = default;
        if (!InterruptDelivery.TryDeliver(this, interrupt, out bool inNewTask, ref fault))
        {
            _endOfNextRun = EscalateAndDeliver(interrupt, fault, inNewTask);
        }

        return true;
    }

    /// <summary>Deals with <see cref="ProcessorState.Exception"/>; answers why the run has to end, if it has to.</summary>
    private StopReason? Deliver()
    {
        ForgetLink();
        ExceptionInfo exception = _state->Exception;
        return Deliver(exception);
    }

    private StopReason? Deliver(in ExceptionInfo exception)
    {
        Statistics.Exceptions++;
        if (exception.Vector == ExceptionVector.PageFault && exception.Origin == ExceptionOrigin.Fault)
        {
            Statistics.PageFaults++;
        }

        LastException = exception;
        switch (ExceptionHook?.OnException(this, exception) ?? ExceptionDisposition.Deliver)
        {
            case ExceptionDisposition.Resume:
                return null;
            case ExceptionDisposition.Stop:
                return StopReason.Requested;
            default:
                break;
        }

        if (exception.Vector == ExceptionVector.PageFault && exception.Origin == ExceptionOrigin.Fault)
        {
            _state->Cr2 = exception.Address;
        }

        ExceptionInfo fault = default;
        return InterruptDelivery.TryDeliver(this, exception, out bool inNewTask, ref fault)
            ? null
            : EscalateAndDeliver(exception, fault, inNewTask);
    }

    /// <summary>A fault while delivering: a double fault, a triple fault, or just the next one (SDM 3A, table 6-5).</summary>
    private StopReason? EscalateAndDeliver(in ExceptionInfo first, in ExceptionInfo second, bool inNewTask)
    {
        if (second.Vector == ExceptionInfo.PolicyViolation)
        {
            return StopReason.PageTableViolation;
        }

        if (second.Vector == ExceptionVector.PageFault)
        {
            _state->Cr2 = second.Address;
        }

        if (first.Vector == ExceptionVector.DoubleFault && first.Origin == ExceptionOrigin.Fault)
        {
            return StopReason.TripleFault;
        }

        if (first.Origin == ExceptionOrigin.Software && !inNewTask)
        {
            // The INT hasn't happened: EIP goes back to it, and it doesn't count.
            _state->Eip = first.InstructionEip;
            _state->Countdown++;
            _state->PendingDebug = 0;
        }

        bool isDouble = IsContributory(first) || IsPageFault(first)
            ? IsContributory(second.Vector) || (IsPageFault(first) && second.Vector == ExceptionVector.PageFault)
            : false;
        if (isDouble)
        {
            DoubleFaultCause = first;
            return Deliver(new ExceptionInfo(
                ExceptionVector.DoubleFault, 0, ExceptionOrigin.Fault, 0, _state->Eip));
        }

        return Deliver(new ExceptionInfo(
            second.Vector, second.ErrorCode, ExceptionOrigin.Fault, second.Address, _state->Eip));
    }

    private static bool IsPageFault(in ExceptionInfo exception) =>
        exception.Origin == ExceptionOrigin.Fault && exception.Vector == ExceptionVector.PageFault;

    private static bool IsContributory(in ExceptionInfo exception) =>
        exception.Origin == ExceptionOrigin.Fault && IsContributory(exception.Vector);

    private static bool IsContributory(int vector) =>
        vector is ExceptionVector.DivideError or (>= ExceptionVector.InvalidTss and <= ExceptionVector.GeneralProtection);
}
