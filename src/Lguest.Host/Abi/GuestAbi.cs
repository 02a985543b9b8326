using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Host.Traps;
using Lguest.Host.Virtio;

namespace Lguest.Host.Abi;

/// <summary>How a kernel image is found its way into.</summary>
public enum BootMethod
{
    /// <summary>
    /// At the byte after the signature <c>GenuineLguest</c>, deprivileged, with paging on and all memory mapped at
    /// page_offset.
    /// </summary>
    LguestSignature,

    /// <summary>
    /// By the subarchitecture in the boot parameters: at the kernel's physical entry, deprivileged, with paging on and all memory mapped
    /// where it is.
    /// </summary>
    Subarchitecture,

    /// <summary>As <see cref="Subarchitecture"/>, but with paging off until the kernel names its first page directory.</summary>
    UnpagedSubarchitecture,

    /// <summary>By Linux's 32-bit boot protocol: at CPL 0, flat segments, paging off, ESI at the boot parameters.</summary>
    Boot32,
}

/// <summary>How devices are shown to a guest.</summary>
public enum DeviceBusKind
{
    /// <summary>One page of 16 descriptors at the end of RAM, DMA by hypercalls.</summary>
    Lguest,

    /// <summary>One page of descriptors of virtio devices at the end of RAM, virtqueues, and a hypercall to tell of them.</summary>
    LguestVirtio,

    /// <summary>Virtio devices on a PCI bus.</summary>
    VirtioPci,
}

/// <summary>What it means when a guest tells of a virtio device's descriptor.</summary>
public enum DescriptorNotice
{
    /// <summary>Its status has changed; 0 asks for a reset.</summary>
    StatusChanged,

    /// <summary>A reset is asked for, whatever the status says.</summary>
    AlwaysReset,

    /// <summary>Nothing: there is no such notice.</summary>
    None,
}

/// <summary>
/// What one line of guest kernels expects of its host, as data: a new line is a new value here, not a condition
/// elsewhere.
/// </summary>
public sealed record GuestAbi
{
    /// <summary>For messages.</summary>
    public required string Name { get; init; }

    /// <summary>What the user calls it: no spaces, no capitals.</summary>
    public required string Id { get; init; }

    /// <summary>The vector of the INT that makes a hypercall.</summary>
    public required int HypercallVector { get; init; }

    /// <summary>Whether VMCALL makes one too.</summary>
    public bool CallsByVmcall { get; init; }

    /// <summary>Whether CLI, STI and HLT, which are some kernels' by mistake, are taken for what the kernel's own calls would be.</summary>
    public bool ToleratesInterruptInstructions { get; init; }

    /// <summary>
    /// Whether RDMSR and MOV from CR4 read 0 and WRMSR does nothing, as long as the kernel has no handler for the #GP that they raise
    /// at its CPL. Once it has one, it gets the fault.
    /// </summary>
    public bool ToleratesEarlyPrivilege { get; init; }

    /// <summary>Which registers carry a hypercall.</summary>
    public required HypercallRegisters Registers { get; init; }

    /// <summary>The hypercalls; all other numbers end the guest.</summary>
    public required IReadOnlyList<HypercallDefinition> Hypercalls { get; init; }

    /// <summary>Number of the call that must come first.</summary>
    public required uint FirstHypercall { get; init; }

    /// <summary>Where the fields of lguest_data are.</summary>
    public required LguestDataLayout Data { get; init; }

    /// <summary>Bytes at the top of linear space that the guest must leave alone.</summary>
    public required uint ReservedMemory { get; init; }

    /// <summary>What the text of CRASH says of the guest's end.</summary>
    public required Func<string, GuestOutcome> ReadCrash { get; init; }

    /// <summary>Makes the object that knows how traps and interrupts reach this kernel.</summary>
    public required Func<TrapContext, TrapPolicy> MakeTraps { get; init; }

    /// <summary>The last vector that the kernel can give a handler, but for the system call's.</summary>
    public int LastGate { get; init; } = GateTable.LastInterruptVector;

    /// <summary>What its page tables look like, if it is at CPL 1.</summary>
    public PageTableFormat PageTables { get; init; } = PageTableFormat.TwoLevel;

    /// <summary>What the host makes sure of in its page tables beside what a processor does.</summary>
    public PageTablePolicy Tables { get; init; } = PageTablePolicy.RejectLargePages | PageTablePolicy.RejectFramesOutsideMemory;

    /// <summary>What the status of a keyboard controller reads as, which there isn't: some kernels wait for it.</summary>
    public uint KeyboardStatus { get; init; } = uint.MaxValue;

    /// <summary>Whether the host maps memory at the kernel's address, once that is known, or leaves that to the kernel.</summary>
    public bool MapsLinearly { get; init; }

    /// <summary>What it means when it tells of a descriptor, if it has such a bus.</summary>
    public DescriptorNotice Notices { get; init; }

    /// <summary>How it reads a device's descriptor there.</summary>
    public DescriptorWriter Descriptors { get; init; } = VirtioDescriptors.Fixed;

    /// <summary>Whether its driver of virtio consoles knows ports that are files, by which it can be given a command.</summary>
    public bool HasConsolePorts { get; init; }

    /// <summary>What its virtio drivers put before their data.</summary>
    public VirtioHeaders Headers { get; init; } = VirtioHeaders.Linux2625;

    /// <summary>What CPUID tells it.</summary>
    public required CpuidModel Cpuid { get; init; }

    /// <summary>How its images are entered.</summary>
    public required BootMethod Boot { get; init; }

    /// <summary>How it finds its devices.</summary>
    public required DeviceBusKind Bus { get; init; }
}
