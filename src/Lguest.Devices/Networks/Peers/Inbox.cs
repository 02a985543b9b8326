using System.Diagnostics;
using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Host.Dma;

namespace Lguest.Devices.Networks.Peers;

/// <summary>
/// The receiver's side of an inbox. Entries are offered in the guest's order; senders claim the oldest, write the data
/// where only they may, and say that it is filled. What a sender sends arrives in its order; one that is slow holds up
/// nobody else.
/// </summary>
/// <remarks>
/// A sender that dies while it writes loses its claim at once. One that is merely stopped loses it after a while; the
/// entry then isn't used until the sender has gone on and found out, or has died.
/// </remarks>
[SupportedOSPlatform("linux")]
internal sealed unsafe class Inbox
{
    private const int None = -1;

    // An entry changes twice at most while it is ended, if all keep to the rules.
    private const int MostAttempts = 4;
    private const uint SequenceMask = (1u << EntryState.SequenceBits) - 1;

    private static readonly TimeSpan FirstDoubt = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestClaim = TimeSpan.FromMilliseconds(500);

    private readonly SharedMemory _memory;
    private readonly SlotTable _slots;
    private readonly int _number;
    private readonly Entry[] _entries = new Entry[SharedLayout.Entries];

    // The entries that are offered, oldest first.
    private readonly int[] _offered = new int[SharedLayout.Entries];
    private int _count;
    private int _revoked;
    private long _lastLookAtRevoked;

    /// <summary>Opens an inbox for a key. The area belongs to this process by now, and there is room for the inbox.</summary>
    public Inbox(SharedMemory memory, SlotTable slots, int number, int key)
    {
        _memory = memory;
        _slots = slots;
        _number = number;
        Key = key;
        for (int i = 0; i < SharedLayout.Entries; i++)
        {
            End(i);
        }

        Interlocked.Exchange(ref memory.Request(slots.Own, number), 0);
        Interlocked.Exchange(ref memory.Key(slots.Own, number), (uint)key + 1);
        Interlocked.Or(ref memory.Receivers(key), SlotTable.Bit(slots.Own));
    }

    private enum EntryUse
    {
        Free,
        Offered,
        Revoked,
    }

    /// <summary>The key's offset.</summary>
    public int Key { get; }

    private ref uint NextSequence => ref _memory.Sequence(_slots.Own, _number);

    /// <summary>Says that nobody receives here any more, and ends all offers.</summary>
    public void Close()
    {
        Interlocked.And(ref _memory.Receivers(Key), ~SlotTable.Bit(_slots.Own));
        Interlocked.Exchange(ref _memory.Key(_slots.Own, _number), 0);
        while (_count > 0)
        {
            Withdraw(_offered[0]);
        }
    }

    /// <summary>Offers a buffer; -1 when all entries are in use.</summary>
    public int Offer(int capacity)
    {
        int number = FindFree();
        if (number < 0)
        {
            return None;
        }

        uint sequence = Interlocked.Increment(ref NextSequence) & SequenceMask;
        var offer = EntryState.Offer(sequence, capacity);
        _entries[number] = new Entry { Use = EntryUse.Offered, Offer = offer };
        _offered[_count++] = number;
        Interlocked.Exchange(ref State(number), offer.Word);

        // Who waits has said so before it looked at the count.
        uint* offers = _memory.Offers(_slots.Own, _number);
        Interlocked.Increment(ref *offers);
        if (Volatile.Read(ref _memory.Waiters(_slots.Own, _number)) != 0)
        {
            Interlocked.Exchange(ref _memory.Waiters(_slots.Own, _number), 0);
            SystemCalls.FutexWake(offers);
        }

        return number;
    }

    /// <summary>Ends an offer, whatever has become of it.</summary>
    public void Withdraw(int offer)
    {
        if (_entries[offer].Use == EntryUse.Offered)
        {
            End(offer);
        }

        Remove(offer);
    }

    /// <summary>Shows the oldest offer that has come to its end.</summary>
    public bool TryTake(out int offer, out ReadOnlySpan<byte> message, out bool isLost)
    {
        message = default;
        offer = FindFinished(out isLost, out int length);
        if (offer < 0)
        {
            return false;
        }

        if (!isLost)
        {
            message = _memory.Data(_slots.Own, _number, offer, Math.Min(length, _entries[offer].Offer.Length));
        }

        return true;
    }

    /// <summary>Whether there is anything to take, or somebody has found no offer.</summary>
    public bool HasNews =>
        Volatile.Read(ref _memory.Request(_slots.Own, _number)) != 0 || (_count > 0 && FindFinished(out _, out _) >= 0);

    /// <summary>Whether somebody has found no offer since this was last asked.</summary>
    public bool TakeRequest()
    {
        ref uint request = ref _memory.Request(_slots.Own, _number);
        return Volatile.Read(ref request) != 0 && Interlocked.Exchange(ref request, 0) != 0;
    }

    /// <summary>
    /// The oldest offer that has come to its end and isn't from somebody who has claimed an older one. Younger ones are
    /// looked at first: a sender claims the older first, so that its claim of that is seen too.
    /// </summary>
    private int FindFinished(out bool isLost, out int length)
    {
        int found = None;
        length = 0;
        isLost = false;
        int sender = None;
        for (int i = _count - 1; i >= 0; i--)
        {
            int number = _offered[i];
            ref Entry entry = ref _entries[number];
            var state = new EntryState(Volatile.Read(ref State(number)));
            switch (state.Phase)
            {
                case EntryPhase.Offered when state == entry.Offer:
                    break;
                case EntryPhase.Filled when state.Sequence == entry.Offer.Sequence:
                    (found, sender, length, isLost) = (number, state.Slot, state.Length, false);
                    break;
                case EntryPhase.Claimed when state.Sequence == entry.Offer.Sequence:
                    if (HasLostClaim(ref entry, number, state))
                    {
                        (found, sender, isLost) = (number, state.Slot, true);
                    }
                    else if (found >= 0 && sender == state.Slot)
                    {
                        found = None;
                    }

                    break;
                default:
                    // Nobody who keeps to the rules has written this.
                    (found, sender, isLost) = (number, None, true);
                    break;
            }
        }

        return found;
    }

    /// <summary>Takes a claim away from a sender that is dead, or has been stopped for long.</summary>
    private bool HasLostClaim(ref Entry entry, int number, EntryState claim)
    {
        long now = Stopwatch.GetTimestamp();
        if (entry.ClaimedSince == 0)
        {
            entry.ClaimedSince = now;
            entry.NextDoubt = now + Ticks(FirstDoubt);
            return false;
        }

        if (now < entry.NextDoubt)
        {
            return false;
        }

        entry.NextDoubt = now + Ticks(FirstDoubt);
        if (_slots.IsAlive(claim.Slot, claim) && now - entry.ClaimedSince < Ticks(LongestClaim))
        {
            return false;
        }

        return Revoke(number, claim);
    }

    private bool Revoke(int number, EntryState claim)
    {
        if (Interlocked.CompareExchange(ref State(number), claim.Revoke().Word, claim.Word) != claim.Word)
        {
            return false;
        }

        _entries[number].Use = EntryUse.Revoked;
        _revoked++;
        return true;
    }

    /// <summary>Makes an entry empty; if somebody writes to it, it is revoked instead.</summary>
    private void End(int number)
    {
        for (int i = 0; i < MostAttempts; i++)
        {
            var state = new EntryState(Volatile.Read(ref State(number)));
            if (state.Phase is EntryPhase.Claimed or EntryPhase.Revoked && _slots.IsAlive(state.Slot, state))
            {
                if (Revoke(number, state))
                {
                    return;
                }
            }
            else if (Interlocked.CompareExchange(ref State(number), 0, state.Word) == state.Word)
            {
                break;
            }
        }

        _entries[number].Use = EntryUse.Free;
    }

    private int FindFree()
    {
        for (int i = 0; i < _entries.Length; i++)
        {
            if (_entries[i].Use == EntryUse.Free)
            {
                return i;
            }
        }

        return _revoked > 0 ? TakeBackRevoked() : None;
    }

    /// <summary>Looks for an entry that its sender has given up, or whose sender has died.</summary>
    private int TakeBackRevoked()
    {
        long now = Stopwatch.GetTimestamp();
        bool mayAsk = now - _lastLookAtRevoked > Ticks(FirstDoubt);
        for (int i = 0; i < _entries.Length; i++)
        {
            var state = new EntryState(Volatile.Read(ref State(i)));
            if (_entries[i].Use == EntryUse.Revoked
                && (state.Phase != EntryPhase.Revoked || (mayAsk && !_slots.IsAlive(state.Slot, state))))
            {
                _entries[i].Use = EntryUse.Free;
                _revoked--;
                return i;
            }
        }

        _lastLookAtRevoked = mayAsk ? now : _lastLookAtRevoked;
        return None;
    }

    private void Remove(int number)
    {
        int place = Array.IndexOf(_offered, number, 0, _count);
        if (place >= 0)
        {
            Array.Copy(_offered, place + 1, _offered, place, _count - place - 1);
            _count--;
        }
    }

    private ref ulong State(int number) => ref _memory.Entry(_slots.Own, _number, number);

    private static long Ticks(TimeSpan time) => time.Ticks * Stopwatch.Frequency / TimeSpan.TicksPerSecond;

    /// <summary>What this process knows of an entry, whatever is in the shared memory.</summary>
    private struct Entry
    {
        public EntryUse Use;
        public EntryState Offer;
        public long ClaimedSince;
        public long NextDoubt;
    }
}
