using Iced.Intel;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Faults, traps and software interrupts on their way to a handler; double and triple faults (SDM 3A, 6).</summary>
public sealed class ExceptionTests : IDisposable
{
    private readonly ProtectedMachine _machine = new();

    private ref ProcessorState State => ref _machine.State;

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

    [Theory]
    [InlineData(0xcc, ExceptionVector.Breakpoint)]
    [InlineData(0xf1, ExceptionVector.Debug)]
    public void Traps_and_software_interrupts_push_rf_clear_and_the_next_address(byte code, int vector)
    {
        _machine.Run(a =>
        {
            a.nop();
            a.db(code);
        });

        Assert.Equal(vector, _machine.EnteredVector);
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

    [Fact]
    public void A_page_fault_sets_cr2_when_it_is_delivered()
    {
        _machine.MapWithHole();
        _machine.Run(a => a.mov(eax, __dword_ptr[MissingPage + 0x123]));

        Assert.Equal(ExceptionVector.PageFault, _machine.EnteredVector);
        Assert.Equal(MissingPage + 0x123, State.Cr2);
        Assert.Equal(0u, _machine.StackDword(0));
        Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
    }

    /// <summary>A first fault, a second while delivering it, and what the guest gets (SDM 3A, table 6-5).</summary>
    [Fact]
    public void An_int_14_is_no_page_fault()
    {
        State.Cr2 = 0x1234;
        _machine.Run(a => a.@int(ExceptionVector.PageFault));
        Assert.Equal(ExceptionVector.PageFault, _machine.EnteredVector);
        Assert.Equal((0x1234u, 0ul, 1ul), (State.Cr2, _machine.Cpu.Statistics.PageFaults, _machine.Cpu.Statistics.Exceptions));
    }

    [Fact]
    public void Without_a_hook_the_guest_gets_all_exceptions()
    {
        _machine.Cpu.ExceptionHook = null;
        _machine.Run(a => a.ud2());
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.EnteredVector);
        Assert.Empty(_machine.Exceptions);
    }

    [Fact]
    public void Seven_exceptions_have_error_codes() =>
        Assert.Equal([8, 10, 11, 12, 13, 14, 17], Enumerable.Range(0, 32).Where(ExceptionVector.HasErrorCode));

    /// <summary>
    /// A frame of an exception that lies across the end of a page, on code that has been executed: its first dword is EIP, its
    /// last EFLAGS, so that their low bytes are the next instructions there.
    /// </summary>
    [Fact]
    public void A_frame_that_is_pushed_over_code_is_what_executes_then()
    {
        const uint frame = 0x5ff8;
        const byte incrementEbx = 0x43;
        const uint last = frame + 8;
        uint fault = (Machine.CodeBase & ~0xffu) | incrementEbx;
        foreach (uint address in (uint[])[frame, last])
        {
            _machine.Machine.Assemble(a => a.nop(), address);
            _machine.Cpu.Run(1);
        }

        const uint incrementEsi = Eflags.Fixed | Eflags.Zf | Eflags.Pf;
        _machine.Cpu.Eflags = incrementEsi;
        State.Esp = frame + 12;
        _machine.Machine.Assemble(a => a.ud2(), fault);
        _machine.Cpu.Run(1);
        Assert.Equal((fault, frame), (_machine.StackDword(0), State.Esp));
        foreach (uint address in (uint[])[frame, last])
        {
            State.Halted = 0;
            State.Eip = address;
            _machine.Cpu.Run(1);
        }

        Assert.Equal((1u, 1u), (State.Ebx, State.Esi));
    }

    [Theory]
    [InlineData(Machine.MemorySize + 12, 0)]
    [InlineData(Machine.MemorySize + 8, 1)]
    [InlineData(Machine.MemorySize + 4, 2)]
    public void A_frame_goes_nowhere_where_there_is_no_memory(uint esp, int present)
    {
        State.Esp = esp;
        _machine.Run(a => a.ud2());
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.EnteredVector);
        Assert.Equal(esp - 12, State.Esp);
        uint[] frame = [Machine.CodeBase, Code0];
        for (int i = 0; i < present; i++)
        {
            Assert.Equal(frame[i], _machine.StackDword(i));
        }

        // What isn't there reads as ones, so a return would go to 0xFFFFFFFF.
        State.Halted = 0;
        _machine.Machine.StopAtExceptions = true;
        _machine.Run(a => a.pop(eax), 1);
        Assert.Equal(present > 0 ? Machine.CodeBase : uint.MaxValue, State.Eax);
    }

    [Fact]
    public void Descriptors_where_there_is_no_memory_are_all_ones()
    {
        // Of the first descriptor half is there. All ones are present, readable conforming code of ring 3.
        State.Gdtr = new DescriptorTableRegister { Base = Machine.MemorySize - 12, Limit = 0xffff };
        _machine.Machine.WriteUInt32(Machine.MemorySize - 4, 0x1234_5678);
        _machine.Step(a => a.mov(es, eax), eax: 8);
        Assert.Equal((8, 0xffff_1234u, 0xf567_8fffu), (State.Es.Selector, State.Es.Base, State.Es.Limit));
        _machine.Step(a => a.mov(es, eax), eax: 16);
        Assert.Equal((16, uint.MaxValue, uint.MaxValue), (State.Es.Selector, State.Es.Base, State.Es.Limit));
        Assert.Empty(_machine.Exceptions);
    }

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
        _machine.MapWithHole();
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
            _machine.SetPage(Gdt + 0x1000, 0);
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
                a.mov(eax, __dword_ptr[MissingPage]);
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
    public void A_delivery_that_faults_on_its_stack_leaves_stack_and_registers_alone()
    {
        _machine.MapWithHole();
        State.Esp = PageAfterMissing + 8;
        _machine.Machine.WriteUInt32(PageAfterMissing, 0xaaaa_aaaa);
        _machine.Machine.WriteUInt32(PageAfterMissing + 4, 0xbbbb_bbbb);
        StopReason reason = _machine.Run(a => a.ud2());

        // The page fault and the double fault find the same stack.
        Assert.Equal(StopReason.TripleFault, reason);
        Assert.Equal(PageAfterMissing - 4, State.Cr2);
        Assert.Equal(0xaaaa_aaaau, _machine.Machine.ReadUInt32(PageAfterMissing));
        Assert.Equal(0xbbbb_bbbbu, _machine.Machine.ReadUInt32(PageAfterMissing + 4));
        Assert.Equal(PageAfterMissing + 8, State.Esp);
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
