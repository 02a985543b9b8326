using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Protection;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Debugging;

/// <summary>Single steps, breakpoints and the debug registers (SDM 3B, 17).</summary>
public sealed class DebugTests : IDisposable
{
    private const int Vector = 0x42;

    private readonly ProtectedMachine _machine = new();

    private ref ProcessorState State => ref _machine.State;

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
        // Twice, so that the processor has met what follows.
        _machine.Machine.Assemble(a =>
        {
            a.push((int)Eflags.Tf);
            a.popfd();
            a.inc(ecx);
            a.inc(ecx);
        });
        for (uint i = 1; i <= 2; i++)
        {
            State.Halted = 0;
            State.Eip = Machine.CodeBase;
            _machine.Cpu.Run(10);
            Assert.Equal(ExceptionVector.Debug, _machine.EnteredVector);
            Assert.Equal(i, State.Ecx);
        }

        Assert.Equal(Eflags.Tf, _machine.StackDword(2) & Eflags.Tf);
        Assert.Equal(0u, _machine.Cpu.Eflags & Eflags.Tf);
    }

    [Theory]
    [InlineData(Eflags.Tf, ExceptionVector.Debug, 1u)]
    [InlineData(0u, Vector, 2u)]
    public void Iret_that_sets_tf_traps_after_the_next_instruction(uint flags, int vector, uint executed)
    {
        // Twice, so that whatever the processor remembers of where the return leads is used.
        _machine.Machine.Assemble(a =>
        {
            a.iretd();
            a.inc(ecx);
            a.inc(ecx);
            a.@int(Vector);
        });
        for (int i = 0; i < 2; i++)
        {
            _machine.Machine.WriteUInt32(0x2000, Machine.CodeBase + 1);
            _machine.Machine.WriteUInt32(0x2004, Code0);
            _machine.Machine.WriteUInt32(0x2008, flags);
            State.Esp = 0x2000;
            State.Ecx = 0;
            State.Halted = 0;
            State.Eip = Machine.CodeBase + 1;
            _machine.Cpu.Run(10);
            State.Esp = 0x2000;
            State.Ecx = 0;
            State.Halted = 0;
            State.Eip = Machine.CodeBase;
            _machine.Cpu.Run(10);
            Assert.Equal((vector, executed), (_machine.EnteredVector, State.Ecx));
        }
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
        });
        State.SetDebug(7, 0x404);
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
        { 0x0002_0001, 0x2000, 0 },
        { 0x000e_0001, 0x2000, 0 },
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

    [Fact]
    public void A_data_breakpoint_of_an_instruction_that_faults_is_forgotten()
    {
        _machine.Machine.WriteUInt32(0x2000, 0);
        _machine.Machine.Assemble(a =>
        {
            a.mov(edx, 0x0003_0001);
            a.mov(dr7, edx);
            a.div(__dword_ptr[0x2000]);
        });
        State.SetDebug(0, 0x2000);
        _machine.Cpu.Run(3);
        Assert.Equal(ExceptionVector.DivideError, Assert.Single(_machine.Exceptions).Vector);
        Assert.Equal(0xffff_0ff0u, State.GetDebug(6));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Each_breakpoint_can_be_one_on_an_instruction(int number)
    {
        _machine.Machine.StopAtExceptions = true;
        State.SetDebug(number, Machine.CodeBase);
        State.SetDebug(7, 0x400 | (1u << (2 * number)));
        _machine.Step(a => a.inc(eax));
        Assert.Equal((0u, 0xffff_0ff0u | (1u << number)), (State.Eax, State.GetDebug(6)));

        // Not when only the others are enabled.
        _machine.Exceptions.Clear();
        State.SetDebug(7, 0x400 | (0x55u & ~(1u << (2 * number))));
        _machine.Step(a => a.inc(eax));
        Assert.Equal((1u, 0), (State.Eax, _machine.Exceptions.Count));
    }

    /// <summary>One for writing a byte, one for any access to a word, one for an instruction, one for writing a doubleword.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Each_breakpoint_has_a_kind_and_a_length_of_its_own(int first)
    {
        uint[] addresses = [0x2003, 0x2010, Machine.CodeBase + 0x40, 0x2020];
        (int Condition, int Length)[] kinds = [(1, 0), (3, 1), (0, 0), (1, 3)];
        uint dr7 = 0x400;
        for (int i = 0; i < addresses.Length; i++)
        {
            int number = (first + i) % addresses.Length;
            State.SetDebug(number, addresses[i]);
            dr7 |= 2u << (2 * number);
            dr7 |= (uint)(kinds[i].Condition | (kinds[i].Length << 2)) << (16 + (4 * number));
        }

        State.SetDebug(7, dr7);
        _machine.Cpu.UpdateMode();
        _machine.Machine.StopAtExceptions = true;
        foreach ((uint address, int size, bool writes, uint status) in ((uint, int, bool, uint)[])
            [
                (0x2003, 1, true, 1), (0x2003, 1, false, 0), (0x2002, 1, true, 0), (0x2004, 1, true, 0), (0x2000, 4, true, 1),
                (0x2010, 1, false, 2), (0x2011, 1, true, 2), (0x2012, 1, false, 0), (0x200f, 1, false, 0), (0x200f, 4, false, 2),
                (0x2020, 1, true, 8), (0x2023, 1, true, 8), (0x2024, 1, true, 0), (0x201f, 1, true, 0), (0x2021, 1, false, 0),
            ])
        {
            State.SetDebug(6, 0xffff_0ff0);
            State.Esi = address;
            byte[] code = (size, writes) switch
            {
                (1, true) => [0x88, 0x06],
                (1, false) => [0x8a, 0x06],
                (4, true) => [0x89, 0x06],
                _ => [0x8b, 0x06],
            };
            _machine.Memory.Write(Machine.CodeBase, code);
            State.Eip = Machine.CodeBase;
            _machine.Cpu.Run(1);
            _machine.Cpu.Run(0);
            Assert.True(Status(status) == State.GetDebug(6), $"{address:x} {size} {writes}: {State.GetDebug(6):x}");
        }

        State.SetDebug(6, 0xffff_0ff0);
        State.Eip = addresses[2];
        _machine.Cpu.Run(1);
        Assert.Equal(Status(4), State.GetDebug(6));

        uint Status(uint kinds) => 0xffff_0ff0 | ((kinds << first) & 15) | (kinds >> (addresses.Length - first));
    }

    [Fact]
    public void There_are_four_breakpoints()
    {
        // With LE and GE, which would enable a fifth; it would be at DR4, which is 0.
        State.SetDebug(0, 0x2000);
        _machine.Machine.StopAtExceptions = true;
        _machine.Step(
            a =>
            {
                a.mov(edx, 0x0001_0301);
                a.mov(dr7, edx);
                a.mov(__dword_ptr[0], eax);
                a.mov(__dword_ptr[4], eax);
            },
            4);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal(0xffff_0ff0u, State.GetDebug(6));
    }

    [Fact]
    public void Debug_registers_keep_what_exists_and_4_and_5_are_6_and_7()
    {
        _machine.Step(
            a =>
            {
                a.mov(eax, 0x1234_5678);
                a.mov(dr0, eax);
                a.mov(dr3, eax);
                a.mov(eax, -1);
                a.mov(dr6, eax);
                a.xor(eax, eax);
                a.mov(dr7, eax);
                a.mov(ebx, dr0);
                a.mov(ecx, dr4);
                a.mov(edx, dr5);
                a.mov(esi, dr3);
            },
            11);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((0x1234_5678u, 0x1234_5678u), (State.Ebx, State.Esi));
        Assert.Equal((0xffff_efffu, 0x400u), (State.Ecx, State.Edx));
    }

    [Fact]
    public void General_detect_guards_the_debug_registers()
    {
        State.SetDebug(7, 0x2400);
        _machine.Machine.StopAtExceptions = false;
        _machine.Run(a => a.mov(eax, dr0));
        Assert.Equal(ExceptionVector.Debug, _machine.EnteredVector);
        Assert.Equal(0xffff_2ff0u, State.GetDebug(6));
        Assert.Equal(0x400u, State.GetDebug(7));
        Assert.Equal(Machine.CodeBase, _machine.StackDword(0));
    }

    [Fact]
    public void An_int_1_leaves_general_detect_on_for_its_handler()
    {
        State.SetDebug(7, 0x2400);
        _machine.Run(a => a.@int(1));
        Assert.Equal(ExceptionVector.Debug, _machine.EnteredVector);
        Assert.Equal((0x2400u, 0xffff_0ff0u), (State.GetDebug(7), State.GetDebug(6)));
    }

    [Fact]
    public void A_host_can_let_an_outer_ring_read_debug_registers()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.DebugReadPrivilege = 1;
        _machine.EnterRing(1);
        _machine.Step(a => a.mov(eax, dr6));
        Assert.Empty(_machine.Exceptions);
        Assert.Equal(0xffff_0ff0u, State.Eax);
        _machine.Step(a => a.mov(dr6, eax));
        Assert.Single(_machine.Exceptions);
        _machine.EnterRing(3);
        _machine.Step(a => a.mov(eax, dr6));
        Assert.Equal(2, _machine.Exceptions.Count);
    }

    public void Dispose() => _machine.Dispose();
}
