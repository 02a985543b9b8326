using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>How a guest begins and ends.</summary>
public sealed class LifecycleTests : IDisposable
{
    private readonly RingOneGuest _guest = new();

    public void Dispose() => _guest.Dispose();

    [Fact]
    public void A_guest_starts_at_ring_1_with_flat_segments_and_empty_registers()
    {
        ProcessorState state = _guest.Guest.Processor.State;

        Assert.Equal(1, state.Cpl);
        Assert.Equal(KernelCode, state.Cs.Selector);
        Assert.Equal(KernelData, state.Ss.Selector);
        Assert.Equal(KernelData, state.Ds.Selector);
        Assert.Equal(KernelData, state.Es.Selector);
        Assert.Equal(0, state.Fs.Selector);
        Assert.Equal(0, state.Gs.Selector);
        Assert.Equal(0x202u, _guest.Guest.Processor.Eflags);
        Assert.Equal(0u, state.Esi);
        Assert.Equal(Linear(Text), state.Eip);
        Assert.Equal(0x8005_0033u, _guest.Guest.Processor.ReadControlRegister(0));
        Assert.Equal(0x600u, _guest.Guest.Processor.ReadControlRegister(4));
    }

    [Fact]
    public void Init_tells_the_guest_what_it_must_know()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(4u << 20, _guest.Read(Data + 1108));
        Assert.Equal(0x1234, _guest.Read16(Data + 1112));
        Assert.Equal(1_000_000u, _guest.Read(Data + 1116));
        Assert.Equal((uint)VirtualClock.DefaultDate.ToUnixTimeSeconds(), _guest.Read(WallClock));
    }

    [Fact]
    public void A_hypercall_changes_no_register_and_no_flag()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.mov(esi, 11);
            a.mov(edi, 12);
            a.mov(ebp, 13);
            a.stc();
            a.Hypercall(KernelAssembly.FlushAsync, 21, 22, 23);
            a.nop();
        });

        _guest.Run(5 + 4 + 5);

        ProcessorState state = _guest.Guest.Processor.State;
        Assert.Equal(
            [KernelAssembly.FlushAsync, 21, 22, 23, 11, 12, 13],
            new[] { state.Eax, state.Edx, state.Ebx, state.Ecx, state.Esi, state.Edi, state.Ebp });
        Assert.Equal(0x203u, _guest.Guest.Processor.Eflags & 0x203);
    }

    [Fact]
    public void A_second_init_kills()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.InitHypercall();
        });

        Assert.StartsWith("hypercall LGUEST_INIT: the guest has been initialised already (EIP 0xc00010", _guest.RunUntilKilled());
    }

    [Theory]
    [InlineData(KernelAssembly.FlushAsync, "FLUSH_ASYNC")]
    [InlineData(KernelAssembly.Crash, "CRASH")]
    [InlineData(KernelAssembly.LoadGdt, "LOAD_GDT")]
    [InlineData(KernelAssembly.NewPageTable, "NEW_PGTABLE")]
    [InlineData(KernelAssembly.FlushTlb, "FLUSH_TLB")]
    [InlineData(KernelAssembly.LoadIdtEntry, "LOAD_IDT_ENTRY")]
    [InlineData(KernelAssembly.SetStack, "SET_STACK")]
    [InlineData(KernelAssembly.TaskSwitched, "TS")]
    [InlineData(KernelAssembly.SetClockEvent, "SET_CLOCKEVENT")]
    [InlineData(KernelAssembly.Halt, "HALT")]
    [InlineData(KernelAssembly.BindDma, "BIND_DMA")]
    [InlineData(KernelAssembly.SendDma, "SEND_DMA")]
    [InlineData(KernelAssembly.SetPte, "SET_PTE")]
    [InlineData(KernelAssembly.SetPmd, "SET_PMD")]
    [InlineData(KernelAssembly.LoadTls, "LOAD_TLS")]
    [InlineData(99u, "99")]
    public void Any_hypercall_before_init_kills(uint number, string name)
    {
        _guest.Kernel(a => a.Hypercall(number));

        Assert.Equal($"hypercall {name} before LGUEST_INIT (EIP 0xc0001016)", _guest.RunUntilKilled());
    }

    [Theory]
    [InlineData(11u)]
    [InlineData(17u)]
    [InlineData(uint.MaxValue)]
    public void A_hypercall_that_there_is_not_kills(uint number)
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(number);
        });

        Assert.StartsWith($"there is no hypercall {number} (EIP 0x", _guest.RunUntilKilled());
    }

    [Fact]
    public void Any_other_last_words_are_a_panic()
    {
        _guest.WriteText(Strings, "Attempted to kill init!\n\u0007");
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PowerOff();
        });

        Assert.Equal(new GuestOutcome.Panic("Attempted to kill init!.."), _guest.Run());
    }

    [Fact]
    public void Last_words_end_after_128_bytes()
    {
        _guest.WriteText(Strings, new string('x', 200));
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PowerOff();
        });

        Assert.Equal(new GuestOutcome.Panic(new string('x', 128)), _guest.Run());
    }

    [Fact]
    public void Last_words_may_be_the_last_thing_in_memory()
    {
        uint address = MemoryBytes + 0x1000 - 4;
        _guest.WriteText(address, "abc");
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.Crash, address);
        });

        Assert.Equal(new GuestOutcome.Panic("abc"), _guest.Run());
    }

    [Fact]
    public void A_guest_that_is_over_stays_over()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PowerOff();
        });
        _guest.RunUntilPowerOff();
        ulong retired = _guest.Guest.Processor.Retired;

        Assert.Equal(new GuestOutcome.PowerOff(0), _guest.Run());
        Assert.Equal(retired, _guest.Guest.Processor.Retired);
    }

    [Fact]
    public void The_reset_line_is_a_wish_to_be_started_again()
    {
        _guest.Kernel(a =>
        {
            a.@in(al, 0x64);
            a.mov(bl, al);
            a.mov(al, 0xfe);
            a.@out(0x64, al);
            a.hlt();
        });

        Assert.Equal(new GuestOutcome.Restart(), _guest.Run());
        Assert.Equal(0xffu, _guest.Guest.Processor.State.Ebx & 0xff);
    }

    [Fact]
    public void A_run_ends_after_exactly_the_instructions_it_may_use()
    {
        _guest.Kernel(a =>
        {
            Iced.Intel.Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(esi);
            a.jmp(again);
        });

        Assert.Equal(new GuestOutcome.InstructionLimit(), _guest.Run(123_457));
        Assert.Equal(123_457ul, _guest.Guest.Processor.Retired);
        Assert.Equal(61_729u, _guest.Guest.Processor.State.Esi);
        Assert.Equal(new GuestOutcome.InstructionLimit(), _guest.Run(1));
        Assert.Equal(123_458ul, _guest.Guest.Processor.Retired);
    }

    [Fact]
    public void A_run_ends_soon_after_it_is_told_to_stop()
    {
        _guest.Kernel(a =>
        {
            Iced.Intel.Label again = a.CreateLabel();
            a.Label(ref again);
            a.jmp(again);
        });
        using var stop = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));

        Assert.Equal(new GuestOutcome.Stopped(), _guest.Guest.Run(default, stop.Token));
    }

    [Fact]
    public void A_sleeping_guest_can_be_stopped()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.Halt);
        });
        using var stop = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));

        Assert.Equal(new GuestOutcome.Stopped(), _guest.Guest.Run(default, stop.Token));
    }
}
