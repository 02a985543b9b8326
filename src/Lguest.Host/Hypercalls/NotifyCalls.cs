using Lguest.Host.Abi;

namespace Lguest.Host.Hypercalls;

/// <summary>The call by which a kernel tells of what is new on a bus of virtio devices.</summary>
internal static class NotifyCalls
{
    /// <summary>Lets the bus look at a physical address.</summary>
    public static uint? Notify(HypercallContext context, in HypercallArguments arguments)
    {
        context.Bus.Notify(arguments.First);
        context.Processor.RequestStop();
        return null;
    }
}
