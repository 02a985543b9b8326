using Lguest.Host.Abi;

namespace Lguest.Host.Hypercalls;

/// <summary>Calls about waiting.</summary>
/// <remarks>
/// They end the run in progress, because they change when the next thing happens or whether there is anything to
/// execute until then.
/// </remarks>
internal static class TimeCalls
{
    /// <summary>Arms the timer, which raises IRQ 0; 0 disarms it, and leaves an IRQ 0 that is pending.</summary>
    public static uint? SetClockEvent(HypercallContext context, in HypercallArguments arguments)
    {
        context.Clock.SetTimer(arguments.First);
        context.Processor.RequestStop();
        return null;
    }

    /// <summary>Sleeps until an interrupt can be delivered.</summary>
    public static uint? Halt(HypercallContext context, in HypercallArguments arguments)
    {
        context.Interrupts.IsHalted = true;
        context.Processor.RequestStop();
        return null;
    }
}
