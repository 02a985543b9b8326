using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Host.Traps;

/// <summary>
/// Traps and interrupts of a kernel at CPL 0, which has an IDT, page tables and an interrupt flag of its own: the processor
/// does it all, and the host only makes hypercalls and asks for interrupts.
/// </summary>
public sealed class RingZeroTraps : TrapPolicy
{
    /// <summary>The selectors of Linux's 32-bit boot protocol, __BOOT_CS and __BOOT_DS.</summary>
    private const ushort BootCode = 0x10;
    private const ushort BootData = 0x18;
    private const int KernelPrivilege = 0;

    private readonly Processor _processor;

    /// <summary>Makes the policy of a guest.</summary>
    public RingZeroTraps(TrapContext context)
        : base(context) => _processor = context.Processor;

    /// <summary>All: what isn't in the kernel's IDT is a fault of the kernel's.</summary>
    public override uint OpenLines => uint.MaxValue;

    /// <inheritdoc />
    public override bool AcceptsInterrupts => (_processor.Eflags & Eflags.If) != 0 && !_processor.InterruptsShadowed;

    /// <inheritdoc />
    protected override int HypercallPrivilege => KernelPrivilege;

    /// <inheritdoc />
    public override void Start(in KernelEntry entry)
    {
        _processor.Reset();
        _processor.PortPrivilege = KernelPrivilege;
        _processor.PageTablePolicy = PageTablePolicy.None;
        SetSelector(SegmentName.Cs, _processor.State.Cs, BootCode);
        SetSelector(SegmentName.Ss, _processor.State.Ss, BootData);
        SetSelector(SegmentName.Ds, _processor.State.Ds, BootData);
        SetSelector(SegmentName.Es, _processor.State.Es, BootData);
        SetSelector(SegmentName.Fs, _processor.State.Fs, BootData);
        SetSelector(SegmentName.Gs, _processor.State.Gs, BootData);
        _processor.State.Esi = entry.BootParameters;
        _processor.State.Eip = entry.EntryPoint;
    }

    /// <inheritdoc />
    public override void EnterInterrupt(int irq)
    {
        Context.Interrupts.IsHalted = false;
        _processor.TryDeliverInterrupt(GateTable.FirstInterruptVector + irq);
    }

    /// <summary>The processor ends its run as soon as the guest sets IF, so that the interrupt comes there.</summary>
    public override void ExpectInterrupt(bool isWaiting) => _processor.InterruptLine = isWaiting;

    /// <inheritdoc />
    protected override ExceptionDisposition OnTrap(in ExceptionInfo exception)
    {
        Context.Hypercalls.DrainRing();
        return ExceptionDisposition.Deliver;
    }

    /// <summary>After reset all segments are flat; only their selectors aren't those that the kernel expects.</summary>
    private void SetSelector(SegmentName name, SegmentRegister register, ushort selector)
    {
        register.Selector = selector;
        _processor.SetSegment(name, register);
    }
}
