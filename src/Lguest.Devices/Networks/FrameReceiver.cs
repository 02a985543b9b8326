using Lguest.Devices.Networks.Segments;

namespace Lguest.Devices.Networks;

/// <summary>Where a guest's driver is with the buffers that it receives into.</summary>
internal enum ReceiveRoom
{
    /// <summary>There is no driver, or its interface is down.</summary>
    Down,

    /// <summary>All of its buffers are full: frames wait.</summary>
    Full,

    /// <summary>A buffer is free.</summary>
    Free,
}

/// <summary>A guest's buffers, whatever bus they are on.</summary>
internal interface IFrameBuffers
{
    /// <summary>Looks for a free buffer.</summary>
    /// <exception cref="Host.GuestFaultException">The guest is over.</exception>
    ReceiveRoom FindRoom();

    /// <summary>Whether the buffer that was found takes a TCP segment of some length that no cable carries.</summary>
    bool TakesSegment(int length);

    /// <summary>Fills the buffer that was found, once.</summary>
    /// <param name="frame">What arrives.</param>
    /// <param name="largest">What <see cref="IPacketPort"/> calls so: not 0 of a segment that the buffer takes.</param>
    /// <returns>False when it has no room for the frame, which is lost then.</returns>
    /// <exception cref="Host.GuestFaultException">The guest is over.</exception>
    bool TryFill(ReadOnlySpan<byte> frame, int largest);
}

/// <summary>Takes a cable's frames to a guest's buffers, as long as there are any of both. Frames stay with the port while the buffers are full.</summary>
/// <param name="port">The far end of the cable.</param>
/// <param name="statistics">Counts what arrives and what is lost.</param>
/// <param name="recorder">Sees what arrives; null for nobody.</param>
internal sealed class FrameReceiver(IPacketPort port, NetworkStatistics statistics, IFrameRecorder? recorder)
{
    /// <summary>Frames for the guest in one go, so that a flood of them doesn't keep it from running.</summary>
    private const int MostAtOnce = 256;

    private readonly byte[] _part = new byte[IPacketPort.LongestFrame];

    // What is left of the port's first frame, once some of it was received.
    private SegmentSplitter? _rest;

    /// <summary>Receives what has arrived.</summary>
    /// <returns>False when there may be more, for which the caller is to come again soon.</returns>
    /// <exception cref="Host.GuestFaultException">The guest is over.</exception>
    public bool Receive(IFrameBuffers buffers)
    {
        for (int i = 0; port.TryPeek(out ReadOnlySpan<byte> frame, out int largest); i++)
        {
            if (i == MostAtOnce)
            {
                return false;
            }

            switch (buffers.FindRoom())
            {
                case ReceiveRoom.Full:
                    return true;
                case ReceiveRoom.Free:
                    Receive(frame, largest, buffers);
                    if (_rest is { IsAtEnd: false })
                    {
                        continue;
                    }

                    break;
                default:
                    // What comes now is stale when there is a driver.
                    statistics.ReceivingDropped++;
                    break;
            }

            _rest = null;
            port.Remove();
        }

        return true;
    }

    /// <summary>Receives a frame, or as much as there is room for of one that may be split.</summary>
    private void Receive(ReadOnlySpan<byte> frame, int largest, IFrameBuffers buffers)
    {
        if (_rest is not { } splitter)
        {
            if (largest == 0 || (frame.Length > IPacketPort.LongestFrame && buffers.TakesSegment(frame.Length)))
            {
                Fill(frame, largest, buffers);
                return;
            }

            if (!SegmentSplitter.TryBegin(frame, largest, out splitter))
            {
                statistics.ReceivingDropped++;
                return;
            }
        }

        int length = splitter.Next(frame, _part);
        _rest = splitter;
        Fill(_part.AsSpan(0, length), largest: 0, buffers);
    }

    /// <summary>What is no frame, or longer than the buffer, is dropped.</summary>
    private void Fill(ReadOnlySpan<byte> frame, int largest, IFrameBuffers buffers)
    {
        int longest = largest == 0 ? IPacketPort.LongestFrame : IPacketPort.LongestSegment;
        if (frame.Length < IPacketPort.ShortestFrame || frame.Length > longest || !buffers.TryFill(frame, largest))
        {
            statistics.ReceivingDropped++;
            return;
        }

        statistics.CountReceived(frame.Length);
        recorder?.Record(sent: false, frame);
    }
}
