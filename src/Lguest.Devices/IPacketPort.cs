namespace Lguest.Devices;

/// <summary>The far end of a network cable: takes a guest's Ethernet frames and has others for it. It knows no bus.</summary>
/// <remarks>
/// Frames have no check sequence at their end. All methods are for one thread, the one that calls <see cref="Start"/>;
/// none of them waits.
/// </remarks>
public interface IPacketPort : IDisposable
{
    /// <summary>Bytes of the shortest frame: an Ethernet header.</summary>
    const int ShortestFrame = 14;

    /// <summary>Bytes of the longest frame: a header and 1500 bytes.</summary>
    const int LongestFrame = 1514;

    /// <summary>What the user called it, for messages.</summary>
    string Name { get; }

    /// <summary>The MAC address of the host's end: six bytes.</summary>
    ReadOnlySpan<byte> HostAddress { get; }

    /// <summary>Begins to receive. Once.</summary>
    /// <param name="attention">Called on a thread of the port's when frames have arrived.</param>
    void Start(Action attention);

    /// <summary>Sends a frame of <see cref="ShortestFrame"/> to <see cref="LongestFrame"/> bytes.</summary>
    /// <returns>False when it is lost: the other side can't take it now.</returns>
    bool Send(ReadOnlySpan<byte> frame);

    /// <summary>Shows the first frame that has arrived and hasn't been removed; false when there is none.</summary>
    /// <param name="frame">Good until it is removed.</param>
    bool TryPeek(out ReadOnlySpan<byte> frame);

    /// <summary>Removes the frame that <see cref="TryPeek"/> shows. A port reads no further ahead than a bounded number of frames.</summary>
    void Remove();
}
