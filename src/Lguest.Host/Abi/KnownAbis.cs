using System.Globalization;
using Lguest.Cpu;
using Lguest.Host.Hypercalls;
using Lguest.Host.Traps;

namespace Lguest.Host.Abi;

/// <summary>The ABIs there are.</summary>
public static class KnownAbis
{
    /// <summary>What kernels say at a normal power-off.</summary>
    private const string PowerDown = "Power down";

    /// <summary>What they say when they are to stay on, doing nothing: for a guest that is the same.</summary>
    private const string SystemHalted = "System halted";

    private const string RestartingSystem = "Restarting system";
    private const int HighestStatus = 255;
    private const uint FourMebibytes = 4 << 20;
    private const int HypercallVector = 0x1f;

    /// <summary>Calls that every kernel of either kind makes.</summary>
    private static readonly HypercallDefinition[] CommonCalls =
    [
        new(0, "FLUSH_ASYNC", LifecycleCalls.FlushAsync),
        new(1, "LGUEST_INIT", LifecycleCalls.Init),
        new(2, "CRASH", LifecycleCalls.Crash),
        new(9, "SET_CLOCKEVENT", TimeCalls.SetClockEvent),
        new(12, "BIND_DMA", DmaCalls.Bind),
        new(13, "SEND_DMA", DmaCalls.Send),
    ];

    /// <summary>All of them. Their names are different.</summary>
    public static IReadOnlyList<GuestAbi> All => [Linux2623, RingZero];

    /// <summary>Linux 2.6.23 with CONFIG_LGUEST_GUEST: the kernel at CPL 1, all it may not do by hypercalls.</summary>
    public static GuestAbi Linux2623 { get; } = new()
    {
        Name = "Linux 2.6.23",
        HypercallVector = HypercallVector,
        Registers = HypercallRegisters.Linux2623,
        Hypercalls =
        [
            .. CommonCalls,
            new(10, "HALT", TimeCalls.Halt),
            new(3, "LOAD_GDT", SegmentCalls.LoadGdt),
            new(4, "NEW_PGTABLE", PageTableCalls.NewPageTable),
            new(5, "FLUSH_TLB", PageTableCalls.FlushTlb),
            new(6, "LOAD_IDT_ENTRY", TrapCalls.LoadIdtEntry),
            new(7, "SET_STACK", TrapCalls.SetStack),
            new(8, "TS", TrapCalls.SetTaskSwitched),
            new(14, "SET_PTE", PageTableCalls.SetPte),
            new(15, "SET_PMD", PageTableCalls.SetPmd),
            new(16, "LOAD_TLS", SegmentCalls.LoadTls),
        ],
        FirstHypercall = 1,
        Data = LguestDataLayout.Linux2623,
        ReservedMemory = FourMebibytes,
        ReadCrash = text => text == PowerDown ? new GuestOutcome.PowerOff(0) : new GuestOutcome.Panic(text),
        MakeTraps = context => new TrapDispatcher(context),
        Cpuid = CpuidModel.Default,
        Boot = BootMethod.LguestSignature,
        Bus = DeviceBusKind.Lguest,
    };

    /// <summary>
    /// A kernel at CPL 0 with page tables, descriptors and an IDT of its own, which uses hypercalls for what a machine would
    /// have devices for. irq_enabled and the range without interrupts in lguest_data mean nothing to it.
    /// </summary>
    public static GuestAbi RingZero { get; } = Linux2623 with
    {
        Name = "ring 0",
        Data = LguestDataLayout.RingZero,
        Hypercalls = [.. CommonCalls, new(10, "HALT", RingZeroCalls.Halt)],
        ReservedMemory = 0,
        ReadCrash = ReadRingZeroCrash,
        MakeTraps = context => new RingZeroTraps(context),
        Cpuid = CpuidModel.RingZero,
        Boot = BootMethod.Boot32,
    };

    private static GuestOutcome ReadRingZeroCrash(string text)
    {
        if (text == RestartingSystem)
        {
            return new GuestOutcome.Restart();
        }

        return (StatusAfter(PowerDown, text) ?? StatusAfter(SystemHalted, text)) is { } status
            ? new GuestOutcome.PowerOff(status)
            : new GuestOutcome.Panic(text);
    }

    /// <summary>The exit status in a text that consists of words and perhaps a status; null for any other text.</summary>
    private static int? StatusAfter(string words, string text)
    {
        if (text == words)
        {
            return 0;
        }

        return text.StartsWith(words + " ", StringComparison.Ordinal)
            && int.TryParse(text.AsSpan(words.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int status)
            && status <= HighestStatus
            ? status
            : null;
    }
}
