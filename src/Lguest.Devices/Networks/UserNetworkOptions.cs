using System.Globalization;

namespace Lguest.Devices.Networks;

/// <summary>What a network that needs no privileges is to be like.</summary>
/// <param name="Network">Its addresses; the address in it is the network's own.</param>
/// <param name="IsRestricted">Whether the guest reaches nothing but what is forwarded to it.</param>
/// <param name="Forwards">Ports of the host's that lead to the guest.</param>
public sealed record UserNetworkOptions(HostNetworkAddress Network, bool IsRestricted, IReadOnlyList<PortForward> Forwards)
{
    /// <summary>Fewest bits of a network's address that it takes to be one.</summary>
    public const int FewestBits = 8;

    /// <summary>Most bits: there is room for gateway, name server and a guest or two.</summary>
    public const int MostBits = 27;

    /// <summary>The gateway, which is also this host.</summary>
    private const uint GatewayNumber = 2;
    private const uint NameServerNumber = 3;
    private const uint FirstGuestNumber = 15;

    /// <summary>The default network: 10.0.2.0/24.</summary>
    public static HostNetworkAddress DefaultNetwork { get; } = new(0x0a000200, 24);

    /// <summary>The host's address as the guest sees it.</summary>
    public uint Gateway => Network.Address + GatewayNumber;

    /// <summary>The name server's.</summary>
    public uint NameServer => Network.Address + NameServerNumber;

    /// <summary>The guest's, which it gets by DHCP.</summary>
    public uint FirstGuest => Network.Address + FirstGuestNumber;
}

/// <summary>A port of the host's that leads to the guest.</summary>
/// <param name="IsUdp">UDP, or else TCP.</param>
/// <param name="HostAddress">Which of the host's addresses; 0 for all.</param>
/// <param name="HostPort">1 to 65535.</param>
/// <param name="GuestAddress">The guest's; 0 for the one that DHCP gives it.</param>
/// <param name="GuestPort">1 to 65535.</param>
public sealed record PortForward(bool IsUdp, uint HostAddress, int HostPort, uint GuestAddress, int GuestPort)
{
    /// <summary>As it is written: tcp:127.0.0.1:2222-:22.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{(IsUdp ? "udp" : "tcp")}:{Text(HostAddress)}:{HostPort}-{Text(GuestAddress)}:{GuestPort}");

    private static string Text(uint address) => address == 0 ? string.Empty : new HostNetworkAddress(address, 0).Text;
}
