using System.Globalization;
using Lguest.CommandLine;
using Lguest.Devices;
using Lguest.Devices.Backends;
using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Peers;
using Lguest.Logging;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>A network of the guest's.</summary>
/// <param name="Name">What the guest calls it, and what it is.</param>
/// <param name="Device">Its front end.</param>
internal sealed record Network(string Name, INetworkDevice Device);

/// <summary>All networks of a guest.</summary>
internal sealed class Networks : IDisposable
{
    private const ushort Anybody = 1;

    private readonly List<Network> _all = [];
    private readonly List<SharedNetwork> _shared = [];

    private Networks()
    {
    }

    /// <summary>In the guest's order.</summary>
    public IReadOnlyList<Network> All => _all;

    /// <summary>The guest's number among those that it may meet on them: MAC addresses come from it.</summary>
    public ushort GuestId { get; private set; } = Anybody;

    /// <summary>Opens networks.</summary>
    /// <param name="options">What the user wants.</param>
    /// <param name="frontEnds">Make them devices of the guest's bus.</param>
    /// <param name="recording">Where their frames are recorded, if anywhere.</param>
    /// <param name="logger">For their messages.</param>
    /// <exception cref="BackendException">One can't be had.</exception>
    public static Networks Open(IReadOnlyList<NetworkOption> options, FrontEnds frontEnds, PcapngFile? recording, ILogger logger)
    {
        var networks = new Networks();
        if (options.Count > 0 && !OperatingSystem.IsLinux())
        {
            throw new BackendException("networks need Linux: leave the option out");
        }

        try
        {
            foreach (NetworkOption option in options)
            {
                networks.Add(option, frontEnds, recording, logger);
            }

            networks.TakeGuestId();
            return networks;
        }
        catch
        {
            networks.Dispose();
            throw;
        }
    }

    /// <summary>Leaves the networks of guests, if the devices haven't yet: nobody is to wait for a guest that never was.</summary>
    [System.Diagnostics.CodeAnalysis.SuppressMessage("Interoperability", "CA1416", Justification = "There are none on other hosts.")]
    public void Dispose() => _shared.ForEach(network => network.Dispose());

    [System.Runtime.Versioning.SupportedOSPlatform("linux")]
    private void Add(NetworkOption option, FrontEnds frontEnds, PcapngFile? recording, ILogger logger)
    {
        string guestName = string.Create(CultureInfo.InvariantCulture, $"eth{_all.Count}");
        if (option is NetworkOption.Shared { Path: var path })
        {
            SharedNetwork network = Join(path, logger);
            _all.Add(new Network($"{guestName} ({network.Name})", frontEnds.SharedNetwork(network, recording?.AddInterface(guestName))));
            return;
        }

        IPacketPort port = Open(option, logger);
        if (port is TapPort tap)
        {
            LaunchLog.NetworkOpened(logger, guestName, tap.InterfaceName);

            // Guests whose interfaces are in one bridge must differ, and so do their interfaces' numbers.
            GuestId = GuestId == Anybody ? (ushort)tap.Number : GuestId;
        }

        _all.Add(new Network($"{guestName} ({port.Name})", frontEnds.Network(port, recording?.AddInterface(guestName))));
    }

    [System.Runtime.Versioning.SupportedOSPlatform("linux")]
    private SharedNetwork Join(string path, ILogger logger)
    {
        var network = SharedNetwork.Join(path, logger);
        SharedNetwork? same = _shared.Find(network.IsSameAs);
        _shared.Add(network);
        return same is null
            ? network
            : throw new BackendException($"{same.Name} and {network.Name} are the same file, and a guest is in a network once: leave one out");
    }

    /// <summary>Takes an id that nobody has in any of the networks, the one that is wanted if it can be.</summary>
    [System.Runtime.Versioning.SupportedOSPlatform("linux")]
    private void TakeGuestId()
    {
        ushort wanted = GuestId;
        for (int i = 0; i < ushort.MaxValue; i++)
        {
            // 1 to 65535, from the one that is wanted on.
            ushort id = (ushort)((((wanted - 1) + i) % ushort.MaxValue) + 1);
            if (TryTake(id))
            {
                GuestId = id;
                return;
            }
        }

        throw new BackendException("every guest id is taken in the shared networks: give other files");
    }

    [System.Runtime.Versioning.SupportedOSPlatform("linux")]
    private bool TryTake(ushort id)
    {
        SharedNetwork? taken = _shared.Find(network => !network.TryReserve(id));
        if (taken is null)
        {
            return true;
        }

        _shared.TakeWhile(network => network != taken).ToList().ForEach(network => network.GiveBack(id));
        return false;
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
