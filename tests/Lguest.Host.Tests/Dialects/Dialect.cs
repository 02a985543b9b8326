using Iced.Intel;

namespace Lguest.Host.Tests.Dialects;

/// <summary>What a kernel finds mapped before it has tables of its own.</summary>
public enum FirstTables
{
    /// <summary>Memory at the kernel's address alone.</summary>
    Linear,

    /// <summary>Memory where it is; the kernel copies 32 entries of the directory to its own address.</summary>
    Identity,

    /// <summary>Memory where it is, and from the first call on at the kernel's address too.</summary>
    IdentityAndLinear,

    /// <summary>Paging is off until the kernel names its first directory.</summary>
    None,
}

/// <summary>How a kernel finds its devices and talks to them.</summary>
public enum DeviceKind
{
    /// <summary>Descriptors of 12 bytes, BIND_DMA and SEND_DMA.</summary>
    Dma,

    /// <summary>virtio on the lguest bus; a descriptor is a list of fields with types.</summary>
    TypedFields,

    /// <summary>virtio on the lguest bus; a descriptor has a fixed layout.</summary>
    FixedLayout,

    /// <summary>virtio 1.0 on PCI.</summary>
    Pci,
}

/// <summary>What a driver says of a device's status on the lguest bus.</summary>
public enum StatusNotices
{
    /// <summary>Nothing: plain stores.</summary>
    None,

    /// <summary>A reset alone, with the old status still in place.</summary>
    Reset,

    /// <summary>Every status.</summary>
    All,

    /// <summary>A reset, and once that features are agreed on.</summary>
    ResetAndFeatures,
}

/// <summary>Numbers of the hypercalls. They never changed; which of them a dialect has did.</summary>
public static class HypercallNumber
{
    public const uint FlushAsync = 0;
    public const uint Init = 1;
    public const uint Shutdown = 2;
    public const uint LoadGdt = 3;
    public const uint NewPageTable = 4;
    public const uint FlushTlb = 5;
    public const uint LoadIdtEntry = 6;
    public const uint SetStack = 7;
    public const uint TaskSwitched = 8;
    public const uint SetClockEvent = 9;
    public const uint Halt = 10;
    public const uint BindDma = 12;
    public const uint SendDma = 13;
    public const uint SetPmd = 13;
    public const uint SetPte = 14;
    public const uint SetDirectory = 15;
    public const uint LoadTls = 16;
    public const uint Notify = 17;
    public const uint LoadGdtEntry = 18;
    public const uint SendInterrupts = 19;
}

/// <summary>Where the fields of <c>struct lguest_data</c> are. Those that a dialect lacks are null.</summary>
public sealed record StructureLayout
{
    public uint IrqEnabled { get; init; }

    public uint BlockedInterrupts { get; init; } = 4;

    public uint FaultAddress { get; init; } = 8;

    public uint Seconds { get; init; } = 12;

    public uint Nanoseconds { get; init; } = 16;

    public uint? IrqPending { get; init; }

    public required uint RingStatus { get; init; }

    public required uint RingCalls { get; init; }

    public required uint ReservedMemory { get; init; }

    public uint? GuestId { get; init; }

    public required uint TscKilohertz { get; init; }

    public uint? PageDirectory { get; init; }

    /// <summary>noirq_start, with noirq_end behind it; or noirq_iret alone.</summary>
    public required uint NoInterrupts { get; init; }

    public uint? KernelAddress { get; init; }

    public uint? SystemCallVector { get; init; }

    public required uint Size { get; init; }
}

/// <summary>
/// What one line of kernels expects of its host, as the test reads it in lguest-abi.md, lguest-abi-later.md and the kernels' own source. The
/// host has a reading of its own; where the two differ, one is wrong.
/// </summary>
public sealed record Dialect
{
    /// <summary>What <c>--abi</c> calls it.</summary>
    public required string Id { get; init; }

    /// <summary>Whether a hypercall is VMCALL, and not INT 0x1f.</summary>
    public bool CallsByVmcall { get; init; }

    /// <summary>Whether SEND_INTERRUPTS is VMCALL.</summary>
    public bool AsksForInterruptsByVmcall { get; init; }

    /// <summary>What carries the arguments, beside the number in EAX.</summary>
    public required IReadOnlyList<AssemblerRegister32> Arguments { get; init; }

    /// <summary>What the dwords of a queued call are: 0 the number, n argument n.</summary>
    public required IReadOnlyList<int> RingSlot { get; init; }

    public required StructureLayout Structure { get; init; }

    /// <summary>The hypercalls that there are.</summary>
    public required IReadOnlyList<uint> Calls { get; init; }

    /// <summary>Whether argument 2 of SHUTDOWN says if it is a restart.</summary>
    public bool ShutdownSaysRestart { get; init; }

    /// <summary>The highest vector whose gate counts, 0x80 aside.</summary>
    public required uint LastGate { get; init; }

    /// <summary>Whether a gate that is out of range ends the guest, or is ignored.</summary>
    public bool RefusesGatesBeyond { get; init; }

    public required FirstTables FirstTables { get; init; }

    /// <summary>Whether page tables have three levels and entries of 8 bytes.</summary>
    public bool HasPae { get; init; }

    /// <summary>Whether the return from a trap pushes and pops EFLAGS, and noirq_iret is the IRET; or moves it, within a range.</summary>
    public bool ReturnsByPop { get; init; }

    /// <summary>Whether CLI and STI are passed over, and HLT sleeps; or raise #GP(0).</summary>
    public bool PassesOverCli { get; init; } = true;

    /// <summary>Whether the kernel may touch MSRs before it has a gate for #GP.</summary>
    public bool IsPrivilegedEarly { get; init; }

    /// <summary>Whether a system call enters with interrupts off.</summary>
    public bool SystemCallsMaskInterrupts { get; init; }

    public required DeviceKind Devices { get; init; }

    public StatusNotices StatusNotices { get; init; }

    /// <summary>Bytes before the data of a block request, and before a frame.</summary>
    public int BlockHeader { get; init; }

    public int NetworkHeader { get; init; }

    /// <summary>Bytes of an entry of its page tables.</summary>
    public uint EntryBytes => HasPae ? 8u : 4u;

    public bool Has(uint call) => Calls.Contains(call);

    public override string ToString() => Id;
}
