using Lguest.Devices.Networks;

namespace Lguest.CommandLine;

/// <summary>A network as the user names it.</summary>
internal abstract record NetworkOption
{
    private NetworkOption()
    {
    }

    /// <summary>Reads an option.</summary>
    /// <returns>Null when it isn't one of a network.</returns>
    /// <exception cref="CommandLineException">Its value can't be understood.</exception>
    public static NetworkOption? Parse(GivenOption given) =>
        given.Option == Options.Tunnet ? ParseTap(given.Value!)
        : given.Option == Options.Sharenet ? new Shared(given.Value!)
        : given.Option == Options.Usernet ? new User(UserNetworkSyntax.Parse(given.Value))
        : null;

    private static NetworkOption ParseTap(string text)
    {
        const string BridgePrefix = "bridge:";
        const int LongestName = 15;
        const int DefaultBits = 24;
        if (text.StartsWith(BridgePrefix, StringComparison.Ordinal))
        {
            string name = text[BridgePrefix.Length..];
            return name.Length is > 0 and <= LongestName && name.All(each => char.IsAscii(each) && each > ' ' && each != '/')
                ? new Bridge(name)
                : throw new CommandLineException($"--{Options.Tunnet.Name}={text} names no bridge: write --{Options.Tunnet.Name}={BridgePrefix}br0");
        }

        return HostNetworkAddress.TryParse(text, DefaultBits, out HostNetworkAddress address) && address.IsHost
            ? new Tap(address)
            : throw new CommandLineException(
                $"--{Options.Tunnet.Name}={text} is not an IPv4 address that this host could have: write --{Options.Tunnet.Name}=192.168.19.1, --{Options.Tunnet.Name}=192.168.19.1/24 or --{Options.Tunnet.Name}={BridgePrefix}br0");
    }

    /// <summary>An interface of the host's with an address: <c>--tunnet=192.168.19.1</c>.</summary>
    public sealed record Tap(HostNetworkAddress Address) : NetworkOption;

    /// <summary>An interface of the host's in a bridge: <c>--tunnet=bridge:br0</c>.</summary>
    public sealed record Bridge(string Name) : NetworkOption;

    /// <summary>A network of guests that meet in a file: <c>--sharenet=FILE</c>.</summary>
    public sealed record Shared(string Path) : NetworkOption;

    /// <summary>A network of the process's own: <c>--usernet</c>.</summary>
    public sealed record User(UserNetworkOptions Options) : NetworkOption;
}
