using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu;

/// <content>From a raised exception to the hook, or to the guest's handler.</content>
public sealed unsafe partial class Processor
{
    /// <summary>Deals with <see cref="ProcessorState.Exception"/>; answers why the run has to end, if it has to.</summary>
    private StopReason? Deliver()
    {
        PendingException pending = _state->Exception;
        var exception = new ExceptionInfo(
            pending.Vector, pending.ErrorCode, pending.Origin, pending.Address, pending.InstructionEip);
        Statistics.Exceptions++;
        if (exception.Vector == ExceptionVector.PageFault)
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
                return InterruptDelivery.Deliver(this, exception);
        }
    }
}
