using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Delivery through the IDT: gates, frames, stack switches, error codes, double and triple faults (SDM 3A, 6).</summary>
public sealed class ExceptionTests : IDisposable
{
    private const int Vector = 0x42;
    private const uint ExternalBit = 1;
    private const uint IdtBit = 2;

    private readonly ProtectedMachine _machine = new();

    private ref ProcessorState State => ref _machine.State;

    /// <summary>Gate type, ring of the program, whether the handler's stack switches.</summary>
    public static TheoryData<int, int> Gates
    {
        get
        {
            var data = new TheoryData<int, int>();
            foreach (int type in (int[])[
                TestDescriptor.InterruptGate32, TestDescriptor.TrapGate32,
                TestDescriptor.InterruptGate16, TestDescriptor.TrapGate16])
            {
                data.Add(type, 0);
                data.Add(type, 1);
                data.Add(type, 3);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Gates))]
    public void A_gate_builds_the_frame_of_its_size_and_enters_its_handler(int type, int ring)
    {
        const uint Before = Eflags.If | Eflags.Nt | Eflags.Df | Eflags.Iopl | Eflags.Cf | Eflags.Fixed;
        bool is32 = (type & 8) != 0;
        _machine.SetGate(Vector, TestDescriptor.Gate(type, Code0, HandlerOf(Vector), 3));
        _machine.SetDescriptor(Free, TestDescriptor.Segment(Handlers, 0xffff, TestDescriptor.Code, 0));
        if (!is32)
        {
            _machine.SetGate(Vector, TestDescriptor.Gate(type, Free, Vector, 3));
        }

        _machine.EnterRing(ring);
        _machine.Cpu.Eflags = Before;
        ushort oldCode = State.Cs.Selector;
        ushort oldStack = State.Ss.Selector;
        Assert.Equal(StopReason.Halted, _machine.Run(a => a.@int(Vector)));

        uint size = is32 ? 4u : 2u;
        Assert.Equal((is32 ? HandlerOf(Vector) : Vector) + 1, State.Eip);
        Assert.Equal(0, State.Cpl);
        Assert.Equal(is32 ? Code0 : Free, State.Cs.Selector);
        Assert.Equal((ring == 0 ? Machine.StackTop : InnerStack0) - (size * (ring == 0 ? 3u : 5u)), State.Esp);
        Assert.Equal((Machine.CodeBase + 2) & Mask(size), Word(0, size));
        Assert.Equal(oldCode, Word(1, size));
        Assert.Equal(Before, Word(2, size));
        if (ring != 0)
        {
            Assert.Equal(Machine.StackTop & Mask(size), Word(3, size));
            Assert.Equal(oldStack, Word(4, size));
            Assert.Equal(Data0, State.Ss.Selector);
        }

        bool masks = type is TestDescriptor.InterruptGate32 or TestDescriptor.InterruptGate16;
        Assert.Equal(Before & ~(Eflags.Nt | (masks ? Eflags.If : 0)), _machine.Cpu.Eflags);
        Assert.Equal(2ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void A_frame_from_ring_1_to_a_ring_1_handler_stays_on_its_stack()
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code1 & ~3, HandlerOf(Vector), 1));
        _machine.EnterRing(1);
        _machine.Run(a => a.@int(Vector));

        // HLT is privileged, so the halt is the handler of #GP, in ring 0.
        Assert.Equal(ExceptionVector.GeneralProtection, _machine.EnteredVector);
        Assert.Equal(Code1, _machine.StackDword(2) & 0xffff);
        Assert.Equal(Machine.StackTop - 12, _machine.StackDword(4));
    }

    [Fact]
    public void A_conforming_handler_runs_at_the_programs_level()
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Conforming0, HandlerOf(0xf1), 3));
        _machine.Memory.Write(HandlerOf(0xf1), [0x8c, 0xc9, 0x8c, 0xd2, 0xf4]);
        _machine.EnterRing(3);
        _machine.Run(a => a.@int(Vector));

        Assert.Equal(Conforming0 | 3u, State.Ecx);
        Assert.Equal(Data3, State.Edx);
    }

    /// <summary>A faulting instruction, its vector and its error code.</summary>
    public static TheoryData<string, int, uint?> Faults => new()
    {
        { "ud2", ExceptionVector.InvalidOpcode, null },
        { "general protection", ExceptionVector.GeneralProtection, Beyond },
        { "segment not present", ExceptionVector.SegmentNotPresent, AbsentData0 },
        { "stack segment", ExceptionVector.StackSegment, AbsentData0 },
        { "divide", ExceptionVector.DivideError, null },
        { "task switched", ExceptionVector.DeviceNotAvailable, null },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_fault_pushes_its_own_address_rf_and_its_error_code(string kind, int vector, uint? errorCode)
    {
        _machine.EnterRing(0);
        _machine.Run(a =>
        {
            a.nop();
            Fault(a, kind);
        });

        Assert.Equal(vector, _machine.EnteredVector);
        int at = errorCode is null ? 0 : 1;
        if (errorCode is { } code)
        {
            Assert.Equal(code, _machine.StackDword(0));
        }

        uint faulting = _machine.Exceptions[0].InstructionEip;
        Assert.Equal(faulting, _machine.StackDword(at));
        Assert.Equal(Code0, _machine.StackDword(at + 1));
        Assert.Equal(Eflags.Rf, _machine.StackDword(at + 2) & Eflags.Rf);
        Assert.Equal(Machine.StackTop - (4u * (3 + (uint)at)), State.Esp);
    }

    [Fact]
    public void Traps_and_software_interrupts_push_rf_clear_and_the_next_address()
    {
        _machine.Run(a =>
        {
            a.nop();
            a.int3();
        });

        Assert.Equal(ExceptionVector.Breakpoint, _machine.EnteredVector);
        Assert.Equal(Machine.CodeBase + 2, _machine.StackDword(0));
        Assert.Equal(0u, _machine.StackDword(2) & Eflags.Rf);
    }

    [Fact]
    public void Into_interrupts_only_with_of_set()
    {
        _machine.Cpu.Eflags = Eflags.Of;
        _machine.Run(a => a.into());
        Assert.Equal(ExceptionVector.Overflow, _machine.EnteredVector);
        Assert.Equal(Machine.CodeBase + 1, _machine.StackDword(0));

        State.Halted = 0;
        _machine.Cpu.Eflags = 0;
        _machine.Run(a =>
        {
            a.into();
            a.hlt();
        });
        Assert.Equal(Machine.CodeBase + 2, State.Eip);
    }

    [Fact]
    public void A_handler_that_mends_the_cause_restarts_the_instruction()
    {
        _machine.Memory.Write(HandlerOf(ExceptionVector.GeneralProtection), [0xe9, 0x00, 0x10, 0x00, 0x00]);
        uint handler = HandlerOf(ExceptionVector.GeneralProtection) + 5 + 0x1000;
        _machine.Machine.Assemble(
            a =>
            {
                a.mov(eax, Data3);
                a.add(esp, 4);
                a.iretd();
            },
            handler);
        _machine.Run(a =>
        {
            a.mov(eax, Beyond);
            a.mov(es, eax);
            a.mov(ebx, 5);
            a.hlt();
        });

        Assert.Equal(Data3, State.Es.Selector);
        Assert.Equal(5u, State.Ebx);
        Assert.Equal(Machine.StackTop, State.Esp);
        Assert.Equal(8ul, _machine.Cpu.Retired);
        Assert.Equal(0u, _machine.Cpu.Eflags & Eflags.Rf);
    }

    /// <summary>What is wrong with a gate, the fault that follows, and its error code (less EXT).</summary>
    public static TheoryData<string, int, uint> BrokenGates => new()
    {
        { "beyond the limit", ExceptionVector.GeneralProtection, (Vector * 8) | IdtBit },
        { "not a gate", ExceptionVector.GeneralProtection, (Vector * 8) | IdtBit },
        { "a call gate", ExceptionVector.GeneralProtection, (Vector * 8) | IdtBit },
        { "not present", ExceptionVector.SegmentNotPresent, (Vector * 8) | IdtBit },
        { "null selector", ExceptionVector.GeneralProtection, 0 },
        { "selector beyond", ExceptionVector.GeneralProtection, Beyond },
        { "data segment", ExceptionVector.GeneralProtection, Data0 },
        { "outer code", ExceptionVector.GeneralProtection, Code3 & ~3u },
        { "absent code", ExceptionVector.SegmentNotPresent, AbsentCode0 },
        { "offset beyond", ExceptionVector.GeneralProtection, 0 },
    };

    [Theory]
    [MemberData(nameof(BrokenGates))]
    public void A_broken_gate_faults_at_the_int_with_the_right_error_code(string what, int vector, uint errorCode)
    {
        Break(what);
        _machine.Run(a =>
        {
            a.nop();
            a.@int(Vector);
        });

        Assert.Equal(vector, _machine.EnteredVector);
        Assert.Equal(errorCode, _machine.StackDword(0));
        Assert.Equal(Machine.CodeBase + 1, _machine.StackDword(1));
        Assert.Equal(2ul, _machine.Cpu.Retired);
    }

    [Theory]
    [MemberData(nameof(BrokenGates))]
    public void A_broken_gate_of_an_external_interrupt_faults_with_the_external_bit(string what, int vector, uint errorCode)
    {
        Break(what);
        _machine.Machine.Assemble(a => a.nop());
        _machine.Cpu.Eflags = Eflags.If;
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        _machine.Cpu.Run(10);

        Assert.Equal(vector, _machine.EnteredVector);
        Assert.Equal(errorCode | ExternalBit, _machine.StackDword(0));
        Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
    }

    [Theory]
    [InlineData(0, 0, true)]
    [InlineData(1, 0, false)]
    [InlineData(1, 1, true)]
    [InlineData(3, 1, false)]
    [InlineData(3, 2, false)]
    [InlineData(3, 3, true)]
    public void Software_interrupts_need_a_gate_of_their_level(int ring, int dpl, bool allowed)
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(Vector), dpl));
        _machine.EnterRing(ring);
        _machine.Run(a => a.@int(Vector));

        Assert.Equal(allowed ? Vector : ExceptionVector.GeneralProtection, _machine.EnteredVector);
        if (!allowed)
        {
            Assert.Equal((Vector * 8) | IdtBit, _machine.StackDword(0));
            Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
            Assert.Equal(1ul, _machine.Cpu.Retired);
        }
    }

    [Fact]
    public void The_processors_own_exceptions_need_no_gate_of_their_level()
    {
        _machine.EnterRing(3);
        _machine.Run(a => a.ud2());
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.EnteredVector);
    }

    /// <summary>What is wrong with the TSS, the fault that follows in ring 3, and its error code.</summary>
    public static TheoryData<string, int, uint> BrokenStacks => new()
    {
        { "null", ExceptionVector.InvalidTss, 0 },
        { "beyond", ExceptionVector.InvalidTss, Beyond },
        { "rpl", ExceptionVector.InvalidTss, Data0 },
        { "dpl", ExceptionVector.InvalidTss, Data3 & ~3u },
        { "code", ExceptionVector.InvalidTss, Code0 },
        { "absent", ExceptionVector.StackSegment, AbsentData0 },
        { "no room", ExceptionVector.StackSegment, Free },
        { "tss limit", ExceptionVector.InvalidTss, TssSelector },
    };

    [Theory]
    [MemberData(nameof(BrokenStacks))]
    public void A_broken_inner_stack_faults_with_its_selector(string what, int vector, uint errorCode)
    {
        // The fault itself is handled at ring 3, where no stack is needed.
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(Vector), 3));
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x1000, 0xff, TestDescriptor.Data, 0));
        foreach (int handled in (int[])[ExceptionVector.InvalidTss, ExceptionVector.StackSegment])
        {
            _machine.SetGate(
                handled, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code3 & ~3, HandlerOf(handled), 0));
            _machine.Memory.Write(HandlerOf(handled), [0xeb, 0xfe]);
        }

        ushort selector = what switch
        {
            "null" => 0,
            "beyond" => Beyond,
            "rpl" => Data0 | 3,
            "dpl" => Data3 & ~3,
            "code" => Code0,
            "absent" => AbsentData0,
            "no room" => Free,
            _ => Data0,
        };
        _machine.Machine.WriteUInt32(Tss + 8, selector);
        if (what == "no room")
        {
            _machine.Machine.WriteUInt32(Tss + 4, 16);
        }

        if (what == "tss limit")
        {
            State.Tr.Limit = 8;
        }

        _machine.EnterRing(3);
        _machine.Run(a => a.@int(Vector), 10);

        Assert.Equal(HandlerOf(vector), State.Eip);
        Assert.Equal(3, State.Cpl);
        Assert.Equal(errorCode, _machine.StackDword(0));
        Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
        Assert.Equal(Machine.StackTop - 16, State.Esp);
    }

    [Fact]
    public void A_16_bit_tss_gives_16_bit_stack_pointers()
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(Vector), 3));
        State.Tr.Access = SegmentAccess.Present | (SegmentAccess)(TestDescriptor.BusyTss16 << 8);
        _machine.Memory.Write(Tss + 2, [0x00, 0x70, (byte)Data0, 0x00]);
        _machine.EnterRing(3);
        _machine.Run(a => a.@int(Vector));

        Assert.Equal(Vector, _machine.EnteredVector);
        Assert.Equal(0x7000u - 20, State.Esp);
    }

    [Fact]
    public void A_page_fault_sets_cr2_when_it_is_delivered()
    {
        Map(out uint missing);
        _machine.Run(a => a.mov(eax, __dword_ptr[missing + 0x123]));

        Assert.Equal(ExceptionVector.PageFault, _machine.EnteredVector);
        Assert.Equal(missing + 0x123, State.Cr2);
        Assert.Equal(0u, _machine.StackDword(0));
        Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
    }

    /// <summary>A first fault, a second while delivering it, and what the guest gets (SDM 3A, table 6-5).</summary>
    public static TheoryData<string, string, int> Pairs => new()
    {
        { "ud2", "gate", ExceptionVector.SegmentNotPresent },
        { "ud2", "page", ExceptionVector.PageFault },
        { "divide", "gate", ExceptionVector.DoubleFault },
        { "divide", "page", ExceptionVector.PageFault },
        { "general protection", "gate", ExceptionVector.DoubleFault },
        { "segment not present", "gate", ExceptionVector.DoubleFault },
        { "general protection", "page", ExceptionVector.PageFault },
        { "page fault", "gate", ExceptionVector.DoubleFault },
        { "page fault", "page", ExceptionVector.DoubleFault },
        { "int 13", "gate", ExceptionVector.SegmentNotPresent },
        { "int 13", "page", ExceptionVector.PageFault },
    };

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Two_faults_become_one_double_fault_or_two_in_turn(string first, string second, int expected)
    {
        Map(out uint missing);
        int vector = first switch
        {
            "ud2" => ExceptionVector.InvalidOpcode,
            "divide" => ExceptionVector.DivideError,
            "segment not present" => ExceptionVector.SegmentNotPresent,
            "page fault" => ExceptionVector.PageFault,
            _ => ExceptionVector.GeneralProtection,
        };
        if (second == "gate")
        {
            _machine.SetGate(
                vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(vector), 3, present: false));
            if (vector == ExceptionVector.SegmentNotPresent)
            {
                expected = ExceptionVector.DoubleFault;
            }
        }
        else
        {
            // The gate leads to a code segment whose descriptor is on the missing page.
            _machine.Memory.Write(Gdt + Free, BitConverter.GetBytes(0ul));
            _machine.SetGate(
                vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, 0x1000, HandlerOf(vector), 3));
            State.Gdtr.Limit = ushort.MaxValue;
            UnmapGdtBeyondFirstPage();
            if (first == "page fault")
            {
                _machine.SetGate(
                    ExceptionVector.DoubleFault,
                    TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(ExceptionVector.DoubleFault), 0));
            }
        }

        _machine.Run(a =>
        {
            if (first == "page fault")
            {
                a.mov(eax, __dword_ptr[missing]);
            }
            else if (first == "int 13")
            {
                a.@int(13);
            }
            else
            {
                Fault(a, first);
            }
        });

        Assert.Equal(expected, _machine.EnteredVector);
        if (expected == ExceptionVector.DoubleFault)
        {
            Assert.Equal(0u, _machine.StackDword(0));
            Assert.Equal(vector, _machine.Cpu.DoubleFaultCause.Vector);
        }

        if (second == "page")
        {
            Assert.Equal(Gdt + 0x1000, State.Cr2);
        }
    }

    [Fact]
    public void A_fault_while_delivering_a_double_fault_ends_the_run_with_the_state_as_it_was()
    {
        State.Idtr.Limit = 0;
        State.Ecx = 77;
        StopReason reason = _machine.Run(a =>
        {
            a.nop();
            a.ud2();
        });

        Assert.Equal(StopReason.TripleFault, reason);
        Assert.Equal(Machine.CodeBase + 1, State.Eip);
        Assert.Equal(Machine.StackTop, State.Esp);
        Assert.Equal(
            [ExceptionVector.InvalidOpcode, ExceptionVector.GeneralProtection, ExceptionVector.DoubleFault],
            _machine.Exceptions.Select(e => e.Vector));
        Assert.Equal(ExceptionVector.GeneralProtection, _machine.Cpu.DoubleFaultCause.Vector);
    }

    [Fact]
    public void An_interrupt_that_ends_in_a_triple_fault_is_reported_by_the_next_run()
    {
        State.Idtr.Limit = 0;
        _machine.Machine.Assemble(a => a.nop());
        _machine.Cpu.Eflags = Eflags.If;
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        Assert.Equal(StopReason.TripleFault, _machine.Cpu.Run(10));
        Assert.Equal(0ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void A_delivery_that_faults_on_its_stack_leaves_stack_and_registers_alone()
    {
        Map(out uint missing);
        State.Esp = missing + 0x1000 + 8;
        _machine.Machine.WriteUInt32(MappedAfterMissing, 0xaaaa_aaaa);
        _machine.Machine.WriteUInt32(MappedAfterMissing + 4, 0xbbbb_bbbb);
        StopReason reason = _machine.Run(a => a.ud2());

        // The page fault and the double fault find the same stack.
        Assert.Equal(StopReason.TripleFault, reason);
        Assert.Equal(missing + 0x1000 - 4, State.Cr2);
        Assert.Equal(0xaaaa_aaaau, _machine.Machine.ReadUInt32(MappedAfterMissing));
        Assert.Equal(0xbbbb_bbbbu, _machine.Machine.ReadUInt32(MappedAfterMissing + 4));
        Assert.Equal(missing + 0x1000 + 8, State.Esp);
    }

    [Fact]
    public void An_interrupt_waits_for_if_and_for_the_shadow_of_sti()
    {
        _machine.Machine.Assemble(a =>
        {
            a.sti();
            a.nop();
            a.nop();
        });
        Assert.False(_machine.Cpu.TryDeliverInterrupt(Vector));
        _machine.Cpu.Run(1);
        Assert.False(_machine.Cpu.TryDeliverInterrupt(Vector));
        _machine.Cpu.Run(1);
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        Assert.Equal(HandlerOf(Vector), State.Eip);
        Assert.Equal(Machine.CodeBase + 2, _machine.StackDword(0));
    }

    [Fact]
    public void Sti_with_interrupts_enabled_already_casts_no_shadow()
    {
        _machine.Cpu.Eflags = Eflags.If;
        _machine.Step(a => a.sti());
        Assert.False(_machine.Cpu.InterruptsShadowed);
    }

    [Fact]
    public void Halt_ends_with_an_interrupt_that_returns_after_it()
    {
        _machine.Cpu.Eflags = Eflags.If;
        Assert.Equal(StopReason.Halted, _machine.Run(a => a.hlt()));
        Assert.Equal(StopReason.Halted, _machine.Cpu.Run(10));
        Assert.Equal(1ul, _machine.Cpu.Retired);
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        Assert.Equal(Machine.CodeBase + 1, _machine.StackDword(0));
        Assert.Equal(StopReason.Halted, _machine.Cpu.Run(10));
        Assert.Equal(Vector, _machine.EnteredVector);
    }

    /// <summary>What sets IF, and how many instructions retire before the run ends over it.</summary>
    public static TheoryData<string, ulong> Windows => new()
    {
        { "sti", 2 },
        { "popf", 2 },
        { "iret", 1 },
    };

    [Theory]
    [MemberData(nameof(Windows))]
    public void A_run_ends_when_a_waiting_interrupt_can_come_in(string how, ulong retired)
    {
        _machine.Cpu.InterruptLine = true;
        _machine.Machine.WriteUInt32(0x2000, Machine.CodeBase + 0x100);
        _machine.Machine.WriteUInt32(0x2004, Code0);
        _machine.Machine.WriteUInt32(0x2008, Eflags.If);
        _machine.Memory.Write(Machine.CodeBase + 0x100, [0x90, 0x90, 0x90, 0xf4]);
        StopReason reason = _machine.Run(a =>
        {
            if (how == "sti")
            {
                a.sti();
            }
            else if (how == "popf")
            {
                a.push((int)Eflags.If);
                a.popfd();
            }
            else
            {
                State.Esp = 0x2000;
                a.iretd();
            }

            for (int i = 0; i < 50; i++)
            {
                a.nop();
            }
        });

        Assert.Equal(StopReason.InterruptWindow, reason);
        Assert.Equal(retired, _machine.Cpu.Retired);
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
    }

    [Fact]
    public void A_halt_in_the_shadow_of_sti_halts_and_can_be_interrupted_at_once()
    {
        _machine.Cpu.InterruptLine = true;
        StopReason reason = _machine.Run(a =>
        {
            a.sti();
            a.hlt();
        });

        Assert.Equal(StopReason.Halted, reason);
        Assert.Equal(Machine.CodeBase + 2, State.Eip);
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
    }

    [Fact]
    public void Single_step_traps_after_each_instruction_and_says_so_in_dr6()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.Eflags = Eflags.Tf;
        _machine.Machine.Assemble(a =>
        {
            Label target = a.CreateLabel();
            a.mov(ecx, 3);
            a.jmp(target);
            a.nop();
            a.Label(ref target);
            a.inc(ecx);
        });
        uint[] expected = [Machine.CodeBase + 5, Machine.CodeBase + 8, Machine.CodeBase + 9];
        foreach (uint eip in expected)
        {
            Assert.Equal(StopReason.Requested, _machine.Cpu.Run(10));
            Assert.Equal(eip, State.Eip);
            ExceptionInfo exception = _machine.Exceptions[^1];
            Assert.Equal((ExceptionVector.Debug, ExceptionOrigin.Trap), (exception.Vector, exception.Origin));
        }

        Assert.Equal(3ul, _machine.Cpu.Retired);
        Assert.Equal(0xffff_4ff0u, State.GetDebug(6));
    }

    [Fact]
    public void A_single_step_through_a_linked_loop_stops_at_every_instruction()
    {
        _machine.Machine.Assemble(a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(eax);
            a.jmp(again);
        });
        _machine.Cpu.Run(100);
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.Eflags = Eflags.Tf;
        for (uint i = 1; i <= 10; i++)
        {
            _machine.Cpu.Run(10);
            Assert.Equal(100ul + i, _machine.Cpu.Retired);
        }
    }

    [Fact]
    public void Popf_that_sets_tf_traps_after_the_next_instruction()
    {
        _machine.Run(a =>
        {
            a.push((int)Eflags.Tf);
            a.popfd();
            a.inc(ecx);
            a.inc(ecx);
        });
        Assert.Equal(ExceptionVector.Debug, _machine.EnteredVector);
        Assert.Equal(1u, State.Ecx);
        Assert.Equal(Eflags.Tf, _machine.StackDword(2) & Eflags.Tf);
        Assert.Equal(0u, _machine.Cpu.Eflags & Eflags.Tf);
    }

    [Fact]
    public void A_single_step_over_a_load_of_ss_traps_after_the_instruction_that_follows()
    {
        _machine.Cpu.Eflags = Eflags.Tf;
        _machine.Run(a =>
        {
            a.mov(ss, eax);
            a.inc(ecx);
            a.inc(ecx);
        });
        Assert.Equal(ExceptionVector.GeneralProtection, _machine.EnteredVector);

        State.Halted = 0;
        _machine.Cpu.Eflags = Eflags.Tf;
        State.Eax = Data0;
        _machine.Run(a =>
        {
            a.mov(ss, eax);
            a.inc(ecx);
            a.inc(ecx);
        });
        Assert.Equal(ExceptionVector.Debug, _machine.EnteredVector);
        Assert.Equal(1u, State.Ecx);
    }

    [Fact]
    public void An_int_in_a_single_stepped_program_enters_its_handler_without_a_trap()
    {
        _machine.Cpu.Eflags = Eflags.Tf;
        _machine.Run(a => a.@int(Vector));
        Assert.Equal(Vector, _machine.EnteredVector);
        Assert.Equal(Eflags.Tf, _machine.StackDword(2) & Eflags.Tf);
        Assert.Equal([Vector], _machine.Exceptions.Select(e => e.Vector));
    }

    [Fact]
    public void Rf_lasts_for_one_instruction()
    {
        State.Esp -= 12;
        _machine.Machine.WriteUInt32(State.Esp, Machine.CodeBase + 1);
        _machine.Machine.WriteUInt32(State.Esp + 4, Code0);
        _machine.Machine.WriteUInt32(State.Esp + 8, Eflags.Rf);
        _machine.Machine.Assemble(a =>
        {
            a.iretd();
            a.nop();
        });
        _machine.Cpu.Run(1);
        Assert.Equal(Eflags.Rf, _machine.Cpu.Eflags & Eflags.Rf);
        _machine.Cpu.Run(1);
        Assert.Equal(0u, _machine.Cpu.Eflags & Eflags.Rf);
    }

    [Fact]
    public void An_instruction_breakpoint_faults_before_its_instruction_and_rf_lets_it_pass()
    {
        _machine.Machine.StopAtExceptions = true;
        State.SetDebug(1, Machine.CodeBase + 1);
        _machine.Machine.Assemble(a =>
        {
            a.inc(eax);
            a.inc(ecx);
            a.inc(edx);
            a.mov(ebx, dr7);
        });
        _machine.Machine.Cpu.State.SetDebug(7, 0x404);
        _machine.Cpu.Run(10);
        ExceptionInfo exception = Assert.Single(_machine.Exceptions);
        Assert.Equal(
            (ExceptionVector.Debug, ExceptionOrigin.Fault, Machine.CodeBase + 1),
            (exception.Vector, exception.Origin, exception.InstructionEip));
        Assert.Equal((1u, 0u, 0xffff_0ff2u), (State.Eax, State.Ecx, State.GetDebug(6)));

        _machine.Cpu.Eflags = Eflags.Rf;
        _machine.Cpu.Run(2);
        Assert.Equal((1u, 1u), (State.Ecx, State.Edx));
        Assert.Single(_machine.Exceptions);
    }

    /// <summary>DR7, DR0, and how many of the accesses trap: write 4 at 0x2000, read 4 at 0x2000, read 1 at 0x2003.</summary>
    public static TheoryData<uint, uint, int> Watches => new()
    {
        { 0x0001_0001, 0x2000, 1 },
        { 0x0003_0001, 0x2000, 2 },
        { 0x0003_0002, 0x2003, 3 },
        { 0x000d_0001, 0x2000, 1 },
        { 0x000f_0001, 0x2002, 3 },
        { 0x0007_0001, 0x2002, 3 },
        { 0x0003_0001, 0x2004, 0 },
        { 0x000f_0001, 0x1ffc, 0 },
        { 0x0003_0000, 0x2000, 0 },
    };

    [Theory]
    [MemberData(nameof(Watches))]
    public void A_data_breakpoint_traps_after_what_touches_its_bytes(uint control, uint address, int expected)
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Machine.Assemble(a =>
        {
            a.mov(edx, (int)control);
            a.mov(dr7, edx);
            a.mov(__dword_ptr[0x2000], eax);
            a.mov(eax, __dword_ptr[0x2000]);
            a.mov(al, __byte_ptr[0x2003]);
            a.nop();
        });
        State.SetDebug(0, address);
        int traps = 0;
        while (_machine.Cpu.Retired < 6)
        {
            State.SetDebug(6, 0xffff_0ff0);
            if (_machine.Cpu.Run(6 - _machine.Cpu.Retired) == StopReason.Requested)
            {
                traps++;
                Assert.Equal(0xffff_0ff1u, State.GetDebug(6));
                Assert.Equal(ExceptionOrigin.Trap, _machine.Exceptions[^1].Origin);
            }
        }

        Assert.Equal(expected, traps);
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(true, 0x1234u)]
    public void A_host_can_enter_a_gate(bool switchStack, uint? errorCode)
    {
        _machine.EnterRing(switchStack ? 3 : 1);
        ushort oldCode = State.Cs.Selector;
        ushort oldStack = State.Ss.Selector;
        State.Eip = 0x1111;
        _machine.Cpu.Eflags = Eflags.If | Eflags.Tf | Eflags.Nt | Eflags.Cf;
        var entry = new GateEntry
        {
            CodeSelector = Code1,
            Offset = 0x4444,
            SwitchStack = switchStack,
            StackSelector = Data1,
            StackPointer = 0x5000,
            PushedEflags = 0x202,
            ErrorCode = errorCode,
            ClearEflags = Eflags.Tf | Eflags.Nt,
        };
        Assert.True(_machine.Cpu.TryEnterGate(entry, out _));

        uint[] expected = [.. errorCode is { } code ? [code] : Array.Empty<uint>(), 0x1111, oldCode, 0x202,
            .. switchStack ? [Machine.StackTop, oldStack] : Array.Empty<uint>()];
        Assert.Equal(expected, Enumerable.Range(0, expected.Length).Select(_machine.StackDword));
        Assert.Equal((switchStack ? 0x5000 : Machine.StackTop) - (4 * (uint)expected.Length), State.Esp);
        Assert.Equal((Code1, Data1, 0x4444u, 1), (State.Cs.Selector, State.Ss.Selector, State.Eip, State.Cpl));
        Assert.Equal(Eflags.If | Eflags.Cf | Eflags.Fixed, _machine.Cpu.Eflags);
    }

    [Theory]
    [InlineData("code", ExceptionVector.GeneralProtection, Beyond)]
    [InlineData("stack", ExceptionVector.InvalidTss, Data0)]
    [InlineData("page", ExceptionVector.PageFault, PageFaultError.Write)]
    public void A_gate_that_a_host_cannot_enter_changes_nothing(string what, int vector, uint errorCode)
    {
        Map(out uint missing);
        _machine.EnterRing(3);
        var entry = new GateEntry
        {
            CodeSelector = what == "code" ? Beyond : Code1,
            Offset = 0x4444,
            SwitchStack = true,
            StackSelector = what == "stack" ? Data0 : Data1,
            StackPointer = what == "page" ? missing + 0x1004 : 0x5000,
            PushedEflags = 0x202,
        };
        uint before = _machine.Machine.ReadUInt32(MappedAfterMissing);
        Assert.False(_machine.Cpu.TryEnterGate(entry, out ExceptionInfo fault));
        Assert.Equal((vector, errorCode), (fault.Vector, fault.ErrorCode));
        Assert.Equal((Code3, Data3, Machine.StackTop, 3), (State.Cs.Selector, State.Ss.Selector, State.Esp, State.Cpl));
        Assert.Equal(before, _machine.Machine.ReadUInt32(MappedAfterMissing));
    }

    [Fact]
    public void A_hook_can_resume_where_it_has_put_eip()
    {
        using var machine = new Machine();
        machine.Cpu.ExceptionHook = new Skipper();
        machine.Execute(a =>
        {
            a.ud2();
            a.mov(eax, 5);
        });
        machine.Cpu.Run(0);
        Assert.Equal(5u, machine.Cpu.State.Eax);
    }

    public void Dispose() => _machine.Dispose();

    private const uint Directory = 0x2_0000;
    private const uint LowTable = 0x2_1000;

    /// <summary>The physical page behind the linear one that follows the missing page.</summary>
    private const uint MappedAfterMissing = 0x3_1000;

    /// <summary>Turns paging on, with one page missing among the low ones.</summary>
    private void Map(out uint missing)
    {
        missing = 0x3_0000;
        for (uint page = 0; page < 1024; page++)
        {
            _machine.Machine.WriteUInt32(LowTable + (4 * page), (page << 12) | 7);
        }

        _machine.Machine.WriteUInt32(LowTable + (4 * (missing >> 12)), 0);
        _machine.Machine.WriteUInt32(Directory, LowTable | 7);
        _machine.Cpu.WriteControlRegister(3, Directory);
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Pg | Cr0.Wp);
    }

    private void UnmapGdtBeyondFirstPage() => _machine.Machine.WriteUInt32(LowTable + (4 * ((Gdt >> 12) + 1)), 0);

    private void Break(string what)
    {
        const int Type = TestDescriptor.InterruptGate32;
        uint handler = HandlerOf(Vector);
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, 0xfff, TestDescriptor.Code, 0));
        switch (what)
        {
            case "beyond the limit":
                State.Idtr.Limit = (Vector * 8) + 6;
                break;
            case "not a gate":
                _machine.SetGate(Vector, TestDescriptor.Flat(TestDescriptor.Code, 0));
                break;
            case "a call gate":
                _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.CallGate32, Code0, handler, 3));
                break;
            case "not present":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Code0, handler, 3, present: false));
                break;
            case "null selector":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, 3, handler, 3));
                break;
            case "selector beyond":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Beyond, handler, 3));
                break;
            case "data segment":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Data0, handler, 3));
                break;
            case "outer code":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Code3, handler, 3));
                break;
            case "absent code":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, AbsentCode0, handler, 3));
                break;
            default:
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Free, handler, 3));
                break;
        }
    }

    private void Fault(Assembler a, string kind)
    {
        switch (kind)
        {
            case "ud2":
                a.ud2();
                break;
            case "general protection":
                a.mov(eax, Beyond);
                a.mov(es, eax);
                break;
            case "segment not present":
                a.mov(eax, AbsentData0);
                a.mov(es, eax);
                break;
            case "stack segment":
                a.mov(eax, AbsentData0);
                a.mov(ss, eax);
                break;
            case "divide":
                a.xor(ecx, ecx);
                a.div(ecx);
                break;
            default:
                _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Ts);
                a.paddb(mm0, mm1);
                break;
        }
    }

    private static uint Mask(uint size) => size == 4 ? uint.MaxValue : ushort.MaxValue;

    private uint Word(int index, uint size) => size == 4 ? _machine.StackDword(index) : _machine.StackWord(index);

    /// <summary>Steps over UD2.</summary>
    private sealed class Skipper : IExceptionHook
    {
        public ExceptionDisposition OnException(Processor processor, in ExceptionInfo exception)
        {
            processor.State.Eip += 2;
            return ExceptionDisposition.Resume;
        }
    }
}
