using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests;

/// <summary>Blocks, links, countdown, and code that changes under the engine's feet.</summary>
public sealed class EngineTests : IDisposable
{
    private readonly Machine _machine = new();

    [Fact]
    public void A_loop_retires_exactly_as_many_instructions_as_it_executes()
    {
        _machine.Assemble(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 1000);
            a.xor(eax, eax);
            a.Label(ref again);
            a.add(eax, ecx);
            a.dec(ecx);
            a.jne(again);
            a.mov(ebx, 7);
        });

        Assert.Equal(StopReason.InstructionLimit, _machine.Cpu.Run(3003));
        Assert.Equal(500500u, _machine.Cpu.State.Eax);
        Assert.Equal(7u, _machine.Cpu.State.Ebx);
        Assert.Equal(3003ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void Running_in_steps_of_any_size_gives_the_same_states()
    {
        void Program(Assembler a)
        {
            Label again = a.CreateLabel();
            Label even = a.CreateLabel();
            a.mov(ecx, 200);
            a.Label(ref again);
            a.test(ecx, 1);
            a.je(even);
            a.add(eax, ecx);
            a.Label(ref even);
            a.push(eax);
            a.pop(edx);
            a.dec(ecx);
            a.jne(again);
        }

        _machine.Assemble(Program);
        _machine.Cpu.Run(1001);
        for (ulong step = 1; step < 60; step += 3)
        {
            using var other = new Machine();
            other.Assemble(Program);
            while (other.Cpu.Retired < 1001)
            {
                ulong before = other.Cpu.Retired;
                other.Cpu.Run(Math.Min(step, 1001 - before));
                Assert.Equal(Math.Min(before + step, 1001), other.Cpu.Retired);
            }

            Assert.Equal(_machine.Cpu.State.Eax, other.Cpu.State.Eax);
            Assert.Equal(_machine.Cpu.State.Eip, other.Cpu.State.Eip);
            Assert.Equal(_machine.Cpu.Eflags, other.Cpu.Eflags);
        }
    }

    [Fact]
    public void An_instruction_that_overwrites_the_next_one_sees_the_new_one_executed()
    {
        _machine.Assemble(a =>
        {
            // Seven bytes, so that the immediate of the next instruction is the ninth.
            a.mov(__byte_ptr[Machine.CodeBase + 8], 42);
            a.mov(al, 1);
            a.mov(ecx, 5);
        });

        _machine.Cpu.Run(3);
        Assert.Equal(42u, _machine.Cpu.State.Eax);
        Assert.Equal(5u, _machine.Cpu.State.Ecx);
        Assert.Equal(3ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void Code_that_the_machine_overwrites_is_decoded_again()
    {
        _machine.Execute(a => a.mov(eax, 1));
        _machine.Execute(a => a.mov(eax, 2));
        Assert.Equal(2u, _machine.Cpu.State.Eax);
    }

    [Fact]
    public void Code_may_lie_in_the_first_page_and_in_memory_that_was_added_since()
    {
        const byte increment = 0x40;
        using var memory = new PhysicalMemory();
        using Processor cpu = TestEngine.Create(memory);
        for (uint page = 0; page < 4; page++)
        {
            uint address = page * PhysicalMemory.PageSize;
            memory.AddRam(address, PhysicalMemory.PageSize);
            memory.Write(address, [increment]);
            cpu.State.Eip = address;
            cpu.Run(1);
            Assert.Equal(page + 1, cpu.State.Eax);
        }
    }

    [Fact]
    public void An_instruction_across_the_end_of_memory_ends_in_ones()
    {
        const byte moveToEax = 0xB8;
        _machine.Memory.Write(Machine.MemorySize - 2, [moveToEax, 0x12]);
        _machine.Cpu.State.Eip = Machine.MemorySize - 2;
        _machine.Cpu.Run(1);
        Assert.Equal((0xffff_ff12u, Machine.MemorySize + 3), (_machine.Cpu.State.Eax, _machine.Cpu.State.Eip));
        Assert.Empty(_machine.Exceptions);
    }

    [Fact]
    public void An_instruction_across_two_pages_executes()
    {
        _machine.Assemble(
            a =>
            {
                a.mov(eax, 0x12345678);
                a.inc(eax);
            },
            0x1ffd);

        _machine.Cpu.Run(2);
        Assert.Equal(0x12345679u, _machine.Cpu.State.Eax);
    }

    [Fact]
    public void A_faulting_instruction_changes_nothing_and_does_not_count()
    {
        _machine.Memory.Write(Machine.CodeBase, [0x40, 0x0f, 0x0b]);
        Assert.Equal(StopReason.Requested, _machine.Cpu.Run(10));

        ExceptionInfo exception = _machine.SingleException();
        Assert.Equal(ExceptionVector.InvalidOpcode, exception.Vector);
        Assert.Equal(Machine.CodeBase + 1, _machine.Cpu.State.Eip);
        Assert.Equal(1ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void A_jump_that_a_run_ended_on_still_leads_to_its_target_after_the_machine_has_moved_EIP()
    {
        Label again = default;
        _machine.Assemble(a =>
        {
            again = a.CreateLabel();
            a.Label(ref again);
            a.inc(eax);
            a.jmp(again);
        });
        _machine.Assemble(a => a.inc(ebx), Machine.CodeBase + 0x100);
        _machine.Cpu.State.Eip = Machine.CodeBase;

        _machine.Cpu.Run(2);
        _machine.Cpu.State.Eip = Machine.CodeBase + 0x100;
        _machine.Cpu.Run(1);
        _machine.Cpu.State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(6);

        Assert.Equal(4u, _machine.Cpu.State.Eax);
        Assert.Equal(1u, _machine.Cpu.State.Ebx);
    }

    /// <summary>As a guest can do it: a handler that faults at once, on a stack that wraps.</summary>
    [Fact]
    public void A_machine_gets_its_turn_where_exceptions_go_on_for_ever()
    {
        var hook = new FruitlessHook();
        _machine.Assemble(a => a.ud2());
        _machine.Cpu.ExceptionHook = hook;

        Assert.Equal(StopReason.Requested, _machine.Cpu.Run(10));
        Assert.Equal(0ul, _machine.Cpu.Retired);
        int first = hook.Count;
        Assert.Equal(StopReason.Requested, _machine.Cpu.Run(10));
        Assert.Equal(2 * first, hook.Count);
    }

    public void Dispose() => _machine.Dispose();

    private sealed class FruitlessHook : IExceptionHook
    {
        public int Count { get; private set; }

        public ExceptionDisposition OnException(Processor processor, in ExceptionInfo exception)
        {
            Count++;
            return ExceptionDisposition.Resume;
        }
    }
}
