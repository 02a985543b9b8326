using System.Buffers.Binary;
using Lguest.Devices.Networks;
using Lguest.Host.Bus;
using Lguest.Host.Dma;

namespace Lguest.Devices.Lgbus;

/// <summary>
/// A network as a device of the lguest bus. Its page has a slot for the MAC address of each end of the cable: the host's, which
/// wants every frame, and the guest's. The guest sends to the key of the host's slot, and binds its buffers to that of
/// its own.
/// </summary>
/// <remarks>
/// <para>Frames stay with the port while the guest's buffers are full; the guest frees one by a plain store and says nothing, so
/// every call of <see cref="Service"/> and of <see cref="Send"/> looks again. Saved state needs nothing but the page: frames on
/// their way may be lost, as on any cable.</para>
/// <para>A driver that knows <see cref="SegmentOffload"/> sends segments that are to be split. Whether a guest gets such
/// is for each of its buffers to say: if it has no room for one, it gets a frame of it.</para>
/// </remarks>
public sealed class NetworkDevice : ILguestDevice, INetworkDevice, IFrameBuffers
{
    private const ushort RandomFeature = 0x8000;
    private const int HostSlot = 0;
    private const int GuestSlot = 1;
    private const int SlotSize = 6;
    private const byte WantsEverything = 1;
    private const uint KeyLength = 4;

    private readonly IPacketPort _port;
    private readonly IFrameRecorder? _recorder;
    private readonly byte[] _sending = new byte[IPacketPort.LongestSegment];
    private readonly FrameReceiver _receiver;
    private DeviceSlot? _slot;
    private DmaBuffer _free;

    /// <summary>Makes a network device.</summary>
    /// <param name="port">The far end of its cable, which the device owns from now on.</param>
    /// <param name="recorder">Sees what goes through; null for nobody.</param>
    public NetworkDevice(IPacketPort port, IFrameRecorder? recorder = null)
    {
        _port = port;
        _recorder = recorder;
        _receiver = new FrameReceiver(port, Statistics, recorder);
    }

    /// <inheritdoc />
    public DeviceIdentity Identity => new(DeviceType.Network, RandomFeature | SegmentOffload.Feature | GuestSlot, Pages: 1);

    /// <inheritdoc />
    public string Kind => "a network";

    /// <inheritdoc />
    public bool CanRepeat => false;

    /// <inheritdoc />
    public NetworkStatistics Statistics { get; } = new();

    /// <inheritdoc />
    public void Attach(DeviceSlot slot)
    {
        _slot = slot;
        WriteHostAddress(slot);
        slot.ListenOn(KeyOf(slot, HostSlot), KeyLength, this);
        _port.Start(slot.Attention);
    }

    /// <summary>The host's end may have another address than the one that was saved.</summary>
    public void Restore(string saved) => WriteHostAddress(_slot!);

    /// <inheritdoc />
    public uint Send(uint key, DmaList message)
    {
        int length = message.Length;
        bool isSent = false;
        if (SegmentOffload.TryJudge(_slot!, message, out int largest))
        {
            Span<byte> frame = _sending.AsSpan(0, length);
            message.CopyTo(frame);
            isSent = _port.Send(frame, largest);
            if (isSent)
            {
                Statistics.CountSent(length);
                _recorder?.Record(sent: true, frame);
            }
        }

        if (!isSent)
        {
            Statistics.SendingDropped++;
        }

        Service();
        return isSent ? (uint)length : 0;
    }

    /// <inheritdoc />
    public void Service()
    {
        if (_slot is { } slot && !_receiver.Receive(this))
        {
            slot.Attention();
        }
    }

    /// <inheritdoc />
    public void OnDue()
    {
    }

    /// <summary>Unplugs the cable.</summary>
    public void Dispose() => _port.Dispose();

    /// <inheritdoc />
    ReceiveRoom IFrameBuffers.FindRoom()
    {
        uint key = KeyOf(_slot!, GuestSlot);
        return _slot!.TryFindFree(key, out _free) ? ReceiveRoom.Free
            : _slot.IsBound(key) ? ReceiveRoom.Full
            : ReceiveRoom.Down;
    }

    /// <inheritdoc />
    bool IFrameBuffers.TakesSegment(int length) => length <= _free.Capacity;

    /// <summary>Data, used_len, interrupt, in this order.</summary>
    bool IFrameBuffers.TryFill(ReadOnlySpan<byte> frame, int largest)
    {
        if (_free.Fill(frame) != frame.Length)
        {
            return false;
        }

        _free.SetUsed((uint)frame.Length);
        _free.Interrupt();
        return true;
    }

    private void WriteHostAddress(DeviceSlot slot)
    {
        const int Second = (HostSlot * SlotSize) + sizeof(uint);
        Span<byte> address = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt32LittleEndian(address[sizeof(uint)..], slot.ReadPage(Second));
        _port.HostAddress[..SlotSize].CopyTo(address);
        address[0] |= WantsEverything;
        slot.WritePage(HostSlot * SlotSize, BinaryPrimitives.ReadUInt32LittleEndian(address));
        slot.WritePage(Second, BinaryPrimitives.ReadUInt32LittleEndian(address[sizeof(uint)..]));
    }

    private static uint KeyOf(DeviceSlot slot, int number) => slot.PageAddress + ((uint)number * KeyLength);
}
