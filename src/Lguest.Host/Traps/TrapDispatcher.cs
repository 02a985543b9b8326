using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Host.Traps;

/// <summary>
/// Traps and interrupts of a kernel at CPL 1: the host is the kernel's IDT and TSS. It looks up the gate, builds the
/// frame, and keeps the guest's idea of the interrupt flag, which isn't the processor's.
/// </summary>
/// <remarks>The processor's own IF is always 1: the guest masks interrupts in lguest_data.</remarks>
public sealed class TrapDispatcher : TrapPolicy
{
    private const int KernelPrivilege = SegmentTable.KernelPrivilege;
    private const uint ClearedOnEntry = Eflags.Tf | Eflags.Nt | Eflags.Rf | Eflags.Vm;
    private const uint InitialCr0 = Cr0.Pe | Cr0.Mp | Cr0.Et | Cr0.Ne | Cr0.Wp | Cr0.Am;
    private const uint InitialCr4 = Cr4.Osfxsr | Cr4.Osxmmexcpt;
    private const int GateErrorShift = 3;
    private const uint GateErrorIdt = 2;

    private const byte Cli = 0xfa;
    private const byte Sti = 0xfb;
    private const byte Hlt = 0xf4;

    // Bytes of MOV from a control register, and its ModRM byte for CR4 and EAX, whose low bits are the general register.
    private const int LongestEarly = 3;
    private const int FromCr4 = 0xe0;
    private const int GeneralRegister = 7;

    private readonly Processor _processor;

    /// <summary>SDM 2B, VMCALL.</summary>
    private static ReadOnlySpan<byte> Vmcall => [0x0f, 0x01, 0xc1];

    private static ReadOnlySpan<byte> Rdmsr => [0x0f, 0x32];

    private static ReadOnlySpan<byte> Wrmsr => [0x0f, 0x30];

    private static ReadOnlySpan<byte> MovFromControl => [0x0f, 0x20];

    /// <summary>Makes the dispatcher of a guest.</summary>
    public TrapDispatcher(TrapContext context)
        : base(context) => _processor = context.Processor;

    /// <inheritdoc />
    public override uint OpenLines => Context.Gates.InterruptGates;

    /// <inheritdoc />
    public override bool AcceptsInterrupts =>
        !Context.Data.ForbidsInterruptsAt(_processor.State.Eip)
        && (Context.Interrupts.IsHalted || Context.Data.InterruptsEnabled);

    /// <inheritdoc />
    protected override int HypercallPrivilege => KernelPrivilege;

    /// <inheritdoc />
    public override void Start(in KernelEntry entry)
    {
        _processor.Reset();
        _processor.HostGdt = Context.Segments.Table;
        _processor.PortPrivilege = KernelPrivilege;

        // A kindness that the original lacked: Linux 2.6.23's handler of the debug trap reads DR6, and died of it.
        _processor.DebugReadPrivilege = KernelPrivilege;
        _processor.PageTablePolicy = Context.Abi.Tables;
        Context.AddressSpace.PageOffset = entry.PageOffset;
        _processor.WriteControlRegister(4, InitialCr4 | Context.Abi.PageTables.ControlBits);
        uint paging = 0;
        if (entry.PageDirectory is { } directory)
        {
            _processor.WriteControlRegister(3, directory);
            paging = Cr0.Pg;
        }

        _processor.WriteControlRegister(0, InitialCr0 | paging);
        SegmentRegister data = SegmentTable.InitialSegment(code: false);
        _processor.SetSegment(SegmentName.Cs, SegmentTable.InitialSegment(code: true));
        _processor.SetSegment(SegmentName.Ss, data);
        _processor.SetSegment(SegmentName.Ds, data);
        _processor.SetSegment(SegmentName.Es, data);
        _processor.SetSegment(SegmentName.Fs, default);
        _processor.SetSegment(SegmentName.Gs, default);
        _processor.Eflags = Eflags.Fixed | Eflags.If;
        _processor.State.Eip = entry.EntryPoint;
    }

    /// <inheritdoc />
    /// <remarks>
    /// A sleeper is woken before the frame is made: the frame must say that interrupts were on. The other order would
    /// leave the guest masked for ever.
    /// </remarks>
    public override void EnterInterrupt(int irq)
    {
        if (Context.Interrupts.IsHalted)
        {
            Context.Interrupts.IsHalted = false;
            Context.Data.InterruptsEnabled = true;
        }

        int vector = GateTable.FirstInterruptVector + irq;
        var interrupt = new ExceptionInfo(vector, 0, ExceptionOrigin.External, 0, _processor.State.Eip);
        Enter(interrupt, Context.Gates[vector]);
    }

    /// <inheritdoc />
    public override void ExpectInterrupt(bool isWaiting) =>
        Context.Data.WriteInterruptPending(isWaiting && Context.Interrupts.HasUnblocked(this));

    /// <inheritdoc />
    protected override ExceptionDisposition OnTrap(in ExceptionInfo exception)
    {
        if (exception.Origin == ExceptionOrigin.Fault && TryPassInstruction(exception))
        {
            return ExceptionDisposition.Resume;
        }

        // Queued calls may be the very reason of a fault: the guest's page tables, descriptors and TS are what they
        // say. The instruction starts again then, and if it still faults, there is nothing queued any more.
        bool drained = Context.Hypercalls.DrainRing();
        if (drained && (exception.Origin == ExceptionOrigin.Fault || Context.Ending.IsOver))
        {
            return ExceptionDisposition.Resume;
        }

        ExceptionInfo trap = exception;
        if (trap.Origin == ExceptionOrigin.Software && Context.Gates[trap.Vector].Privilege < _processor.State.Cpl)
        {
            trap = ForbiddenInterrupt(trap);
        }

        Gate gate = Context.Gates[trap.Vector];
        if (!gate.IsPresent)
        {
            throw new GuestFaultException($"unhandled {Describe(trap)} at 0x{_processor.State.Eip:x8}") { IsDeath = true };
        }

        if (trap.Vector == ExceptionVector.PageFault)
        {
            Context.Data.WriteFaultAddress(trap.Address);
        }

        Enter(trap, gate);
        return ExceptionDisposition.Resume;
    }

    /// <summary>Does what the kernel means by an instruction that faults because of its ring, and goes on behind it.</summary>
    private bool TryPassInstruction(in ExceptionInfo fault)
    {
        if (_processor.State.Cpl != KernelPrivilege)
        {
            return false;
        }

        if (Context.Abi.CallsByVmcall && fault.Vector == ExceptionVector.InvalidOpcode)
        {
            return TryPassVmcall();
        }

        return fault is { Vector: ExceptionVector.GeneralProtection, ErrorCode: 0 }
            && ((Context.Abi.ToleratesInterruptInstructions && TryPassInterruptInstruction())
                || (Context.Abi.ToleratesEarlyPrivilege && !Context.Gates[fault.Vector].IsPresent && TryPassEarly()));
    }

    private bool TryPassVmcall()
    {
        Span<byte> code = stackalloc byte[Vmcall.Length];
        if (!TryReadCode(code) || !code.SequenceEqual(Vmcall))
        {
            return false;
        }

        _processor.State.Eip += (uint)Vmcall.Length;
        Context.Hypercalls.Dispatch();
        return true;
    }

    /// <summary>
    /// CLI and STI of the kernel's mean the processor's flag, which is always 1 here: nothing. HLT is what a kernel does that has been halted.
    /// </summary>
    private bool TryPassInterruptInstruction()
    {
        Span<byte> code = stackalloc byte[1];
        if (!TryReadCode(code) || code[0] is not (Cli or Sti or Hlt))
        {
            return false;
        }

        _processor.State.Eip++;
        if (code[0] == Hlt)
        {
            Context.Hypercalls.DrainRing();
            Context.Interrupts.IsHalted = true;
            _processor.RequestStop();
        }

        return true;
    }

    /// <summary>
    /// A kernel that can't deal with the fault yet looks for its processor's microcode: registers that are 0 say that it has none. And it makes
    /// itself a copy of CR4, which is 0 as its own later calls say.
    /// </summary>
    private bool TryPassEarly()
    {
        Span<byte> code = stackalloc byte[LongestEarly];
        if (!TryReadCode(code))
        {
            return false;
        }

        if (code.StartsWith(Rdmsr))
        {
            _processor.State.Eax = 0;
            _processor.State.Edx = 0;
            _processor.State.Eip += (uint)Rdmsr.Length;
        }
        else if (code.StartsWith(Wrmsr))
        {
            _processor.State.Eip += (uint)Wrmsr.Length;
        }
        else if (code.StartsWith(MovFromControl) && (code[^1] & ~GeneralRegister) == FromCr4)
        {
            _processor.State.SetGeneral(code[^1] & GeneralRegister, 0);
            _processor.State.Eip += LongestEarly;
        }
        else
        {
            return false;
        }

        return true;
    }

    private bool TryReadCode(Span<byte> code) =>
        _processor.TryReadLinear(_processor.State.Cs.Base + _processor.State.Eip, code, out _);

    /// <summary>INT n through a gate that isn't for this CPL is a fault of the INT itself.</summary>
    private ExceptionInfo ForbiddenInterrupt(in ExceptionInfo trap)
    {
        _processor.State.Eip = trap.InstructionEip;
        uint error = ((uint)trap.Vector << GateErrorShift) | GateErrorIdt;
        return new ExceptionInfo(
            ExceptionVector.GeneralProtection, error, ExceptionOrigin.Fault, 0, trap.InstructionEip);
    }

    /// <summary>Enters a handler at CPL 1: from the kernel on the stack it has, from a program on the kernel's own.</summary>
    private void Enter(in ExceptionInfo trap, Gate gate)
    {
        uint eflags = _processor.Eflags & ~Eflags.If;
        if (Context.Data.InterruptsEnabled)
        {
            eflags |= Eflags.If;
        }

        bool hasErrorCode = trap.Origin != ExceptionOrigin.External && ExceptionVector.HasErrorCode(trap.Vector);
        var entry = new GateEntry
        {
            CodeSelector = SegmentTable.KernelCode,
            Offset = gate.Offset,
            SwitchStack = _processor.State.Cpl != KernelPrivilege,
            StackSelector = Context.Gates.Stack.Selector,
            StackPointer = Context.Gates.Stack.Offset,
            PushedEflags = eflags,
            ErrorCode = hasErrorCode ? trap.ErrorCode : null,
            ClearEflags = ClearedOnEntry,
        };
        if (!_processor.TryEnterGate(entry, out ExceptionInfo fault))
        {
            throw new GuestFaultException(
                $"unhandled {Describe(trap)} at 0x{_processor.State.Eip:x8}: entering its handler gives {DescribeFault(fault)}")
            {
                // A structure of the host's that is wrong is another matter than a stack that isn't there.
                IsDeath = _processor.PageTableViolation is null,
            };
        }

        if (gate.MasksInterrupts)
        {
            Context.Data.InterruptsEnabled = false;
        }
    }

    private string DescribeFault(in ExceptionInfo fault) => _processor.PageTableViolation is { } violation
        ? PageTables.Describe(violation)
        : Describe(fault);
}
