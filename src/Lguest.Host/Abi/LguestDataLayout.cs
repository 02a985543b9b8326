namespace Lguest.Host.Abi;

/// <summary>Where the fields of a kernel's <c>struct lguest_data</c> are: offsets in bytes. All fields are little-endian.</summary>
public sealed record LguestDataLayout
{
    /// <summary>Size of the whole structure in bytes, as every kernel of this line has it.</summary>
    public required int Size { get; init; }

    /// <summary>u32: bit 9 says whether the guest takes interrupts.</summary>
    public required int IrqEnabled { get; init; }

    /// <summary>u32: bit n masks IRQ n.</summary>
    public required int BlockedInterrupts { get; init; }

    /// <summary>u32: the address of the last page fault delivered.</summary>
    public required int FaultAddress { get; init; }

    /// <summary>u32 seconds and u32 nanoseconds of the wall clock.</summary>
    public required int WallClock { get; init; }

    /// <summary>u8 for each slot of the ring: <see cref="LguestData.SlotFree"/>, else the slot holds a call.</summary>
    public required int RingStatus { get; init; }

    /// <summary>The ring's calls.</summary>
    public required int RingCalls { get; init; }

    /// <summary>Slots in the ring.</summary>
    public required int RingSlots { get; init; }

    /// <summary>Bytes of one call in the ring.</summary>
    public required int RingCallSize { get; init; }

    /// <summary>Where in a call its number is, and then its arguments.</summary>
    public required IReadOnlyList<int> RingCallFields { get; init; }

    /// <summary>u32: bytes at the top of the linear space that the host keeps.</summary>
    public required int ReservedMemory { get; init; }

    /// <summary>u16: the guest's number among those it shares anything with; null in kernels whose network cards say their address.</summary>
    public int? GuestId { get; init; }

    /// <summary>u32: rate of RDTSC in kHz.</summary>
    public required int TscKilohertz { get; init; }

    /// <summary>u32 start and u32 end of the code where no interrupt may be delivered.</summary>
    public required int NoInterruptRange { get; init; }

    /// <summary>Whether there is no such end: the code is one instruction.</summary>
    public bool IsNoInterruptRangeOneInstruction { get; init; }

    /// <summary>
    /// u32: 0x200 while an interrupt waits that the guest doesn't take, so that it makes a call when it lets interrupts in; null in
    /// kernels that make none.
    /// </summary>
    public int? InterruptPending { get; init; }

    /// <summary>u32: physical address of the page directory that the kernel is started on; null in kernels that aren't told.</summary>
    public int? PageDirectory { get; init; }

    /// <summary>u32: linear address at which the kernel sees physical 0; null in kernels that don't say.</summary>
    public int? KernelAddress { get; init; }

    /// <summary>u32: vector of the system call, by which the structure is recognized; null in kernels that don't say.</summary>
    public int? SystemCallVector { get; init; }

    /// <summary>
    /// A <see cref="KernelDescription"/>, behind <see cref="Size"/> bytes, in kernels that say at LGUEST_INIT that their structure
    /// reaches so far; null in a line of kernels that say no size.
    /// </summary>
    public int? Description { get; init; }

    /// <summary>Linux 2.6.23's.</summary>
    public static LguestDataLayout Linux2623 { get; } = new()
    {
        Size = 1128,
        IrqEnabled = 0,
        BlockedInterrupts = 4,
        FaultAddress = 8,
        WallClock = 12,
        RingStatus = 20,
        RingCalls = 84,
        RingSlots = 64,
        RingCallSize = 16,
        RingCallFields = [0, 4, 8, 12],
        ReservedMemory = 1108,
        GuestId = 1112,
        TscKilohertz = 1116,
        NoInterruptRange = 1120,
    };

    /// <summary>Linux 2.6.24's to 2.6.29's. The arguments of a call in the ring are in the order ECX, EBX, EDX of the instruction's.</summary>
    public static LguestDataLayout Linux2624 { get; } = WithEnd(Linux2623, end: 1108) with { RingCallFields = [0, 12, 4, 8] };

    /// <summary>Linux 2.6.30's: the arguments of a call in the ring are in the order of the instruction's.</summary>
    public static LguestDataLayout Linux2630 { get; } = Linux2624 with { RingCallFields = [0, 4, 8, 12] };

    /// <summary>Linux 2.6.31's to 3.0's: a call in the ring has one argument more, which only kernels with PAE use.</summary>
    public static LguestDataLayout Linux2631 { get; } = WithEnd(Linux2630, end: 1368) with
    {
        InterruptPending = 20,
        RingStatus = 24,
        RingCalls = 88,
        RingCallSize = 20,
    };

    /// <summary>Linux 3.1's to 4.0's: the kernel needs no page directory of the host's.</summary>
    public static LguestDataLayout Linux31 { get; } = WithEnd(Linux2631, end: 1368, hasPageDirectory: false);

    /// <summary>Linux 4.1's to 4.13's: only where the kernel returns from an interrupt there may be no other.</summary>
    public static LguestDataLayout Linux41 { get; } = WithEnd(Linux31, end: 1368, hasPageDirectory: false, isRangeOneInstruction: true);

    /// <summary>That of kernels in ring 0.</summary>
    public static LguestDataLayout RingZero { get; } = Linux2623 with { Description = 1128 };

    /// <summary>A layout with a virtio kernel's end, whose fields come one behind the other, as far as there are any.</summary>
    /// <param name="before">What is before it.</param>
    /// <param name="end">Where it begins.</param>
    /// <param name="hasPageDirectory">Whether there is a field for the page directory.</param>
    /// <param name="isRangeOneInstruction">See <see cref="IsNoInterruptRangeOneInstruction"/>.</param>
    private static LguestDataLayout WithEnd(LguestDataLayout before, int end, bool hasPageDirectory = true, bool isRangeOneInstruction = false)
    {
        const int Field = sizeof(uint);
        int tscKilohertz = end + Field;
        int directory = tscKilohertz + Field;
        int range = hasPageDirectory ? directory + Field : directory;
        int kernelAddress = range + (isRangeOneInstruction ? Field : 2 * Field);
        int systemCallVector = kernelAddress + Field;
        return before with
        {
            Size = systemCallVector + Field,
            GuestId = null,
            ReservedMemory = end,
            TscKilohertz = tscKilohertz,
            PageDirectory = hasPageDirectory ? directory : null,
            NoInterruptRange = range,
            IsNoInterruptRangeOneInstruction = isRangeOneInstruction,
            KernelAddress = kernelAddress,
            SystemCallVector = systemCallVector,
        };
    }
}
