using System.Runtime.Versioning;
using Lguest.Devices.Networks.Segments;
using Lguest.Host.Dma;

namespace Lguest.Devices.Networks.Peers;

/// <summary>
/// The cable to a network of guests, for a guest that sees a network card at its own end and nothing of the others: what drivers of the
/// lguest bus do, look up who wants a frame and send it to each, is done here.
/// </summary>
/// <remarks>
/// Others leave checksums unfinished, as nobody there looks at them. This guest may, so they are made when a frame arrives. Long segments are split by
/// whoever sends them here, as there is no room for one.
/// </remarks>
/// <param name="network">The network, which the port owns from now on.</param>
[SupportedOSPlatform("linux")]
public sealed unsafe class SharedNetworkPort(SharedNetwork network) : IPacketPort
{
    private const int NoInbox = -1;

    /// <summary>Messages of others that are looked at for a frame in one go, so that those who send what is none don't keep the guest from running.</summary>
    private const int MostAtOnce = 256;

    /// <summary>In the first byte of an address: its owner wants every frame.</summary>
    private const byte Promiscuous = 1;

    /// <summary>There in a frame's: it is for more than one.</summary>
    private const byte ForAll = 1;

    private readonly byte[] _frame = new byte[IPacketPort.LongestFrame];
    private readonly byte[] _part = new byte[IPacketPort.LongestFrame];
    private Action? _attention;
    private int _inbox = NoInbox;
    private int _offered;
    private int _length;

    /// <inheritdoc />
    public string Name => network.Name;

    /// <summary>None: the host isn't in the network.</summary>
    public ReadOnlySpan<byte> HostAddress => new byte[SharedLayout.AddressSize];

    /// <summary>Lets the others find this guest.</summary>
    public void TakeGuestAddress(ReadOnlySpan<byte> address)
    {
        // The first byte makes it an address.
        byte* place = AddressOf(network.Slot);
        address[1..].CopyTo(new Span<byte>(place + 1, SharedLayout.AddressSize - 1));
        Volatile.Write(ref *place, address[0]);
    }

    /// <summary>Others see it in the address.</summary>
    public void ListenToAll(bool isWanted)
    {
        byte* place = AddressOf(network.Slot);
        Volatile.Write(ref *place, (byte)(isWanted ? *place | Promiscuous : *place & ~Promiscuous));
    }

    /// <inheritdoc />
    public void Start(Action attention)
    {
        _attention = attention;
        _inbox = network.Open(network.Slot * SharedLayout.KeySize);
        OfferAll();
        network.Start(attention);
    }

    /// <inheritdoc />
    public bool Send(Span<byte> frame, int largest)
    {
        if (frame.Length <= IPacketPort.LongestFrame)
        {
            return SendToAll(frame);
        }

        if (!SegmentSplitter.TryBegin(frame, largest, out SegmentSplitter splitter))
        {
            return false;
        }

        bool isSent = true;
        while (!splitter.IsAtEnd)
        {
            isSent &= SendToAll(_part.AsSpan(0, splitter.Next(frame, _part)));
        }

        return isSent;
    }

    /// <inheritdoc />
    public bool TryPeek(out ReadOnlySpan<byte> frame, out int largest)
    {
        for (int i = 0; _length == 0 && _inbox != NoInbox; i++)
        {
            if (i == MostAtOnce)
            {
                _attention?.Invoke();
                break;
            }

            // Who has found no room needs no answer: there is room again as soon as there can be.
            network.TakeRequest(_inbox);
            if (!TryReceive() && network.Rest())
            {
                break;
            }
        }

        frame = _frame.AsSpan(0, _length);
        largest = 0;
        return _length != 0;
    }

    /// <inheritdoc />
    public void Remove() => _length = 0;

    /// <summary>Leaves the network.</summary>
    public void Dispose() => network.Dispose();

    /// <summary>Takes the next message, and keeps it if it is a frame. False when there is none.</summary>
    private bool TryReceive()
    {
        if (!network.TryTake(_inbox, out int offer, out ReadOnlySpan<byte> message, out bool isLost))
        {
            return false;
        }

        if (!isLost && message.Length is >= IPacketPort.ShortestFrame and <= IPacketPort.LongestFrame)
        {
            // The sender may still change the bytes: only of the copy can something be said.
            message.CopyTo(_frame);
            _length = message.Length;
            SegmentSplitter.TryRenew(_frame.AsSpan(0, _length));
        }

        network.Release(_inbox, offer);
        _offered--;
        OfferAll();
        return true;
    }

    /// <summary>An entry whose sender was stopped in the middle of a copy isn't there for a while.</summary>
    private void OfferAll()
    {
        while (_inbox != NoInbox && _offered < IPeerExchange.MostOffers && network.Offer(_inbox, IPacketPort.LongestFrame) >= 0)
        {
            _offered++;
        }
    }

    /// <summary>Sends to everybody who wants a frame; false when one whom it is for can't take it.</summary>
    private bool SendToAll(ReadOnlySpan<byte> frame)
    {
        ReadOnlySpan<byte> destination = frame[..SharedLayout.AddressSize];
        bool isForAll = (destination[0] & ForAll) != 0;
        bool isSent = true;
        for (int slot = 0; slot < SharedLayout.Slots; slot++)
        {
            var address = new ReadOnlySpan<byte>(AddressOf(slot), SharedLayout.AddressSize);
            byte first = address[0];
            if (slot == network.Slot || first == 0)
            {
                continue;
            }

            bool isFor = isForAll || ((first & ~Promiscuous) == destination[0] && address[1..].SequenceEqual(destination[1..]));
            if (isFor || (first & Promiscuous) != 0)
            {
                bool isTaken = network.Send(slot * SharedLayout.KeySize, frame) == frame.Length;
                isSent &= isTaken || !isFor;
            }
        }

        return isSent;
    }

    private byte* AddressOf(int slot) => (byte*)network.Page + (slot * SharedLayout.AddressSize);
}
