using System.Globalization;
using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Host.Hypercalls;
using Lguest.Host.Traps;
using Lguest.Host.Virtio;

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
    private const int LastVector = 255;

    /// <summary>Calls that every kernel of any kind makes.</summary>
    private static readonly HypercallDefinition[] CommonCalls =
    [
        new(0, "FLUSH_ASYNC", LifecycleCalls.FlushAsync),
        new(1, "LGUEST_INIT", LifecycleCalls.Init),
        new(9, "SET_CLOCKEVENT", TimeCalls.SetClockEvent),
    ];

    /// <summary>Calls of kernels on the lguest bus of 2.6.23.</summary>
    private static readonly HypercallDefinition[] DmaBusCalls =
    [
        .. CommonCalls,
        new(2, "CRASH", LifecycleCalls.Crash),
        new(12, "BIND_DMA", DmaCalls.Bind),
        new(13, "SEND_DMA", DmaCalls.Send),
    ];

    /// <summary>Calls of all kernels at CPL 1.</summary>
    private static readonly HypercallDefinition[] RingOneCalls =
    [
        new(10, "HALT", TimeCalls.Halt),
        new(4, "NEW_PGTABLE", PageTableCalls.NewPageTable),
        new(5, "FLUSH_TLB", PageTableCalls.FlushTlb),
        new(6, "LOAD_IDT_ENTRY", TrapCalls.LoadIdtEntry),
        new(7, "SET_STACK", TrapCalls.SetStack),
        new(8, "TS", TrapCalls.SetTaskSwitched),
        new(14, "SET_PTE", PageTableCalls.SetPte),
        new(15, "SET_PMD", PageTableCalls.SetPmd),
        new(16, "LOAD_TLS", SegmentCalls.LoadTls),
    ];

    /// <summary>Calls of kernels with virtio devices that say how they end by text alone.</summary>
    private static readonly HypercallDefinition[] FirstVirtioCalls =
    [
        .. CommonCalls,
        .. RingOneCalls,
        new(17, "NOTIFY", NotifyCalls.Notify),
    ];

    /// <summary>Calls of later ones.</summary>
    private static readonly HypercallDefinition[] VirtioBusCalls =
    [
        .. FirstVirtioCalls,
        new(2, "SHUTDOWN", LifecycleCalls.Shutdown),
    ];

    /// <summary>All of them, oldest first. Their names are different.</summary>
    public static IReadOnlyList<GuestAbi> All => [Linux2623, Linux2624, Linux2625, Linux2626, Linux2629, Linux2630, Linux2631, Linux2634, Linux31, Linux40, Linux41, Linux410, RingZero];

    /// <summary>Linux 2.6.23 with CONFIG_LGUEST_GUEST: the kernel at CPL 1, all it may not do by hypercalls.</summary>
    public static GuestAbi Linux2623 { get; } = new()
    {
        Name = "Linux 2.6.23",
        Id = "2.6.23",
        HypercallVector = HypercallVector,
        Registers = HypercallRegisters.Linux2623,
        Hypercalls =
        [
            .. DmaBusCalls,
            .. RingOneCalls,
            new(3, "LOAD_GDT", SegmentCalls.LoadGdt),
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

    /// <summary>Linux 2.6.24: virtio devices, and an entry by the subarchitecture.</summary>
    public static GuestAbi Linux2624 { get; } = Linux2623 with
    {
        Name = "Linux 2.6.24",
        Id = "2.6.24",
        Hypercalls = [.. FirstVirtioCalls, new(2, "CRASH", LifecycleCalls.Crash), new(3, "LOAD_GDT", SegmentCalls.LoadGdt)],
        Data = LguestDataLayout.Linux2624,
        LastGate = LastVector,
        ToleratesInterruptInstructions = true,
        Boot = BootMethod.Subarchitecture,
        Bus = DeviceBusKind.LguestVirtio,
        Notices = DescriptorNotice.None,
        Descriptors = VirtioDescriptors.Typed,
        Headers = VirtioHeaders.Linux2624,
    };

    /// <summary>Linux 2.6.25: a restart is a call, and descriptors and headers are those that stayed.</summary>
    public static GuestAbi Linux2625 { get; } = Linux2624 with
    {
        Name = "Linux 2.6.25",
        Id = "2.6.25",
        Hypercalls = [.. VirtioBusCalls, new(3, "LOAD_GDT", SegmentCalls.LoadGdt)],
        Notices = DescriptorNotice.AlwaysReset,
        Descriptors = VirtioDescriptors.Fixed,
        Headers = VirtioHeaders.Linux2625,
    };

    /// <summary>Linux 2.6.26 to 2.6.28: each change of a device's status is told.</summary>
    public static GuestAbi Linux2626 { get; } = Linux2625 with
    {
        Name = "Linux 2.6.26 to 2.6.28",
        Id = "2.6.26",
        Notices = DescriptorNotice.StatusChanged,
    };

    /// <summary>Linux 2.6.29: the host maps memory at the kernel's address.</summary>
    public static GuestAbi Linux2629 { get; } = Linux2626 with
    {
        Name = "Linux 2.6.29",
        Id = "2.6.29",
        MapsLinearly = true,
    };

    /// <summary>Linux 2.6.30: hypercalls by VMCALL, with their arguments in other registers, and one for each entry of the GDT.</summary>
    public static GuestAbi Linux2630 { get; } = Linux2629 with
    {
        Name = "Linux 2.6.30",
        Id = "2.6.30",
        CallsByVmcall = true,
        Registers = HypercallRegisters.Linux2630,
        Hypercalls = [.. VirtioBusCalls, new(18, "LOAD_GDT_ENTRY", SegmentCalls.LoadGdtEntry)],
        Data = LguestDataLayout.Linux2630,
    };

    /// <summary>Linux 2.6.31 to 2.6.33, without PAE: the kernel is told of interrupts that wait, and calls for them.</summary>
    public static GuestAbi Linux2631 { get; } = Linux2630 with
    {
        Name = "Linux 2.6.31 to 2.6.33",
        Id = "2.6.31",
        Hypercalls = [.. Linux2630.Hypercalls, new(19, "SEND_INTERRUPTS", TrapCalls.SendInterrupts)],
        Data = LguestDataLayout.Linux2631,
    };

    /// <summary>Linux 2.6.34 to 3.0, without PAE: hypercalls by INT again, but for SEND_INTERRUPTS. Both are taken here since 2.6.30.</summary>
    public static GuestAbi Linux2634 { get; } = Linux2631 with
    {
        Name = "Linux 2.6.34 to 3.0",
        Id = "2.6.34",
    };

    /// <summary>Linux 3.1 to 3.19, without PAE: all hypercalls by INT, and first page tables of the kernel's own.</summary>
    public static GuestAbi Linux31 { get; } = Linux2634 with
    {
        Name = "Linux 3.1 to 3.19",
        Id = "3.1",
        CallsByVmcall = false,
        ToleratesEarlyPrivilege = true,
        Data = LguestDataLayout.Linux31,
        MapsLinearly = false,
        Boot = BootMethod.UnpagedSubarchitecture,
    };

    /// <summary>Linux 4.0, without PAE: devices on PCI.</summary>
    public static GuestAbi Linux40 { get; } = Linux31 with
    {
        Name = "Linux 4.0",
        Id = "4.0",
        Hypercalls = [.. Linux31.Hypercalls.Where(call => call.Name != "NOTIFY")],
        Tables = PageTablePolicy.RejectLargePages,
        KeyboardStatus = 1,
        Bus = DeviceBusKind.VirtioPci,
        Headers = VirtioHeaders.Virtio1,
    };

    /// <summary>Linux 4.1 to 4.9, without PAE: an interrupt may come anywhere but at one instruction.</summary>
    public static GuestAbi Linux41 { get; } = Linux40 with
    {
        Name = "Linux 4.1 to 4.9",
        Id = "4.1",
        Data = LguestDataLayout.Linux41,
    };

    /// <summary>Linux 4.10 to 4.13, without PAE: the kernel never sets TS.</summary>
    public static GuestAbi Linux410 { get; } = Linux41 with
    {
        Name = "Linux 4.10 to 4.13",
        Id = "4.10",
        Hypercalls = [.. Linux41.Hypercalls.Where(call => call.Name != "TS")],
    };

    /// <summary>
    /// A kernel at CPL 0 with page tables, descriptors and an IDT of its own, which uses hypercalls for what a machine would
    /// have devices for. irq_enabled and the range without interrupts in lguest_data mean nothing to it.
    /// </summary>
    public static GuestAbi RingZero { get; } = Linux2623 with
    {
        Name = "ring 0",
        Id = "ring0",
        Data = LguestDataLayout.RingZero,
        Hypercalls = [.. DmaBusCalls, new(10, "HALT", RingZeroCalls.Halt)],
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
