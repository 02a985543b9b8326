using System.Buffers.Binary;
using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Segments;
using Lguest.Host.Virtio;

namespace Lguest.Devices.Virtio;

/// <summary>
/// A network card as a virtio device (virtio 1.0, 5.1): virtqueue 0 takes frames to the guest, 1 those that it sends, each behind a header that
/// says what is left to be done. Here nothing ever is.
/// </summary>
/// <remarks>Frames stay with the port while the guest's buffers are full. Saved state needs nothing: frames on their way may be lost, as on any cable.</remarks>
public sealed class VirtioNetwork : IVirtioDevice, INetworkDevice
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

    /// <summary>Frames for the guest in one go, so that a flood of them doesn't keep it from running.</summary>
    private const int MostAtOnce = 256;

    private readonly IPacketPort _port;
    private readonly IFrameRecorder? _recorder;
    private readonly int _headerSize;
    private readonly byte[] _address = new byte[AddressSize];
    private readonly byte[] _sending = new byte[IPacketPort.LongestFrame];
    private readonly byte[] _receiving;
    private VirtioSlot? _slot;
    private VirtioChain? _chain;

    // What is left of the port's first frame, once some of it was received.
    private SegmentSplitter? _rest;

    /// <summary>Makes a network card.</summary>
    /// <param name="port">The far end of its cable, which the device owns from now on.</param>
    /// <param name="recorder">Sees what goes through; null for nobody.</param>
    /// <param name="headerSize">Bytes before a frame.</param>
    public VirtioNetwork(IPacketPort port, IFrameRecorder? recorder = null, int headerSize = UsualHeaderSize)
    {
        _port = port;
        _recorder = recorder;
        _headerSize = headerSize;
        _receiving = new byte[headerSize + IPacketPort.LongestFrame];
        if (headerSize > BuffersOffset)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(_receiving.AsSpan(BuffersOffset), 1);
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
        if (_slot is not { } slot)
        {
            return;
        }

        (Virtqueue receiving, VirtioChain chain) = Place(ReceiveQueue);
        for (int i = 0; _port.TryPeek(out ReadOnlySpan<byte> frame, out int largest); i++)
        {
            if (i == MostAtOnce)
            {
                slot.Attention();
                return;
            }

            if (receiving.TryPeek(chain))
            {
                if (TryNext(frame, largest, out int length))
                {
                    receiving.Take();
                    receiving.Return(chain.Head, Fill(length, chain));
                }
                else
                {
                    Statistics.ReceivingDropped++;
                }

                if (_rest is { IsAtEnd: false })
                {
                    continue;
                }
            }
            else if (receiving.IsInUse)
            {
                return;
            }
            else
            {
                // There is no driver: what comes now is stale when there is one.
                Statistics.ReceivingDropped++;
            }

            _rest = null;
            _port.Remove();
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
        int length = chain.ReadableLength - _headerSize;
        if (length is < IPacketPort.ShortestFrame or > IPacketPort.LongestFrame)
        {
            Statistics.SendingDropped++;
            return;
        }

        Span<byte> frame = _sending.AsSpan(0, length);
        chain.Read(_headerSize, frame);
        if (!_port.Send(frame, largest: 0))
        {
            Statistics.SendingDropped++;
            return;
        }

        Statistics.CountSent(length);
        _recorder?.Record(sent: true, frame);
    }

    /// <summary>Puts the port's first frame, or the next part of one that is to be split, behind the header in the buffer.</summary>
    /// <returns>False for what is no frame.</returns>
    private bool TryNext(ReadOnlySpan<byte> frame, int largest, out int length)
    {
        Span<byte> room = _receiving.AsSpan(_headerSize);
        length = frame.Length;
        if (_rest is not { } splitter)
        {
            if (largest == 0)
            {
                bool isFrame = length is >= IPacketPort.ShortestFrame and <= IPacketPort.LongestFrame;
                frame[..(isFrame ? length : 0)].CopyTo(room);
                return isFrame;
            }

            if (!SegmentSplitter.TryBegin(frame, largest, out splitter))
            {
                return false;
            }
        }

        length = splitter.Next(frame, room);
        _rest = splitter;
        return true;
    }

    /// <summary>Fills a buffer. A frame that is longer than that is lost, and the buffer comes back empty.</summary>
    /// <returns>Bytes written.</returns>
    private int Fill(int length, VirtioChain chain)
    {
        if (_headerSize + length > chain.WritableLength)
        {
            Statistics.ReceivingDropped++;
            return 0;
        }

        chain.Write(0, _receiving.AsSpan(0, _headerSize + length));
        Statistics.CountReceived(length);
        _recorder?.Record(sent: false, _receiving.AsSpan(_headerSize, length));
        return _headerSize + length;
    }

    private (Virtqueue Queue, VirtioChain Chain) Place(int queue) => _slot is { } slot && _chain is { } chain
        ? (slot.Queue(queue), chain)
        : throw new InvalidOperationException("The device isn't attached to a bus.");
}
