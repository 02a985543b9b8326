namespace Lguest.Devices.Networks;

/// <summary>The far end of a network cable: takes a guest's Ethernet frames and has others for it. It knows no bus.</summary>
/// <remarks>
/// <para>Frames have no check sequence at their end. All methods are for one thread, the one that calls <see cref="Start"/>;
/// none of them waits.</para>
/// <para>A frame may be unfinished, in both directions: its TCP or UDP checksum is that of the pseudo header alone, and as a TCP
/// segment it may be too long for the cable. <c>largest</c> is then how many bytes of payload each of the frames has that it
/// is to be split into, if it has more; 0 is said of a finished frame.</para>
/// </remarks>
public interface IPacketPort : IDisposable
{
    /// <summary>Bytes of the shortest frame: an Ethernet header.</summary>
    const int ShortestFrame = 14;

    /// <summary>Bytes of the longest frame that a cable carries: a header and 1500 bytes.</summary>
    const int LongestFrame = 1514;

    /// <summary>Bytes of the longest frame that is to be split: a header and the longest IPv4 packet.</summary>
    const int LongestSegment = 14 + ushort.MaxValue;

    /// <summary>What the user called it, for messages.</summary>
    string Name { get; }

    /// <summary>The MAC address of the host's end: six bytes.</summary>
    ReadOnlySpan<byte> HostAddress { get; }

    /// <summary>Tells the MAC address at the guest's end, before <see cref="Start"/>, of a guest that hasn't chosen it itself. Most cables don't care.</summary>
    /// <param name="address">Six bytes.</param>
    void TakeGuestAddress(ReadOnlySpan<byte> address)
    {
    }

    /// <summary>Tells whether the guest wants every frame, not only those for its address. Most cables carry nothing else.</summary>
    void ListenToAll(bool isWanted)
    {
    }

    /// <summary>Begins to receive. Once.</summary>
    /// <param name="attention">Called on a thread of the port's when frames have arrived.</param>
    void Start(Action attention);

    /// <summary>Sends a frame of <see cref="ShortestFrame"/> to <see cref="LongestFrame"/> bytes, or a longer one that is to be split.</summary>
    /// <param name="frame">The frame, which the port may finish in place.</param>
    /// <param name="largest">Bytes of payload; 0: the frame is finished.</param>
    /// <returns>False when it is lost: the other side can't take it now, or it can't be finished.</returns>
    bool Send(Span<byte> frame, int largest);

    /// <summary>Shows the first frame that has arrived and hasn't been removed; false when there is none.</summary>
    /// <param name="frame">Good until it is removed.</param>
    /// <param name="largest">Bytes of payload; 0: the frame is finished.</param>
    bool TryPeek(out ReadOnlySpan<byte> frame, out int largest);

    /// <summary>Removes the frame that <see cref="TryPeek"/> shows. A port reads no further ahead than a bounded number of bytes.</summary>
    void Remove();
}
