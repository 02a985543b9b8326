namespace Lguest.Host.Dma;

/// <summary>Whose buffers are offered on one key, and how one is filled.</summary>
internal sealed class SharedInbox(IPeerExchange peers, int number)
{
    private readonly SharedBinding?[] _bindings = new SharedBinding?[IPeerExchange.MostOffers];
    private int _count;

    /// <summary>The exchange's number for it.</summary>
    public int Number => number;

    /// <summary>Whether others can find it.</summary>
    public bool IsOpen => number >= 0;

    /// <summary>Whether anything is offered.</summary>
    public bool HasOffers => _count > 0;

    /// <summary>Whether more can be.</summary>
    public bool HasRoom => IsOpen && _count < IPeerExchange.MostOffers;

    /// <summary>Offers a buffer; false when there are offers enough.</summary>
    public bool TryOffer(SharedBinding binding, int capacity)
    {
        int offer = peers.Offer(number, capacity);
        if (offer < 0)
        {
            return false;
        }

        _bindings[offer] = binding;
        _count++;
        binding.Offered++;
        return true;
    }

    /// <summary>
    /// Fills the buffer whose turn it is: data, used_len, interrupt, in this order. False when the guest must read first, or
    /// has meanwhile used its buffers itself.
    /// </summary>
    /// <exception cref="GuestFaultException">The buffer isn't guest memory, or crosses a page.</exception>
    public bool TryDeliver(int offer, ReadOnlySpan<byte> message)
    {
        if (_bindings[offer] is not { } binding || !binding.Buffers.TryFindNext(out DmaBuffer buffer))
        {
            return false;
        }

        buffer.CheckPages();
        buffer.SetUsed((uint)buffer.Fill(message));
        buffer.Interrupt();
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
