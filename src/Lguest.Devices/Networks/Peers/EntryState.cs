namespace Lguest.Devices.Networks.Peers;

/// <summary>What has become of an offer.</summary>
internal enum EntryPhase
{
    /// <summary>There is none.</summary>
    Empty = 0,

    /// <summary>The receiver offers a buffer.</summary>
    Offered = 1,

    /// <summary>A sender writes the data.</summary>
    Claimed = 2,

    /// <summary>The data is there.</summary>
    Filled = 3,

    /// <summary>The receiver waits no longer for the sender, which may still write: only the sender, or its death, ends that.</summary>
    Revoked = 4,
}

/// <summary>The state of an entry of an inbox, in one word that changes at once.</summary>
/// <param name="Word">As it is in memory: phase, length, slot, incarnation, number of the offer.</param>
internal readonly record struct EntryState(ulong Word)
{
    /// <summary>Bits of an offer's number. They wrap.</summary>
    public const int SequenceBits = 24;

    private const int LengthShift = 3;
    private const int LengthBits = 17;
    private const int SlotShift = LengthShift + LengthBits;
    private const int SlotBits = 6;
    private const int IncarnationShift = SlotShift + SlotBits;
    private const int IncarnationBits = 14;
    private const int SequenceShift = IncarnationShift + IncarnationBits;

    /// <summary>What has become of the offer.</summary>
    public EntryPhase Phase => (EntryPhase)(Word & ((1 << LengthShift) - 1));

    /// <summary>Bytes that the buffer has room for, and once it is filled, bytes that are in it. It isn't checked.</summary>
    public int Length => (int)((Word >> LengthShift) & ((1 << LengthBits) - 1));

    /// <summary>The sender's slot.</summary>
    public int Slot => (int)((Word >> SlotShift) & ((1 << SlotBits) - 1));

    /// <summary>The end of the count of its slot's owners.</summary>
    public uint Incarnation => (uint)((Word >> IncarnationShift) & ((1 << IncarnationBits) - 1));

    /// <summary>The offer's number.</summary>
    public uint Sequence => (uint)(Word >> SequenceShift);

    /// <summary>An offer.</summary>
    public static EntryState Offer(uint sequence, int capacity) =>
        new(((ulong)sequence << SequenceShift) | ((ulong)capacity << LengthShift) | (uint)EntryPhase.Offered);

    /// <summary>The same offer, claimed.</summary>
    public EntryState Claim(int slot, uint incarnation) => new(
        (Word >> SequenceShift << SequenceShift)
        | ((ulong)(incarnation & ((1 << IncarnationBits) - 1)) << IncarnationShift)
        | ((ulong)slot << SlotShift)
        | (uint)EntryPhase.Claimed);

    /// <summary>The same claim, with so much data.</summary>
    public EntryState Fill(int length) => new((Word >> SlotShift << SlotShift) | ((ulong)length << LengthShift) | (uint)EntryPhase.Filled);

    /// <summary>The same claim, revoked.</summary>
    public EntryState Revoke() => new((Word >> SlotShift << SlotShift) | (uint)EntryPhase.Revoked);

    /// <summary>Whether this offer was made before another.</summary>
    public bool IsOlderThan(EntryState other)
    {
        const int Unused = 32 - SequenceBits;
        return (int)((Sequence - other.Sequence) << Unused) < 0;
    }

    /// <summary>Whether a slot's owner is the one that made this claim.</summary>
    /// <param name="incarnation">The count of the slot's owners.</param>
    public bool IsOf(uint incarnation) => Incarnation == (incarnation & ((1 << IncarnationBits) - 1));
}
