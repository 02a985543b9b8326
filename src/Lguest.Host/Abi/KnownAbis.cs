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
    private const uint TwoMebibytes = 2 << 20;
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

    /// <summary>Calls by which data go over the lguest bus of 2.6.23.</summary>
    private static readonly HypercallDefinition[] DmaBusCalls =
    [
        new(12, "BIND_DMA", DmaCalls.Bind),
        new(13, "SEND_DMA", DmaCalls.Send),
    ];

    /// <summary>Calls of all kernels at CPL 1.</summary>
    private static readonly HypercallDefinition[] RingOneCalls =
    [
        .. CommonCalls,
        new(4, "NEW_PGTABLE", PageTableCalls.NewPageTable),
        new(5, "FLUSH_TLB", PageTableCalls.FlushTlb),
        new(6, "LOAD_IDT_ENTRY", TrapCalls.LoadIdtEntry),
        new(7, "SET_STACK", TrapCalls.SetStack),
        new(10, "HALT", TimeCalls.Halt),
        new(14, "SET_PTE", PageTableCalls.SetPte),
        new(16, "LOAD_TLS", SegmentCalls.LoadTls),
    ];

    /// <summary>Calls that every kernel at CPL 1 up to 2.6.30 makes.</summary>
    private static readonly HypercallDefinition[] EarlierCalls = [.. RingOneCalls, new(15, "SET_PMD", PageTableCalls.SetTopEntry)];

    // What some of those make besides, each from a release on, or to one.
    private static readonly HypercallDefinition Crash = new(2, "CRASH", LifecycleCalls.Crash);
    private static readonly HypercallDefinition Shutdown = new(2, "SHUTDOWN", LifecycleCalls.Shutdown);
    private static readonly HypercallDefinition LoadGdt = new(3, "LOAD_GDT", SegmentCalls.LoadGdt);
    private static readonly HypercallDefinition TaskSwitched = new(8, "TS", TrapCalls.SetTaskSwitched);
    private static readonly HypercallDefinition LowerDirectory = new(13, "SET_PMD", PageTableCalls.SetLowerDirectory);
    private static readonly HypercallDefinition Notify = new(17, "NOTIFY", NotifyCalls.Notify);
    private static readonly HypercallDefinition LoadGdtEntry = new(18, "LOAD_GDT_ENTRY", SegmentCalls.LoadGdtEntry);

    /// <summary>Calls that every kernel from 2.6.31 on makes.</summary>
    private static readonly HypercallDefinition[] LaterCalls =
    [
        .. RingOneCalls,
        Shutdown,
        LoadGdtEntry,
        new(15, "SET_PGD", PageTableCalls.SetTopEntry),
        new(19, "SEND_INTERRUPTS", TrapCalls.SendInterrupts),
    ];

    /// <summary>All of them, oldest first. Their names are different.</summary>
    public static IReadOnlyList<GuestAbi> All =>
    [
        Linux2623, Linux2624, Linux2625, Linux2626, Linux2629, Linux2630, Linux2631, Linux2631Pae, Linux2634, Linux2634Pae, Linux31, Linux31Pae,
        Linux40, Linux40Pae, Linux41, Linux41Pae, Linux410, Linux410Pae, RingZero,
    ];

    /// <summary>Linux 2.6.23 with CONFIG_LGUEST_GUEST: the kernel at CPL 1, all it may not do by hypercalls.</summary>
    public static GuestAbi Linux2623 { get; } = new()
    {
        Name = "Linux 2.6.23",
        Id = "2.6.23",
        HypercallVector = HypercallVector,
        Registers = HypercallRegisters.Linux2623,
        Hypercalls = [.. EarlierCalls, .. DmaBusCalls, Crash, LoadGdt, TaskSwitched],
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
    public static GuestAbi Linux2624 { get; } = After(Linux2623, "2.6.24") with
    {
        Hypercalls = [.. EarlierCalls, Crash, LoadGdt, TaskSwitched, Notify],
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
    public static GuestAbi Linux2625 { get; } = After(Linux2624, "2.6.25") with
    {
        Hypercalls = [.. EarlierCalls, Shutdown, LoadGdt, TaskSwitched, Notify],
        Notices = DescriptorNotice.AlwaysReset,
        Descriptors = VirtioDescriptors.Fixed,
        Headers = VirtioHeaders.Linux2625,
    };

    /// <summary>Linux 2.6.26 to 2.6.28: each change of a device's status is told.</summary>
    public static GuestAbi Linux2626 { get; } = After(Linux2625, "2.6.26", "2.6.28") with { Notices = DescriptorNotice.StatusChanged };

    /// <summary>Linux 2.6.29: the host maps memory at the kernel's address.</summary>
    public static GuestAbi Linux2629 { get; } = After(Linux2626, "2.6.29") with { MapsLinearly = true };

    /// <summary>Linux 2.6.30: hypercalls by VMCALL, with their arguments in other registers, and one for each entry of the GDT.</summary>
    public static GuestAbi Linux2630 { get; } = After(Linux2629, "2.6.30") with
    {
        CallsByVmcall = true,
        Registers = HypercallRegisters.Linux2630,
        Hypercalls = [.. EarlierCalls, Shutdown, LoadGdtEntry, TaskSwitched, Notify],
        Data = LguestDataLayout.Linux2630,
    };

    /// <summary>Linux 2.6.31 to 2.6.33: the kernel is told of interrupts that wait, and calls for them.</summary>
    public static GuestAbi Linux2631 { get; } = After(Linux2630, "2.6.31", "2.6.33") with
    {
        Hypercalls = [.. LaterCalls, TaskSwitched, Notify],
        Data = LguestDataLayout.Linux2631,
    };

    /// <summary>Linux 2.6.31 to 2.6.33 with CONFIG_X86_PAE.</summary>
    public static GuestAbi Linux2631Pae { get; } = WithPae(Linux2631);

    /// <summary>Linux 2.6.34 to 3.0: hypercalls by INT again, but for SEND_INTERRUPTS. Both are taken here since 2.6.30.</summary>
    public static GuestAbi Linux2634 { get; } = After(Linux2631, "2.6.34", "3.0");

    /// <summary>Linux 2.6.34 to 3.0 with CONFIG_X86_PAE.</summary>
    public static GuestAbi Linux2634Pae { get; } = WithPae(Linux2634);

    /// <summary>Linux 3.1 to 3.19: all hypercalls by INT, and first page tables of the kernel's own.</summary>
    public static GuestAbi Linux31 { get; } = After(Linux2634, "3.1", "3.19") with
    {
        CallsByVmcall = false,
        ToleratesEarlyPrivilege = true,
        HasConsolePorts = true,
        Data = LguestDataLayout.Linux31,
        MapsLinearly = false,
        Boot = BootMethod.UnpagedSubarchitecture,
    };

    /// <summary>Linux 3.1 to 3.19 with CONFIG_X86_PAE.</summary>
    public static GuestAbi Linux31Pae { get; } = WithPae(Linux31);

    /// <summary>Linux 4.0: devices on PCI, of which nothing is told by calls.</summary>
    public static GuestAbi Linux40 { get; } = After(Linux31, "4.0") with
    {
        Hypercalls = [.. LaterCalls, TaskSwitched],
        Tables = PageTablePolicy.RejectLargePages,
        KeyboardStatus = 1,
        Bus = DeviceBusKind.VirtioPci,
        Headers = VirtioHeaders.Virtio1,
    };

    /// <summary>Linux 4.0 with CONFIG_X86_PAE.</summary>
    public static GuestAbi Linux40Pae { get; } = WithPae(Linux40);

    /// <summary>Linux 4.1 to 4.9: an interrupt may come anywhere but at one instruction.</summary>
    public static GuestAbi Linux41 { get; } = After(Linux40, "4.1", "4.9") with { Data = LguestDataLayout.Linux41 };

    /// <summary>Linux 4.1 to 4.9 with CONFIG_X86_PAE.</summary>
    public static GuestAbi Linux41Pae { get; } = WithPae(Linux41);

    /// <summary>Linux 4.10 to 4.13: the kernel never sets TS.</summary>
    public static GuestAbi Linux410 { get; } = After(Linux41, "4.10", "4.13") with { Hypercalls = LaterCalls };

    /// <summary>Linux 4.10 to 4.13 with CONFIG_X86_PAE.</summary>
    public static GuestAbi Linux410Pae { get; } = WithPae(Linux410);

    /// <summary>
    /// A kernel at CPL 0 with page tables, descriptors and an IDT of its own, which uses hypercalls for what a machine would
    /// have devices for. irq_enabled and the range without interrupts in lguest_data mean nothing to it.
    /// </summary>
    public static GuestAbi RingZero { get; } = Linux2623 with
    {
        Name = "ring 0",
        Id = "ring0",
        Data = LguestDataLayout.RingZero,
        Hypercalls = [.. CommonCalls, .. DmaBusCalls, Crash, new(10, "HALT", RingZeroCalls.Halt)],
        ReservedMemory = 0,
        ReadCrash = ReadRingZeroCrash,
        MakeTraps = context => new RingZeroTraps(context),
        Cpuid = CpuidModel.RingZero,
        Boot = BootMethod.Boot32,
    };

    /// <summary>An ABI to be changed from that of the releases before: only its names are new.</summary>
    private static GuestAbi After(GuestAbi before, string first, string? last = null) =>
        before with { Name = last is null ? $"Linux {first}" : $"Linux {first} to {last}", Id = first };

    /// <summary>The same dialect with page tables of three levels, which kernels could be built for from 2.6.31 on.</summary>
    private static GuestAbi WithPae(GuestAbi abi) => abi with
    {
        Name = abi.Name + " with PAE",
        Id = abi.Id + "-pae",
        PageTables = PageTableFormat.Pae,

        // What one entry of a directory covers.
        ReservedMemory = TwoMebibytes,
        Cpuid = CpuidModel.DefaultWithPae,
        Hypercalls = [.. abi.Hypercalls, LowerDirectory],
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
