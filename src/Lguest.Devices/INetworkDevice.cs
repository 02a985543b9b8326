using Lguest.Devices.Networks;
using Lguest.Host.Bus;

namespace Lguest.Devices;

/// <summary>A network, whatever bus the guest finds it on.</summary>
public interface INetworkDevice : IGuestDevice
{
    /// <summary>What went through so far.</summary>
    NetworkStatistics Statistics { get; }
}
