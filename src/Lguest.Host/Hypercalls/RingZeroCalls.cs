using Lguest.Cpu;
using Lguest.Cpu.State;
using Lguest.Host.Abi;

namespace Lguest.Host.Hypercalls;

/// <summary>Calls that mean something else to a kernel with an interrupt flag of its own.</summary>
internal static class RingZeroCalls
{
    /// <summary>Sleeps with interrupts on, whatever they were, and returns after one has been delivered.</summary>
    public static uint? Halt(HypercallContext context, in HypercallArguments arguments)
    {
        context.Processor.Eflags |= Eflags.If;
        return TimeCalls.Halt(context, arguments);
    }
}
