using Lguest.Devices.Networks;
using Lguest.Host.Bus;
using Lguest.Host.Dma;

namespace Lguest.Devices.Lgbus;

/// <summary>
/// What a network's driver may leave to the host: an extension of lguest's network device that 2.6.23's driver doesn't
/// know. A driver that does says so in its status, and then says of each message, in used_len, what is to be done with it.
/// </summary>
internal static class SegmentOffload
{
    /// <summary>Feature of a network: the host computes checksums and splits segments.</summary>
    public const ushort Feature = 0x2000;

    /// <summary>Status of a device: the driver's used_len is a request. Other drivers leave anything there.</summary>
    private const ushort KnownStatus = 0x0008;

    /// <summary>Whether a message is a frame.</summary>
    /// <param name="slot">The network's place.</param>
    /// <param name="message">The message.</param>
    /// <param name="largest">What <see cref="IPacketPort"/> calls so.</param>
    public static bool TryJudge(DeviceSlot slot, DmaList message, out int largest)
    {
        uint request = (slot.Status & KnownStatus) == 0 ? 0 : message.Request;
        largest = (int)Math.Min(request, ushort.MaxValue);
        int longest = request == 0 ? IPacketPort.LongestFrame : IPacketPort.LongestSegment;
        return message.Length >= IPacketPort.ShortestFrame && message.Length <= longest && request <= ushort.MaxValue;
    }
}
