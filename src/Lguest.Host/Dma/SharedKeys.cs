namespace Lguest.Host.Dma;

/// <summary>
/// Keys in memory that guests share: BIND_DMA there offers the guest's buffers to other guests, and SEND_DMA fills one of
/// theirs. Each guest's memory is touched by its own process alone.
/// </summary>
/// <remarks>A piece of a list that crosses a page ends the guest whose list it is, sender or receiver.</remarks>
public sealed class SharedKeys : IDmaReceiver
{
    // What arrives in one go, so that a flood doesn't keep the guest from running.
    private const int MostAtOnce = 256;

    private readonly DmaRouter _router;
    private readonly IPeerExchange _peers;
    private readonly uint _start;
    private readonly uint _length;
    private readonly List<SharedBinding> _bindings = [];
    private int _version = -1;

    internal SharedKeys(DmaRouter router, uint start, uint length, IPeerExchange peers)
    {
        _router = router;
        _start = start;
        _length = length;
        _peers = peers;
    }

    /// <inheritdoc />
    public uint Send(uint key, DmaList message)
    {
        message.CheckPages();
        return (uint)_peers.Send((int)(key - _start), message);
    }

    /// <summary>Sends what isn't in guest memory.</summary>
    /// <param name="key">The key.</param>
    /// <param name="message">At most <see cref="IPeerExchange.LongestMessage"/> bytes.</param>
    /// <returns>Bytes that the receiver took.</returns>
    public int Send(uint key, ReadOnlySpan<byte> message) => _peers.Send((int)(key - _start), message);

    /// <summary>How long a message may be that is sent to a key, as far as is known; longer ones are cut off.</summary>
    public int Capacity(uint key) => _peers.Capacity((int)(key - _start));

    /// <summary>Gives the guest what has arrived, and offers the buffers that it has freed.</summary>
    /// <param name="delivered">Sees each message that the guest got.</param>
    /// <returns>False when there is more: call again soon.</returns>
    /// <exception cref="GuestFaultException">A buffer that was filled isn't guest memory, or crosses a page.</exception>
    public bool Service(IDeliveryObserver delivered)
    {
        Update();
        bool mayRest = false;
        for (int rounds = 0; rounds < MostAtOnce; rounds++)
        {
            int count = Deliver(delivered, out bool mustRead);
            if (mustRead && mayRest && count == 0)
            {
                // All that has come waits for the guest to read.
                return true;
            }

            rounds += count;
            mayRest = true;
            if (_peers.Rest())
            {
                return true;
            }
        }

        return false;
    }

    private int Deliver(IDeliveryObserver delivered, out bool mustRead)
    {
        int count = 0;
        mustRead = false;
        foreach (SharedBinding binding in _bindings)
        {
            count += Deliver(binding.Inbox, delivered, ref mustRead);
            binding.Offer();
        }

        foreach (SharedBinding binding in _bindings)
        {
            AnswerRequest(binding);
        }

        return count;
    }

    private int Deliver(SharedInbox inbox, IDeliveryObserver delivered, ref bool mustRead)
    {
        int count = 0;
        while (count < MostAtOnce && inbox.IsOpen && _peers.TryTake(inbox.Number, out int offer, out ReadOnlySpan<byte> message, out bool isLost))
        {
            if (!isLost)
            {
                if (!inbox.TryDeliver(offer, message))
                {
                    mustRead = true;
                    break;
                }

                delivered.Delivered(message);
            }

            inbox.Forget(offer);
            _peers.Release(inbox.Number, offer);
            count++;
        }

        return count;
    }

    /// <summary>
    /// A peer has found no free buffer: the guest is to look at those that are full, unless it has freed some already. An
    /// interrupt without a cause would make it distrust the line.
    /// </summary>
    private void AnswerRequest(SharedBinding binding)
    {
        if (binding.Inbox.IsOpen && _peers.TakeRequest(binding.Inbox.Number) && !binding.Inbox.HasOffers)
        {
            _router.Interrupt(binding.Buffers.Binding.Irq);
        }
    }

    /// <summary>Takes note of what the guest has bound and unbound.</summary>
    private void Update()
    {
        if (_version == _router.Version)
        {
            return;
        }

        _version = _router.Version;
        foreach (SharedBinding gone in _bindings.Where(binding => !_router.Bindings.Contains(binding.Buffers)).ToList())
        {
            gone.Withdraw();
            _bindings.Remove(gone);
            if (!_bindings.Exists(other => other.Inbox == gone.Inbox))
            {
                gone.Inbox.Close();
            }
        }

        foreach (BoundBuffers bound in _router.Bindings.Where(bound => bound.Binding.Key - _start < _length && !_bindings.Exists(known => known.Buffers == bound)))
        {
            SharedInbox inbox = _bindings.Find(known => known.Buffers.Binding.Key == bound.Binding.Key)?.Inbox
                ?? new SharedInbox(_peers, _peers.Open((int)(bound.Binding.Key - _start)));
            _bindings.Add(new SharedBinding(_router, bound, inbox));
        }
    }
}

/// <summary>Sees what arrives for a guest.</summary>
public interface IDeliveryObserver
{
    /// <summary>The guest has got a message.</summary>
    /// <param name="message">Good until this returns.</param>
    void Delivered(ReadOnlySpan<byte> message);
}
