using Lguest.Devices.Networks;
using Lguest.Host.Bus;

namespace Lguest.Devices.Lgbus;

/// <summary>A network as a device of the lguest bus.</summary>
public interface INetworkDevice : IGuestDevice
{
    /// <summary>What went through so far.</summary>
    NetworkStatistics Statistics { get; }
}
