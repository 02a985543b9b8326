using System.Runtime.Versioning;

namespace Lguest.Devices.Networks.Peers;

/// <summary>
/// Who is in a shared network. A slot is its owner's as long as the owner has locked the byte of the file that has the
/// slot's number. Whoever finds a slot in use that nobody has locked clears it: its owner has died.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class SlotTable
{
    private readonly SharedFile _file;
    private readonly SharedMemory _memory;

    private SlotTable(SharedFile file, int own)
    {
        _file = file;
        _memory = file.Memory;
        Own = own;
        OwnIncarnation = Interlocked.Increment(ref _memory.Incarnation(own));
    }

    /// <summary>This guest's slot.</summary>
    public int Own { get; }

    /// <summary>Tells this owner of the slot from those before.</summary>
    public uint OwnIncarnation { get; }

    /// <summary>Takes the first slot that can be had.</summary>
    /// <exception cref="Backends.BackendException">None can, or there is no room on the disk.</exception>
    public static SlotTable Join(SharedFile file)
    {
        ClearDead(file, SharedLayout.Slots);
        for (int slot = 0; slot < SharedLayout.Slots; slot++)
        {
            if (file.TryLock(slot))
            {
                if (file.Allocate(SharedLayout.Area(slot), SharedLayout.PageSize) is { } reason)
                {
                    file.Unlock(slot);
                    throw SharedFile.Failure(file.Path, $"gets no room ({reason}): make some, or give one on another file system");
                }

                Clear(file.Memory, slot);
                Interlocked.Or(ref file.Memory.Members, Bit(slot));
                return new SlotTable(file, slot);
            }
        }

        throw SharedFile.Failure(file.Path, $"is full: {SharedLayout.Slots} guests are in it already, so give another");
    }

    /// <summary>A slot's bit in the directory.</summary>
    public static ulong Bit(int slot) => 1ul << slot;

    /// <summary>Whether the owner that made a claim lives. This guest never claims anything of its own.</summary>
    public bool IsAlive(int slot, EntryState claim) =>
        slot != Own && claim.IsOf(Volatile.Read(ref _memory.Incarnation(slot))) && _file.IsLocked(slot);

    /// <summary>Clears the slots of the dead. Any thread may call.</summary>
    public void ClearDead() => ClearDead(_file, Own);

    /// <summary>Gives the slot back.</summary>
    public void Leave()
    {
        Clear(_memory, Own);
        _file.Unlock(Own);
    }

    private static void ClearDead(SharedFile file, int own)
    {
        for (int slot = 0; slot < SharedLayout.AddressSlots; slot++)
        {
            if (slot != own && IsInUse(file.Memory, slot) && !file.IsLocked(slot) && file.TryLock(slot))
            {
                Clear(file.Memory, slot);
                file.Unlock(slot);
            }
        }
    }

    private static bool IsInUse(SharedMemory memory, int slot) =>
        memory.Addresses[slot * SharedLayout.AddressSize] != 0
        || (slot < SharedLayout.Slots && (Volatile.Read(ref memory.Members) & Bit(slot)) != 0);

    /// <summary>Clears what a slot's owner has left. The caller has its lock.</summary>
    private static void Clear(SharedMemory memory, int slot)
    {
        // Its first byte is what makes it an address.
        new Span<byte>(memory.Addresses + (slot * SharedLayout.AddressSize), SharedLayout.AddressSize).Clear();
        if (slot >= SharedLayout.Slots)
        {
            return;
        }

        for (int key = 0; key < SharedLayout.PageSize; key += SharedLayout.KeySize)
        {
            if ((Volatile.Read(ref memory.Receivers(key)) & Bit(slot)) != 0)
            {
                Interlocked.And(ref memory.Receivers(key), ~Bit(slot));
            }
        }

        if ((Volatile.Read(ref memory.Members) & Bit(slot)) != 0)
        {
            for (int inbox = 0; inbox < SharedLayout.Inboxes; inbox++)
            {
                Volatile.Write(ref memory.Key(slot, inbox), 0);
            }
        }

        Interlocked.And(ref memory.Members, ~Bit(slot));
    }
}
