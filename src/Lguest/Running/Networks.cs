using System.Globalization;
using Lguest.CommandLine;
using Lguest.Devices;
using Lguest.Devices.Backends;
using Lguest.Devices.Networks;
using Lguest.Logging;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>A network of the guest's.</summary>
/// <param name="Name">What the guest calls it, and what it is.</param>
/// <param name="Device">Its front end.</param>
internal sealed record Network(string Name, NetworkDevice Device);

/// <summary>All networks of a guest.</summary>
/// <param name="All">In the guest's order.</param>
/// <param name="GuestId">The guest's number among those that it may meet on them: MAC addresses come from it.</param>
internal sealed record Networks(IReadOnlyList<Network> All, ushort GuestId)
{
    private const ushort Anybody = 1;

    /// <summary>Opens networks.</summary>
    /// <param name="options">What the user wants.</param>
    /// <param name="recording">Where their frames are recorded, if anywhere.</param>
    /// <param name="logger">For their messages.</param>
    /// <exception cref="BackendException">One can't be had.</exception>
    public static Networks Open(IReadOnlyList<NetworkOption> options, PcapngFile? recording, ILogger logger)
    {
        var networks = new List<Network>();
        ushort number = Anybody;
        foreach (NetworkOption option in options)
        {
            if (!OperatingSystem.IsLinux())
            {
                throw new BackendException("networks need Linux: leave the option out");
            }

            string guestName = string.Create(CultureInfo.InvariantCulture, $"eth{networks.Count}");
            IPacketPort port = Open(option, logger);
            if (port is TapPort tap)
            {
                LaunchLog.NetworkOpened(logger, guestName, tap.InterfaceName);

                // Guests whose interfaces are in one bridge must differ, and so do their interfaces' numbers.
                number = number == Anybody ? (ushort)tap.Number : number;
            }

            networks.Add(new Network($"{guestName} ({port.Name})", new NetworkDevice(port, recording?.AddInterface(guestName))));
        }

        return new Networks(networks, number);
    }

    [System.Runtime.Versioning.SupportedOSPlatform("linux")]
    private static IPacketPort Open(NetworkOption option, ILogger logger) => option switch
    {
        NetworkOption.Tap tap => TapPort.WithAddress(tap.Address, logger),
        NetworkOption.Bridge bridge => TapPort.InBridge(bridge.Name, logger),
        NetworkOption.User user => UserNetworkPort.Open(user.Options, logger),
        _ => throw new ArgumentOutOfRangeException(nameof(option), option, "There is no such network."),
    };
}
