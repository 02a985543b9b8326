using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Devices.Lgbus;
using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Peers;
using Lguest.Devices.Virtio;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices;

/// <summary>Makes front ends of back ends, for the kind of guest. A front end owns its back end.</summary>
public abstract class FrontEnds
{
    /// <summary>Those of a kind of guest.</summary>
    public static FrontEnds Of(GuestAbi abi) => abi.Bus switch
    {
        DeviceBusKind.Lguest => new LgbusFrontEnds(),
        DeviceBusKind.LguestVirtio => new VirtioFrontEnds(abi, hasEmergencyConsole: false),
        DeviceBusKind.VirtioPci => new VirtioFrontEnds(abi, hasEmergencyConsole: true),
        _ => throw new ArgumentOutOfRangeException(nameof(abi), abi.Bus, "There are no devices for this bus."),
    };

    /// <summary>What the guest's Linux calls disks, before the letter: the first is <c>/dev/lgba</c> or <c>/dev/vda</c>.</summary>
    public abstract string DiskPrefix { get; }

    /// <summary>A console.</summary>
    public abstract IConsoleDevice Console(ICharPort port);

    /// <summary>A disk.</summary>
    /// <param name="disk">Its contents.</param>
    /// <param name="logger">Hears of the host's first error.</param>
    public abstract IDiskDevice Disk(IBlockBackend disk, ILogger logger);

    /// <summary>A network with one other end.</summary>
    /// <param name="port">The far end of its cable.</param>
    /// <param name="recorder">Sees what goes through; null for nobody.</param>
    public abstract INetworkDevice Network(IPacketPort port, IFrameRecorder? recorder);

    /// <summary>A network of guests.</summary>
    /// <param name="network">The network.</param>
    /// <param name="recorder">Sees what goes through; null for nobody.</param>
    [SupportedOSPlatform("linux")]
    public abstract INetworkDevice SharedNetwork(SharedNetwork network, IFrameRecorder? recorder);

    /// <summary>A command for the guest to run; null for a kind of guest that can't be given one.</summary>
    /// <param name="arguments">The command and its arguments.</param>
    /// <param name="streams">Its standard input and output.</param>
    /// <param name="errors">Its standard error.</param>
    /// <param name="late">Says that the guest boots without it; null for one that it has from the beginning.</param>
    public abstract ICommandDevice? Command(IEnumerable<byte[]> arguments, ICharPort streams, ICharPort errors, LateCommand? late);

    /// <summary>A source of random bytes; null for a bus that has no such devices.</summary>
    /// <param name="seed">What they come from.</param>
    public virtual IGuestDevice? Entropy(ReadOnlyMemory<byte> seed) => null;
}
