using Lguest.Devices.Disks;
using Lguest.Host.Bus;

namespace Lguest.Devices;

/// <summary>A disk, whatever bus the guest finds it on.</summary>
public interface IDiskDevice : IGuestDevice
{
    /// <summary>What was done so far.</summary>
    BlockStatistics Statistics { get; }
}
