using Iced.Intel;
using Lguest.Cpu;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>Interrupts, the timer, and sleep.</summary>
public sealed class InterruptTests : IDisposable
{
    private const uint TimerVector = 32;

    private readonly RingOneGuest _guest = new();

    public void Dispose() => _guest.Dispose();

    private static void SpinForever(Assembler a)
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        a.inc(esi);
        a.jmp(again);
    }

    [Fact]
    public void The_timer_interrupts_a_busy_kernel()
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.EnableInterrupts();
            a.Hypercall(KernelAssembly.SetClockEvent, 1_000_000);
            SpinForever(a);
        });

        _guest.RunUntilPowerOff();

        uint frame = _guest.Read(Scratch) - PageOffset;
        Assert.InRange(_guest.Read(frame), Linear(Text), Linear(Text) + 0x200);
        Assert.Equal(Eflags.If, _guest.Read(frame + 8) & Eflags.If);
        Assert.Equal(0u, _guest.Read(IrqEnabled));
        Assert.Equal(1ul, _guest.Guest.Interrupts.Delivered[0]);
    }

    [Fact]
    public void In_virtual_time_the_timer_comes_after_exactly_as_many_instructions_as_it_was_set_for()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.Note(esi, 1);
            a.NoteFrameAndPowerOff();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.EnableInterrupts();
            a.xor(esi, esi);
            a.Hypercall(KernelAssembly.SetClockEvent, 100_001 * 5);
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(esi);
            a.jmp(again);
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(50_001u, _guest.Read(Scratch + 4));
    }

    [Fact]
    public void The_timer_goes_off_once()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.inc(__dword_ptr[Linear(Scratch)]);
            a.EnableInterrupts();
            a.iretd();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.EnableInterrupts();
            a.Hypercall(KernelAssembly.SetClockEvent, 1000);
            SpinForever(a);
        });

        _guest.Run();

        Assert.Equal(1u, _guest.Read(Scratch));
    }

    [Fact]
    public void A_timer_that_is_cancelled_does_not_go_off_but_one_that_went_off_stays_pending()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.SetClockEvent, 100_000);
            a.Hypercall(KernelAssembly.SetClockEvent, 0);
            SpinForever(a);
        });

        _guest.Run();
        Assert.Equal(0u, _guest.Guest.Interrupts.Pending);

        _guest.Guest.Interrupts.Raise(0);
        _guest.Guest.Clock.SetTimer(0);
        Assert.Equal(1u, _guest.Guest.Interrupts.Pending);
    }

    [Theory]
    [InlineData(0x246u, true)]
    [InlineData(0x200u, true)]
    [InlineData(0x46u, false)]
    [InlineData(0u, false)]
    [InlineData(0xffff_fdffu, false)]
    public void Only_bit_9_of_irq_enabled_lets_an_interrupt_in(uint enabled, bool delivered)
    {
        uint handler = _guest.Handler(0, a => a.PowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.mov(__dword_ptr[Linear(IrqEnabled)], enabled);
            a.Hypercall(KernelAssembly.SetClockEvent, 1000);
            SpinForever(a);
        });

        Assert.Equal(delivered ? new GuestOutcome.PowerOff(0) : new GuestOutcome.InstructionLimit(), _guest.Run());
    }

    [Fact]
    public void An_interrupt_that_is_let_in_by_a_plain_store_comes_soon()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.Note(esi, 1);
            a.PowerOff();
        });
        _guest.Kernel(a =>
        {
            Label wait = a.CreateLabel();
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.Hypercall(KernelAssembly.SetClockEvent, 1000);
            a.mov(ecx, 100_000);
            a.Label(ref wait);
            a.dec(ecx);
            a.jne(wait);
            a.xor(esi, esi);
            a.EnableInterrupts();
            SpinForever(a);
        });

        _guest.RunUntilPowerOff();

        Assert.InRange(_guest.Read(Scratch + 4), 0u, 600u);
    }

    [Fact]
    public void A_masked_interrupt_stays_pending_and_another_one_passes_it()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.Note(esi, 1);
            a.PowerOff();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.SetGate(TimerVector + 5, handler);
            a.mov(__dword_ptr[Linear(BlockedInterrupts)], 1);
            a.EnableInterrupts();
            SpinForever(a);
        });
        _guest.Guest.Interrupts.Raise(0);
        _guest.Guest.Interrupts.Raise(5);

        _guest.RunUntilPowerOff();

        Assert.Equal(1u, _guest.Guest.Interrupts.Pending);
        Assert.Equal(1ul, _guest.Guest.Interrupts.Delivered[5]);
    }

    [Fact]
    public void The_lowest_interrupt_comes_first()
    {
        uint first = _guest.Handler(0, a =>
        {
            a.mov(__dword_ptr[Linear(Scratch)], 1);
            a.EnableInterrupts();
            a.iretd();
        });
        uint second = _guest.Handler(1, a =>
        {
            a.mov(eax, __dword_ptr[Linear(Scratch)]);
            a.Note(eax, 1);
            a.PowerOff();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector + 3, first);
            a.SetGate(TimerVector + 9, second);
            a.EnableInterrupts();
            SpinForever(a);
        });
        _guest.Guest.Interrupts.Raise(9);
        _guest.Guest.Interrupts.Raise(3);

        _guest.RunUntilPowerOff();

        Assert.Equal(1u, _guest.Read(Scratch + 4));
    }

    [Fact]
    public void An_interrupt_without_a_gate_stays_pending_and_does_not_wake_a_sleeper()
    {
        uint handler = _guest.Handler(0, a => a.PowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.Hypercall(KernelAssembly.SetClockEvent, 50_000_000);
            a.Hypercall(KernelAssembly.Halt);
            a.ud2();
        });
        _guest.Guest.Interrupts.Raise(7);

        _guest.RunUntilPowerOff();

        Assert.Equal(1u << 7, _guest.Guest.Interrupts.Pending);
        Assert.True(_guest.Guest.Clock.Now >= 50_000_000);
    }

    [Fact]
    public void No_interrupt_comes_in_the_range_where_the_guest_forbids_it()
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.EnableInterrupts();
            a.Hypercall(KernelAssembly.SetClockEvent, 1000);
            a.mov(ecx, 30_000);
            a.jmp(Linear(Text + 0x400));
        });
        _guest.Assemble(Text + 0x400, a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.dec(ecx);
            a.jne(again);
            a.jmp(Linear(Text + 0x500));
        });
        _guest.Assemble(Text + 0x500, SpinForever);
        _guest.Write(NoInterruptStart, Linear(Text + 0x400));
        _guest.Write(NoInterruptStart + 4, Linear(Text + 0x480));

        _guest.RunUntilPowerOff();

        uint eip = _guest.Read(_guest.Read(Scratch) - PageOffset);
        Assert.InRange(eip, Linear(Text + 0x500), Linear(Text + 0x510));
    }

    [Fact]
    public void Traps_are_delivered_in_that_range()
    {
        uint handler = _guest.Handler(0, a => a.PowerOff());
        _guest.Write(NoInterruptStart, 0);
        _guest.Write(NoInterruptStart + 4, uint.MaxValue);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(6, handler);
            a.ud2();
        });

        _guest.RunUntilPowerOff();
    }

    [Fact]
    public void A_sleeper_wakes_with_interrupts_on_and_its_handler_starts_with_them_off()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.mov(eax, __dword_ptr[Linear(IrqEnabled)]);
            a.Note(eax, 1);
            a.NoteFrameAndPowerOff();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.DisableInterrupts();
            a.Hypercall(KernelAssembly.SetClockEvent, 10_000_000);
            a.Hypercall(KernelAssembly.Halt);
            a.ud2();
        });

        _guest.RunUntilPowerOff();

        uint frame = _guest.Read(Scratch) - PageOffset;
        Assert.Equal(Eflags.If, _guest.Read(frame + 8) & Eflags.If);
        Assert.Equal(0u, _guest.Read(Scratch + 4));
        Assert.False(_guest.Guest.Interrupts.IsHalted);
    }

    [Fact]
    public void A_sleep_with_an_interrupt_pending_goes_straight_into_the_handler()
    {
        uint handler = _guest.Handler(0, a => a.PowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector + 4, handler);
            a.Hypercall(KernelAssembly.Halt);
            a.ud2();
        });
        _guest.Guest.Interrupts.Raise(4);

        _guest.RunUntilPowerOff();
    }

    [Fact]
    public void A_masked_interrupt_does_not_wake_a_sleeper()
    {
        uint blocked = _guest.Handler(0, a => a.ud2());
        uint handler = _guest.Handler(1, a => a.PowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.SetGate(TimerVector + 4, blocked);
            a.mov(__dword_ptr[Linear(BlockedInterrupts)], 1 << 4);
            a.Hypercall(KernelAssembly.SetClockEvent, 1_000_000);
            a.Hypercall(KernelAssembly.Halt);
            a.ud2();
        });
        _guest.Guest.Interrupts.Raise(4);

        _guest.RunUntilPowerOff();

        Assert.Equal(1u << 4, _guest.Guest.Interrupts.Pending);
    }

    [Fact]
    public void An_interrupt_during_a_user_program_comes_on_the_kernels_stack()
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.User(SpinForever);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PrepareUser();
            a.SetGate(TimerVector, handler);
            a.EnableInterrupts();
            a.Hypercall(KernelAssembly.SetClockEvent, 100_000);
            a.EnterUser();
        });

        _guest.RunUntilPowerOff();

        uint frame = _guest.Read(Scratch) - PageOffset;
        Assert.Equal(KernelStackTop - 20, frame);
        Assert.Equal(UserCodeSelector, _guest.Read16(frame + 4));
        Assert.Equal(UserDataSelector, _guest.Read16(frame + 16));
    }

    [Fact]
    public void An_interrupt_refreshes_the_date()
    {
        uint handler = _guest.Handler(0, a => a.PowerOff());
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.Hypercall(KernelAssembly.SetClockEvent, 2_500_000_000);
            a.Hypercall(KernelAssembly.Halt);
        });

        _guest.RunUntilPowerOff();

        Assert.Equal((uint)VirtualClock.DefaultDate.ToUnixTimeSeconds() + 2, _guest.Read(WallClock));
        Assert.InRange(_guest.Read(WallClock + 4), 500_000_000u, 500_010_000u);
    }

    [Fact]
    public void Rdtsc_counts_the_nanoseconds_of_the_timers_clock()
    {
        uint handler = _guest.Handler(0, a =>
        {
            a.rdtsc();
            a.Note(eax, 1);
            a.PowerOff();
        });
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.rdtsc();
            a.Note(eax, 0);
            a.Hypercall(KernelAssembly.SetClockEvent, 50_000_000);
            a.Hypercall(KernelAssembly.Halt);
        });

        _guest.RunUntilPowerOff();

        Assert.InRange(_guest.Read(Scratch + 4) - _guest.Read(Scratch), 50_000_000u, 50_000_200u);
    }

    [Fact]
    public void In_real_time_a_sleep_takes_as_long_as_the_guest_asked_for()
    {
        using var guest = new RingOneGuest(ClockKind.Real);
        uint handler = guest.Handler(0, a => a.PowerOff());
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.Hypercall(KernelAssembly.SetClockEvent, 30_000_000);
            a.Hypercall(KernelAssembly.Halt);
        });
        var watch = System.Diagnostics.Stopwatch.StartNew();

        guest.RunUntilPowerOff();

        Assert.InRange(watch.Elapsed.TotalMilliseconds, 30, 1000);
        Assert.InRange(guest.Guest.IdleNanoseconds, 20_000_000ul, 1_000_000_000ul);
    }

    [Fact]
    public void A_run_in_pieces_is_the_same_run()
    {
        static RingOneGuest Make()
        {
            var guest = new RingOneGuest();
            uint handler = guest.Handler(0, a =>
            {
                a.push(eax);
                a.push(edx);
                a.push(ebx);
                a.push(ecx);
                a.inc(__dword_ptr[Linear(Scratch)]);
                a.add(__dword_ptr[Linear(Scratch) + 4], esi);
                a.Hypercall(KernelAssembly.SetClockEvent, 333_333);
                a.pop(ecx);
                a.pop(ebx);
                a.pop(edx);
                a.pop(eax);
                a.EnableInterrupts();
                a.iretd();
            });
            guest.Kernel(a =>
            {
                a.InitHypercall();
                a.SetGate(TimerVector, handler);
                a.Hypercall(KernelAssembly.SetClockEvent, 77_777);
                a.EnableInterrupts();
                SpinForever(a);
            });
            return guest;
        }

        using RingOneGuest whole = Make();
        using RingOneGuest pieces = Make();
        whole.Run(1_000_000);
        while (pieces.Guest.Processor.Retired < 1_000_000)
        {
            pieces.Run(Math.Min(7_919, 1_000_000 - pieces.Guest.Processor.Retired));
        }

        Assert.Equal(whole.Read(Scratch), pieces.Read(Scratch));
        Assert.Equal(whole.Read(Scratch + 4), pieces.Read(Scratch + 4));
        Assert.Equal(whole.Guest.Processor.State.Eip, pieces.Guest.Processor.State.Eip);
        Assert.Equal(whole.Guest.Processor.State.Esi, pieces.Guest.Processor.State.Esi);
        Assert.Equal(whole.Guest.Clock.Now, pieces.Guest.Clock.Now);
    }
}
