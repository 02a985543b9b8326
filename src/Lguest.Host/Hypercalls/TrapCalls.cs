using Lguest.Cpu;
using Lguest.Cpu.State;
using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Host.Hypercalls;

/// <summary>Calls about trap handlers, the stack they start on, and the trap that saves floating-point registers lazily.</summary>
internal static class TrapCalls
{
    private const int Cr0Number = 0;
    private const uint PrivilegeMask = 3;
    private const uint MostStackPages = 2;

    /// <summary>Takes one gate of the guest's IDT.</summary>
    public static uint? LoadIdtEntry(HypercallContext context, in HypercallArguments arguments)
    {
        context.Gates.Load(arguments.First, arguments.Second, arguments.Third);
        return null;
    }

    /// <summary>
    /// Takes the kernel's stack for traps from user programs. The stack may not even be mapped yet, so it isn't
    /// touched.
    /// </summary>
    public static uint? SetStack(HypercallContext context, in HypercallArguments arguments)
    {
        if ((arguments.First & PrivilegeMask) != SegmentTable.KernelPrivilege)
        {
            throw new GuestFaultException($"the stack segment 0x{arguments.First:x} doesn't have RPL 1");
        }

        if (arguments.Third > MostStackPages)
        {
            throw new GuestFaultException($"a stack of {arguments.Third} pages is too large: 2 is the most");
        }

        context.Gates.Stack = new KernelStackTop((ushort)arguments.First, arguments.Second);
        return null;
    }

    /// <summary>Nothing by itself: interrupts that wait are looked at after any call.</summary>
    public static uint? SendInterrupts(HypercallContext context, in HypercallArguments arguments) => null;

    /// <summary>Sets or clears CR0.TS.</summary>
    public static uint? SetTaskSwitched(HypercallContext context, in HypercallArguments arguments)
    {
        uint cr0 = context.Processor.ReadControlRegister(Cr0Number);
        uint wanted = arguments.First != 0 ? cr0 | Cr0.Ts : cr0 & ~Cr0.Ts;
        if (wanted != cr0)
        {
            context.Processor.WriteControlRegister(Cr0Number, wanted);
        }

        return null;
    }
}
