namespace Lguest.Host.Dma;

/// <summary>
/// A buffer of the guest's that is free to be filled. What the guest sees must change in the order of the methods here:
/// data, used_len, interrupt.
/// </summary>
public readonly struct DmaBuffer
{
    private readonly DmaRouter _router;
    private readonly BoundBuffers _owner;
    private readonly uint _address;

    internal DmaBuffer(DmaRouter router, BoundBuffers owner, uint address)
    {
        _router = router;
        _owner = owner;
        _address = address;
    }

    /// <summary>How many bytes the buffer has room for.</summary>
    /// <exception cref="GuestFaultException">It isn't all guest memory.</exception>
    public int Capacity => _router.LoadReceiving(_address).Length;

    /// <summary>Copies into the buffer's pieces, from its start.</summary>
    /// <returns>Bytes copied: all of the source, or as much as there is room for.</returns>
    /// <exception cref="GuestFaultException">The buffer isn't all guest memory.</exception>
    public int Fill(ReadOnlySpan<byte> source) => _router.LoadReceiving(_address).CopyFrom(source);

    /// <summary>Tells the guest how many bytes are in the buffer; any but 0 takes it out of use until the guest frees it.</summary>
    public void SetUsed(uint length)
    {
        _router.WriteUsed(_address, length);
        if (length != 0)
        {
            _owner.CountFilled();
        }
    }

    /// <summary>Raises the interrupt that the guest named when it bound the buffer.</summary>
    public void Interrupt() => _router.Interrupt(_owner.Binding.Irq);

    /// <summary>Sees that each piece lies within a page, as it must where another guest has a part in the transfer.</summary>
    /// <exception cref="GuestFaultException">One crosses into the next, or isn't guest memory.</exception>
    internal void CheckPages() => _router.LoadReceiving(_address).CheckPages();
}
