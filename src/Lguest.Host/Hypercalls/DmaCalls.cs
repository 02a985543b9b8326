using Lguest.Host.Abi;

namespace Lguest.Host.Hypercalls;

/// <summary>Calls that move data.</summary>
internal static class DmaCalls
{
    private const uint InterruptMask = 0xff;
    private const int CountShift = 8;

    /// <summary>Registers buffers for receiving on a key, or (IRQ 0) takes them back. The only call with a result.</summary>
    public static uint? Bind(HypercallContext context, in HypercallArguments arguments)
    {
        uint irq = arguments.Third & InterruptMask;
        bool done = irq == 0
            ? context.Router.Unbind(arguments.First, arguments.Second)
            : context.Router.Bind(arguments.First, arguments.Second, arguments.Third >> CountShift, irq);
        return done ? 1u : 0;
    }

    /// <summary>Sends the pieces that a list names to the receiver of the key.</summary>
    public static uint? Send(HypercallContext context, in HypercallArguments arguments)
    {
        context.Router.Send(arguments.First, arguments.Second);
        context.Processor.RequestStop();
        return null;
    }
}
