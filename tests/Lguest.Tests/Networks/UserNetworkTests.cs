using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests.Networks;

/// <summary>The guest that ships, on the network that needs no privileges. Its outside is a namespace of the test's.</summary>
public sealed class UserNetworkTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_guest_gets_an_address_names_and_connections_to_the_outside()
    {
        NetworkNamespace.NeedLibslirp();
        string resolver = _folder.File("resolv.conf", "nameserver 127.0.0.53\n"u8.ToArray());
        using var place = NetworkNamespace.Make($"mount --bind {resolver} /etc/resolv.conf");
        byte[] content = new byte[100_000_000];
        new Random(1).NextBytes(content);
        using Socket http = Servers.Listen(place, 80);
        using Socket sink = Servers.Listen(place, 81);
        using Socket names = place.In(() =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Bind(IPEndPoint.Parse("127.0.0.53:53"));
            return socket;
        });
        Task<HashSet<string>> asked = Servers.AnswerNamesAsync(names, [10, 0, 2, 2]);
        Task<string> request = Servers.AnswerHttpAsync(http, content);
        Task<string> taken = Servers.TakeAsync(sink);

        LguestResult result = place.Run(Arguments(_folder, """
            ip address show eth0 | grep 'inet '
            ip route
            ping -c 2 -i 0.2 10.0.2.2 || exit 1
            mkfifo /tmp/again; nc 10.0.2.2 81 </tmp/again &
            wget -q -O - http://files.example/file | tee /tmp/again | md5sum || exit 2
            wait $! || exit 3
            """, "--usernet", "--stats", "eth0=dhcp"));

        AssertEnded(0, result);
        Assert.Contains("inet 10.0.2.15/24 ", result.Output, StringComparison.Ordinal);
        Assert.Contains("default via 10.0.2.2 dev eth0", result.Output, StringComparison.Ordinal);
        Assert.Contains("2 packets transmitted, 2 packets received", result.Output, StringComparison.Ordinal);
        names.Close();
        Assert.Equal(["files.example"], await asked);
        Assert.Equal("GET /file HTTP/1.1", await request);
        Assert.Contains($"{Servers.Checksum(content)}  -", result.Output, StringComparison.Ordinal);
        Assert.Equal(Servers.Checksum(content), await taken);
        Assert.Equal(0ul, Statistics(result, "eth0 (usernet 10.0.2.0/24): ")[2]);
    }

    [Theory]
    [InlineData("hostfwd=tcp:127.0.0.1:2222-:7", "127.0.0.1:2222", "10.0.2.15/24")]
    [InlineData("net=172.16.5.0/24,restrict,hostfwd=tcp::2223-172.16.5.15:7", "127.0.0.5:2223", "172.16.5.15/24")]
    public async Task A_port_of_the_hosts_leads_to_the_guest(string options, string port, string address)
    {
        NetworkNamespace.NeedLibslirp();
        using var place = NetworkNamespace.Make();
        byte[] content = new byte[1 << 20];
        new Random(2).NextBytes(content);
        using Process process = place.Start(Arguments(_folder, """
            ip address show eth0 | grep 'inet '
            nc -l -p 7 -e sh -c 'md5sum' & sleep 0.2; echo ready; wait; exit 0
            """, $"--usernet={options}", "eth0=dhcp"));
        string said = string.Empty;
        while (process.StandardOutput.ReadLine() is { } line && line.TrimEnd('\r') != "ready")
        {
            said += line;
        }

        string answer = await Servers.ExchangeAsync(place, IPEndPoint.Parse(port), content);

        AssertEnded(0, LguestProcess.Finish(process, string.Empty));
        Assert.Contains($"inet {address} ", said, StringComparison.Ordinal);
        Assert.Equal(Servers.Checksum(System.Text.Encoding.ASCII.GetBytes($"{Servers.Checksum(content)}  -\n")), answer);
    }

    [Fact]
    public void A_restricted_guest_reaches_nothing_outside()
    {
        NetworkNamespace.NeedLibslirp();
        using var place = NetworkNamespace.Make();
        using Socket listener = Servers.Listen(place, 80);

        LguestResult result = place.Run(Arguments(_folder, "wget -T 2 -q -O /tmp/file http://10.0.2.2/ && exit 1; exit 7", "--usernet=restrict", "eth0=dhcp"));

        AssertEnded(7, result);
        Assert.False(listener.Poll(0, SelectMode.SelectRead));
    }

    [Fact]
    public void It_needs_no_privileges()
    {
        NetworkNamespace.NeedLibslirp();
        using Process process = Process.Start(new ProcessStartInfo(
            "unshare", ["-U", "-n", LguestProcess.Path, .. Arguments(_folder, "ping -c 1 10.0.2.2 || exit 1; exit 7", "--usernet", "eth0=dhcp")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        LguestResult result = LguestProcess.Finish(process, string.Empty, TimeSpan.FromMinutes(2));
        Assert.SkipWhen(result.Errors.Contains("unshare failed", StringComparison.Ordinal), "No user namespace can be made here.");

        AssertEnded(7, result);
    }

    [Fact]
    public void Without_the_library_the_user_is_told_where_it_is()
    {
        using var place = NetworkNamespace.Make("for f in /usr/lib/*/libslirp.so.0; do [ ! -e $f ] || mount --bind /dev/null $f; done");

        LguestResult result = place.Run("64m", Image("vmlinux"), "--usernet");

        Assert.Equal((125, string.Empty), (result.ExitCode, result.Output));
        Assert.Equal(
            "lguest: --usernet needs libslirp.so.0, which is not on this machine: install libslirp, in Debian with `apt-get install libslirp0`\n",
            result.Errors);
    }
}
