using Lguest.Devices.Networks;

namespace Lguest.Devices.Tests.Networks;

public sealed class HostNetworkAddressTests
{
    [Theory]
    [InlineData("192.168.19.1", "192.168.19.1/24", 0xffffff00)]
    [InlineData("10.1.2.3/8", "10.1.2.3/8", 0xff000000)]
    [InlineData("10.1.2.3/30", "10.1.2.3/30", 0xfffffffc)]
    [InlineData("0.0.0.0/0", "0.0.0.0/0", 0)]
    [InlineData("1.2.3.4/32", "1.2.3.4/32", 0xffffffff)]
    public void It_is_four_numbers_and_perhaps_how_many_bits_are_the_networks(string text, string whole, uint mask)
    {
        Assert.True(HostNetworkAddress.TryParse(text, 24, out HostNetworkAddress address));

        Assert.Equal(whole, address.ToString());
        Assert.Equal(mask, address.Mask);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1.2.3")]
    [InlineData("1.2.3.4.5")]
    [InlineData("1.2.3.256")]
    [InlineData("1.2.3.-4")]
    [InlineData("1.2.3.4/33")]
    [InlineData("1.2.3.4/")]
    [InlineData("1.2.3.4/24/24")]
    [InlineData("1.2.3.0004")]
    [InlineData("1..2.3")]
    [InlineData("::1")]
    [InlineData("localhost")]
    public void Anything_else_is_none(string text) => Assert.False(HostNetworkAddress.TryParse(text, 24, out _));

    [Theory]
    [InlineData("192.168.19.1/24", true)]
    [InlineData("192.168.19.0/24", false)]
    [InlineData("192.168.19.255/24", false)]
    [InlineData("192.168.19.255/16", true)]
    [InlineData("127.0.0.1/24", false)]
    [InlineData("0.0.0.1/24", false)]
    [InlineData("224.0.0.1/24", false)]
    [InlineData("10.0.0.1/31", false)]
    [InlineData("10.0.0.1/32", false)]
    [InlineData("10.0.0.1/0", false)]
    public void A_host_has_an_address_of_its_own_in_a_network_with_room_for_another(string text, bool isHost)
    {
        Assert.True(HostNetworkAddress.TryParse(text, 24, out HostNetworkAddress address));

        Assert.Equal(isHost, address.IsHost);
    }
}
