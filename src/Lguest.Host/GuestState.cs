using Lguest.Host.Dma;
using Lguest.Host.Traps;
using Lguest.Host.Virtio;

namespace Lguest.Host;

/// <summary>The host layer's part of a saved guest: one plain record for each component.</summary>
public sealed record GuestState
{
    /// <summary>Where lguest_data is; null before the guest has said so.</summary>
    public required LguestDataState? Data { get; init; }

    /// <summary>The slot of the ring to look at next.</summary>
    public required int RingSlot { get; init; }

    /// <summary>The GDT's descriptors.</summary>
    public required IReadOnlyList<ulong> Segments { get; init; }

    /// <summary>Trap handlers and the kernel's stack.</summary>
    public required GateTableState Gates { get; init; }

    /// <summary>Interrupts.</summary>
    public required InterruptState Interrupts { get; init; }

    /// <summary>The clock.</summary>
    public required ClockState Clock { get; init; }

    /// <summary>DMA bindings, oldest first.</summary>
    public required IReadOnlyList<DmaBindingState> Bindings { get; init; }

    /// <summary>Virtqueues, in the order of the devices.</summary>
    public required IReadOnlyList<SplitRingState> Queues { get; init; }

    /// <summary>What the bus keeps beside them.</summary>
    public required string Transport { get; init; }

    /// <summary>What is going to happen to devices.</summary>
    public required IReadOnlyList<QueuedEvent> Events { get; init; }

    /// <summary>Where the slice in progress ends: see the run loop.</summary>
    public required ulong SliceEnd { get; init; }

    /// <summary>The address space.</summary>
    public required AddressSpaceState AddressSpace { get; init; }

    /// <summary>Whether the processor is to end its run when the guest lets interrupts in.</summary>
    public required bool InterruptLine { get; init; }

    /// <summary>Nanoseconds that the guest has slept.</summary>
    public required ulong IdleNanoseconds { get; init; }
}
