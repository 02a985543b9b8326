using System.Diagnostics;
using System.Numerics;
using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Host.Dma;

namespace Lguest.Devices.Networks.Peers;

/// <summary>
/// The sender's side of all inboxes of others: the message goes from the guest's memory straight to where the receiver
/// finds it.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class Sender(SharedMemory memory, SlotTable slots)
{
    // Others may take what was just seen to be free, but not for ever.
    private const int MostAttempts = 64;

    private static readonly long Patience = Stopwatch.Frequency * 3 / 2000;

    // How much each inbox had ever been offered when its owner last kept us waiting in vain, plus 1.
    private readonly ulong[] _missed = new ulong[SharedLayout.Slots * SharedLayout.Inboxes];

    // The room in the entry of each inbox that was last filled.
    private readonly int[] _capacity = new int[SharedLayout.Slots * SharedLayout.Inboxes];

    private enum Result
    {
        NoOffer,
        Sent,
        Lost,
    }

    /// <summary>Sends to the first other guest that receives on a key.</summary>
    /// <returns>Bytes that it took.</returns>
    public int Send(int key, OutgoingMessage message) =>
        TryFindReceiver(key, out int slot, out int inbox) ? SendTo(slot, inbox, message) : 0;

    /// <summary>The size of the entries on a key, those of the first other guest that receives there; 0 until something was sent to it.</summary>
    public int Capacity(int key) => TryFindReceiver(key, out int slot, out int inbox) ? _capacity[Number(slot, inbox)] : 0;

    private static int Number(int slot, int inbox) => (slot * SharedLayout.Inboxes) + inbox;

    private bool TryFindReceiver(int key, out int slot, out int inbox)
    {
        (slot, inbox) = (0, 0);
        ulong receivers = Volatile.Read(ref memory.Receivers(key)) & ~SlotTable.Bit(slots.Own);
        while (receivers != 0)
        {
            slot = BitOperations.TrailingZeroCount(receivers);
            for (inbox = 0; inbox < SharedLayout.Inboxes; inbox++)
            {
                if (Volatile.Read(ref memory.Key(slot, inbox)) == (uint)key + 1)
                {
                    return true;
                }
            }

            receivers &= receivers - 1;
        }

        return false;
    }

    private int SendTo(int slot, int inbox, OutgoingMessage message)
    {
        uint* offers = memory.Offers(slot, inbox);
        uint seen = Volatile.Read(ref *offers);
        Result result = TryFill(slot, inbox, message, out int length);
        ref ulong missed = ref _missed[Number(slot, inbox)];
        if (result != Result.NoOffer || missed == seen + 1ul)
        {
            return length;
        }

        // The one chance: let it look, and wait for what it offers.
        Interlocked.Exchange(ref memory.Request(slot, inbox), 1);
        Ring(slot);
        long deadline = Stopwatch.GetTimestamp() + Patience;
        while (result == Result.NoOffer && Stopwatch.GetTimestamp() is long now && now < deadline)
        {
            Interlocked.Exchange(ref memory.Waiters(slot, inbox), 1);
            SystemCalls.FutexWait(offers, seen, (deadline - now) * TimeSpan.NanosecondsPerTick * TimeSpan.TicksPerSecond / Stopwatch.Frequency);
            seen = Volatile.Read(ref *offers);
            result = TryFill(slot, inbox, message, out length);
        }

        missed = result == Result.NoOffer ? seen + 1ul : 0;
        return length;
    }

    /// <summary>Fills the oldest offer of an inbox.</summary>
    private Result TryFill(int slot, int inbox, OutgoingMessage message, out int length)
    {
        length = 0;
        for (int i = 0; i < MostAttempts; i++)
        {
            // Offers that are made during a look may be seen without the older ones before them; by a second look, all
            // that are older than what the first has found are there.
            int entry = FindOldest(slot, inbox, out EntryState offer);
            if (entry >= 0)
            {
                entry = FindOldest(slot, inbox, out offer);
            }

            if (entry < 0)
            {
                return Result.NoOffer;
            }

            ref ulong state = ref memory.Entry(slot, inbox, entry);
            EntryState claim = offer.Claim(slots.Own, slots.OwnIncarnation);
            if (Interlocked.CompareExchange(ref state, claim.Word, offer.Word) == offer.Word)
            {
                _capacity[Number(slot, inbox)] = offer.Length;
                length = message.CopyTo(memory.Data(slot, inbox, entry, offer.Length));
                return Finish(ref state, claim, slot, ref length);
            }
        }

        return Result.NoOffer;
    }

    private Result Finish(ref ulong state, EntryState claim, int slot, ref int length)
    {
        if (Interlocked.CompareExchange(ref state, claim.Fill(length).Word, claim.Word) == claim.Word)
        {
            Ring(slot);
            return Result.Sent;
        }

        // It took so long that the receiver has given it up: we write no more.
        ulong revoked = claim.Revoke().Word;
        Interlocked.CompareExchange(ref state, 0, revoked);
        length = 0;
        return Result.Lost;
    }

    private int FindOldest(int slot, int inbox, out EntryState oldest)
    {
        int found = -1;
        oldest = default;
        for (int i = 0; i < SharedLayout.Entries; i++)
        {
            var state = new EntryState(Volatile.Read(ref memory.Entry(slot, inbox, i)));
            if (state.Phase == EntryPhase.Offered && (found < 0 || state.IsOlderThan(oldest)))
            {
                (found, oldest) = (i, state);
            }
        }

        return found;
    }

    /// <summary>Wakes a receiver that has looked into its inboxes and waits for more.</summary>
    private void Ring(int slot)
    {
        if (Volatile.Read(ref memory.Armed(slot)) != 0 && Interlocked.Exchange(ref memory.Armed(slot), 0) != 0)
        {
            Interlocked.Increment(ref *memory.Bell(slot));
            SystemCalls.FutexWake(memory.Bell(slot));
        }
    }
}
