using Lguest.Cpu;
using Lguest.Host.Abi;
using Lguest.Host.Hypercalls;

namespace Lguest.Host.Traps;

/// <summary>The parts of a guest that traps and interrupts act on.</summary>
public sealed class TrapContext
{
    /// <summary>The kernel's ABI.</summary>
    public required GuestAbi Abi { get; init; }

    /// <summary>The processor.</summary>
    public required Processor Processor { get; init; }

    /// <summary>Makes hypercalls.</summary>
    public required HypercallDispatcher Hypercalls { get; init; }

    /// <summary>The structure that guest and host share.</summary>
    public required LguestData Data { get; init; }

    /// <summary>The guest's descriptors.</summary>
    public required SegmentTable Segments { get; init; }

    /// <summary>Its trap handlers.</summary>
    public required GateTable Gates { get; init; }

    /// <summary>Its interrupts.</summary>
    public required InterruptController Interrupts { get; init; }

    /// <summary>Its address space.</summary>
    public required AddressSpace AddressSpace { get; init; }

    /// <summary>Takes its end.</summary>
    public required GuestEnding Ending { get; init; }
}

/// <summary>Where a kernel starts.</summary>
/// <param name="EntryPoint">EIP of its first instruction.</param>
/// <param name="PageDirectory">Physical address of the first page directory; null for kernels that start with paging off.</param>
/// <param name="PageOffset">Linear address at which a kernel at ring 1 sees physical 0, as far as its image says it.</param>
/// <param name="BootParameters">Physical address of the boot parameters, for kernels that are told.</param>
public readonly record struct KernelEntry(
    uint EntryPoint, uint? PageDirectory = null, uint PageOffset = 0, uint BootParameters = 0);
