using Iced.Intel;
using Lguest.Host.Bus;
using Lguest.Host.Dma;
using Lguest.Host.Observation;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.RingOne.RingOneGuest;

namespace Lguest.Host.Tests.RingOne;

/// <summary>Whoever looks at a guest while it runs sees it when it asked to, and the guest never knows.</summary>
public sealed class ObserverTests
{
    private const ulong Slice = 50_000;
    private const ulong Millisecond = 1_000_000;
    private const uint TimerVector = 32;

    [Fact]
    public void The_first_look_is_at_the_start_and_later_ones_are_after_exactly_as_many_instructions_as_asked_for()
    {
        using RingOneGuest guest = Spinning(ClockKind.Real);
        var seen = new List<ulong>();
        guest.Guest.Observe(new Observer(looked =>
        {
            seen.Add(looked.Processor.Retired);
            return NextLook.AfterInstructions((ulong)seen.Count * 1009);
        }));

        guest.Run(10_000);

        Assert.Equal([0, 1009, 3027, 6054], seen.Select(count => (int)count));
    }

    [Fact]
    public void No_instructions_means_one()
    {
        using RingOneGuest guest = Spinning(ClockKind.Virtual);
        var seen = new List<ulong>();
        guest.Guest.Observe(new Observer(looked =>
        {
            seen.Add(looked.Processor.Retired);
            return NextLook.AfterInstructions(0);
        }));

        guest.Run(3);

        Assert.Equal([0, 1, 2, 3], seen.Select(count => (int)count));
    }

    [Fact]
    public void An_age_of_virtual_time_comes_after_its_instructions()
    {
        using RingOneGuest guest = Spinning(ClockKind.Virtual);

        List<(ulong Retired, ulong Age)> seen = LooksOfAMillionInstructions(guest);

        Assert.Equal([(0, 0), (80_001, 400_005)], seen);
        Assert.Equal(5_000_000ul, guest.Guest.Age);
    }

    [Fact]
    public void An_age_of_real_time_is_no_more_than_its_instructions_are_worth()
    {
        using RingOneGuest guest = Spinning(ClockKind.Real);

        List<(ulong Retired, ulong Age)> seen = LooksOfAMillionInstructions(guest);

        // A host that takes less than 5 ns an instruction makes it less.
        Assert.Equal((0ul, 0ul), seen[0]);
        Assert.All(seen[1..], look => Assert.InRange(look.Age, 400_003ul, look.Retired * 5));
        Assert.InRange(guest.Guest.Age, seen[^1].Age, 5_000_000ul);
    }

    [Fact]
    public void An_age_that_is_past_means_the_end_of_each_slice()
    {
        using RingOneGuest guest = Spinning(ClockKind.Virtual);
        var seen = new List<ulong>();
        guest.Guest.Observe(new Observer(looked =>
        {
            seen.Add(looked.Processor.Retired);
            return NextLook.AtAge(0);
        }));

        guest.Run(3 * Slice);

        Assert.Equal([0, Slice, 2 * Slice, 3 * Slice], seen);
    }

    [Theory]
    [InlineData(ClockKind.Real)]
    [InlineData(ClockKind.Virtual)]
    public void A_guest_that_sleeps_for_ever_is_looked_at_and_grows_older(ClockKind clock)
    {
        using RingOneGuest guest = Sleeping(clock);
        guest.Guest.Observe(new Observer(looked => looked.Age < 20 * Millisecond ? NextLook.AtAge(20 * Millisecond) : NextLook.EndOfRun));

        Assert.IsType<GuestOutcome.Stopped>(guest.Run());
        Assert.True(guest.Guest.Age >= 20 * Millisecond, $"{guest.Guest.Age} ns");
    }

    [Fact]
    public void A_run_that_an_observer_has_ended_can_be_continued()
    {
        using RingOneGuest guest = Spinning(ClockKind.Virtual);
        guest.Guest.Observe(new Observer(looked => looked.Processor.Retired == 0 ? NextLook.AfterInstructions(777) : NextLook.EndOfRun));

        Assert.IsType<GuestOutcome.Stopped>(guest.Run(1000));
        Assert.Equal(777ul, guest.Guest.Processor.Retired);
        Assert.IsType<GuestOutcome.InstructionLimit>(guest.Run(1000));
        Assert.Equal(1777ul, guest.Guest.Processor.Retired);
    }

    [Fact]
    public void A_look_that_another_thread_asks_for_is_on_the_processors_thread_and_wakes_a_guest_that_sleeps()
    {
        using RingOneGuest guest = Sleeping(ClockKind.Real);
        using var started = new ManualResetEventSlim();
        int looks = 0;
        int thread = 0;
        guest.Guest.Observe(new Observer(_ =>
        {
            looks++;
            thread = Environment.CurrentManagedThreadId;
            started.Set();
            return looks == 2 ? NextLook.EndOfRun : NextLook.Never;
        }));
        var asking = new Thread(() =>
        {
            started.Wait(TestContext.Current.CancellationToken);
            guest.Guest.RequestLook();
        });
        asking.Start();

        Assert.IsType<GuestOutcome.Stopped>(guest.Run());
        asking.Join();
        Assert.Equal((2, Environment.CurrentManagedThreadId), (looks, thread));
    }

    [Fact]
    public void All_observers_look_and_one_may_bring_another()
    {
        using RingOneGuest guest = Spinning(ClockKind.Virtual);
        var seen = new List<string>();
        guest.Guest.Observe(new Observer(looked =>
        {
            seen.Add($"first {looked.Processor.Retired}");
            if (seen.Count == 1)
            {
                looked.Observe(new Observer(again =>
                {
                    seen.Add($"second {again.Processor.Retired}");
                    return NextLook.AfterInstructions(60);
                }));
            }

            return new NextLook { Instructions = 100, Age = 250 };
        }));

        guest.Run(160);

        Assert.Equal(["first 0", "second 0", "first 50", "second 60", "second 120", "first 150"], [.. seen]);
    }

    [Fact]
    public void Looks_leave_no_trace_in_virtual_time()
    {
        using RingOneGuest alone = Ticking();
        using RingOneGuest watched = Ticking();
        var random = new Random(1);
        int looks = 0;
        for (int i = 0; i < 3; i++)
        {
            watched.Guest.Observe(new Observer(looked =>
            {
                looks++;
                return new NextLook { Instructions = (ulong)random.Next(100_000), Age = looked.Age + (ulong)random.Next(3_000_000) };
            }));
        }

        alone.Run(3_000_000);
        watched.Run(3_000_000);

        Assert.True(looks > 100, $"Only {looks} looks.");
        Assert.Equal(alone.Read(Scratch), watched.Read(Scratch));
        Assert.Equal(alone.Read(Scratch + 4), watched.Read(Scratch + 4));
        Assert.Equal(alone.Guest.Processor.State.Eip, watched.Guest.Processor.State.Eip);
        Assert.Equal(alone.Guest.Processor.State.Esi, watched.Guest.Processor.State.Esi);
        Assert.Equal(alone.Guest.Clock.Now, watched.Guest.Clock.Now);
        Assert.NotEqual(0u, alone.Read(Scratch));
    }

    [Fact]
    public void A_back_end_that_asks_for_attention_when_the_guest_is_gone_does_no_harm()
    {
        var device = new Device();
        using (new RingOneGuest(ClockKind.Real, device))
        {
        }

        device.Slot!.Attention();
    }

    /// <summary>Runs a million instructions, and looks at the first and at 400,003 ns.</summary>
    private static List<(ulong Retired, ulong Age)> LooksOfAMillionInstructions(RingOneGuest guest)
    {
        var seen = new List<(ulong Retired, ulong Age)>();
        guest.Guest.Observe(new Observer(looked =>
        {
            seen.Add((looked.Processor.Retired, looked.Age));

            // A busy host doesn't make a guest older.
            Thread.Sleep(20);
            return seen.Count > 1 ? NextLook.Never : NextLook.AtAge(400_003);
        }));

        guest.Run(1_000_000);
        return seen;
    }

    private static RingOneGuest Spinning(ClockKind clock)
    {
        var guest = new RingOneGuest(clock);
        guest.Kernel(Spin);
        return guest;
    }

    private static RingOneGuest Sleeping(ClockKind clock)
    {
        var guest = new RingOneGuest(clock);
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.Hypercall(KernelAssembly.Halt);
            a.PowerOff();
        });
        return guest;
    }

    // Counts, sleeps until the timer's interrupt, and counts on.
    private static RingOneGuest Ticking()
    {
        var guest = new RingOneGuest();
        uint handler = guest.Handler(0, a =>
        {
            a.pushad();
            a.inc(__dword_ptr[Linear(Scratch)]);
            a.add(__dword_ptr[Linear(Scratch) + 4], esi);
            a.Hypercall(KernelAssembly.SetClockEvent, 1_333_333);
            a.popad();
            a.EnableInterrupts();
            a.iretd();
        });
        guest.Kernel(a =>
        {
            a.InitHypercall();
            a.SetGate(TimerVector, handler);
            a.Hypercall(KernelAssembly.SetClockEvent, 77_777);
            a.EnableInterrupts();
            Label again = a.CreateLabel();
            Label loop = a.CreateLabel();
            a.Label(ref again);
            a.mov(edi, 50_000);
            a.Label(ref loop);
            a.inc(esi);
            a.dec(edi);
            a.jne(loop);
            a.Hypercall(KernelAssembly.Halt);
            a.jmp(again);
        });
        return guest;
    }

    private static void Spin(Assembler a)
    {
        Label here = a.CreateLabel();
        a.Label(ref here);
        a.inc(esi);
        a.jmp(here);
    }

    private sealed class Observer(Func<Guest, NextLook> look) : IGuestObserver
    {
        public NextLook Look(Guest guest) => look(guest);
    }

    private sealed class Device : ILguestDevice
    {
        public DeviceSlot? Slot { get; private set; }

        public DeviceIdentity Identity => new(DeviceType.Network, 0, 1);

        public string Kind => "a network";

        public void Attach(DeviceSlot slot) => Slot = slot;

        public uint Send(uint key, DmaList message) => 0;

        public void Service()
        {
        }

        public void OnDue()
        {
        }

        public void Dispose()
        {
        }
    }
}
