using Lguest.Devices.Disks;
using Lguest.Host.Bus;

namespace Lguest.Devices;

/// <summary>A disk, whatever bus the guest finds it on.</summary>
public interface IDiskDevice : IGuestDevice
{
    /// <summary>How long a request takes in virtual time, in nanoseconds, however long the host takes.</summary>
    const ulong VirtualDelay = 100_000;

    /// <summary>What was done so far.</summary>
    BlockStatistics Statistics { get; }
}
