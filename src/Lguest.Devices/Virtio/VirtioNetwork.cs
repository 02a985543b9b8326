using System.Buffers.Binary;
using Lguest.Devices.Networks;
using Lguest.Host.Virtio;

namespace Lguest.Devices.Virtio;

/// <summary>
/// A network card as a virtio device (virtio 1.0, 5.1): virtqueue 0 takes frames to the guest, 1 those that it sends, each behind a header that
/// says what is left to be done. Here nothing ever is.
/// </summary>
/// <remarks>Frames stay with the port while the guest's buffers are full. Saved state needs nothing: frames on their way may be lost, as on any cable.</remarks>
public sealed class VirtioNetwork : IVirtioDevice, INetworkDevice, IFrameBuffers
{
    private const int ReceiveQueue = 0;
    private const int SendQueue = 1;
    private const uint AddressFeature = 1 << 5;
    private const int AddressSize = 6;

    /// <summary>{u8 flags, u8 GSO type, u16 header length, u16 GSO size, u16 checksum start, u16 checksum offset}, all zero.</summary>
    private const int UsualHeaderSize = 10;

    /// <summary>In a header of virtio 1.0, behind the usual one: u16, how many buffers the frame takes.</summary>
    private const int BuffersOffset = 10;

    // A locally administered address, with the guest's number and the device's place in it.
    private const byte LocalAddress = 2;
    private const int GuestIdOffset = 2;
    private const int PlaceOffset = 5;

    private readonly IPacketPort _port;
    private readonly IFrameRecorder? _recorder;
    private readonly byte[] _header;
    private readonly FrameReceiver _receiver;
    private readonly byte[] _address = new byte[AddressSize];
    private readonly byte[] _sending = new byte[IPacketPort.LongestFrame];
    private VirtioSlot? _slot;
    private VirtioChain? _chain;

    /// <summary>Makes a network card.</summary>
    /// <param name="port">The far end of its cable, which the device owns from now on.</param>
    /// <param name="recorder">Sees what goes through; null for nobody.</param>
    /// <param name="headerSize">Bytes before a frame.</param>
    public VirtioNetwork(IPacketPort port, IFrameRecorder? recorder = null, int headerSize = UsualHeaderSize)
    {
        _port = port;
        _recorder = recorder;
        _receiver = new FrameReceiver(port, Statistics, recorder);
        _header = new byte[headerSize];
        if (headerSize > BuffersOffset)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(_header.AsSpan(BuffersOffset), 1);
        }
    }

    /// <inheritdoc />
    public VirtioIdentity Identity => new(VirtioType.Network, Queues: 2, AddressFeature);

    /// <summary>The guest's MAC address.</summary>
    public ReadOnlyMemory<byte> Configuration => _address;

    /// <inheritdoc />
    public string Kind => "a virtio network";

    /// <inheritdoc />
    public bool CanRepeat => false;

    /// <inheritdoc />
    public NetworkStatistics Statistics { get; } = new();

    /// <inheritdoc />
    public void Attach(VirtioSlot slot)
    {
        _slot = slot;
        _chain = slot.MakeChain();
        _address[0] = LocalAddress;
        BinaryPrimitives.WriteUInt16LittleEndian(_address.AsSpan(GuestIdOffset), slot.GuestId);
        _address[PlaceOffset] = (byte)slot.Index;
        _port.TakeGuestAddress(_address);
        _port.Start(slot.Attention);
    }

    /// <inheritdoc />
    public void OnNotify(int queue)
    {
        if (queue == SendQueue)
        {
            (Virtqueue sending, VirtioChain chain) = Place(SendQueue);
            for (int i = 0; i < sending.Size && sending.TryPeek(chain); i++)
            {
                sending.Take();
                Send(chain);
                sending.Return(chain.Head, 0);
            }
        }

        Service();
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

    private void Send(VirtioChain chain)
    {
        int length = chain.ReadableLength - _header.Length;
        if (length is < IPacketPort.ShortestFrame or > IPacketPort.LongestFrame)
        {
            Statistics.SendingDropped++;
            return;
        }

        Span<byte> frame = _sending.AsSpan(0, length);
        chain.Read(_header.Length, frame);
        if (!_port.Send(frame, largest: 0))
        {
            Statistics.SendingDropped++;
            return;
        }

        Statistics.CountSent(length);
        _recorder?.Record(sent: true, frame);
    }

    /// <inheritdoc />
    ReceiveRoom IFrameBuffers.FindRoom()
    {
        (Virtqueue receiving, VirtioChain chain) = Place(ReceiveQueue);
        return receiving.TryPeek(chain) ? ReceiveRoom.Free
            : receiving.IsInUse ? ReceiveRoom.Full
            : ReceiveRoom.Down;
    }

    /// <summary>None does: segmentation isn't offered.</summary>
    bool IFrameBuffers.TakesSegment(int length) => false;

    /// <summary>A buffer that is too short comes back empty.</summary>
    bool IFrameBuffers.TryFill(ReadOnlySpan<byte> frame)
    {
        (Virtqueue receiving, VirtioChain chain) = Place(ReceiveQueue);
        int length = _header.Length + frame.Length;
        bool isFilled = length <= chain.WritableLength;
        receiving.Take();
        if (isFilled)
        {
            chain.Write(0, _header);
            chain.Write(_header.Length, frame);
        }

        receiving.Return(chain.Head, isFilled ? length : 0);
        return isFilled;
    }

    private (Virtqueue Queue, VirtioChain Chain) Place(int queue) => _slot is { } slot && _chain is { } chain
        ? (slot.Queue(queue), chain)
        : throw new InvalidOperationException("The device isn't attached to a bus.");
}
