namespace Lguest.Host.Dma;

/// <summary>Which buffers of the guest's are offered on one key, and how one is filled.</summary>
internal sealed class SharedInbox(DmaRouter router, IPeerExchange peers, int number)
{
    private readonly SharedBinding?[] _bindings = new SharedBinding?[IPeerExchange.MostOffers];
    private readonly uint[] _buffers = new uint[IPeerExchange.MostOffers];
    private int _count;

    /// <summary>The exchange's number for it.</summary>
    public int Number => number;

    /// <summary>Whether others can find it.</summary>
    public bool IsOpen => number >= 0;

    /// <summary>Whether anything is offered.</summary>
    public bool HasOffers => _count > 0;

    /// <summary>Offers a buffer; false when there are offers enough.</summary>
    public bool TryOffer(SharedBinding binding, uint buffer, int capacity)
    {
        int offer = IsOpen ? peers.Offer(number, capacity) : -1;
        if (offer < 0)
        {
            return false;
        }

        _bindings[offer] = binding;
        _buffers[offer] = buffer;
        _count++;
        binding.Offered++;
        return true;
    }

    /// <summary>Whether a buffer is offered.</summary>
    public bool Offers(SharedBinding binding, uint buffer)
    {
        for (int i = 0; i < _bindings.Length; i++)
        {
            if (_bindings[i] == binding && _buffers[i] == buffer)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Fills a buffer: data, used_len, interrupt, in this order. False when the guest has meanwhile used it itself.</summary>
    /// <exception cref="GuestFaultException">The buffer isn't guest memory, or crosses a page.</exception>
    public bool Deliver(int offer, ReadOnlySpan<byte> message)
    {
        if (_bindings[offer] is not { } binding || !router.IsFree(_buffers[offer]))
        {
            return false;
        }

        DmaList list = router.LoadReceiving(_buffers[offer]);
        list.CheckPages();
        int length = list.CopyFrom(message);
        router.WriteUsed(_buffers[offer], (uint)length);
        router.Interrupt(binding.Irq);
        return true;
    }

    /// <summary>An offer has come to its end.</summary>
    public void Forget(int offer)
    {
        if (_bindings[offer] is { } binding)
        {
            binding.Offered--;
            _bindings[offer] = null;
            _count--;
        }
    }

    /// <summary>Takes back all that a binding offers.</summary>
    public void Withdraw(SharedBinding binding)
    {
        for (int i = 0; i < _bindings.Length; i++)
        {
            if (_bindings[i] == binding)
            {
                peers.Withdraw(number, i);
                Forget(i);
            }
        }
    }

    /// <summary>Says that this guest doesn't receive here any more.</summary>
    public void Close()
    {
        if (IsOpen)
        {
            peers.Close(number);
        }
    }
}
