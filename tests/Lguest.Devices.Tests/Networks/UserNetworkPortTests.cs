using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Lguest.Devices.Backends;
using Lguest.Devices.Networks;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Devices.Tests.Networks;

/// <summary>libslirp with the test in the place of the guest: its frames are made by hand.</summary>
[SupportedOSPlatform("linux")]
public sealed class UserNetworkPortTests
{
    private static readonly byte[] Guest = [2, 0, 1, 0, 0, 0];

    [Fact]
    public void The_gateway_answers_a_question_for_its_address()
    {
        using UserNetworkPort port = Open(UserNetworkOptions.DefaultNetwork);
        using var arrived = new AutoResetEvent(false);
        port.Start(() => arrived.Set());

        Assert.True(port.Send(ArpRequest([10, 0, 2, 2]), largest: 0));

        byte[] answer = Next(port, arrived);
        Assert.Equal(Guest, answer[..6]);
        Assert.Equal(port.HostAddress.ToArray(), answer[6..12]);
        Assert.Equal([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2], answer[12..22]);
        Assert.Equal([10, 0, 2, 2], answer[28..32]);
    }

    [Fact]
    public void Another_network_has_other_addresses()
    {
        Assert.True(HostNetworkAddress.TryParse("172.16.5.0/24", 24, out HostNetworkAddress network));
        using UserNetworkPort port = Open(network);
        using var arrived = new AutoResetEvent(false);
        port.Start(() => arrived.Set());

        Assert.True(port.Send(ArpRequest([172, 16, 5, 2]), largest: 0));

        Assert.Equal([172, 16, 5, 2], Next(port, arrived)[28..32]);
        Assert.Equal([0x52, 0x55, 172, 16, 5, 2], port.HostAddress.ToArray());
    }

    [Fact]
    public void It_ends_while_frames_are_on_their_way()
    {
        for (int i = 0; i < 20; i++)
        {
            using UserNetworkPort port = Open(UserNetworkOptions.DefaultNetwork);
            port.Start(() => { });
            for (int j = 0; j < 1000; j++)
            {
                port.Send(ArpRequest([10, 0, 2, 2]), largest: 0);
            }
        }
    }

    [Fact]
    public void A_guest_that_takes_no_frames_makes_it_take_none()
    {
        using UserNetworkPort port = Open(UserNetworkOptions.DefaultNetwork);
        port.Start(() => { });
        int sent = 0;

        // Half of the answers' queue, and all of the questions'.
        for (int tries = 0; tries < 100; tries++)
        {
            while (port.Send(ArpRequest([10, 0, 2, 2]), largest: 0))
            {
                sent++;
            }

            Thread.Sleep(1);
        }

        Assert.InRange(sent, 10_000, 30_000);
        int answers = 0;
        while (port.TryPeek(out _, out _))
        {
            port.Remove();
            answers++;
            Thread.Sleep(answers % 1024 == 0 ? 20 : 0);
        }

        Assert.True(answers > 5000, $"{answers} answers came");
    }

    [Fact]
    public void A_port_that_is_taken_is_refused_with_the_hosts_reason()
    {
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        other.Listen();
        int taken = ((IPEndPoint)other.LocalEndPoint!).Port;

        BackendException error = Assert.Throws<BackendException>(
            () => Open(UserNetworkOptions.DefaultNetwork, new PortForward(false, 0x7f000001, taken, 0, 22)));

        Assert.Equal(
            $"--usernet=hostfwd=tcp:127.0.0.1:{taken}-:22: port {taken} of the host cannot be had (Address already in use): give another, or stop the program that has it",
            error.Message);
    }

    private static UserNetworkPort Open(HostNetworkAddress network, params PortForward[] forwards)
    {
        Assert.SkipUnless(NativeLibrary.TryLoad("libslirp.so.0", out _), "libslirp isn't installed (package libslirp0).");
        return UserNetworkPort.Open(new UserNetworkOptions(network, false, forwards), NullLogger.Instance);
    }

    private static byte[] ArpRequest(byte[] wanted) =>
    [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, .. Guest, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1,
        .. Guest, wanted[0], wanted[1], wanted[2], 15, 0, 0, 0, 0, 0, 0, .. wanted,
    ];

    private static byte[] Next(UserNetworkPort port, AutoResetEvent arrived)
    {
        Assert.True(arrived.WaitOne(TimeSpan.FromSeconds(30)), "Nothing came.");
        Assert.True(port.TryPeek(out ReadOnlySpan<byte> frame, out _));
        byte[] copy = frame.ToArray();
        port.Remove();
        return copy;
    }
}
