using System.Globalization;
using Lguest.Devices.Networks;

namespace Lguest.CommandLine;

/// <summary>How <c>--usernet</c> is written.</summary>
internal static class UserNetworkSyntax
{
    private const string Option = "--usernet=";
    private const string ForwardExample = "hostfwd=tcp:127.0.0.1:2222-:22";
    private const string NetworkExample = "net=10.0.2.0/24";
    private const string ForwardWord = "hostfwd=";
    private const string NetworkWord = "net=";
    private const string RestrictWord = "restrict";

    /// <summary>Reads its value; null for an option without one.</summary>
    /// <exception cref="CommandLineException">It can't be understood.</exception>
    public static UserNetworkOptions Parse(string? text)
    {
        HostNetworkAddress network = UserNetworkOptions.DefaultNetwork;
        bool isRestricted = false;
        var forwards = new List<string>();
        foreach (string word in text is null ? [] : CommaParts.Split(text))
        {
            if (word.StartsWith(ForwardWord, StringComparison.Ordinal))
            {
                forwards.Add(word[ForwardWord.Length..]);
            }
            else if (word.StartsWith(NetworkWord, StringComparison.Ordinal))
            {
                network = ParseNetwork(word[NetworkWord.Length..]);
            }
            else if (word == RestrictWord)
            {
                isRestricted = true;
            }
            else
            {
                throw new CommandLineException(
                    $"{Option}{text}: '{word}' is no option of a network: write {ForwardExample}, {NetworkExample} or {RestrictWord}");
            }
        }

        return new UserNetworkOptions(network, isRestricted, [.. forwards.Select(forward => ParseForward(forward, network))]);
    }

    private static HostNetworkAddress ParseNetwork(string text)
    {
        bool isNetwork = HostNetworkAddress.TryParse(text, bits: 0, out HostNetworkAddress network)
            && network.Bits is >= UserNetworkOptions.FewestBits and <= UserNetworkOptions.MostBits
            && (network.Address & ~network.Mask) == 0
            && (network with { Address = network.Address + 1 }).IsHost;
        return isNetwork
            ? network
            : throw new CommandLineException(
                $"{Option}{NetworkWord}{text} is not a network of {UserNetworkOptions.FewestBits} to {UserNetworkOptions.MostBits} bits: write {NetworkExample}");
    }

    // tcp:[HOST]:PORT-[GUEST]:PORT
    private static PortForward ParseForward(string text, HostNetworkAddress network)
    {
        string[] halves = text.Split('-');
        string[] host = halves[0].Split(':');
        string[] guest = halves.Length == 2 ? halves[1].Split(':') : [];
        if (host is [("tcp" or "udp") and string protocol, string hostAddress, string hostPort]
            && guest is [string guestAddress, string guestPort]
            && TryAddress(hostAddress, out uint from)
            && TryPort(hostPort, out int fromPort)
            && TryAddress(guestAddress, out uint to)
            && TryPort(guestPort, out int toPort))
        {
            return to == 0 || (to & network.Mask) == network.Address
                ? new PortForward(protocol == "udp", from, fromPort, to, toPort)
                : throw new CommandLineException(
                    $"{Option}{ForwardWord}{text}: {guestAddress} is not in the guest's network, {network}: leave it out, for the address that DHCP gives");
        }

        throw new CommandLineException(
            $"{Option}{ForwardWord}{text} forwards no port: write {ForwardExample}, for a port of the host's and one of the guest's");
    }

    // An address that is left out is any.
    private static bool TryAddress(string text, out uint address)
    {
        const int AllBits = 32;
        address = 0;
        if (text.Length == 0)
        {
            return true;
        }

        bool isAddress = HostNetworkAddress.TryParse(text, AllBits, out HostNetworkAddress parsed) && !text.Contains('/');
        address = parsed.Address;
        return isAddress;
    }

    private static bool TryPort(string text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= ushort.MaxValue;
}
