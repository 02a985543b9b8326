namespace Lguest.Host.Dma;

/// <summary>An array of buffers that the guest has bound to a key in shared memory. They are used in turn.</summary>
internal sealed class SharedBinding(DmaRouter router, DmaBinding binding, SharedInbox inbox)
{
    // A guest may say that it has sixteen million buffers; it can wait for the rest.
    private const uint MostLooks = 256;

    private uint _next;

    /// <summary>What the guest asked for.</summary>
    public DmaBinding Binding => binding;

    /// <summary>Raised when a buffer is filled.</summary>
    public int Irq => binding.Irq;

    /// <summary>Where its buffers are offered.</summary>
    public SharedInbox Inbox => inbox;

    /// <summary>How many are.</summary>
    public uint Offered { get; set; }

    /// <summary>Offers the buffers that are free and haven't been offered.</summary>
    /// <exception cref="GuestFaultException">The array isn't in guest memory.</exception>
    public void Offer()
    {
        uint looks = Math.Min(binding.Count, MostLooks);
        uint start = _next;
        for (uint i = 0; i < looks && Offered < binding.Count; i++)
        {
            uint index = (start + i) % binding.Count;
            uint address = router.BufferAddress(binding, index);
            if (!router.IsFree(address) || inbox.Offers(this, address))
            {
                continue;
            }

            if (!inbox.TryOffer(this, address, Capacity(address)))
            {
                return;
            }

            // Only what is offered has had its turn.
            _next = (index + 1) % binding.Count;
        }

        if (_next == start && looks < binding.Count)
        {
            _next = (start + looks) % binding.Count;
        }
    }

    /// <summary>Takes back all offers.</summary>
    public void Withdraw() => inbox.Withdraw(this);

    // A list is checked when it is used, and its owner is over then, not before: a bad one is offered as one without room.
    private int Capacity(uint address)
    {
        try
        {
            DmaList list = router.LoadReceiving(address);
            list.CheckPages();
            return list.Length;
        }
        catch (GuestFaultException)
        {
            return 0;
        }
    }
}
