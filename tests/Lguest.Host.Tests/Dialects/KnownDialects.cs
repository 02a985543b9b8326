using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Host.Tests.Dialects;

/// <summary>Every dialect there was, each as the one before it and what changed. A new one is a row here.</summary>
public static class KnownDialects
{
    private const uint LastVector = 255;

    private static readonly Dialect Linux2623 = new()
    {
        Id = "2.6.23",
        Arguments = [edx, ebx, ecx],
        RingSlot = [0, 1, 2, 3],
        Structure = new StructureLayout
        {
            RingStatus = 20,
            RingCalls = 84,
            ReservedMemory = 1108,
            GuestId = 1112,
            TscKilohertz = 1116,
            NoInterrupts = 1120,
            Size = 1128,
        },
        Calls = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16],
        LastGate = 63,
        FirstTables = FirstTables.Linear,
        PassesOverCli = false,
        Devices = DeviceKind.Dma,
    };

    // virtio replaces DMA. The arguments of a queued call are in the order of the registers in the host's own structure.
    private static readonly Dialect Linux2624 = Linux2623 with
    {
        Id = "2.6.24",
        RingSlot = [0, 2, 3, 1],
        Structure = Linux2623.Structure with
        {
            GuestId = null,
            TscKilohertz = 1112,
            PageDirectory = 1116,
            KernelAddress = 1128,
            SystemCallVector = 1132,
            Size = 1136,
        },
        Calls = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17],
        LastGate = LastVector,
        RefusesGatesBeyond = true,
        FirstTables = FirstTables.Identity,
        PassesOverCli = true,
        Devices = DeviceKind.TypedFields,
        BlockHeader = 24,
        NetworkHeader = 8,
    };

    private static readonly Dialect Linux2625 = Linux2624 with
    {
        Id = "2.6.25",
        ShutdownSaysRestart = true,
        Devices = DeviceKind.FixedLayout,
        StatusNotices = StatusNotices.Reset,
        BlockHeader = 16,
        NetworkHeader = 10,
    };

    private static readonly Dialect Linux2626 = Linux2625 with { Id = "2.6.26", StatusNotices = StatusNotices.All };

    private static readonly Dialect Linux2629 = Linux2626 with { Id = "2.6.29", FirstTables = FirstTables.IdentityAndLinear };

    // VMCALL, other registers, and LOAD_GDT_ENTRY in place of LOAD_GDT.
    private static readonly Dialect Linux2630 = Linux2629 with
    {
        Id = "2.6.30",
        CallsByVmcall = true,
        Arguments = [ebx, ecx, edx],
        RingSlot = [0, 1, 2, 3],
        Calls = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18],
    };

    // A fourth argument, irq_pending, SEND_INTERRUPTS.
    private static readonly Dialect Linux2631 = Linux2630 with
    {
        Id = "2.6.31",
        AsksForInterruptsByVmcall = true,
        Arguments = [ebx, ecx, edx, esi],
        RingSlot = [0, 1, 2, 3, 4],
        Structure = new StructureLayout
        {
            IrqPending = 20,
            RingStatus = 24,
            RingCalls = 88,
            ReservedMemory = 1368,
            TscKilohertz = 1372,
            PageDirectory = 1376,
            NoInterrupts = 1380,
            KernelAddress = 1388,
            SystemCallVector = 1392,
            Size = 1396,
        },
        Calls = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 19],
    };

    // INT again, but for SEND_INTERRUPTS, whose assembly was forgotten.
    private static readonly Dialect Linux2634 = Linux2631 with { Id = "2.6.34", CallsByVmcall = false };

    private static readonly Dialect Linux31 = Linux2634 with
    {
        Id = "3.1",
        AsksForInterruptsByVmcall = false,
        Structure = Linux2634.Structure with
        {
            PageDirectory = null,
            NoInterrupts = 1376,
            KernelAddress = 1384,
            SystemCallVector = 1388,
            Size = 1392,
        },
        FirstTables = FirstTables.None,
        IsPrivilegedEarly = true,
        StatusNotices = StatusNotices.ResetAndFeatures,
    };

    // PCI replaces the bus and NOTIFY.
    private static readonly Dialect Linux40 = Linux31 with
    {
        Id = "4.0",
        Calls = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 18, 19],
        Devices = DeviceKind.Pci,
        StatusNotices = StatusNotices.None,
        NetworkHeader = 12,
    };

    private static readonly Dialect Linux41 = Linux40 with
    {
        Id = "4.1",
        Structure = Linux40.Structure with
        {
            KernelAddress = 1380,
            SystemCallVector = 1384,
            Size = 1388,
        },
        ReturnsByPop = true,
    };

    private static readonly Dialect Linux410 = Linux41 with
    {
        Id = "4.10",
        Calls = [0, 1, 2, 4, 5, 6, 7, 9, 10, 14, 15, 16, 18, 19],
        SystemCallsMaskInterrupts = true,
    };

    /// <summary>All of them, in the order of their years.</summary>
    public static IReadOnlyList<Dialect> All { get; } =
    [
        Linux2623, Linux2624, Linux2625, Linux2626, Linux2629, Linux2630, Linux2631, WithPae(Linux2631), Linux2634, WithPae(Linux2634),
        Linux31, WithPae(Linux31), Linux40, WithPae(Linux40), Linux41, WithPae(Linux41), Linux410, WithPae(Linux410),
    ];

    /// <summary>Their names: one case of a theory each.</summary>
    public static TheoryData<string> Names => [.. All.Select(each => each.Id)];

    public static Dialect Named(string id) => All.Single(each => each.Id == id);

    /// <summary>The same kernels, configured for page tables of three levels: SET_PMD is of these alone.</summary>
    private static Dialect WithPae(Dialect dialect) => dialect with
    {
        Id = dialect.Id + "-pae",
        HasPae = true,
        Calls = [.. dialect.Calls, HypercallNumber.SetPmd],
    };
}
