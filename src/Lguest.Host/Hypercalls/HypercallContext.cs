using Lguest.Cpu;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Dma;
using Lguest.Host.Traps;

namespace Lguest.Host.Hypercalls;

/// <summary>The parts of a guest that its hypercalls act on.</summary>
public sealed class HypercallContext
{
    /// <summary>The kernel's ABI.</summary>
    public required GuestAbi Abi { get; init; }

    /// <summary>The processor.</summary>
    public required Processor Processor { get; init; }

    /// <summary>Guest memory.</summary>
    public required GuestMemory Memory { get; init; }

    /// <summary>The structure that guest and host share.</summary>
    public required LguestData Data { get; init; }

    /// <summary>Its descriptors.</summary>
    public required SegmentTable Segments { get; init; }

    /// <summary>Its trap handlers.</summary>
    public required GateTable Gates { get; init; }

    /// <summary>Its interrupts, and whether it sleeps.</summary>
    public required InterruptController Interrupts { get; init; }

    /// <summary>The clock.</summary>
    public required GuestClock Clock { get; init; }

    /// <summary>DMA.</summary>
    public required DmaRouter Router { get; init; }

    /// <summary>The bus of its devices.</summary>
    public required DeviceBus Bus { get; init; }

    /// <summary>The address space.</summary>
    public required AddressSpace AddressSpace { get; init; }

    /// <summary>Takes the guest's end.</summary>
    public required GuestEnding Ending { get; init; }

    /// <summary>The guest's number among those it shares anything with.</summary>
    public required ushort GuestId { get; init; }
}
