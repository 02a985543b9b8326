using Lguest.Cpu;
using Lguest.Cpu.State;

namespace Lguest.Host.Traps;

/// <summary>
/// How a kind of kernel is started, makes its hypercalls, and gets its traps and interrupts. What differs between a
/// kernel at CPL 1 and one at CPL 0 is all in the two classes derived from this.
/// </summary>
public abstract class TrapPolicy : IExceptionHook
{
    /// <summary>
    /// Exceptions without a single instruction between them, after which the guest won't ever execute one: its
    /// handler, or the handler's stack, faults by itself.
    /// </summary>
    private const int MostIdleExceptions = 100;

    private ulong _lastRetired = ulong.MaxValue;
    private int _idleExceptions;

    /// <summary>Makes a policy.</summary>
    protected TrapPolicy(TrapContext context) => Context = context;

    /// <summary>Bit n is set while the guest has a handler for IRQ n.</summary>
    public abstract uint OpenLines { get; }

    /// <summary>Whether the guest would take an interrupt now, of those it doesn't mask one by one.</summary>
    public abstract bool AcceptsInterrupts { get; }

    /// <summary>The parts of the guest.</summary>
    protected TrapContext Context { get; }

    /// <summary>The CPL from which a hypercall may be made.</summary>
    protected abstract int HypercallPrivilege { get; }

    /// <summary>Puts the processor into the state in which a kernel starts.</summary>
    public abstract void Start(in KernelEntry entry);

    /// <summary>Enters the handler of an IRQ, waking the guest if it sleeps.</summary>
    /// <exception cref="GuestFaultException">The handler can't be entered.</exception>
    public abstract void EnterInterrupt(int irq);

    /// <summary>Tells whether an interrupt is pending that the guest doesn't take now, before it executes.</summary>
    /// <param name="isWaiting">Whether the run should end when it can be delivered, if the processor can see that.</param>
    public virtual void ExpectInterrupt(bool isWaiting)
    {
    }

    /// <inheritdoc />
    public ExceptionDisposition OnException(Processor processor, in ExceptionInfo exception)
    {
        try
        {
            CheckProgress(processor, exception);
            if (exception.Origin == ExceptionOrigin.Software && exception.Vector == Context.Abi.HypercallVector
                && processor.State.Cpl == HypercallPrivilege)
            {
                Context.Hypercalls.Dispatch();
                return Finish(ExceptionDisposition.Resume);
            }

            return Finish(OnTrap(exception));
        }
        catch (GuestFaultException fault)
        {
            Context.Ending.End(fault, processor.State.Eip);
            return ExceptionDisposition.Stop;
        }
    }

    /// <summary>Deals with an exception that isn't a hypercall.</summary>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    protected abstract ExceptionDisposition OnTrap(in ExceptionInfo exception);

    /// <summary>The guest may be over now, or may have let an interrupt in: then the run loop must have its turn.</summary>
    private ExceptionDisposition Finish(ExceptionDisposition disposition)
    {
        if (Context.Ending.IsOver)
        {
            return ExceptionDisposition.Stop;
        }

        if (Context.Interrupts.CanDeliver(this))
        {
            Context.Processor.RequestStop();
        }

        return disposition;
    }

    private void CheckProgress(Processor processor, in ExceptionInfo exception)
    {
        ulong retired = processor.Retired;
        if (retired != _lastRetired)
        {
            _lastRetired = retired;
            _idleExceptions = 0;
        }
        else if (++_idleExceptions > MostIdleExceptions)
        {
            throw new GuestFaultException(
                $"the guest loops on faults: {MostIdleExceptions} without an instruction in between, now {Describe(exception)}")
            {
                IsDeath = true,
            };
        }
    }

    /// <summary>A triple fault in words: what it began with, and where the processor was.</summary>
    public static string DescribeTripleFault(Processor processor)
    {
        ref ProcessorState state = ref processor.State;
        return $"triple fault: {Describe(processor.DoubleFaultCause)}, then a fault on the way to its handler, and one on the way to "
            + $"the double fault's (CS 0x{state.Cs.Selector:x}, SS:ESP 0x{state.Ss.Selector:x}:0x{state.Esp:x8}, "
            + $"CR0 0x{processor.ReadControlRegister(0):x8}, CR2 0x{state.Cr2:x8}, CR3 0x{processor.ReadControlRegister(3):x8}, "
            + $"IDT at 0x{state.Idtr.Base:x8})";
    }

    /// <summary>An exception in words: "trap 14 (address 0x00000010)".</summary>
    protected static string Describe(in ExceptionInfo exception)
    {
        if (exception.Vector == ExceptionVector.PageFault)
        {
            return $"trap {exception.Vector} (address 0x{exception.Address:x8}, error code {exception.ErrorCode})";
        }

        return ExceptionVector.HasErrorCode(exception.Vector)
            ? $"trap {exception.Vector} (error code 0x{exception.ErrorCode:x})"
            : $"trap {exception.Vector}";
    }
}
