using System.Buffers.Binary;
using Lguest.Devices.Networks;
using Lguest.Host.Virtio;

namespace Lguest.Devices.Virtio;

/// <summary>
/// A network card as a virtio device (virtio 1.0, 5.1): virtqueue 0 takes frames to the guest, 1 those that it sends, each behind a header that
/// says what is left to be done, and by 2 the driver says which frames it wants.
/// </summary>
/// <remarks>
/// <para>Drivers may leave checksums and the splitting of TCP segments to the card, and take such segments from it, in one chain or in several. Frames that
/// they are to send are finished here, but for segments: those are the port's.</para>
/// <para>Frames stay with the port while the guest's buffers are full; those on their way when a state is saved are lost, as on any cable.</para>
/// </remarks>
public sealed class VirtioNetwork : IVirtioDevice, INetworkDevice, IFrameBuffers
{
    private const int ReceiveQueue = 0;
    private const int SendQueue = 1;
    private const int ControlQueue = 2;

    // Features (virtio 1.0, 5.1.3).
    private const uint SendsUnfinished = 1 << 0;
    private const uint TakesUnfinished = 1 << 1;
    private const uint HasAddress = 1 << 5;
    private const uint TakesTcp4 = 1 << 7;
    private const uint TakesTcp6 = 1 << 8;
    private const uint SendsTcp4 = 1 << 11;
    private const uint SendsTcp6 = 1 << 12;
    private const uint MergesBuffers = 1 << 15;
    private const uint HasStatus = 1 << 16;
    private const uint HasControl = 1 << 17;
    private const uint HasReceiveModes = 1 << 18;
    private const uint TakesSegments = TakesUnfinished | TakesTcp4 | TakesTcp6;
    private const uint AllFeatures =
        SendsUnfinished | TakesSegments | HasAddress | SendsTcp4 | SendsTcp6 | MergesBuffers | HasStatus | HasControl | HasReceiveModes;

    // The configuration: {u8[6] address, u16 status}.
    private const int AddressSize = 6;
    private const int ConfigurationSize = 8;
    private const byte LinkIsUp = 1;

    // A locally administered address, with the guest's number and the device's place in it.
    private const byte LocalAddress = 2;
    private const int GuestIdOffset = 2;
    private const int PlaceOffset = 5;

    /// <summary>Behind the header, in virtio 1.0 or if buffers are merged: u16, how many of them the frame takes.</summary>
    private const int BuffersOffset = OffloadHeader.Size;
    private const int LongHeaderSize = BuffersOffset + sizeof(ushort);

    /// <summary>The most buffers that are merged for a frame. Those of drivers have 1,500 bytes and more, and the longest segment takes 44 of them.</summary>
    private const int MostBuffers = 64;

    // Commands: {u8 class, u8 command, data}, and a byte for the answer.
    private const byte ReceiveModeClass = 0;
    private const byte AddressClass = 1;
    private const byte ListenToAllCommand = 0;
    private const byte LastReceiveMode = 5;
    private const byte SetAddressTable = 0;
    private const int CommandSize = 2;
    private const byte Accepted = 0;
    private const byte Refused = 1;

    private readonly IPacketPort _port;
    private readonly IFrameRecorder? _recorder;
    private readonly int _headerSize;
    private readonly FrameReceiver _receiver;
    private readonly byte[] _configuration;
    private readonly byte[] _sending = new byte[IPacketPort.LongestSegment];
    private readonly List<(ushort Head, int Length)> _filled = [];
    private VirtioSlot? _slot;
    private VirtioChain? _chain;
    private bool _listensToAll;

    /// <summary>Makes a network card.</summary>
    /// <param name="port">The far end of its cable, which the device owns from now on.</param>
    /// <param name="recorder">Sees what goes through; null for nobody.</param>
    /// <param name="headerSize">Bytes before a frame, where nothing else was agreed on. One that is shorter than usual has no meaning, and nothing but an address is offered then.</param>
    public VirtioNetwork(IPacketPort port, IFrameRecorder? recorder = null, int headerSize = OffloadHeader.Size)
    {
        _port = port;
        _recorder = recorder;
        _headerSize = headerSize;
        _receiver = new FrameReceiver(port, Statistics, recorder);
        _configuration = new byte[ConfigurationSize];
        _configuration[AddressSize] = LinkIsUp;
    }

    /// <inheritdoc />
    public VirtioIdentity Identity => _headerSize < OffloadHeader.Size
        ? new(VirtioType.Network, Queues: 2, HasAddress)
        : new(VirtioType.Network, Queues: 3, AllFeatures);

    /// <summary>The guest's MAC address, and that the cable is plugged in.</summary>
    public ReadOnlyMemory<byte> Configuration => _configuration;

    /// <inheritdoc />
    public string Kind => "a virtio network";

    /// <inheritdoc />
    public bool CanRepeat => false;

    /// <inheritdoc />
    public NetworkStatistics Statistics { get; } = new();

    private int HeaderSize => _headerSize == OffloadHeader.Size && HasAgreedOn(MergesBuffers) ? LongHeaderSize : _headerSize;

    /// <inheritdoc />
    public string Save() => _listensToAll ? "all" : string.Empty;

    /// <inheritdoc />
    public void Restore(string saved) => ListenToAll(saved.Length > 0);

    /// <inheritdoc />
    public void Attach(VirtioSlot slot)
    {
        _slot = slot;
        _chain = slot.MakeChain();
        Span<byte> address = _configuration.AsSpan(0, AddressSize);
        address[0] = LocalAddress;
        BinaryPrimitives.WriteUInt16LittleEndian(address[GuestIdOffset..], slot.GuestId);
        address[PlaceOffset] = (byte)slot.Index;
        _port.TakeGuestAddress(address);
        _port.Start(slot.Attention);
    }

    /// <inheritdoc />
    public void OnNotify(int queue)
    {
        if (queue is SendQueue or ControlQueue)
        {
            (Virtqueue chains, VirtioChain chain) = Place(queue);
            for (int i = 0; i < chains.Size && chains.TryPeek(chain); i++)
            {
                chains.Take();
                int written = queue == SendQueue ? Send(chain) : Command(chain);
                chains.Return(chain.Head, written);
            }
        }

        Service();
    }

    /// <inheritdoc />
    public void OnReset() => ListenToAll(false);

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

    /// <summary>What comes before the driver is ready has no header yet that both know: features may follow its first buffers.</summary>
    ReceiveRoom IFrameBuffers.FindRoom()
    {
        if (_slot is not { IsDriverReady: true })
        {
            return ReceiveRoom.Down;
        }

        (Virtqueue receiving, VirtioChain chain) = Place(ReceiveQueue);
        return receiving.TryPeek(chain) ? ReceiveRoom.Free
            : receiving.IsInUse ? ReceiveRoom.Full
            : ReceiveRoom.Down;
    }

    /// <inheritdoc />
    bool IFrameBuffers.TakesSegment(int length)
    {
        if (!HasAgreedOn(TakesSegments))
        {
            return false;
        }

        (Virtqueue receiving, VirtioChain chain) = Place(ReceiveQueue);
        bool isMerged = HasAgreedOn(MergesBuffers);
        int room = -HeaderSize;
        for (int i = 0; room < length && i < (isMerged ? MostBuffers : 1) && receiving.TryPeek(chain, i); i++)
        {
            room += chain.WritableLength;
        }

        return room >= length;
    }

    /// <summary>A buffer that is too short comes back empty. If they are merged and too few, they stay.</summary>
    bool IFrameBuffers.TryFill(ReadOnlySpan<byte> frame, int largest)
    {
        OffloadHeader offload = default;
        if (largest > 0 && !OffloadHeader.TryDescribe(frame, largest, out offload))
        {
            return false;
        }

        (Virtqueue receiving, VirtioChain chain) = Place(ReceiveQueue);
        bool isMerged = HasAgreedOn(MergesBuffers);
        Span<byte> header = stackalloc byte[LongHeaderSize];
        header.Clear();
        header = header[..HeaderSize];
        int done = 0;
        _filled.Clear();
        do
        {
            if (_filled.Count == MostBuffers || !receiving.TryPeek(chain, _filled.Count))
            {
                return false;
            }

            int start = _filled.Count == 0 ? header.Length : 0;
            int part = Math.Clamp(chain.WritableLength - start, 0, frame.Length - done);
            if (!isMerged && part < frame.Length)
            {
                receiving.Take();
                receiving.Return(chain.Head, 0);
                return false;
            }

            chain.Write(start, frame.Slice(done, part));
            done += part;
            _filled.Add((chain.Head, Math.Min(start + part, chain.WritableLength)));
        }
        while (done < frame.Length);

        WriteHeader(header, offload, _filled.Count);
        receiving.Load(_filled[0].Head, chain);
        chain.Write(0, header);
        foreach ((ushort head, int length) in _filled)
        {
            receiving.Take();
            receiving.Return(head, length);
        }

        return true;
    }

    private static void WriteHeader(Span<byte> header, in OffloadHeader offload, int buffers)
    {
        if (header.Length >= OffloadHeader.Size)
        {
            offload.Write(header);
        }

        if (header.Length >= LongHeaderSize)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(header[BuffersOffset..], (ushort)buffers);
        }
    }

    /// <summary>Sends a frame, or drops it. Nothing is written.</summary>
    private int Send(VirtioChain chain)
    {
        int start = HeaderSize;
        int length = chain.ReadableLength - start;
        Span<byte> bytes = stackalloc byte[OffloadHeader.Size];
        bytes.Clear();
        chain.Read(0, bytes);
        var header = OffloadHeader.Read(bytes);
        if (!TryJudge(header, length, out int largest))
        {
            Statistics.SendingDropped++;
            return 0;
        }

        Span<byte> frame = _sending.AsSpan(0, length);
        chain.Read(start, frame);
        bool isFinished = largest > 0 || !HasAgreedOn(SendsUnfinished) || header.TryFinish(frame);
        if (!isFinished || !_port.Send(frame, largest))
        {
            Statistics.SendingDropped++;
            return 0;
        }

        Statistics.CountSent(length);
        _recorder?.Record(sent: true, frame);
        return 0;
    }

    /// <summary>Whether what the driver sends is a frame, or a segment of a kind that was agreed on.</summary>
    private bool TryJudge(in OffloadHeader header, int length, out int largest)
    {
        largest = 0;
        int longest = IPacketPort.LongestFrame;
        if (header.Kind != 0 && HasAgreedOn(SendsUnfinished) && (HasAgreedOn(SendsTcp4) || HasAgreedOn(SendsTcp6)))
        {
            bool isKnown = (header.Kind == OffloadHeader.Tcp4 && HasAgreedOn(SendsTcp4)) || (header.Kind == OffloadHeader.Tcp6 && HasAgreedOn(SendsTcp6));
            largest = header.Largest;
            longest = isKnown && largest > 0 ? IPacketPort.LongestSegment : 0;
        }

        return length >= IPacketPort.ShortestFrame && length <= longest;
    }

    /// <summary>
    /// Does what the driver says of the frames that it wants, and answers. Only whether it wants all makes a difference: others it gets for its address
    /// and for more than one, however many of those it has named.
    /// </summary>
    /// <returns>Bytes written.</returns>
    private int Command(VirtioChain chain)
    {
        Span<byte> command = stackalloc byte[CommandSize + 1];
        int length = chain.Read(0, command);
        byte answer = (command[0], command[1]) switch
        {
            (ReceiveModeClass, <= LastReceiveMode) when length == command.Length => Accepted,
            (AddressClass, SetAddressTable) when length == command.Length => Accepted,
            _ => Refused,
        };
        if (answer == Accepted && (command[0], command[1]) == (ReceiveModeClass, ListenToAllCommand))
        {
            ListenToAll(command[CommandSize] != 0);
        }

        return chain.Write(0, [answer]);
    }

    private void ListenToAll(bool isWanted)
    {
        _listensToAll = isWanted;
        _port.ListenToAll(isWanted);
    }

    private bool HasAgreedOn(uint features) => _slot is { } slot && slot.HasAgreedOn(features);

    private (Virtqueue Queue, VirtioChain Chain) Place(int queue) => _slot is { } slot && _chain is { } chain
        ? (slot.Queue(queue), chain)
        : throw new InvalidOperationException("The device isn't attached to a bus.");
}
