using Lguest.Host.Dma;

namespace Lguest.Devices.Networks.Peers;

/// <summary>
/// The words of the shared memory. All of it can be changed by others at any moment: whoever reads a word judges what
/// it got, and reads no second time.
/// </summary>
/// <param name="start">Where the file is mapped.</param>
internal readonly unsafe struct SharedMemory(nint start)
{
    private const int MembersOffset = 8;
    private const int BellOffset = 64;
    private const int ArmedOffset = 128;
    private const int KeysOffset = 192;
    private const int OffersOffset = 128;
    private const int WaitersOffset = 132;
    private const int RequestOffset = 192;
    private const int SequenceOffset = 256;

    /// <summary>The guests' page.</summary>
    public byte* Addresses => (byte*)start;

    /// <summary>The header's magic.</summary>
    public ref ulong Magic => ref Word64(SharedLayout.Header);

    /// <summary>A bit for each slot that is taken.</summary>
    public ref ulong Members => ref Word64(SharedLayout.Header + MembersOffset);

    /// <summary>A bit for each slot whose owner receives on a key.</summary>
    /// <param name="key">The key's offset, below a page.</param>
    public ref ulong Receivers(int key) => ref Word64(SharedLayout.Directory + (key / SharedLayout.KeySize * sizeof(ulong)));

    /// <summary>How often a slot was taken.</summary>
    public ref uint Incarnation(int slot) => ref *Word(SharedLayout.Area(slot));

    /// <summary>Changes, and is woken, when a slot's owner is to look into its inboxes.</summary>
    public uint* Bell(int slot) => Word(SharedLayout.Area(slot) + BellOffset);

    /// <summary>Not 0 while a slot's owner wants to be rung for.</summary>
    public ref uint Armed(int slot) => ref *Word(SharedLayout.Area(slot) + ArmedOffset);

    /// <summary>The key of an inbox, plus 1; 0 for none.</summary>
    public ref uint Key(int slot, int inbox) => ref *Word(SharedLayout.Area(slot) + KeysOffset + (inbox * sizeof(uint)));

    /// <summary>The state of an entry: an <see cref="EntryState"/>.</summary>
    public ref ulong Entry(int slot, int inbox, int entry) => ref Word64(SharedLayout.Inbox(slot, inbox) + (entry * sizeof(ulong)));

    /// <summary>How often anything was offered in an inbox; is woken too.</summary>
    public uint* Offers(int slot, int inbox) => Word(SharedLayout.Inbox(slot, inbox) + OffersOffset);

    /// <summary>Not 0 while somebody waits for an offer.</summary>
    public ref uint Waiters(int slot, int inbox) => ref *Word(SharedLayout.Inbox(slot, inbox) + WaitersOffset);

    /// <summary>Not 0 when somebody has found no offer.</summary>
    public ref uint Request(int slot, int inbox) => ref *Word(SharedLayout.Inbox(slot, inbox) + RequestOffset);

    /// <summary>The number of an inbox's next offer.</summary>
    public ref uint Sequence(int slot, int inbox) => ref *Word(SharedLayout.Inbox(slot, inbox) + SequenceOffset);

    /// <summary>The data of an entry.</summary>
    public Span<byte> Data(int slot, int inbox, int entry, int length) => new(
        (byte*)start + SharedLayout.Inbox(slot, inbox) + SharedLayout.PageSize + ((long)entry * IPeerExchange.LongestMessage),
        Math.Min(length, IPeerExchange.LongestMessage));

    private uint* Word(long offset) => (uint*)(start + (nint)offset);

    private ref ulong Word64(long offset) => ref *(ulong*)(start + (nint)offset);
}
