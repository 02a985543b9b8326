using Lguest.Host.Traps;
using Microsoft.Extensions.Logging;

namespace Lguest.Host.Dma;

/// <summary>Takes what the guest sends to a key.</summary>
public interface IDmaReceiver
{
    /// <summary>Consumes a message.</summary>
    /// <param name="key">The key it was sent to.</param>
    /// <param name="message">Good until this returns.</param>
    /// <returns>What the sender's used_len becomes.</returns>
    /// <exception cref="GuestFaultException">The guest is over.</exception>
    uint Send(uint key, DmaList message);
}

/// <summary>
/// BIND_DMA and SEND_DMA: takes the guest's messages to the receivers of their keys, and finds the guest's buffers for
/// messages to it. It alone touches guest memory for a device.
/// </summary>
public sealed class DmaRouter
{
    /// <summary>Bindings that a guest may have.</summary>
    public const int MostBindings = 32;

    private const uint KeyAlignment = 4;
    private const int MostReportedKeys = 16;
    private const string What = "a dma list";

    private readonly GuestMemory _memory;
    private readonly InterruptController _interrupts;
    private readonly ILogger _logger;
    private readonly List<BoundBuffers> _bindings = [];
    private readonly List<KeyRange> _receivers = [];
    private HashSet<uint>? _reported;
    private readonly DmaList _sent;
    private readonly DmaList _received;

    /// <summary>Makes a router that knows no device and no binding.</summary>
    /// <param name="memory">Guest memory.</param>
    /// <param name="interrupts">Tells the guest that a buffer has been filled.</param>
    /// <param name="logger">Hears of messages to nobody.</param>
    public DmaRouter(GuestMemory memory, InterruptController interrupts, ILogger logger)
    {
        _memory = memory;
        _interrupts = interrupts;
        _logger = logger;
        _sent = new DmaList(memory);
        _received = new DmaList(memory);
    }

    /// <summary>The guest's bindings, oldest first.</summary>
    public IReadOnlyList<DmaBindingState> State
    {
        get => [.. _bindings.Select(buffers => buffers.State)];
        set
        {
            _bindings.Clear();
            _bindings.AddRange(value.Select(state => new BoundBuffers(this, state.Binding) { State = state }));
            Version++;
        }
    }

    /// <summary>The guest's bindings, oldest first.</summary>
    internal IReadOnlyList<BoundBuffers> Bindings => _bindings;

    /// <summary>Changes whenever there is one more binding, or one less.</summary>
    internal int Version { get; private set; }

    /// <summary>Makes a receiver known; of two that cover a key, the first is asked.</summary>
    /// <param name="start">The first key.</param>
    /// <param name="length">Bytes of keys: one key alone takes 4, a page shared by peers 4096.</param>
    /// <param name="receiver">Consumes what is sent there.</param>
    public void AddReceiver(uint start, uint length, IDmaReceiver receiver) => _receivers.Add(new KeyRange(start, length, receiver));

    /// <summary>BIND_DMA: registers an array of buffers for receiving on a key. They are checked when they are used.</summary>
    /// <param name="key">A multiple of 4.</param>
    /// <param name="array">Physical address of the first <c>struct lguest_dma</c>.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="irq">Raised when one is filled: 1 to 31.</param>
    /// <returns>False when there is no such IRQ or the guest has all the bindings it may have.</returns>
    /// <exception cref="GuestFaultException">The key isn't a multiple of 4.</exception>
    public bool Bind(uint key, uint array, uint count, uint irq)
    {
        CheckKey(key);
        if (irq is 0 or >= InterruptController.Lines || _bindings.Count >= MostBindings)
        {
            return false;
        }

        _bindings.Add(new BoundBuffers(this, new DmaBinding(key, array, count, (int)irq)));
        Version++;
        return true;
    }

    /// <summary>BIND_DMA with IRQ 0: takes a binding back.</summary>
    /// <returns>Whether there was one of this array on this key.</returns>
    /// <exception cref="GuestFaultException">The key isn't a multiple of 4.</exception>
    public bool Unbind(uint key, uint array)
    {
        CheckKey(key);
        int index = _bindings.FindIndex(buffers => buffers.Binding.Key == key && buffers.Binding.Array == array);
        if (index < 0)
        {
            return false;
        }

        _bindings.RemoveAt(index);
        Version++;
        return true;
    }

    /// <summary>SEND_DMA: brings a message to the receiver of its key, and tells the guest how much of it was used.</summary>
    /// <param name="key">A multiple of 4.</param>
    /// <param name="address">Physical address of a <c>struct lguest_dma</c>.</param>
    /// <exception cref="GuestFaultException">The key, the list or what it names is bad, or the receiver ends the guest.</exception>
    public void Send(uint key, uint address)
    {
        CheckKey(key);
        _sent.Load(address);
        uint used = 0;
        if (FindReceiver(key) is { } receiver)
        {
            used = receiver.Send(key, _sent);
        }
        else if ((_reported ??= []).Count < MostReportedKeys && _reported.Add(key))
        {
            HostLog.NoDeviceAtKey(_logger, key);
        }

        WriteUsed(address, used);
    }

    /// <summary>Whether the guest has bound anything on a key.</summary>
    public bool IsBound(uint key)
    {
        foreach (BoundBuffers buffers in _bindings)
        {
            if (buffers.Binding.Key == key)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Finds the buffer to fill next of those that the guest has bound on a key, so that it reads them in the order in which
    /// they were filled. It takes the same short time however many there are.
    /// </summary>
    /// <returns>False when there is none: the guest must read what it has first.</returns>
    /// <exception cref="GuestFaultException">A buffer on the key isn't in guest memory.</exception>
    public bool TryFindFree(uint key, out DmaBuffer buffer)
    {
        foreach (BoundBuffers buffers in _bindings)
        {
            if (buffers.Binding.Key == key && buffers.TryFindNext(out buffer))
            {
                return true;
            }
        }

        buffer = default;
        return false;
    }

    /// <summary>Makes keys ones that lead to other guests.</summary>
    /// <param name="start">The first key: where the memory begins that is shared with them.</param>
    /// <param name="length">Bytes of that memory.</param>
    /// <param name="peers">Where they meet.</param>
    public SharedKeys Share(uint start, uint length, IPeerExchange peers) => new(this, start, length, peers);

    /// <summary>The address of a buffer in an array.</summary>
    /// <exception cref="GuestFaultException">It isn't in guest memory.</exception>
    internal uint BufferAddress(DmaBinding binding, uint index)
    {
        // The product may pass 4 GiB: what is there isn't guest memory then, and the guest is over.
        ulong address = binding.Array + ((ulong)index * DmaList.Size);
        if (address > uint.MaxValue)
        {
            throw new GuestFaultException($"{What} at 0x{address:x9} is outside guest memory");
        }

        _memory.Check((uint)address, DmaList.Size, What);
        return (uint)address;
    }

    /// <summary>Whether a buffer may be filled: its used_len is 0.</summary>
    internal bool IsFree(uint buffer) => _memory.ReadUInt32(buffer, What) == 0;

    /// <summary>Whether the guest blocks a line.</summary>
    internal bool IsBlocked(int irq) => _interrupts.IsBlocked(irq);

    /// <summary>Bytes that there is room for in a buffer; 0 unless all of it is guest memory and no piece crosses a page.</summary>
    internal int RoomBetweenGuests(uint buffer) => _received.TryLoad(buffer) && !_received.CrossesPage ? _received.Length : 0;

    internal DmaList LoadReceiving(uint address)
    {
        _received.Load(address);
        return _received;
    }

    internal void WriteUsed(uint address, uint length) => _memory.WriteUInt32(address, length, What);

    internal void Interrupt(int irq) => _interrupts.Raise(irq);

    private static void CheckKey(uint key)
    {
        if (key % KeyAlignment != 0)
        {
            throw new GuestFaultException($"the key 0x{key:x8} isn't a multiple of 4");
        }
    }

    private IDmaReceiver? FindReceiver(uint key)
    {
        foreach ((uint start, uint length, IDmaReceiver receiver) in _receivers)
        {
            if (key - start < length)
            {
                return receiver;
            }
        }

        return null;
    }

    /// <summary>The keys that are a device's.</summary>
    private sealed record KeyRange(uint Start, uint Length, IDmaReceiver Receiver);
}
