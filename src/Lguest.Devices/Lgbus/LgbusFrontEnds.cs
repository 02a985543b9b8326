using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Peers;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Lgbus;

/// <summary>Front ends of the lguest bus.</summary>
internal sealed class LgbusFrontEnds : FrontEnds
{
    /// <inheritdoc />
    public override string DiskPrefix => "lgb";

    /// <inheritdoc />
    public override IConsoleDevice Console(ICharPort port) => new ConsoleDevice(port);

    /// <inheritdoc />
    public override IDiskDevice Disk(IBlockBackend disk, ILogger logger) => new BlockDevice(disk, logger);

    /// <inheritdoc />
    public override INetworkDevice Network(IPacketPort port, IFrameRecorder? recorder) => new NetworkDevice(port, recorder);

    /// <inheritdoc />
    [SupportedOSPlatform("linux")]
    public override INetworkDevice SharedNetwork(SharedNetwork network, IFrameRecorder? recorder) =>
        new SharedNetworkDevice(network, recorder);

    /// <inheritdoc />
    public override ICommandDevice Command(IEnumerable<byte[]> arguments, ICharPort streams, ICharPort errors, LateCommand? late) =>
        new CommandDevice(arguments, streams, errors, late);
}
