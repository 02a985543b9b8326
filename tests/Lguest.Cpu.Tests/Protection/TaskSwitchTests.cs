using Iced.Intel;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Hardware task switches (SDM 3A, 7).</summary>
public sealed class TaskSwitchTests : IDisposable
{
    private const uint NewCode = 0x2800;
    private const uint NewStack = 0x7000;
    private const int Vector = 0x42;
    private const uint Busy = 2;

    private readonly ProtectedMachine _machine = new();

    public TaskSwitchTests()
    {
        _machine.Memory.Write(NewCode, [0xf4, 0xcf]);
        WriteTask(OtherTss);
        _machine.SetDescriptor(Free, TestDescriptor.Gate(TestDescriptor.TaskGate, OtherTssSelector, 0, 0));
    }

    private ref ProcessorState State => ref _machine.State;

    public static TheoryData<string> Ways => ["jmp tss", "jmp gate", "call tss", "call gate", "int", "exception", "interrupt"];

    [Theory]
    [MemberData(nameof(Ways))]
    public void A_switch_saves_the_old_task_and_loads_the_new_one(string way)
    {
        bool nests = !way.StartsWith("jmp", StringComparison.Ordinal);
        for (int i = 0; i < 8; i++)
        {
            if (i != 4)
            {
                State.SetGeneral(i, 0x1000u + (uint)i);
            }
        }

        // The reserved halves beside selectors aren't the processor's to write.
        for (uint at = 0x48; at < 0x60; at += sizeof(uint))
        {
            _machine.Machine.WriteUInt32(Tss + at, 0x5555_5555);
        }

        _machine.Cpu.WriteControlRegister(3, 0x5000);
        State.SetDebug(7, 0x4ff);
        _machine.Cpu.Eflags = Eflags.If | Eflags.Cf | Eflags.Fixed;
        uint next = Switch(way);
        uint eflags = Eflags.If | Eflags.Cf | Eflags.Fixed | (way == "exception" ? Eflags.Rf : 0);

        // The old task's state is in its segment.
        Assert.Equal(next, Read(Tss + 0x20));
        Assert.Equal(eflags, Read(Tss + 0x24));
        for (uint i = 0; i < 8; i++)
        {
            Assert.Equal(i == 4 ? Machine.StackTop : 0x1000 + i, Read(Tss + 0x28 + (4 * i)));
        }

        Assert.Equal(
            [Data0, Code0, Data0, Data0, Data0, Data0],
            Enumerable.Range(0, 6).Select(i => Read(Tss + 0x48 + (4 * (uint)i)) - 0x5555_0000));

        // The new one's is in the registers.
        Assert.Equal((NewCode + 1, OtherTssSelector), (State.Eip, State.Tr.Selector));
        uint pushed = way == "exception" ? 4u : 0;
        for (uint i = 0; i < 8; i++)
        {
            Assert.Equal(i == 4 ? NewStack - pushed : 0x2000 + i, State.GetGeneral((int)i));
        }

        if (way == "exception")
        {
            Assert.Equal(Beyond, _machine.StackDword(0));
        }

        Assert.Equal((Code0, Data0, Data3, 0), (State.Cs.Selector, State.Ss.Selector, State.Ds.Selector, State.Gs.Selector));
        Assert.Equal(LdtSelector, State.Ldtr.Selector);
        Assert.True(State.Ldtr.IsUsable);
        Assert.Equal(Eflags.Df | Eflags.Fixed | (nests ? Eflags.Nt : 0), _machine.Cpu.Eflags);
        Assert.NotEqual(0u, _machine.Cpu.ReadControlRegister(0) & Cr0.Ts);
        Assert.Equal(0x4aau, State.GetDebug(7));

        // Without paging the new task's CR3 isn't loaded.
        Assert.Equal(0x5000u, _machine.Cpu.ReadControlRegister(3));

        // Links and busy bits.
        Assert.Equal(nests, IsBusy(TssSelector));
        Assert.True(IsBusy(OtherTssSelector));
        Assert.Equal(nests ? TssSelector : 0u, Read(OtherTss));
    }

    [Fact]
    public void A_nested_task_returns_to_the_one_that_called_it()
    {
        _machine.Memory.Write(NewCode, [0x43, 0xcf, 0xf4]);
        _machine.Run(a =>
        {
            a.mov(esi, 0x77);
            a.call(OtherTssSelector, 0);
            a.inc(esi);
            a.hlt();
        });

        Assert.Empty(_machine.Exceptions);
        Assert.Equal((0x78u, Machine.StackTop, TssSelector), (State.Esi, State.Esp, State.Tr.Selector));
        Assert.True(IsBusy(TssSelector));
        Assert.False(IsBusy(OtherTssSelector));
        Assert.Equal(0u, _machine.Cpu.Eflags & Eflags.Nt);

        // The nested task goes on after its IRET when it is called again, and NT isn't in its saved flags.
        Assert.Equal(NewCode + 2, Read(OtherTss + 0x20));
        Assert.Equal(Eflags.Df | Eflags.Fixed, Read(OtherTss + 0x24) & ~Eflags.Pf);
        Assert.Equal(0x2004u, Read(OtherTss + 0x34));
        Assert.Equal(6ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void A_double_fault_can_have_a_task_of_its_own_whatever_became_of_the_stack()
    {
        _machine.SetGate(
            ExceptionVector.DoubleFault, TestDescriptor.Gate(TestDescriptor.TaskGate, OtherTssSelector, 0, 0));
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(0, 0xff, TestDescriptor.Data, 0));
        _machine.Load(SegmentName.Ss, Free2);
        State.Esp = 2;
        _machine.Run(a => a.push(eax));

        Assert.Equal((NewCode + 1, OtherTssSelector), (State.Eip, State.Tr.Selector));
        Assert.Equal(NewStack - 4, State.Esp);
        Assert.Equal(0u, _machine.StackDword(0));
        Assert.Equal((Machine.CodeBase, 2u), (Read(Tss + 0x20), Read(Tss + 0x38)));
    }

    [Fact]
    public void A_second_double_fault_with_its_task_busy_is_a_triple_fault()
    {
        _machine.SetGate(
            ExceptionVector.DoubleFault, TestDescriptor.Gate(TestDescriptor.TaskGate, OtherTssSelector, 0, 0));
        _machine.SetDescriptor(
            OtherTssSelector, TestDescriptor.Segment(OtherTss, 0x67, TestDescriptor.BusyTss32, 0, is32: false));
        State.Idtr.Limit = (ExceptionVector.DoubleFault * 8) + 7;
        State.Eax = Beyond;
        Assert.Equal(StopReason.TripleFault, _machine.Run(a => a.mov(es, eax)));
    }

    /// <summary>How the switch is asked for, what is wrong, and the fault that the old task gets.</summary>
    public static TheoryData<string, string, int, uint> Refusals => new()
    {
        { "jmp tss", "busy", ExceptionVector.GeneralProtection, OtherTssSelector },
        { "call tss", "busy", ExceptionVector.GeneralProtection, OtherTssSelector },
        { "call gate", "busy", ExceptionVector.GeneralProtection, OtherTssSelector },
        { "int", "busy", ExceptionVector.GeneralProtection, OtherTssSelector },
        { "jmp tss", "absent", ExceptionVector.SegmentNotPresent, OtherTssSelector },
        { "call gate", "absent", ExceptionVector.SegmentNotPresent, OtherTssSelector },
        { "jmp tss", "short", ExceptionVector.InvalidTss, OtherTssSelector },
        { "int", "short", ExceptionVector.InvalidTss, OtherTssSelector },
        { "jmp gate", "local", ExceptionVector.GeneralProtection, 0x0c },
        { "call gate", "null", ExceptionVector.GeneralProtection, 0 },
        { "call gate", "beyond", ExceptionVector.GeneralProtection, Beyond },
        { "call gate", "code", ExceptionVector.GeneralProtection, Code0 },
        { "call gate", "code like a task", ExceptionVector.GeneralProtection, Free2 },
        { "call gate", "absent gate", ExceptionVector.SegmentNotPresent, Free },
        { "jmp tss", "virtual 8086", ExceptionVector.InvalidTss, OtherTssSelector },
        { "jmp tss", "old too short", ExceptionVector.InvalidTss, TssSelector },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void A_switch_that_is_refused_leaves_the_old_task_running(string way, string what, int vector, uint errorCode)
    {
        ushort? gateTarget = what switch
        {
            "local" => 0x0c,
            "null" => 0,
            "beyond" => Beyond,
            "code" => Code0,
            "code like a task" => Free2,
            "absent gate" => OtherTssSelector,
            _ => null,
        };
        if (gateTarget is { } target)
        {
            _machine.SetDescriptor(
                Free, TestDescriptor.Gate(TestDescriptor.TaskGate, target, 0, 0, present: what != "absent gate"));
        }

        switch (what)
        {
            case "code like a task":
                _machine.SetDescriptor(Free2, TestDescriptor.Flat(TestDescriptor.ExecuteOnlyCode | TestDescriptor.Accessed, 0));
                break;
            case "busy":
                Define(TestDescriptor.BusyTss32, 0x67);
                break;
            case "absent":
                Define(TestDescriptor.Tss32, 0x67, present: false);
                break;
            case "short":
                Define(TestDescriptor.Tss32, 0x66);
                break;
            case "virtual 8086":
                _machine.Machine.WriteUInt32(OtherTss + 0x24, Eflags.Vm);
                break;
            case "old too short":
                State.Tr.Limit = 0x66;
                break;
            default:
                break;
        }

        Switch(way);
        Assert.Equal(vector, _machine.EnteredVector);
        Assert.Equal((TssSelector, errorCode), (State.Tr.Selector, _machine.StackDword(0)));
        Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
        Assert.Equal(0u, _machine.Cpu.ReadControlRegister(0) & Cr0.Ts);
        Assert.True(IsBusy(TssSelector));
        Assert.Equal(0u, Read(Tss + 0x20));

        // Only the handler's HLT has retired.
        Assert.Equal(1ul, _machine.Cpu.Retired);
    }

    [Theory]
    [InlineData(3, 0, false)]
    [InlineData(3, 3, true)]
    public void A_task_or_its_gate_needs_the_callers_level(int ring, int dpl, bool allowed)
    {
        _machine.SetDescriptor(
            OtherTssSelector, TestDescriptor.Segment(OtherTss, 0x67, TestDescriptor.Tss32, dpl, is32: false));
        _machine.EnterRing(ring);
        _machine.Run(a => a.jmp(OtherTssSelector | 3, 0));
        Assert.Equal(allowed ? OtherTssSelector | 3 : TssSelector, State.Tr.Selector);
    }

    /// <summary>What is wrong with the new task's segments, and the fault that the new task gets.</summary>
    public static TheoryData<uint, ushort, int, uint> BadStates => new()
    {
        { 0x60, 0x0c, ExceptionVector.InvalidTss, 0x0c },
        { 0x60, Data0, ExceptionVector.InvalidTss, Data0 },
        { 0x60, Free2, ExceptionVector.InvalidTss, Free2 },
        { 0x4c, Conforming3 & ~3, ExceptionVector.InvalidTss, Conforming3 & ~3u },
        { 0x4c, 0, ExceptionVector.InvalidTss, 0 },
        { 0x4c, Data0, ExceptionVector.InvalidTss, Data0 },
        { 0x4c, Code3 & ~3, ExceptionVector.InvalidTss, Code3 & ~3u },
        { 0x4c, AbsentCode0, ExceptionVector.SegmentNotPresent, AbsentCode0 },
        { 0x50, 0, ExceptionVector.InvalidTss, 0 },
        { 0x50, Data3, ExceptionVector.InvalidTss, Data3 & ~3u },
        { 0x50, AbsentData0, ExceptionVector.StackSegment, AbsentData0 },
        { 0x54, ExecuteOnly0, ExceptionVector.InvalidTss, ExecuteOnly0 },
        { 0x48, Beyond, ExceptionVector.InvalidTss, Beyond },
        { 0x58, AbsentData0, ExceptionVector.SegmentNotPresent, AbsentData0 },
    };

    [Fact]
    public void An_entry_point_beyond_the_code_is_found_after_the_error_code_was_pushed()
    {
        // SDM 2A, INT n, TASK-GATE: the code is pushed, then EIP is checked: #GP(EXT), twice in a row a double fault.
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(0, NewCode - 1, TestDescriptor.Code, 0));
        _machine.Machine.WriteUInt32(OtherTss + 0x4c, Free2);
        _machine.SetDescriptor(Free, TestDescriptor.Gate(TestDescriptor.TaskGate, OtherTssSelector, 0, 0));
        _machine.SetGate(ExceptionVector.PageFault, _machine.GetDescriptor(Free));
        _machine.MapWithHole();
        _machine.Machine.WriteUInt32(OtherTss + 0x1c, _machine.Cpu.ReadControlRegister(3));
        _machine.Run(a => a.mov(__dword_ptr[MissingPage], eax), 10);
        Assert.Equal(OtherTssSelector, State.Tr.Selector);
        Assert.Equal(PageFaultError.Write, Read(NewStack - 4));
        Assert.Equal(
            [ExceptionVector.PageFault, ExceptionVector.DoubleFault], _machine.Exceptions.Select(e => e.Vector));
    }

    [Fact]
    public void A_task_that_an_int_leads_to_keeps_its_own_faults()
    {
        // The INT has happened, unlike one whose gate is refused.
        _machine.Machine.WriteUInt32(OtherTss + 0x54, ExecuteOnly0);
        Switch("int");
        Assert.Equal([Vector, ExceptionVector.InvalidTss], _machine.Exceptions.Select(e => e.Vector));
        Assert.Equal(NewCode, _machine.Exceptions[1].InstructionEip);
        Assert.Equal(Machine.CodeBase + 2, Read(Tss + 0x20));
        Assert.Equal((ExceptionVector.InvalidTss, OtherTssSelector), (_machine.EnteredVector, State.Tr.Selector));
        Assert.Equal(2ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void The_old_task_needs_its_descriptor_when_it_is_left_for_good()
    {
        State.Tr.Selector = Beyond;
        Switch("jmp tss");
        Assert.Equal((ExceptionVector.InvalidTss, Beyond), (_machine.EnteredVector, (ushort)_machine.StackDword(0)));
        Assert.False(IsBusy(OtherTssSelector));
    }

    [Fact]
    public void A_nested_task_returns_to_one_of_16_bits()
    {
        Define(TestDescriptor.BusyTss16, 0x2b);
        WriteTask16();
        _machine.Machine.WriteUInt32(Tss, OtherTssSelector);
        _machine.Cpu.Eflags = Eflags.Nt | Eflags.Fixed;
        _machine.Run(a => a.iretd(), 10);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((OtherTssSelector, NewCode + 1, 0xffff_0010u), (State.Tr.Selector, State.Eip, State.Eax));
        Assert.False(IsBusy(TssSelector));
        Assert.True(IsBusy(OtherTssSelector));
    }

    [Theory]
    [MemberData(nameof(BadStates))]
    public void A_fault_over_the_new_tasks_segments_belongs_to_the_new_task(
        uint offset, ushort selector, int vector, uint errorCode)
    {
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(Ldt, 0x7f, TestDescriptor.Ldt, 0, present: false));
        _machine.Machine.StopAtExceptions = true;
        _machine.Machine.WriteUInt32(OtherTss + offset, selector);
        Switch("jmp tss");

        ExceptionInfo exception = Assert.Single(_machine.Exceptions);
        Assert.Equal((vector, errorCode, NewCode), (exception.Vector, exception.ErrorCode, exception.InstructionEip));
        Assert.Equal((OtherTssSelector, NewCode), (State.Tr.Selector, State.Eip));
        Assert.Equal(1ul, _machine.Cpu.Retired);
        Assert.Equal(Machine.CodeBase + 7, Read(Tss + 0x20));
        if (offset is 0x4c or 0x60)
        {
            // Of the segments that come after, only the selectors are there.
            Assert.Equal((Data0, false), (State.Es.Selector, State.Es.IsUsable));
            Assert.Equal((Data3, false), (State.Ds.Selector, State.Ds.IsUsable));
        }

        Assert.Equal((ushort)Read(OtherTss + 0x60), State.Ldtr.Selector);
        Assert.Equal((ushort)Read(OtherTss + 0x4c), State.Cs.Selector);
        Assert.Equal(offset != 0x60, State.Ldtr.IsUsable);
        Assert.Equal(offset is not (0x60 or 0x4c), State.Cs.IsUsable);
        Assert.Equal(offset is not (0x60 or 0x4c or 0x50), State.Ss.IsUsable);
    }

    [Theory]
    [InlineData(NewCode - 1)]
    [InlineData(NewCode)]
    public void An_entry_point_beyond_the_new_code_segment_is_the_new_tasks_fault(uint limit)
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(0, limit, TestDescriptor.Code, 0));
        _machine.Machine.WriteUInt32(OtherTss + 0x4c, Free2);
        Switch("jmp tss");
        Assert.Equal(OtherTssSelector, State.Tr.Selector);
        if (limit < NewCode)
        {
            ExceptionInfo exception = Assert.Single(_machine.Exceptions);
            Assert.Equal((ExceptionVector.GeneralProtection, 0u), (exception.Vector, exception.ErrorCode));
        }
        else
        {
            Assert.Empty(_machine.Exceptions);
            Assert.NotEqual(0u, State.Halted);
        }
    }

    [Theory]
    [InlineData(OtherTssSelector)]
    [InlineData(Code0)]
    public void A_return_to_a_task_that_is_not_busy_is_refused(ushort selector)
    {
        // But for bit 4, accessed code has the type of a busy task.
        _machine.SetDescriptor(Code0, TestDescriptor.Flat(TestDescriptor.Code | TestDescriptor.Accessed, 0));
        _machine.Cpu.Eflags = Eflags.Nt;
        _machine.Machine.WriteUInt32(Tss, selector);
        _machine.Run(a => a.iretd());
        Assert.Equal(ExceptionVector.InvalidTss, _machine.EnteredVector);
        Assert.Equal(selector, _machine.StackDword(0));
    }

    [Theory]
    [InlineData("jmp tss")]
    [InlineData("jmp gate")]
    public void A_jump_from_a_task_whose_descriptor_is_not_busy_leaves_it_so(string way)
    {
        _machine.SetDescriptor(TssSelector, TestDescriptor.Segment(Tss, 0x67, TestDescriptor.Tss32, 0, is32: false));
        Switch(way);
        Assert.Equal(OtherTssSelector, State.Tr.Selector);
        Assert.False(IsBusy(TssSelector));
        Assert.True(IsBusy(OtherTssSelector));
    }

    [Theory]
    [InlineData(Conforming0, 0)]
    [InlineData(Conforming0, 3)]
    [InlineData(Conforming3, 3)]
    public void A_new_task_may_run_conforming_code_of_its_level_or_an_inner_one(ushort code, int cpl)
    {
        _machine.Machine.WriteUInt32(OtherTss + 0x4c, (code & ~3u) | (uint)cpl);
        _machine.Machine.WriteUInt32(OtherTss + 0x50, cpl == 0 ? Data0 : Data3);
        _machine.Machine.WriteUInt32(OtherTss + 0x48, Data3);
        _machine.Machine.WriteUInt32(OtherTss + 0x54, Data3);
        _machine.Machine.WriteUInt32(OtherTss + 0x58, Data3);
        _machine.Machine.StopAtExceptions = true;
        _machine.Run(a => a.jmp(OtherTssSelector, 0), 1);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((cpl, NewCode), (State.Cpl, State.Eip));
    }

    [Theory]
    [InlineData(TestDescriptor.Tss32, 4u)]
    [InlineData(TestDescriptor.Tss16, 2u)]
    public void An_error_code_is_pushed_in_the_new_tasks_size_or_faults_there(int type, uint size)
    {
        foreach (uint room in (uint[])[size, size - 1])
        {
            Define(type, 0x67);
            _machine.SetDescriptor(TssSelector, TestDescriptor.Segment(Tss, 0x67, TestDescriptor.BusyTss32, 0, is32: false));
            _machine.LoadTask();
            if (type == TestDescriptor.Tss16)
            {
                WriteTask16();
            }

            bool is32 = type == TestDescriptor.Tss32;
            uint limit = NewStack - room - 1;
            _machine.SetDescriptor(Free2, TestDescriptor.Segment(0, limit, TestDescriptor.ExpandDownData, 0, is32: is32));
            _machine.Memory.Write(OtherTss + (is32 ? 0x50u : 0x26), BitConverter.GetBytes(Free2));
            _machine.Memory.Write(NewStack - 4, [0xaa, 0xaa, 0xaa, 0xaa]);
            _machine.EnterRing(0);
            State.Halted = 0;
            _machine.Exceptions.Clear();
            Switch("exception");
            if (room == size)
            {
                Assert.Single(_machine.Exceptions);
                Assert.Equal(NewStack - size, State.Esp & 0xffff);
                Assert.Equal(size == 4 ? Beyond : ((uint)Beyond << 16) | 0xaaaa, Read(NewStack - 4));
            }
            else
            {
                // A stack fault while a general protection fault is delivered, though it be in another task.
                Assert.Equal(
                    [ExceptionVector.GeneralProtection, ExceptionVector.DoubleFault], _machine.Exceptions.Select(e => e.Vector));
                Assert.Equal((OtherTssSelector, NewCode), (State.Tr.Selector, _machine.Exceptions[1].InstructionEip));
            }
        }
    }

    [Fact]
    public void A_task_with_its_trap_bit_set_starts_with_a_debug_trap()
    {
        _machine.Machine.WriteUInt32(OtherTss + 0x64, 1);
        Switch("jmp tss");
        Assert.Equal(ExceptionVector.Debug, _machine.EnteredVector);
        Assert.Equal(NewCode, _machine.StackDword(0));
        Assert.Equal(0xffff_8ff0u, State.GetDebug(6));
    }

    [Fact]
    public void A_new_task_has_its_own_page_tables()
    {
        const uint Directory = 0x2_0000;
        for (uint table = 0; table < 2; table++)
        {
            uint at = Directory + (table * 0x2000);
            _machine.Machine.WriteUInt32(at, (at + 0x1000) | 7);
            for (uint page = 0; page < 1024; page++)
            {
                _machine.Machine.WriteUInt32(at + 0x1000 + (4 * page), (page << 12) | 7);
            }
        }

        // The same linear page, two frames.
        _machine.Machine.WriteUInt32(Directory + 0x1000 + (4 * 0x50), 0x5_1000 | 7);
        _machine.Machine.WriteUInt32(Directory + 0x3000 + (4 * 0x50), 0x5_2000 | 7);
        _machine.Machine.WriteUInt32(0x5_1000, 1);
        _machine.Machine.WriteUInt32(0x5_2000, 2);
        _machine.Machine.WriteUInt32(OtherTss + 0x1c, Directory + 0x2000);
        _machine.Cpu.WriteControlRegister(3, Directory);
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Pg);
        _machine.Memory.Write(NewCode, [0x8b, 0x15, 0x00, 0x00, 0x05, 0x00, 0xf4]);
        _machine.Run(a =>
        {
            a.mov(ecx, __dword_ptr[0x5_0000]);
            a.jmp(OtherTssSelector, 0);
        });

        Assert.Equal((1u, 2u), (Read(Tss + 0x2c), State.Edx));
        Assert.Equal(Directory + 0x2000, _machine.Cpu.ReadControlRegister(3));
    }

    [Theory]
    [InlineData("jmp tss")]
    [InlineData("jmp gate")]
    public void A_task_is_never_found_in_the_local_table(string way)
    {
        const ushort Local = 0x0c;
        _machine.LoadLdt();
        _machine.SetDescriptor(Local, TestDescriptor.Segment(OtherTss, 0x67, TestDescriptor.Tss32, 0, is32: false));
        _machine.SetDescriptor(Free, TestDescriptor.Gate(TestDescriptor.TaskGate, Local, 0, 0));
        _machine.Run(a => a.jmp(way == "jmp tss" ? Local : Free, 0));
        Assert.Equal((ExceptionVector.GeneralProtection, (uint)Local), (_machine.EnteredVector, _machine.StackDword(0)));
        Assert.Equal(TssSelector, State.Tr.Selector);
    }

    [Fact]
    public void A_new_task_executes_its_code_in_that_codes_size()
    {
        _machine.Memory.Write(NewCode, [0xb8, 0x34, 0x12, 0xf4, 0x43, 0xf4]);
        _machine.Machine.WriteUInt32(OtherTss + 0x4c, Code16);
        Switch("jmp tss");
        Assert.Equal((NewCode + 4, 0x1234u), (State.Eip, State.Eax));
    }

    [Fact]
    public void Code_in_the_states_of_tasks_is_what_a_switch_has_made_of_it()
    {
        const byte Halt = 0xf4;
        const uint OldEax = Tss + 0x28;
        _machine.Memory.Write(OldEax, [Halt]);
        _machine.Memory.Write(OtherTss, [Halt, 0, Halt]);
        Assert.Equal(OldEax + 1, HaltFrom(OldEax));
        Assert.Equal(OtherTss + 1, HaltFrom(OtherTss));

        // INC EDX twice, and HLT; the link before the other HLT is a JO to it.
        State.Eax = 0x00f4_4242;
        Switch("call tss");
        State.Halted = 0;
        State.Edx = 0;
        Assert.Equal((OldEax + 3, 2u), (HaltFrom(OldEax), State.Edx));
        Assert.Equal(OtherTss + 3, HaltFrom(OtherTss));

        uint HaltFrom(uint address)
        {
            State.Eip = address;
            _machine.Cpu.Run(10);
            State.Halted = 0;
            return State.Eip;
        }
    }

    [Fact]
    public void A_16_bit_task_has_16_bit_registers()
    {
        Define(TestDescriptor.Tss16, 0x2b);
        WriteTask16();
        Switch("call tss");
        Assert.Equal((NewCode + 1, Eflags.Df | Eflags.Nt | Eflags.Fixed), (State.Eip, _machine.Cpu.Eflags));
        Assert.Equal((0xffff_0010u, 0xffff_0011u, 0xffff_7000u), (State.Eax, State.Ecx, State.Esp));
        Assert.Equal((Data3, (ushort)0, (ushort)0), (State.Es.Selector, State.Fs.Selector, State.Gs.Selector));
        Assert.Equal(TssSelector, Read(OtherTss) & 0xffff);
    }

    [Fact]
    public void A_16_bit_task_is_saved_as_words()
    {
        Define(TestDescriptor.Tss16 | (int)Busy, 0x2b);

        // What tells a task of 32 bits from one of 16 is the bit that in other descriptors means code.
        SegmentAccess access = State.Tr.Access & ~SegmentAccess.Code;
        State.Tr = State.Tr with { Selector = OtherTssSelector, Base = OtherTss, Limit = 0x2b, Access = access };
        _machine.SetDescriptor(TssSelector, _machine.GetDescriptor(TssSelector) & ~((ulong)Busy << 40));
        WriteTask(Tss);
        byte[] untouched = [.. Enumerable.Repeat((byte)0xaa, 0x68)];
        _machine.Memory.Write(OtherTss, untouched);
        for (int i = 0; i < 8; i++)
        {
            State.SetGeneral(i, 0x5555_1000u + (uint)i);
        }

        State.Esp = Machine.StackTop;
        _machine.Cpu.Eflags = Eflags.Cf | Eflags.Fixed;
        _machine.Run(a => a.jmp(TssSelector, 0), 10);

        Assert.Equal(TssSelector, State.Tr.Selector);
        ushort[] saved = [.. Enumerable.Range(0, 0x34).Select(i => (ushort)Read(OtherTss + (2 * (uint)i)))];
        Assert.Equal((ushort)(Machine.CodeBase + 7), saved[0x0e / 2]);
        Assert.Equal((ushort)(Eflags.Cf | Eflags.Fixed), saved[0x10 / 2]);
        Assert.Equal(
            [0x1000, 0x1001, 0x1002, 0x1003, (ushort)Machine.StackTop, 0x1005, 0x1006, 0x1007, Data0, Code0, Data0, Data0],
            saved[(0x12 / 2)..(0x2a / 2)]);
        Assert.All([.. saved[..(0x0e / 2)], .. saved[(0x2a / 2)..]], word => Assert.Equal(0xaaaa, word));
    }

    public void Dispose() => _machine.Dispose();

    private uint Read(uint address) => _machine.Machine.ReadUInt32(address);

    private bool IsBusy(ushort selector) => ((uint)(_machine.GetDescriptor(selector) >> 40) & Busy) != 0;

    private void Define(int type, uint limit, bool present = true) => _machine.SetDescriptor(
        OtherTssSelector, TestDescriptor.Segment(OtherTss, limit, type, 0, present, is32: false));

    private void WriteTask(uint tss)
    {
        _machine.Machine.WriteUInt32(tss + 0x20, NewCode);
        _machine.Machine.WriteUInt32(tss + 0x24, Eflags.Df);
        for (uint i = 0; i < 8; i++)
        {
            _machine.Machine.WriteUInt32(tss + 0x28 + (4 * i), i == 4 ? NewStack : 0x2000 + i);
        }

        ushort[] segments = [Data0, Code0, Data0, Data3, Data0, 0, LdtSelector];
        for (uint i = 0; i < segments.Length; i++)
        {
            _machine.Machine.WriteUInt32(tss + 0x48 + (4 * i), segments[i]);
        }

        _machine.Machine.WriteUInt32(tss + 0x64, 0x0068_0000);
    }

    private void WriteTask16()
    {
        _machine.Memory.Write(OtherTss, new byte[0x68]);
        ushort[] words =
        [
            0, 0, 0, 0, 0, 0, 0, (ushort)NewCode, (ushort)Eflags.Df, 0x10, 0x11, 0x12, 0x13, (ushort)NewStack, 0x15, 0x16, 0x17,
            Data3, Code0, Data0, Data0, LdtSelector,
        ];
        for (uint i = 0; i < words.Length; i++)
        {
            _machine.Memory.Write(OtherTss + (2 * i), BitConverter.GetBytes(words[i]));
        }
    }

    /// <summary>Switches to the other task, and answers where the old one would go on.</summary>
    private uint Switch(string way)
    {
        _machine.SetGate(Vector, _machine.GetDescriptor(Free));
        const uint FarLength = 7;
        switch (way)
        {
            case "jmp tss":
                _machine.Run(a => a.jmp(OtherTssSelector, 0), 10);
                return Machine.CodeBase + FarLength;
            case "jmp gate":
                _machine.Run(a => a.jmp(Free, 0), 10);
                return Machine.CodeBase + FarLength;
            case "call tss":
                _machine.Run(a => a.call(OtherTssSelector, 0), 10);
                return Machine.CodeBase + FarLength;
            case "call gate":
                _machine.Run(a => a.call(Free, 0), 10);
                return Machine.CodeBase + FarLength;
            case "int":
                _machine.Run(a => a.@int(Vector), 10);
                return Machine.CodeBase + 2;
            case "exception":
                _machine.SetGate(ExceptionVector.GeneralProtection, _machine.GetDescriptor(Free));
                _machine.Run(a => a.jmp(Beyond, 0), 10);
                return Machine.CodeBase;
            default:
                _machine.Machine.Assemble(a => a.nop());
                Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
                _machine.Cpu.Run(10);
                return Machine.CodeBase;
        }
    }
}
