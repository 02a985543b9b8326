using System.Globalization;
using System.Runtime.Versioning;
using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Peers;
using Lguest.Devices.Networks.Segments;
using Lguest.Host.Bus;
using Lguest.Host.Dma;

namespace Lguest.Devices.Lgbus;

/// <summary>
/// A network of guests as a device of the lguest bus. Its page is one that all of them share, with a slot for the MAC
/// address of each. The sender of a frame finds there which guests want it, and sends it to each one's key.
/// </summary>
/// <remarks>
/// Saved state needs nothing of it: frames on their way may be lost, as on any cable. Long segments go from guest to guest as
/// they are, and are split for those who have no room for them.
/// </remarks>
[SupportedOSPlatform("linux")]
public sealed class SharedNetworkDevice : ILguestDevice, INetworkDevice, IDeliveryObserver
{
    private const int NoChecksumsFeature = 0x4000;
    private const uint PageSize = 4096;

    private readonly SharedNetwork _network;
    private readonly IFrameRecorder? _recorder;
    private readonly byte[] _sent = new byte[IPeerExchange.LongestMessage];
    private readonly byte[] _part = new byte[IPacketPort.LongestFrame];
    private DeviceSlot? _slot;
    private SharedKeys? _keys;

    /// <summary>Makes a network device.</summary>
    /// <param name="network">The network, which the device owns from now on.</param>
    /// <param name="recorder">Sees what goes through; null for nobody.</param>
    public SharedNetworkDevice(SharedNetwork network, IFrameRecorder? recorder = null)
    {
        _network = network;
        _recorder = recorder;
    }

    /// <inheritdoc />
    public DeviceIdentity Identity => new(
        DeviceType.Network, (ushort)(NoChecksumsFeature | SegmentOffload.Feature | _network.Slot), Pages: 1);

    /// <inheritdoc />
    public string Kind => string.Create(CultureInfo.InvariantCulture, $"a shared network, in slot {_network.Slot}");

    /// <inheritdoc />
    public nint SharedPages => _network.Page;

    /// <inheritdoc />
    public bool CanRepeat => false;

    /// <inheritdoc />
    public NetworkStatistics Statistics { get; } = new();

    /// <inheritdoc />
    public void Attach(DeviceSlot slot)
    {
        _slot = slot;
        _keys = slot.Share(PageSize, _network, this);
        _network.Start(slot.Attention);
    }

    /// <inheritdoc />
    public uint Send(uint key, DmaList message)
    {
        // A frame that lacks nothing but its checksum goes as it is: nobody here looks at that.
        bool isSegment = SegmentOffload.TryJudge(_slot!, message, out int largest) && largest is > 0 and < ushort.MaxValue;
        bool staysWhole = message.Length > IPacketPort.LongestFrame && message.Length <= _keys!.Capacity(key);
        uint taken = isSegment && !staysWhole ? SendParts(key, message, largest) : _keys!.Send(key, message);
        if (taken > 0)
        {
            Statistics.CountSent((int)taken);
            _recorder?.Record(sent: true, _sent.AsSpan(0, message.CopyTo(_sent.AsSpan(0, (int)taken))));
        }
        else
        {
            Statistics.SendingDropped++;
        }

        Service();
        return taken;
    }

    /// <summary>Splits a segment; 0 when not all of it can be sent.</summary>
    private uint SendParts(uint key, DmaList message, int largest)
    {
        message.CheckPages();
        ReadOnlySpan<byte> segment = _sent.AsSpan(0, message.CopyTo(_sent));
        if (!SegmentSplitter.TryBegin(segment, largest, out SegmentSplitter splitter))
        {
            return 0;
        }

        while (!splitter.IsAtEnd)
        {
            ReadOnlySpan<byte> part = _part.AsSpan(0, splitter.Next(segment, _part));
            if (_keys!.Send(key, part) != part.Length)
            {
                return 0;
            }
        }

        return (uint)message.Length;
    }

    /// <inheritdoc />
    public void Service()
    {
        if (_keys?.Service(this) == false)
        {
            _slot!.Attention();
        }
    }

    /// <inheritdoc />
    public void OnDue()
    {
    }

    /// <inheritdoc />
    public void Delivered(ReadOnlySpan<byte> message)
    {
        Statistics.CountReceived(message.Length);
        _recorder?.Record(sent: false, message);
    }

    /// <summary>Leaves the network.</summary>
    public void Dispose() => _network.Dispose();
}
