namespace Lguest.Devices.Networks;

/// <summary>What went through a guest's network.</summary>
public sealed class NetworkStatistics
{
    /// <summary>Frames that the guest sent and the network took.</summary>
    public ulong FramesSent { get; private set; }

    /// <summary>Their bytes.</summary>
    public ulong BytesSent { get; private set; }

    /// <summary>Frames that the guest sent in vain: no frames at all, or more than the network could take.</summary>
    public ulong SendingDropped { get; internal set; }

    /// <summary>Frames that the guest got.</summary>
    public ulong FramesReceived { get; private set; }

    /// <summary>Their bytes.</summary>
    public ulong BytesReceived { get; private set; }

    /// <summary>Frames that the guest didn't get: its interface is down, or they don't fit its buffers.</summary>
    public ulong ReceivingDropped { get; internal set; }

    internal void CountSent(int length)
    {
        FramesSent++;
        BytesSent += (ulong)length;
    }

    internal void CountReceived(int length)
    {
        FramesReceived++;
        BytesReceived += (ulong)length;
    }
}
