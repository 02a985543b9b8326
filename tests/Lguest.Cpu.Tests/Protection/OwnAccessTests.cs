using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>
/// What the processor reads and writes for itself, descriptors, gates, tasks, stacks, placed so that each byte in turn is the
/// first that lies on a missing page. The access is the supervisor's, and nothing may have changed (SDM 3A, 4.6.1, 4.7).
/// </summary>
public sealed class OwnAccessTests : IDisposable
{
    private const int Vector = 0x42;
    private const uint NewCode = 0x2800;

    private readonly ProtectedMachine _machine = new();

    public OwnAccessTests()
    {
        _machine.MapWithHole();
        _machine.Machine.StopAtExceptions = true;
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(TestDescriptor.CallGate32, Code0, NewCode, 3));
        _machine.Memory.Write(NewCode, [0x90, 0x90]);
    }

    private ref ProcessorState State => ref _machine.State;

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void The_gate_of_an_interrupt()
    {
        for (uint present = 0; present < 8; present++)
        {
            State.Idtr.Base = MissingPage - (Vector * 8) - present;
            Interrupt();
            ExpectPageFault(MissingPage, 0);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_inner_stack_in_the_TSS(bool throughCallGate)
    {
        // ESP0 and SS0 are six bytes at 4.
        for (uint present = 0; present <= 6; present++)
        {
            State.Tr.Base = MissingPage - present - 4;
            if (present == 6)
            {
                _machine.Machine.WriteUInt32(State.Tr.Base + 4, InnerStack0);
                _machine.Memory.Write(State.Tr.Base + 8, BitConverter.GetBytes(Data0));
            }

            _machine.EnterRing(3);
            State.Esp = Machine.StackTop;
            if (throughCallGate)
            {
                _machine.Step(a => a.call(Free2, 0));
            }
            else
            {
                Interrupt();
            }

            if (present < 6)
            {
                ExpectPageFault(MissingPage, 0);
                Assert.Equal((Code3, Machine.StackTop), (State.Cs.Selector, State.Esp));
            }
        }

        Assert.Empty(_machine.Exceptions);
        Assert.Equal((Code0, Data0), (State.Cs.Selector, State.Ss.Selector));
        Assert.Equal(InnerStack0 - (throughCallGate ? 16u : 20u), State.Esp);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_inner_stack_is_the_supervisors(bool throughCallGate)
    {
        const uint supervisors = 3;
        const uint stackPage = InnerStack0 - 0x1000;
        _machine.SetPage(stackPage, stackPage | supervisors);
        _machine.EnterRing(3);
        if (throughCallGate)
        {
            _machine.Step(a => a.call(Free2, 0));
        }
        else
        {
            Interrupt();
        }

        Assert.Empty(_machine.Exceptions);
        Assert.Equal((Code0, InnerStack0 - (throughCallGate ? 16u : 20u)), (State.Cs.Selector, State.Esp));
    }

    [Fact]
    public void Parameters_of_a_call_gate_on_the_callers_stack()
    {
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(TestDescriptor.CallGate32, Code0, NewCode, 3, parameters: 2));
        for (uint present = 0; present <= 8; present++)
        {
            _machine.EnterRing(3);
            State.Esp = MissingPage - present;
            _machine.Step(a => a.call(Free2, 0));
            if (present < 8)
            {
                // The one that lies deepest is read first.
                ExpectPageFault(Math.Max(MissingPage, MissingPage - present + 4), PageFaultError.User);
                Assert.Equal((Code3, MissingPage - present), (State.Cs.Selector, State.Esp));
            }
        }

        Assert.Empty(_machine.Exceptions);
        Assert.Equal(Code0, State.Cs.Selector);
    }

    /// <summary>How many words a frame to an outer ring has, and what pops it.</summary>
    [Theory]
    [InlineData("CB", 4, 4)]
    [InlineData("66CB", 4, 2)]
    [InlineData("CF", 5, 4)]
    [InlineData("66CF", 5, 2)]
    public void The_frame_of_a_return_to_an_outer_ring(string code, int words, uint size)
    {
        // An inner ring's stack is the supervisor's.
        const uint supervisors = 3;
        const uint lastPage = MissingPage - 0x1000;
        _machine.SetPage(lastPage, lastPage | supervisors);
        uint length = (uint)words * size;
        uint[] frame = words == 4
            ? [NewCode, Code3, Machine.StackTop, Data3]
            : [NewCode, Code3, Eflags.Fixed, Machine.StackTop, Data3];
        for (uint present = 0; present <= length; present++)
        {
            _machine.EnterRing(0);
            State.Esp = MissingPage - present;
            for (uint i = 0; i < words && (i + 1) * size <= present; i++)
            {
                _machine.Memory.Write(State.Esp + (i * size), BitConverter.GetBytes(frame[i]).AsSpan(0, (int)size));
            }

            byte[] bytes = Convert.FromHexString(code);
            _machine.Machine.Execute(bytes);
            if (present < length)
            {
                ExpectPageFault(MissingPage, 0);
                Assert.Equal((Code0, MissingPage - present), (State.Cs.Selector, State.Esp));
            }
        }

        Assert.Empty(_machine.Exceptions);
        Assert.Equal((Code3, Data3, NewCode), (State.Cs.Selector, State.Ss.Selector, State.Eip));
    }

    /// <summary>How a task is switched to, its type, the type of the old one, and whether the new one is written.</summary>
    [Theory]
    [InlineData("jump", TestDescriptor.Tss32, TestDescriptor.BusyTss32, false)]
    [InlineData("call", TestDescriptor.Tss32, TestDescriptor.BusyTss32, true)]
    [InlineData("interrupt", TestDescriptor.Tss32, TestDescriptor.BusyTss32, true)]
    [InlineData("jump", TestDescriptor.Tss16, TestDescriptor.BusyTss16, false)]
    [InlineData("call", TestDescriptor.Tss16, TestDescriptor.BusyTss16, true)]
    public void The_states_of_both_tasks(string way, int newType, int oldType, bool writes)
    {
        uint size = newType == TestDescriptor.Tss32 ? 0x68u : 0x2c;
        _machine.SetDescriptor(TssSelector, TestDescriptor.Segment(Tss, size - 1, oldType, 0, is32: false));
        SegmentAccess access = SegmentAccess.Present | (SegmentAccess)(oldType << 8);
        byte[] gdt = _machine.Memory.Span(Gdt, GdtEntries * 8).ToArray();
        uint directory = _machine.Cpu.ReadControlRegister(3);
        for (uint present = 0; present <= size; present++)
        {
            // The new one, then the old one; that is always written.
            foreach (bool isOld in (bool[])[false, true])
            {
                uint missing = MissingPage - present;
                gdt.CopyTo(_machine.Memory.Span(Gdt, (uint)gdt.Length));
                _machine.SetDescriptor(
                    OtherTssSelector, TestDescriptor.Segment(isOld ? OtherTss : missing, size - 1, newType, 0, is32: false));
                State.Tr = new SegmentRegister
                {
                    Selector = TssSelector, Base = isOld ? missing : Tss, Limit = size - 1, Access = access,
                };
                _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) & ~Cr0.Ts);
                Switch(way);
                if (present == size)
                {
                    // All of it is there; that the new task has no segments is its own fault.
                    Assert.NotEqual(0u, _machine.Cpu.ReadControlRegister(0) & Cr0.Ts);
                    _machine.Exceptions.Clear();
                    _machine.Cpu.WriteControlRegister(3, directory);
                    _machine.EnterRing(0);
                    continue;
                }

                ExpectPageFault(MissingPage, isOld || writes ? PageFaultError.Write : 0);
                Assert.Equal(TssSelector, State.Tr.Selector);
                Assert.Equal(0u, _machine.Cpu.ReadControlRegister(0) & Cr0.Ts);
                Assert.True(IsBusy(TssSelector));
                Assert.False(IsBusy(OtherTssSelector));
            }
        }
    }

    [Theory]
    [InlineData("jump", OtherTssSelector)]
    [InlineData("call", OtherTssSelector)]
    [InlineData("return", TssSelector)]
    [InlineData("ltr", OtherTssSelector)]
    public void The_busy_bit_in_a_page_for_reading(string way, ushort written)
    {
        const uint readOnly = 5;
        _machine.SetPage(Gdt, Gdt | readOnly);
        Switch(way);
        ExpectPageFault(Gdt + written, PageFaultError.Protection | PageFaultError.Write);
        Assert.Equal(TssSelector, State.Tr.Selector);
        Assert.Equal(0u, _machine.Machine.ReadUInt32(Tss + 0x20));
    }

    /// <summary>The page for reading has the descriptor of the old task, which comes first in the table, or that of the new one.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_busy_bits_of_two_tasks_change_both_or_not_at_all(bool isNew)
    {
        const uint readOnly = 5;
        const uint border = 0x2_8000;
        byte[] gdt = _machine.Memory.Span(Gdt, GdtEntries * 8).ToArray();
        State.Gdtr.Base = border - OtherTssSelector;
        _machine.Memory.Write(State.Gdtr.Base, gdt);
        uint page = isNew ? border : border - 0x1000;
        _machine.SetPage(page, page | readOnly);
        Switch("jump");
        ushort forbidden = isNew ? OtherTssSelector : TssSelector;
        ExpectPageFault(State.Gdtr.Base + forbidden, PageFaultError.Protection | PageFaultError.Write);
        Assert.Equal(TssSelector, State.Tr.Selector);
        Assert.Equal(gdt, _machine.Memory.Span(State.Gdtr.Base, (uint)gdt.Length).ToArray());
    }

    [Fact]
    public void The_link_to_the_task_before()
    {
        _machine.Cpu.Eflags = Eflags.Nt | Eflags.Fixed;
        for (uint present = 0; present < 2; present++)
        {
            State.Tr.Base = MissingPage - present;
            _machine.Step(a => a.iretd());
            ExpectPageFault(MissingPage, 0);
        }

        State.Tr = default(SegmentRegister) with { Selector = TssSelector };
        _machine.Step(a => a.iretd());
        Expect(ExceptionVector.InvalidTss, TssSelector);
    }

    [Theory]
    [InlineData("jump")]
    [InlineData("call")]
    public void A_task_to_save_to_has_to_be_there(string way)
    {
        State.Tr = default(SegmentRegister) with { Selector = TssSelector };
        Switch(way);
        Expect(ExceptionVector.InvalidTss, TssSelector);
        Assert.False(IsBusy(OtherTssSelector));
    }

    [Fact]
    public void An_inner_stack_needs_a_task()
    {
        State.Tr = default(SegmentRegister) with { Selector = TssSelector };
        _machine.EnterRing(3);
        _machine.Step(a => a.call(Free2, 0));
        Expect(ExceptionVector.InvalidTss, TssSelector);

        State.Tr = default(SegmentRegister) with { Selector = TssSelector };
        Interrupt();
        Expect(ExceptionVector.InvalidTss, TssSelector | 1);
    }

    /// <summary>The task's map of ports begins at the offset in its word 102.</summary>
    [Fact]
    public void The_map_of_ports()
    {
        _machine.EnterRing(3);
        State.Tr.Limit = 0x1fff;
        State.Edx = 0x18;
        for (uint present = 0; present < 2; present++)
        {
            State.Tr.Base = MissingPage - 102 - present;
            _machine.Step(a => a.@in(al, dx));
            ExpectPageFault(MissingPage, 0);
        }

        // Two bytes of the map are read, from that of the port on.
        State.Tr.Base = Tss;
        State.Tr.Limit = uint.MaxValue;
        const uint mapBase = 0x1000;
        for (uint present = 0; present < 2; present++)
        {
            State.Tr.Base = MissingPage - present - mapBase - 3;
            _machine.Machine.WriteUInt32(State.Tr.Base + 102, mapBase);
            _machine.Step(a => a.@in(al, dx));
            ExpectPageFault(MissingPage, 0);
        }
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(TestDescriptor.BusyTss16, true)]
    public void A_map_of_ports_needs_a_task_of_32_bits(int type, bool isUsable)
    {
        _machine.EnterRing(3);
        SegmentAccess access = (isUsable ? SegmentAccess.Present : 0) | (SegmentAccess)(type << 8);
        State.Tr = new SegmentRegister { Selector = TssSelector, Base = Tss, Limit = 0x1fff, Access = access };
        _machine.Machine.WriteUInt32(Tss + 102, 0x200);
        _machine.Step(a => a.@in(al, dx));
        Expect(ExceptionVector.GeneralProtection, 0);
    }

    [Theory]
    [InlineData("0F02C1")]
    [InlineData("0F0206")]
    [InlineData("0F03C1")]
    [InlineData("0F0306")]
    [InlineData("0F00E1")]
    [InlineData("0F0026")]
    [InlineData("0F00E9")]
    [InlineData("0F002E")]
    public void The_descriptor_that_a_question_is_about(string code)
    {
        for (uint present = 0; present < 8; present++)
        {
            State.Gdtr.Base = MissingPage - Data0 - present;
            State.Eax = 0x5555_5555;
            State.Ecx = Data0;
            State.Esi = 0x2000;
            _machine.Machine.WriteUInt32(0x2000, Data0);
            _machine.Cpu.Eflags = Eflags.Zf | Eflags.Fixed;
            _machine.Machine.Execute(Convert.FromHexString(code));
            ExpectPageFault(MissingPage, 0);
            Assert.Equal((0x5555_5555u, Eflags.Zf | Eflags.Fixed), (State.Eax, _machine.Cpu.Eflags));
        }
    }

    [Fact]
    public void The_stack_of_a_handler_in_the_programs_own_ring_is_the_programs()
    {
        const uint supervisors = 3;
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code3, NewCode, 3));
        _machine.SetPage(Machine.StackTop, Machine.StackTop | supervisors);
        _machine.EnterRing(3);
        State.Esp = Machine.StackTop + 0x800;
        Interrupt();
        Assert.Equal((Code3, Machine.StackTop + 0x800), (State.Cs.Selector, State.Esp));
        ExpectPageFault(Machine.StackTop + 0x800 - 4, PageFaultError.User | PageFaultError.Write | PageFaultError.Protection);
    }

    [Fact]
    public void The_stack_of_a_task_in_ring_3_is_the_programs()
    {
        const uint supervisors = 3;
        _machine.SetPage(Machine.StackTop, Machine.StackTop | supervisors);
        uint[] segments = [Data3, Code3, Data3, Data3, Data3, Data3];
        for (uint i = 0; i < segments.Length; i++)
        {
            _machine.Machine.WriteUInt32(OtherTss + 0x48 + (4 * i), segments[i]);
        }

        _machine.Machine.WriteUInt32(OtherTss + 0x1c, _machine.Cpu.ReadControlRegister(3));
        _machine.Machine.WriteUInt32(OtherTss + 0x20, Machine.CodeBase);
        _machine.Machine.WriteUInt32(OtherTss + 0x38, Machine.StackTop + 0x800);
        _machine.SetGate(ExceptionVector.InvalidTss, TestDescriptor.Gate(TestDescriptor.TaskGate, OtherTssSelector, 0, 0));

        // An invalid TSS has an error code, and the first fault's hook mustn't stop it.
        _machine.Machine.StopAtExceptions = false;
        _machine.SetDescriptor(Free3, TestDescriptor.Segment(Tss, 0x66, TestDescriptor.Tss32, 0, is32: false));
        _machine.Step(a => a.jmp(Free3, 0));
        ExceptionInfo fault = _machine.Exceptions[1];
        const uint error = PageFaultError.User | PageFaultError.Write | PageFaultError.Protection;
        Assert.Equal((ExceptionVector.PageFault, error, Machine.StackTop + 0x800 - 4), (fault.Vector, fault.ErrorCode, fault.Address));
        Assert.Equal(OtherTssSelector, State.Tr.Selector);
    }

    /// <summary>Whatever needs the page, an entry that the policy rejects ends the run before the instruction.</summary>
    [Theory]
    [InlineData("call gate")]
    [InlineData("return")]
    [InlineData("jump")]
    [InlineData("lar")]
    public void An_entry_that_the_policy_rejects(string way)
    {
        _machine.Cpu.PageTablePolicy = PageTablePolicy.RejectFramesOutsideMemory;
        _machine.SetPage(MissingPage, 0x9000_0007);
        StopReason reason;
        switch (way)
        {
            case "call gate":
                _machine.EnterRing(3);
                State.Tr.Base = MissingPage;
                reason = _machine.Step(a => a.call(Free2, 0));
                break;
            case "lar":
                State.Gdtr.Base = MissingPage;
                State.Ecx = Data0;
                reason = _machine.Step(a => a.lar(eax, ecx));
                break;
            default:
                State.Tr.Base = MissingPage;
                reason = Switch(way);
                break;
        }

        Assert.Equal(StopReason.PageTableViolation, reason);
        Assert.Equal(MissingPage, _machine.Cpu.PageTableViolation!.Value.Linear & ~0xfffu);
        Assert.Equal(Machine.CodeBase, State.Eip);
        Assert.Empty(_machine.Exceptions);
    }

    private bool IsBusy(ushort selector) => ((uint)(_machine.GetDescriptor(selector) >> 40) & 2) != 0;

    private void Interrupt()
    {
        _machine.Machine.Assemble(a => a.nop());
        _machine.Cpu.Eflags = Eflags.If | Eflags.Fixed;
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        _machine.Cpu.Run(1);
    }

    private StopReason Switch(string way)
    {
        switch (way)
        {
            case "jump":
                return _machine.Step(a => a.jmp(OtherTssSelector, 0));
            case "call":
                return _machine.Step(a => a.call(OtherTssSelector, 0));
            case "ltr":
                return _machine.Step(a => a.ltr(ax), eax: OtherTssSelector);
            case "return":
                _machine.SetDescriptor(
                    OtherTssSelector, TestDescriptor.Segment(OtherTss, 0x67, TestDescriptor.BusyTss32, 0, is32: false));
                _machine.Machine.WriteUInt32(Tss, OtherTssSelector);
                _machine.Cpu.Eflags = Eflags.Nt | Eflags.Fixed;
                return _machine.Step(a => a.iretd());
            default:
                _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.TaskGate, OtherTssSelector, 0, 0));
                Interrupt();
                return StopReason.Requested;
        }
    }

    private void ExpectPageFault(uint address, uint errorCode)
    {
        Assert.Equal(address, _machine.Exceptions[^1].Address);
        Expect(ExceptionVector.PageFault, errorCode);
    }

    private void Expect(int vector, uint errorCode)
    {
        ExceptionInfo fault = Assert.Single(_machine.Exceptions);
        Assert.Equal((vector, errorCode, Machine.CodeBase), (fault.Vector, fault.ErrorCode, State.Eip));
        _machine.Exceptions.Clear();
    }
}
