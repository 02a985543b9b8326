namespace Lguest.Host.Dma;

/// <summary>
/// A binding to a key in shared memory, and how many of its buffers are offered there: all that are free, as far as the inbox
/// has room. What arrives goes into the buffer whose turn it is.
/// </summary>
internal sealed class SharedBinding(DmaRouter router, BoundBuffers buffers, SharedInbox inbox)
{
    /// <summary>What the guest asked for.</summary>
    public BoundBuffers Buffers => buffers;

    /// <summary>Where its buffers are offered.</summary>
    public SharedInbox Inbox => inbox;

    /// <summary>How many are.</summary>
    public uint Offered { get; set; }

    /// <summary>Offers the buffers that are free and haven't been offered.</summary>
    /// <exception cref="GuestFaultException">The array isn't in guest memory.</exception>
    public void Offer()
    {
        // A list is checked when it is used, and its owner is over then, not before: a bad one is offered as one without room.
        while (inbox.HasRoom && buffers.TryFindAhead(Offered, out uint address)
            && inbox.TryOffer(this, router.RoomBetweenGuests(address)))
        {
        }
    }

    /// <summary>Takes back all offers.</summary>
    public void Withdraw() => inbox.Withdraw(this);
}
