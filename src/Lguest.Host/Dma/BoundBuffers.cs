namespace Lguest.Host.Dma;

/// <summary>
/// The buffers of one binding, filled in an order in which every driver reads them: each pass over the array goes up, and a
/// new one begins only when the buffer that was filled last has been read.
/// </summary>
/// <remarks>
/// <para>The driver of 2.6.23 looks through the whole array from its start at each interrupt, with the line blocked. Ours
/// reads on from where it was. What goes up and waits at the end of the array is in order for both.</para>
/// <para>While the line is blocked and all has been read, the driver of 2.6.23 may have passed the next buffer, but not the
/// one after it, which it would read first. So then only one is filled until that is read.</para>
/// </remarks>
internal sealed class BoundBuffers(DmaRouter router, DmaBinding binding)
{
    // A guest may say that it has sixteen million buffers, and keep all of them.
    private const int MostLooks = 64;

    private uint _next;
    private uint? _last;
    private bool _isAlone;

    /// <summary>What the guest asked for.</summary>
    public DmaBinding Binding => binding;

    /// <summary>The order so far.</summary>
    public DmaBindingState State
    {
        get => new(binding, _next, _last, _isAlone);
        init => (_next, _last, _isAlone) = (value.Next, value.Last, value.IsAlone);
    }

    private bool IsRead => _last is not { } last || router.IsFree(router.BufferAddress(binding, last));

    private bool MayFill => IsRead || !_isAlone || !router.IsBlocked(binding.Irq);

    /// <summary>Finds the buffer to fill next; false when the guest must read first.</summary>
    /// <exception cref="GuestFaultException">It isn't in guest memory.</exception>
    public bool TryFindNext(out DmaBuffer buffer)
    {
        buffer = default;
        if (!MayFill)
        {
            return false;
        }

        PassOverKept();
        if (!TryWrap())
        {
            return false;
        }

        uint address = router.BufferAddress(binding, _next);
        buffer = new DmaBuffer(router, this, address);
        return router.IsFree(address);
    }

    /// <summary>Finds a free buffer that will be filled after others: in this pass, or in the next.</summary>
    /// <param name="others">How many those are.</param>
    /// <param name="address">Where it is.</param>
    /// <exception cref="GuestFaultException">It isn't in guest memory.</exception>
    public bool TryFindAhead(uint others, out uint address)
    {
        address = 0;
        if (others >= binding.Count)
        {
            return false;
        }

        if (others == 0)
        {
            PassOverKept();
        }

        address = router.BufferAddress(binding, (uint)(((ulong)_next + others) % binding.Count));
        return router.IsFree(address);
    }

    /// <summary>The next buffer is the guest's to read from now on.</summary>
    public void CountFilled()
    {
        _isAlone = IsRead && router.IsBlocked(binding.Irq);
        _last = _next;
        _next++;
    }

    /// <summary>What is taken although the guest has read all is kept for something: its turn comes in another pass.</summary>
    private void PassOverKept()
    {
        for (int i = 0; i < MostLooks && TryWrap() && !router.IsFree(router.BufferAddress(binding, _next)); i++)
        {
            _next++;
        }
    }

    private bool TryWrap()
    {
        if (_next == binding.Count && IsRead)
        {
            _next = 0;
        }

        return _next < binding.Count;
    }
}

/// <summary>An array of buffers that the guest has bound.</summary>
/// <param name="Key">What they receive on.</param>
/// <param name="Array">Physical address of the first <c>struct lguest_dma</c>.</param>
/// <param name="Count">How many there are.</param>
/// <param name="Irq">Raised when one is filled, 1 to 31.</param>
public sealed record DmaBinding(uint Key, uint Array, uint Count, int Irq);

/// <summary>All of a binding that must survive in a saved state.</summary>
/// <param name="Binding">What the guest asked for.</param>
/// <param name="Next">The buffer whose turn it is; as many as there are at the end of a pass.</param>
/// <param name="Last">The one that was filled last, if any.</param>
/// <param name="IsAlone">Whether that was filled while the guest might have passed it.</param>
public sealed record DmaBindingState(DmaBinding Binding, uint Next = 0, uint? Last = null, bool IsAlone = false);
