using System.Buffers.Binary;
using Lguest.Host.Bus;
using Lguest.Host.Dma;

namespace Lguest.Devices;

/// <summary>
/// A network as a device of the lguest bus. Its page has a slot for the MAC address of each end of the cable: the host's, which
/// wants every frame, and the guest's. The guest sends to the key of the host's slot, and binds its buffers to that of
/// its own.
/// </summary>
/// <remarks>
/// Frames stay with the port while the guest's buffers are full; the guest frees one by a plain store and says nothing, so
/// every call of <see cref="Service"/> and of <see cref="Send"/> looks again. A snapshot needs nothing but the page: frames on
/// their way may be lost, as on any cable.
/// </remarks>
public sealed class NetworkDevice : INetworkDevice
{
    private const ushort RandomFeature = 0x8000;
    private const int HostSlot = 0;
    private const int GuestSlot = 1;
    private const int SlotSize = 6;
    private const byte WantsEverything = 1;
    private const uint KeyLength = 4;

    /// <summary>Frames for the guest in one go, so that a flood of them doesn't keep it from running.</summary>
    private const int MostAtOnce = 256;

    private readonly IPacketPort _port;
    private readonly IFrameRecorder? _recorder;
    private readonly byte[] _sending = new byte[IPacketPort.LongestFrame];
    private DeviceSlot? _slot;

    /// <summary>Makes a network device.</summary>
    /// <param name="port">The far end of its cable, which the device owns from now on.</param>
    /// <param name="recorder">Sees what goes through; null for nobody.</param>
    public NetworkDevice(IPacketPort port, IFrameRecorder? recorder = null)
    {
        _port = port;
        _recorder = recorder;
    }

    /// <inheritdoc />
    public DeviceIdentity Identity => new(DeviceType.Network, RandomFeature | GuestSlot, Pages: 1);

    /// <inheritdoc />
    public bool CanRepeat => false;

    /// <inheritdoc />
    public NetworkStatistics Statistics { get; } = new();

    /// <inheritdoc />
    public void Attach(DeviceSlot slot)
    {
        _slot = slot;
        Span<byte> address = stackalloc byte[sizeof(ulong)];
        address.Clear();
        _port.HostAddress[..SlotSize].CopyTo(address);
        address[0] |= WantsEverything;
        slot.WritePage(HostSlot * SlotSize, BinaryPrimitives.ReadUInt32LittleEndian(address));
        slot.WritePage((HostSlot * SlotSize) + sizeof(uint), BinaryPrimitives.ReadUInt32LittleEndian(address[sizeof(uint)..]));
        slot.ListenOn(KeyOf(slot, HostSlot), KeyLength, this);
        _port.Start(slot.Attention);
    }

    /// <inheritdoc />
    public uint Send(uint key, DmaList message)
    {
        int length = message.Length;
        bool isSent = false;
        if (length is >= IPacketPort.ShortestFrame and <= IPacketPort.LongestFrame)
        {
            Span<byte> frame = _sending.AsSpan(0, length);
            message.CopyTo(frame);
            isSent = _port.Send(frame);
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
        if (_slot is not { } slot)
        {
            return;
        }

        uint key = KeyOf(slot, GuestSlot);
        for (int i = 0; _port.TryPeek(out ReadOnlySpan<byte> frame); i++)
        {
            if (i == MostAtOnce)
            {
                slot.Attention();
                return;
            }

            if (slot.TryFindFree(key, out DmaBuffer buffer))
            {
                Receive(frame, buffer);
            }
            else if (slot.IsBound(key))
            {
                return;
            }
            else
            {
                // The interface is down: what comes now is stale when it is up.
                Statistics.ReceivingDropped++;
            }

            _port.Remove();
        }
    }

    /// <inheritdoc />
    public void OnDue()
    {
    }

    /// <summary>Unplugs the cable.</summary>
    public void Dispose() => _port.Dispose();

    /// <summary>Data, used_len, interrupt, in this order. A frame that isn't one, or is longer than the buffer, is dropped.</summary>
    private void Receive(ReadOnlySpan<byte> frame, in DmaBuffer buffer)
    {
        if (frame.Length is < IPacketPort.ShortestFrame or > IPacketPort.LongestFrame || buffer.Fill(frame) != frame.Length)
        {
            Statistics.ReceivingDropped++;
            return;
        }

        buffer.SetUsed((uint)frame.Length);
        buffer.Interrupt();
        Statistics.CountReceived(frame.Length);
        _recorder?.Record(sent: false, frame);
    }

    private static uint KeyOf(DeviceSlot slot, int number) => slot.PageAddress + ((uint)number * KeyLength);
}
