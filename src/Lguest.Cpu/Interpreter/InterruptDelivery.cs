namespace Lguest.Cpu.Interpreter;

/// <summary>Delivery of exceptions and interrupts through the IDT (SDM 3A, 6.12).</summary>
internal static unsafe class InterruptDelivery
{
    /// <summary>Delivers, or answers why the run has to end.</summary>
    public static StopReason? Deliver(Processor processor, in ExceptionInfo exception)
    {
        return StopReason.TripleFault;
    }
}
