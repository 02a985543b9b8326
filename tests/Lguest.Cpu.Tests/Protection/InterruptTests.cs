using Iced.Intel;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>External interrupts: when they may come in, and what a run does while one waits (SDM 3A, 6.8).</summary>
public sealed class InterruptTests : IDisposable
{
    private const int Vector = 0x42;

    private readonly ProtectedMachine _machine = new();

    private ref ProcessorState State => ref _machine.State;

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
        { "task", 1 },
    };

    [Fact]
    public void Without_an_interrupt_that_waits_nothing_ends_a_run_over_if()
    {
        StopReason reason = _machine.Run(a =>
        {
            a.sti();
            a.nop();
            a.cli();
            a.push((int)Eflags.If);
            a.popfd();
            a.nop();
            a.hlt();
        });
        Assert.Equal((StopReason.Halted, 7ul), (reason, _machine.Cpu.Retired));
    }

    [Theory]
    [MemberData(nameof(Windows))]
    public void A_run_ends_when_a_waiting_interrupt_can_come_in(string how, ulong retired)
    {
        const uint Target = Machine.CodeBase + 0x100;
        _machine.Machine.WriteUInt32(0x2000, Target);
        _machine.Machine.WriteUInt32(0x2004, Code0);
        _machine.Machine.WriteUInt32(0x2008, Eflags.If);
        _machine.Memory.Write(Target, [0x90, 0x90, 0x90, 0xf4]);
        _machine.Machine.WriteUInt32(OtherTss + 0x20, Target);
        _machine.Machine.WriteUInt32(OtherTss + 0x24, Eflags.If);
        uint[] segments = [Data0, Code0, Data0, Data0, Data0, Data0];
        for (uint i = 0; i < segments.Length; i++)
        {
            _machine.Machine.WriteUInt32(OtherTss + 0x48 + (4 * i), segments[i]);
        }

        // The processor has been where the return leads to.
        State.Eip = Target;
        _machine.Cpu.Run(10);
        State.Halted = 0;
        ulong before = _machine.Cpu.Retired;
        _machine.Cpu.InterruptLine = true;
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
            else if (how == "task")
            {
                a.jmp(OtherTssSelector, 0);
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
        Assert.Equal(retired, _machine.Cpu.Retired - before);
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
    }

    [Theory]
    [InlineData(Vector * 8 + 6, false)]
    [InlineData(Vector * 8 + 7, true)]
    public void A_table_of_interrupts_needs_all_of_a_gate_and_no_more(uint limit, bool enters)
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.Eflags = Eflags.If;
        State.Idtr.Limit = limit;
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        Assert.Equal(enters ? 0 : 1, _machine.Exceptions.Count);
        Assert.Equal(enters ? HandlerOf(Vector) : Machine.CodeBase, State.Eip);
    }

    [Theory]
    [InlineData(TestDescriptor.InterruptGate32, 0u)]
    [InlineData(TestDescriptor.TrapGate32, Eflags.If)]
    public void A_handler_begins_without_tf_nt_and_rf(int type, uint kept)
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(type, Code0, HandlerOf(Vector), 0));
        const uint others = Eflags.Id | Eflags.Ac | Eflags.Df | Eflags.Cf | Eflags.Iopl | Eflags.Fixed;
        _machine.Cpu.Eflags = others | Eflags.If | Eflags.Tf | Eflags.Nt | Eflags.Rf;
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        Assert.Equal(others | kept, _machine.Cpu.Eflags);
        Assert.Equal(others | Eflags.If | Eflags.Tf | Eflags.Nt | Eflags.Rf, _machine.StackDword(2));
    }

    [Fact]
    public void A_run_that_begins_with_an_interrupt_that_could_come_in_goes_on_without_it()
    {
        _machine.Cpu.InterruptLine = true;
        _machine.Cpu.Eflags = Eflags.If;
        StopReason reason = _machine.Step(
            a =>
            {
                // Nor does setting IF again open a window.
                a.pushfd();
                a.popfd();
                a.nop();
            },
            3);
        Assert.True(_machine.Cpu.InterruptLine);
        Assert.Equal((StopReason.InstructionLimit, 3ul), (reason, _machine.Cpu.Retired));
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
    public void An_interrupt_that_ends_in_a_triple_fault_is_reported_by_the_next_run()
    {
        State.Idtr.Limit = 0;
        _machine.Machine.Assemble(a => a.nop());
        _machine.Cpu.Eflags = Eflags.If;
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        Assert.Equal(StopReason.TripleFault, _machine.Cpu.Run(10));
        Assert.Equal(0ul, _machine.Cpu.Retired);
    }

    public void Dispose() => _machine.Dispose();
}
