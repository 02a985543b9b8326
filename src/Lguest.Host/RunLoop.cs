using System.Diagnostics;
using Lguest.Cpu;
using Lguest.Cpu.State;
using Lguest.Host.Bus;
using Lguest.Host.Hypercalls;
using Lguest.Host.Observation;
using Lguest.Host.Traps;

namespace Lguest.Host;

/// <summary>
/// The life of a guest: execute a slice, let devices and clock have their say, deliver an interrupt, and again; sleep
/// when the guest does.
/// </summary>
internal sealed class RunLoop(
    Processor processor,
    HypercallDispatcher hypercalls,
    TrapPolicy traps,
    InterruptController interrupts,
    GuestClock clock,
    DeviceEvents events,
    DeviceBus bus,
    HostSignal signal,
    ObserverList observers,
    GuestEnding ending)
{
    /// <summary>
    /// Instructions between two looks at the world. Slices end at multiples of it, so that where they end is a matter of
    /// the guest's instructions alone, and not of how a run was cut into pieces.
    /// </summary>
    private const ulong Slice = 50_000;

    /// <summary>
    /// The same while an interrupt is pending that the guest doesn't take: it lets it in by a plain store, which nobody
    /// sees.
    /// </summary>
    private const ulong WaitingSlice = 500;

    private const int TimerIrq = 0;

    /// <summary>Nanoseconds of host time spent asleep.</summary>
    public ulong IdleNanoseconds { get; set; }

    /// <summary>See <see cref="Guest.HoldsInterrupts"/>.</summary>
    public bool HoldsInterrupts { get; set; }

    private TimeSpan? _processorTimeAtStart;
    private ulong _countedAtStart;

    /// <summary>See <see cref="Guest.Age"/>.</summary>
    public ulong Age => clock.IsVirtual ? clock.Now : Math.Min(Counted, ProcessorTime) + IdleNanoseconds;

    /// <summary>The age; or, as long as no observer is due by it, what the age can't be above, which costs no system call.</summary>
    private ulong AgeForObservers => clock.IsVirtual || Counted + IdleNanoseconds >= observers.NextAge ? Age : Counted + IdleNanoseconds;

    private ulong Counted => processor.Retired * VirtualClock.NanosecondsPerInstruction;

    /// <summary>What this process has had of the host's processors since the run began, added to the guest's age then.</summary>
    private ulong ProcessorTime => _processorTimeAtStart is { } start
        ? _countedAtStart + (ulong)(Environment.CpuUsage.TotalTime - start).TotalNanoseconds
        : Counted;

    /// <summary>
    /// Where the slice in progress ends, in instructions since the start. Only while a limit or an observer has cut a slice
    /// short is this above the count of retired ones: the next run finishes the slice before it looks at anything, so that
    /// the cut leaves no trace.
    /// </summary>
    public ulong SliceEnd { get; set; }

    /// <summary>Runs until there is an outcome.</summary>
    public GuestOutcome Run(RunLimits limits, CancellationToken stop)
    {
        using CancellationTokenRegistration registration = stop.Register(signal.Set);
        if (_processorTimeAtStart is null)
        {
            _processorTimeAtStart = Environment.CpuUsage.TotalTime;
            _countedAtStart = Counted;
        }

        ulong end = limits.Instructions is { } most ? processor.Retired + most : ulong.MaxValue;
        while (true)
        {
            try
            {
                if (Turn(end, stop) is { } outcome)
                {
                    return outcome;
                }
            }
            catch (GuestFaultException fault)
            {
                ending.End(fault, processor.State.Eip);
            }
        }
    }

    private GuestOutcome? Turn(ulong end, CancellationToken stop)
    {
        if (ending.Outcome is { } outcome)
        {
            return outcome;
        }

        if (stop.IsCancellationRequested)
        {
            return new GuestOutcome.Stopped();
        }

        bool isSliceEnd = processor.Retired >= SliceEnd;
        if (observers.IsDue(processor.Retired, AgeForObservers, isSliceEnd) && observers.Look(processor.Retired, Age, isSliceEnd))
        {
            return new GuestOutcome.Stopped();
        }

        if (processor.Retired >= end)
        {
            return new GuestOutcome.InstructionLimit();
        }

        if (isSliceEnd)
        {
            LookAround();
        }

        if (ending.IsOver)
        {
            return ending.Outcome;
        }

        if (interrupts.IsHalted)
        {
            SliceEnd = 0;
            Sleep();
        }
        else
        {
            Execute(end);
        }

        return null;
    }

    private void LookAround()
    {
        bus.ServiceDue();
        bus.Service();
        if (clock.TakeExpired())
        {
            interrupts.Raise(TimerIrq);
        }

        if (!HoldsInterrupts || interrupts.IsHalted)
        {
            DeliverInterrupt();
        }

        traps.ExpectInterrupt(interrupts.IsWaiting(traps));
        SliceEnd = NextSliceEnd();
    }

    /// <summary>Queued calls come before an interrupt, and may change whether there is one.</summary>
    private void DeliverInterrupt()
    {
        if (interrupts.CanDeliver(traps))
        {
            hypercalls.DrainRing();
            if (!ending.IsOver)
            {
                interrupts.TryDeliver(traps);
            }
        }
    }

    private ulong NextSliceEnd()
    {
        ulong retired = processor.Retired;
        ulong grid = interrupts.IsWaiting(traps) ? WaitingSlice : Slice;
        ulong length = grid - (retired % grid);
        if (NextMoment() is { } moment)
        {
            length = Math.Min(length, clock.InstructionsUntil(moment));
        }

        return retired + length;
    }

    private void Execute(ulong end)
    {
        ulong most = Math.Min(SliceEnd, end) - processor.Retired;
        StopReason reason = processor.Run(Math.Min(most, observers.InstructionsUntilDue(processor.Retired, AgeForObservers)));
        if (reason is not (StopReason.InstructionLimit or StopReason.Debug))
        {
            SliceEnd = 0;
        }

        switch (reason)
        {
            case StopReason.PageTableViolation:
                throw new GuestFaultException(
                    processor.PageTableViolation is { } violation ? PageTables.Describe(violation) : "bad page tables");
            case StopReason.TripleFault:
                throw new GuestFaultException(TrapPolicy.DescribeTripleFault(processor)) { IsDeath = true };
            case StopReason.Halted when !traps.AcceptsInterrupts:
                throw new GuestFaultException("HLT with interrupts off, which nothing can end") { IsDeath = true };
            case StopReason.Debug:
                observers.Request();
                break;
            case StopReason.Halted:
                interrupts.IsHalted = true;
                break;
            default:
                break;
        }
    }

    private void Sleep()
    {
        ulong? moment = NextMoment();
        ulong? wait = moment is { } due ? due - Math.Min(due, clock.Now) : null;
        if (observers.NextAge is { } age)
        {
            wait = Math.Min(wait ?? ulong.MaxValue, age - Math.Min(age, Age));
        }

        if (bus.SkipsIdleTime && wait is { } skipped)
        {
            clock.SkipTo(clock.Now + skipped);
            return;
        }

        if (wait == 0)
        {
            return;
        }

        long start = Stopwatch.GetTimestamp();
        signal.Wait(wait);
        ulong slept = (ulong)Stopwatch.GetElapsedTime(start).Ticks * TimeSpan.NanosecondsPerTick;
        IdleNanoseconds += slept;
        if (clock.IsVirtual && !bus.SkipsIdleTime)
        {
            // Time that is made of instructions goes on without them, at the host's pace.
            clock.SkipTo(Math.Min(clock.Now + slept, moment ?? ulong.MaxValue));
        }
    }

    /// <summary>When the next thing happens that is known now.</summary>
    private ulong? NextMoment()
    {
        ulong? timer = clock.Deadline;
        ulong? device = events.NextDue;
        return timer is null || device < timer ? device : timer;
    }
}
