using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Devices.Networks;
using Lguest.Devices.Networks.Peers;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Virtio;

/// <summary>Front ends that are virtio devices.</summary>
/// <param name="abi">What the guest's drivers expect.</param>
/// <param name="hasEmergencyConsole">Whether kernels print by the console's configuration before they have a driver.</param>
internal sealed class VirtioFrontEnds(GuestAbi abi, bool hasEmergencyConsole) : FrontEnds
{
    /// <inheritdoc />
    public override string DiskPrefix => "vd";

    /// <inheritdoc />
    public override IConsoleDevice Console(ICharPort port) => new VirtioConsole(port, hasEmergencyConsole);

    /// <inheritdoc />
    public override IDiskDevice Disk(IBlockBackend disk, ILogger logger) => new VirtioDisk(disk, logger, abi.Headers.Block);

    /// <inheritdoc />
    public override INetworkDevice Network(IPacketPort port, IFrameRecorder? recorder) =>
        new VirtioNetwork(port, recorder, abi.Headers.Network);

    /// <inheritdoc />
    [SupportedOSPlatform("linux")]
    public override INetworkDevice SharedNetwork(SharedNetwork network, IFrameRecorder? recorder) =>
        Network(new SharedNetworkPort(network), recorder);

    /// <inheritdoc />
    public override ICommandDevice? Command(IEnumerable<byte[]> arguments, ICharPort streams, ICharPort errors, LateCommand? late) =>
        abi.HasConsolePorts && late is null ? new VirtioCommand(arguments, streams, errors) : null;

    /// <inheritdoc />
    public override IGuestDevice Entropy(ReadOnlyMemory<byte> seed) => new VirtioEntropy(seed);
}
