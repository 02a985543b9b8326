using System.Buffers.Binary;
using Lguest.Cpu;
using Lguest.Cpu.State;
using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Host;

/// <summary>The structure that guest and host share, once the guest has said where it is.</summary>
/// <param name="memory">Guest memory.</param>
/// <param name="layout">Where its fields are.</param>
public sealed class LguestData(GuestMemory memory, LguestDataLayout layout)
{
    /// <summary>A slot's status when it holds no call.</summary>
    public const byte SlotFree = 0xff;

    private const string What = "lguest_data";

    /// <summary>The address comes in another register from one dialect to the next, and fields are elsewhere.</summary>
    private const string Remedy = ": the kernel may speak another dialect, which --abi can name";

    private uint _address;

    /// <summary>What the guest has said of the structure; null before it has.</summary>
    public LguestDataState? State
    {
        get;
        set
        {
            field = value;
            _address = value?.Address ?? 0;
        }
    }

    /// <summary>Whether the guest has given the address: nothing else here may be used before.</summary>
    public bool IsPresent => State is not null;

    /// <summary>Whether an instruction is in the code where no interrupt may be delivered.</summary>
    public bool ForbidsInterruptsAt(uint eip) => State is { } state && eip >= state.NoInterruptStart && eip < state.NoInterruptEnd;

    /// <summary>Whether the guest takes interrupts: only bit 9 counts, the rest of the dword is flags of no meaning.</summary>
    public bool InterruptsEnabled
    {
        get => (memory.ReadUInt32(At(layout.IrqEnabled), What) & Eflags.If) != 0;
        set => memory.WriteUInt32(At(layout.IrqEnabled), value ? Eflags.If : 0, What);
    }

    /// <summary>Bit n is set while the guest masks IRQ n.</summary>
    public uint BlockedInterrupts => memory.ReadUInt32(At(layout.BlockedInterrupts), What);

    /// <summary>Slots in the ring.</summary>
    public int RingSlots => layout.RingSlots;

    /// <summary>Takes the structure's address from the guest, and what the guest has written there.</summary>
    /// <param name="address">Its physical address.</param>
    /// <param name="size">How many bytes there are of it; 0 for those that every kernel has. Without a meaning in some lines of kernels.</param>
    /// <exception cref="GuestFaultException">It isn't all in guest memory, or is too small.</exception>
    public void Locate(uint address, uint size = 0)
    {
        if (size == 0 || layout.Description is null)
        {
            size = (uint)layout.Size;
        }

        if (size < layout.Size)
        {
            throw new GuestFaultException($"{What} of {size} bytes is too small: {layout.Size} are needed");
        }

        if (!memory.Contains(address, size))
        {
            throw new GuestFaultException($"{What} at 0x{address:x8}, {size} bytes, is outside guest memory{Remedy}");
        }

        if (layout.SystemCallVector is { } place && memory.ReadUInt32(address + (uint)place, What) is var vector and not GateTable.SystemCallVector)
        {
            throw new GuestFaultException($"{What} has the system call vector 0x{vector:x}, not 0x{GateTable.SystemCallVector:x}{Remedy}");
        }

        uint range = address + (uint)layout.NoInterruptRange;
        uint start = memory.ReadUInt32(range, What);
        State = new LguestDataState(
            address,
            start,
            layout.IsNoInterruptRangeOneInstruction ? start + 1 : memory.ReadUInt32(range + sizeof(uint), What),
            layout.KernelAddress is { } offset ? memory.ReadUInt32(address + (uint)offset, What) : null,
            ReadDescription(address, size));
    }

    /// <summary>Tells the guest what it must know from the start.</summary>
    /// <param name="reservedBytes">The host's part of the top of linear space.</param>
    /// <param name="guestId">The guest's number.</param>
    /// <param name="tscKilohertz">Rate of RDTSC.</param>
    public void WriteIdentity(uint reservedBytes, ushort guestId, uint tscKilohertz)
    {
        memory.WriteUInt32(At(layout.ReservedMemory), reservedBytes, What);
        if (layout.GuestId is { } place)
        {
            Span<byte> id = stackalloc byte[sizeof(ushort)];
            BinaryPrimitives.WriteUInt16LittleEndian(id, guestId);
            memory.Write(At(place), id, What);
        }

        memory.WriteUInt32(At(layout.TscKilohertz), tscKilohertz, What);
    }

    /// <summary>Tells the guest where the page directory is that it was started on, if its kind asks that.</summary>
    public void WritePageDirectory(uint directory)
    {
        if (layout.PageDirectory is { } place)
        {
            memory.WriteUInt32(At(place), directory, What);
        }
    }

    /// <summary>Tells the guest whether an interrupt waits that it doesn't take now, if its kind asks that.</summary>
    public void WriteInterruptPending(bool isWaiting)
    {
        if (IsPresent && layout.InterruptPending is { } place)
        {
            memory.WriteUInt32(At(place), isWaiting ? Eflags.If : 0, What);
        }
    }

    /// <summary>Where a page fault was.</summary>
    public void WriteFaultAddress(uint address) => memory.WriteUInt32(At(layout.FaultAddress), address, What);

    /// <summary>The date, which the guest reads without a call.</summary>
    public void WriteWallClock(WallTime time)
    {
        memory.WriteUInt32(At(layout.WallClock), time.Seconds, What);
        memory.WriteUInt32(At(layout.WallClock + sizeof(uint)), time.Nanoseconds, What);
    }

    /// <summary>Whether a slot of the ring holds a call that hasn't been made.</summary>
    public bool IsQueued(int slot) => memory.ReadByte(At(layout.RingStatus + slot), What) != SlotFree;

    /// <summary>A slot's call: its number and arguments.</summary>
    public void ReadQueued(int slot, Span<uint> fields)
    {
        for (int i = 0; i < fields.Length && i < layout.RingCallFields.Count; i++)
        {
            int offset = layout.RingCalls + (slot * layout.RingCallSize) + layout.RingCallFields[i];
            fields[i] = memory.ReadUInt32(At(offset), What);
        }
    }

    /// <summary>Gives a slot back to the guest.</summary>
    public void FreeSlot(int slot) => memory.Write(At(layout.RingStatus + slot), [SlotFree], What);

    private KernelDescription? ReadDescription(uint address, uint size)
    {
        if (layout.Description is not { } offset || size < offset + KernelDescription.Size)
        {
            return null;
        }

        Span<byte> bytes = stackalloc byte[KernelDescription.Size];
        memory.Read(address + (uint)offset, bytes, What);
        return KernelDescription.Read(bytes);
    }

    private uint At(int offset) => _address + (uint)offset;
}

/// <summary>What the guest said of lguest_data at its first hypercall.</summary>
/// <param name="Address">Its physical address.</param>
/// <param name="NoInterruptStart">EIP where the code begins in which no interrupt may be delivered.</param>
/// <param name="NoInterruptEnd">EIP where it has ended.</param>
/// <param name="KernelAddress">Linear address at which the kernel sees physical 0; null of kernels that don't say.</param>
/// <param name="Kernel">What the kernel says of itself; null if it says nothing.</param>
public sealed record LguestDataState(
    uint Address, uint NoInterruptStart, uint NoInterruptEnd, uint? KernelAddress, KernelDescription? Kernel);
