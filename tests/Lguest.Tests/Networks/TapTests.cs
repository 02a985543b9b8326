using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests.Networks;

/// <summary>The guest that ships, on networks with the host: in namespaces, so that the host proper isn't touched.</summary>
public sealed partial class TapTests : IDisposable
{
    private const string Address = "192.168.19.1";
    private const string GuestAddress = "192.168.19.2";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Guest_and_host_reach_each_other_and_every_byte_arrives_both_ways()
    {
        NetworkNamespace.NeedTaps();
        using var place = NetworkNamespace.Make();
        byte[] content = Content(100_000_000);
        using Socket http = Servers.Listen(place, 80);
        using Socket sink = Servers.Listen(place, 81);
        Task<string> request = Servers.AnswerHttpAsync(http, content);
        Task<string> taken = Servers.TakeAsync(sink);

        LguestResult result = place.Run(Arguments(_folder, $$"""
            ping -c 3 -i 0.2 {{Address}} || exit 1
            mkfifo /tmp/again; nc {{Address}} 81 </tmp/again &
            wget -q -O - http://{{Address}}/file | tee /tmp/again | md5sum || exit 2
            wait $! || exit 3
            echo counts $(cat /sys/class/net/eth0/statistics/tx_packets /sys/class/net/eth0/statistics/rx_packets /sys/class/net/eth0/statistics/tx_errors)
            echo errors $(cat /sys/bus/lguest/devices/2/errors)
            """, $"--tunnet={Address}", "--stats", $"eth0={GuestAddress}/24"));

        AssertEnded(0, result);
        Assert.Contains("3 packets transmitted, 3 packets received", result.Output, StringComparison.Ordinal);
        Assert.Equal("GET /file HTTP/1.1", await request);
        Assert.Contains($"{Servers.Checksum(content)}  -", result.Output, StringComparison.Ordinal);
        Assert.Equal(Servers.Checksum(content), await taken);

        // Frames after the count, such as those of the last connection's end, may be more for the host.
        ulong[] host = Statistics(result, $"eth0 (tunnet {Address}/24): ");
        ulong[] guest = [.. Counts().Match(Text(result)).Groups.Values.Skip(1).Select(group => ulong.Parse(group.Value, CultureInfo.InvariantCulture))];
        Assert.InRange(host[0], guest[0], guest[0] + 4);
        Assert.InRange(host[3], guest[1], guest[1] + 4);
        Assert.Equal((0ul, 0ul), (guest[2], host[2]));
        Assert.Contains("errors 0\n", Text(result), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_of_the_hosts_connects_to_one_of_the_guests()
    {
        NetworkNamespace.NeedTaps();
        using var place = NetworkNamespace.Make();
        byte[] content = Content(1 << 20);
        using Process process = place.Start(Arguments(_folder, """
            nc -l -p 7 -e sh -c 'md5sum' & sleep 0.2; echo ready; wait; exit 0
            """, $"--tunnet={Address}/28", $"eth0={GuestAddress}/28"));
        ReadTo(process, "ready");

        string answer = await Servers.ExchangeAsync(place, IPEndPoint.Parse($"{GuestAddress}:7"), content);

        AssertEnded(0, LguestProcess.Finish(process, string.Empty));
        Assert.Equal(Servers.Checksum(System.Text.Encoding.ASCII.GetBytes($"{Servers.Checksum(content)}  -\n")), answer);
    }

    [Fact]
    public void Two_guests_in_a_bridge_reach_each_other_and_the_host()
    {
        NetworkNamespace.NeedTaps();
        using var place = NetworkNamespace.Make("ip link add br0 type bridge && ip address add 192.168.19.1/24 dev br0 && ip link set br0 up");
        const string Make = "yes 0123456789 | head -c 4000000";
        using Process server = place.Start(Arguments(_folder, $$"""
            ip link show eth0
            nc -l -p 80 -e sh -c 'md5sum >/tmp/sum' & sleep 0.2; echo ready; wait; cat /tmp/sum; {{Make}} | md5sum
            """, "--tunnet=bridge:br0", $"eth0={GuestAddress}/24"));
        string said = ReadTo(server, "ready");
        using var other = new TestFolder();

        LguestResult client = place.Run(Arguments(other, $$"""
            ip link show eth0
            ping -c 2 -i 0.2 {{Address}} || exit 1
            ping -c 2 -i 0.2 {{GuestAddress}} || exit 2
            {{Make}} | nc {{GuestAddress}} 80 || exit 3
            """, "--tunnet=bridge:br0", "eth0=192.168.19.3/24"));

        AssertEnded(0, client);
        LguestResult result = LguestProcess.Finish(server, string.Empty);
        AssertEnded(0, result);
        string[] sums = [.. Checksums().Matches(Text(result)).Select(match => match.Value)];
        Assert.Equal(2, sums.Length);
        Assert.Equal(sums[1], sums[0]);
        Assert.NotEqual(HardwareAddress().Match(said).Value, HardwareAddress().Match(client.Output).Value);
        Assert.Equal(2, Regex.Count(client.Output, "2 packets transmitted, 2 packets received"));
    }

    [Fact]
    public void A_guest_may_have_several_networks_and_all_are_recorded()
    {
        NetworkNamespace.NeedTaps();
        NetworkNamespace.NeedLibslirp();
        using var place = NetworkNamespace.Make("ip link add br0 type bridge && ip address add 192.168.20.1/24 dev br0 && ip link set br0 up");
        string recording = _folder.Path("frames.pcapng");

        LguestResult result = place.Run(Arguments(_folder, $$"""
            ip address add {{GuestAddress}}/24 dev eth0; ip link set eth0 up
            ip address add 192.168.20.2/24 dev eth1; ip link set eth1 up
            udhcpc -q -n -i eth2 || exit 1
            ping -c 1 {{Address}} || exit 2
            ping -c 1 192.168.20.1 || exit 3
            ping -c 1 10.0.2.2 || exit 4
            """, $"--tunnet={Address}", "--tunnet=bridge:br0", "--usernet", $"--pcap={recording}", "--stats"));

        AssertEnded(0, result);
        List<RecordedFrame> frames = Recording.Read(recording, out string[] interfaces);
        Assert.Equal(["eth0", "eth1", "eth2"], interfaces);
        string[] descriptions = [$"eth0 (tunnet {Address}/24): ", "eth1 (tunnet bridge:br0): ", "eth2 (usernet 10.0.2.0/24): "];
        for (int i = 0; i < interfaces.Length; i++)
        {
            ulong[] counts = Statistics(result, descriptions[i]);
            RecordedFrame[] own = [.. frames.Where(frame => frame.Interface == i)];
            Assert.Equal(counts[0], (ulong)own.Count(frame => frame.IsOutbound));
            Assert.Equal(counts[3], (ulong)own.Count(frame => !frame.IsOutbound));
            Assert.Equal(counts[1] + counts[4], (ulong)own.Sum(frame => frame.Length));
            Assert.NotEmpty(own);
        }
    }

    [Fact]
    public void An_interface_that_is_deleted_is_told_and_the_guest_goes_on()
    {
        NetworkNamespace.NeedTaps();
        using var place = NetworkNamespace.Make();
        using Process process = place.Start(Arguments(_folder, $"ping -c 1 {Address}; echo ready; read x; ping -c 1 -W 1 {Address} && exit 1; exit 7", $"--tunnet={Address}", $"eth0={GuestAddress}/24"));
        ReadTo(process, "ready");

        AssertEnded(0, place.Shell("ip link delete tap0"));
        LguestResult result = LguestProcess.Finish(process, "\n");

        AssertEnded(7, result);
        Assert.StartsWith($"lguest: the interface tap0 is gone, and with it the network tunnet {Address}/24 (", result.Errors, StringComparison.Ordinal);
        Assert.Single(result.Errors.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public void What_was_recorded_before_lguest_is_killed_is_whole()
    {
        NetworkNamespace.NeedLibslirp();
        string recording = _folder.Path("frames.pcapng");
        for (int kill = 0; kill < 5; kill++)
        {
            using Process process = LguestProcess.Start(Arguments(_folder, """
                udhcpc -q -n -i eth0
                echo ready; ping -A -q 10.0.2.2
                """, "--usernet", $"--pcap={recording}"));
            ReadTo(process, "ready");
            Thread.Sleep(kill * 37);
            process.Kill();
            LguestProcess.WaitFor(process);

            // DHCP's four, at least.
            Assert.True(Recording.Read(recording, out _).Count >= 4);
        }
    }

    [Fact]
    public void An_address_is_free_where_no_interface_has_ever_had_one()
    {
        NetworkNamespace.NeedTaps();
        using var place = NetworkNamespace.Make(loopback: false);

        AssertEnded(7, place.Run(Arguments(_folder, "ping -c 1 10.1.2.3 || exit 1; exit 7", "--tunnet=10.1.2.3", "eth0=10.1.2.4/24")));
    }

    [Theory]
    [InlineData("--tunnet=bridge:br0: there is no bridge 'br0': make it with `ip link add br0 type bridge", "--tunnet=bridge:br0")]
    [InlineData("--tunnet=bridge:lo: 'lo' is not a bridge that an interface can be added to", "--tunnet=bridge:lo")]
    [InlineData("--tunnet=10.1.2.3/24: this host has the address 10.1.2.3 already: give another", "--tunnet=10.1.2.3")]
    [InlineData("--tunnet=10.1.4.1/24: this host has the address 10.1.4.1 already", "--tunnet=10.1.4.1/24", "--tunnet=10.1.4.1")]
    public void What_the_host_does_not_allow_is_refused(string sentence, params string[] options)
    {
        NetworkNamespace.NeedTaps();
        using var place = NetworkNamespace.Make("ip address add 10.1.2.3/24 dev lo");

        AssertRefused(sentence, place.Run([.. options, "64m", Image("vmlinux")]));
    }

    [Fact]
    public void A_user_who_may_not_make_interfaces_is_told_what_is_needed_and_what_else_there_is()
    {
        NetworkNamespace.NeedTaps();
        using var place = NetworkNamespace.Make();

        // Still root, but without the capability.
        LguestResult result = place.Shell($"setpriv --bounding-set=-net_admin --inh-caps=-net_admin {LguestProcess.Path} 64m {Image("vmlinux")} --tunnet=10.1.2.3");

        AssertRefused(
            "--tunnet=10.1.2.3/24: this user may not make a network interface: run lguest as root or with the capability CAP_NET_ADMIN, or use --usernet", result);
    }

    [Fact]
    public void A_host_without_taps_is_told_how_to_get_them()
    {
        using var place = NetworkNamespace.Make("mount -t tmpfs none /dev/net");

        AssertRefused("--tunnet=10.1.2.3/24: there is no /dev/net/tun: load the host's driver with `modprobe tun`", place.Run("64m", Image("vmlinux"), "--tunnet=10.1.2.3"));
    }

    private static byte[] Content(int length)
    {
        const int Seed = 2623;
        var content = new byte[length];
        new Random(Seed).NextBytes(content);
        return content;
    }

    private static string ReadTo(Process process, string line)
    {
        var said = new System.Text.StringBuilder();
        while (process.StandardOutput.ReadLine() is { } each && each.TrimEnd('\r') != line)
        {
            said.Append(each).Append('\n');
        }

        return said.ToString();
    }

    private static void AssertRefused(string sentence, LguestResult result)
    {
        Assert.Equal((125, string.Empty), (result.ExitCode, result.Output));
        Assert.StartsWith($"lguest: {sentence}", result.Errors, StringComparison.Ordinal);
        Assert.Single(result.Errors.TrimEnd('\n').Split('\n'));
    }

    [GeneratedRegex(@"counts (\d+) (\d+) (\d+)")]
    private static partial Regex Counts();

    [GeneratedRegex("^[0-9a-f]{32}(?=  )", RegexOptions.Multiline)]
    private static partial Regex Checksums();

    [GeneratedRegex("02:00:..:..:00:00")]
    private static partial Regex HardwareAddress();
}
