using Lguest.Host.Dma;

namespace Lguest.Host.Bus;

/// <summary>A device's place on the bus, and all that it may do to the guest.</summary>
public sealed class DeviceSlot
{
    private const int StatusOffset = 4;
    private const string What = "a device page";

    private readonly LguestBus _bus;
    private readonly uint _descriptor;

    internal DeviceSlot(LguestBus bus, int index, uint descriptor, uint pageAddress)
    {
        _bus = bus;
        _descriptor = descriptor;
        Index = index;
        PageAddress = pageAddress;
    }

    /// <summary>The device's place: 0 for the first.</summary>
    public int Index { get; }

    /// <summary>The device's IRQ.</summary>
    public int Irq => Index + 1;

    /// <summary>Physical address of the device's first page, which usually is its key.</summary>
    public uint PageAddress { get; }

    /// <summary>What the guest's driver has written into the status of the descriptor.</summary>
    public ushort Status => (ushort)_bus.Memory.ReadUInt32(_descriptor + StatusOffset, What);

    /// <summary>
    /// Whether the run must be repeatable: what the guest sees may then not depend on how fast the host is.
    /// </summary>
    public bool IsRepeatable => _bus.Clock.IsVirtual;

    /// <summary>Asks for what the guest sends to keys.</summary>
    /// <param name="key">The first key.</param>
    /// <param name="length">Bytes of keys: 4 for one.</param>
    /// <param name="receiver">Gets the messages.</param>
    public void ListenOn(uint key, uint length, IDmaReceiver receiver) => _bus.Router.AddReceiver(key, length, receiver);

    /// <summary>Makes keys ones that lead to other guests. Messages to them go to the device: it passes them on to the result.</summary>
    /// <param name="length">Bytes of the device's pages, from their start, that are shared with others.</param>
    /// <param name="peers">Where they meet.</param>
    /// <param name="receiver">The device.</param>
    public SharedKeys Share(uint length, IPeerExchange peers, IDmaReceiver receiver)
    {
        ListenOn(PageAddress, length, receiver);
        return _bus.Router.Share(PageAddress, length, peers);
    }

    /// <summary>Whether the guest has bound anything on a key.</summary>
    public bool IsBound(uint key) => _bus.Router.IsBound(key);

    /// <summary>Finds the buffer to fill next of those that the guest has bound on a key: see <see cref="DmaRouter.TryFindFree"/>.</summary>
    /// <exception cref="GuestFaultException">A buffer on the key isn't in guest memory.</exception>
    public bool TryFindFree(uint key, out DmaBuffer buffer) => _bus.Router.TryFindFree(key, out buffer);

    /// <summary>Reads a dword of the device's pages.</summary>
    /// <param name="offset">Bytes from the first page's start.</param>
    public uint ReadPage(int offset) => _bus.Memory.ReadUInt32(PageAddress + (uint)offset, What);

    /// <summary>Writes a dword of the device's pages.</summary>
    /// <param name="offset">Bytes from the first page's start.</param>
    /// <param name="value">What the guest will read there.</param>
    public void WritePage(int offset, uint value) => _bus.Memory.WriteUInt32(PageAddress + (uint)offset, value, What);

    /// <summary>Writes bytes to the device's pages.</summary>
    /// <param name="offset">Bytes from the first page's start.</param>
    /// <param name="bytes">What the guest will read there.</param>
    public void WritePage(int offset, ReadOnlySpan<byte> bytes) => _bus.Memory.Write(PageAddress + (uint)offset, bytes, What);

    /// <summary>Asks for <see cref="ILguestDevice.OnDue"/> at a moment of virtual time, to the instruction.</summary>
    /// <param name="delay">Nanoseconds from now.</param>
    public void After(ulong delay) => _bus.Events.Post(_bus.Clock.Now + delay, Index);

    /// <summary>
    /// Asks for <see cref="ILguestDevice.Service"/> soon: wakes the processor's thread if it sleeps. Any thread may call.
    /// </summary>
    public void Attention() => _bus.Signal.Set();
}
