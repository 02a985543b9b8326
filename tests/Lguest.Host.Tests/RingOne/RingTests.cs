using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>The ring of queued hypercalls.</summary>
public sealed class RingTests : IDisposable
{
    private readonly RingOneGuest _guest = new();

    public void Dispose() => _guest.Dispose();

    [Fact]
    public void Queued_calls_are_made_before_a_real_one()
    {
        _guest.Queue(0, KernelAssembly.LoadGdt, Gdt, 32);
        _guest.Queue(1, KernelAssembly.SetClockEvent, 12345);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.FlushAsync);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0xff, _guest.RingStatusOf(0));
        Assert.Equal(0xff, _guest.RingStatusOf(1));
        Assert.Contains(KeyValuePair.Create("LOAD_GDT", 1ul), _guest.Guest.HypercallCounts);
        Assert.Contains(KeyValuePair.Create("SET_CLOCKEVENT", 1ul), _guest.Guest.HypercallCounts);
    }

    [Fact]
    public void The_host_goes_on_where_it_stopped_and_stops_at_the_first_free_slot()
    {
        _guest.Queue(0, KernelAssembly.FlushAsync);
        _guest.Queue(1, KernelAssembly.FlushAsync);
        _guest.Queue(3, KernelAssembly.SetClockEvent, 12345);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.FlushAsync);
            a.Hypercall(KernelAssembly.FlushAsync);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0xff, _guest.RingStatusOf(1));
        Assert.Equal(0, _guest.RingStatusOf(3));
        Assert.Equal(2, _guest.Guest.State.RingSlot);
    }

    [Fact]
    public void The_ring_wraps_and_is_emptied_once_around()
    {
        for (int slot = 0; slot < 64; slot++)
        {
            _guest.Queue(slot, KernelAssembly.FlushAsync);
        }

        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.FlushAsync);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0, _guest.Guest.State.RingSlot);
        Assert.Contains(KeyValuePair.Create("FLUSH_ASYNC", 65ul), _guest.Guest.HypercallCounts);
    }

    [Fact]
    public void Init_itself_leaves_the_ring_alone()
    {
        _guest.Queue(0, KernelAssembly.FlushAsync);
        _guest.Kernel(a => a.InitHypercall());

        _guest.Run(5);

        Assert.Equal(0, _guest.RingStatusOf(0));
    }

    [Fact]
    public void A_result_is_discarded()
    {
        _guest.Queue(0, KernelAssembly.BindDma, 0, DmaArea, 0x101);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.FlushAsync);
            a.Note(eax);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(KernelAssembly.FlushAsync, _guest.Read(Scratch));
        Assert.Single(_guest.Guest.State.Bindings);
    }

    [Fact]
    public void A_queued_call_that_kills_kills()
    {
        _guest.Queue(0, KernelAssembly.LoadGdt, Gdt, 33);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.FlushAsync);
        });

        Assert.StartsWith("hypercall LOAD_GDT: a GDT of 33 entries is too large: 32 is the most (EIP", _guest.RunUntilKilled());
    }

    [Fact]
    public void A_queued_crash_ends_the_guest_before_the_real_call()
    {
        _guest.WriteText(Strings + 64, "first");
        _guest.Queue(0, KernelAssembly.Crash, Strings + 64);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.PowerOff();
        });

        Assert.Equal(new GuestOutcome.Panic("first"), _guest.Run());
    }

    [Fact]
    public void A_page_fault_that_queued_calls_explain_is_not_delivered()
    {
        // The directory in use has nothing at the user address; the one that is queued has.
        const uint Other = 0xf_4000;
        for (uint offset = 0; offset < 4096; offset += 4)
        {
            _guest.Write(Other + offset, _guest.Read(PageDirectory + offset));
        }

        _guest.Write(PageDirectory + 4, 0);
        _guest.Queue(0, KernelAssembly.NewPageTable, Other);
        _guest.Write(UserStackPage, 0x5afe);
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.mov(eax, __dword_ptr[UserCodeLinear + 0x1000]);
            a.Note(eax);
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0x5afeu, _guest.Read(Scratch));
        Assert.Equal(0u, _guest.Read(FaultAddress));
    }

    [Fact]
    public void Device_not_available_is_dropped_when_a_queued_call_has_cleared_ts()
    {
        _guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.TaskSwitched, 1);
            a.mov(__dword_ptr[Linear(RingCalls)], KernelAssembly.TaskSwitched);
            a.mov(__dword_ptr[Linear(RingCalls) + 4], 0);
            a.mov(__byte_ptr[Linear(RingStatus)], 0);
            a.fninit();
            a.PowerOff();
        });

        _guest.RunUntilPowerOff();

        Assert.Equal(0xff, _guest.RingStatusOf(0));
    }

    [Fact]
    public void Queued_calls_are_made_before_an_interrupt()
    {
        uint handler = _guest.Handler(0, a => a.NoteFrameAndPowerOff());
        _guest.Kernel(a =>
        {
            Iced.Intel.Label again = a.CreateLabel();
            a.InitHypercall();
            a.SetGate(32, handler);
            a.Hypercall(KernelAssembly.SetClockEvent, 1000);
            a.mov(__dword_ptr[Linear(RingCalls)], KernelAssembly.LoadIdtEntry);
            a.mov(__dword_ptr[Linear(RingCalls) + 4], 32);
            a.mov(__dword_ptr[Linear(RingCalls) + 8], 0);
            a.mov(__dword_ptr[Linear(RingCalls) + 12], 0);
            a.mov(__byte_ptr[Linear(RingStatus)], 0);
            a.EnableInterrupts();
            a.Label(ref again);
            a.jmp(again);
        });

        // The queued call takes the handler away: the interrupt stays pending, and is never delivered.
        Assert.Equal(new GuestOutcome.InstructionLimit(), _guest.Run());
        Assert.Equal(1u, _guest.Guest.Interrupts.Pending);
        Assert.Equal(0xff, _guest.RingStatusOf(0));
    }
}
