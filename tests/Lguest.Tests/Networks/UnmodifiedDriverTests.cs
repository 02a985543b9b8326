using System.Diagnostics;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Lguest.TestSupport;

namespace Lguest.Tests.Networks;

/// <summary>
/// The driver of 2.6.23 on all networks, when the environment names such a kernel and an initramfs with a shell, as for
/// <see cref="AcceptanceTests"/>. It knows no long segments.
/// </summary>
public sealed partial class UnmodifiedDriverTests : IDisposable
{
    private const int SectorSize = 512;
    private const int Size = 20_000 * SectorSize;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("--tunnet=192.168.19.1", "ifconfig eth0 192.168.19.2 up", "192.168.19.1")]
    [InlineData("--usernet", "ifconfig eth0 10.0.2.15 up; route add default gw 10.0.2.2", "10.0.2.2")]
    public async Task It_exchanges_files_with_the_host(string network, string setUp, string host)
    {
        string[] arguments = Arguments(network);
        NetworkNamespace.NeedTaps();
        NetworkNamespace.NeedLibslirp();
        using var place = NetworkNamespace.Make();
        byte[] content = new byte[Size];
        new Random(3).NextBytes(content);
        using Socket http = Servers.Listen(place, 80);
        using Socket sink = Servers.Listen(place, 81);
        Task<string> request = Servers.AnswerHttpAsync(http, content);
        Task<string> taken = Servers.TakeAsync(sink);

        using Process process = place.Start(arguments);
        LguestResult result = LguestProcess.Finish(process, $"""
            {setUp}; mkfifo /tmp/again; nc {host} 81 </tmp/again &
            wget -q -O - http://{host}/file | tee /tmp/again | md5sum; wait; poweroff -f

            """, Patience);

        Assert.Equal(0, result.ExitCode);
        await request;
        Assert.Equal(Servers.Checksum(content), Checksum().Match(result.Output).Value);
        Assert.Equal(Servers.Checksum(content), await taken);
    }

    [Fact]
    public void It_exchanges_files_with_a_guest_whose_driver_knows_more()
    {
        string network = $"--sharenet={_folder.Path("net")}";
        string[] arguments = Arguments(network);
        byte[] content = new byte[Size];
        new Random(4).NextBytes(content);
        using var other = new ControlledGuest(network, "eth0=10.9.0.1/24", $"--block={_folder.File("data", content)},ro");
        other.Do("cat /dev/lgbc >/tmp/data; httpd -h /tmp");

        using Process process = LguestProcess.Start(arguments);
        process.StandardInput.Write("ifconfig eth0 10.9.0.2 up; wget -q -O /tmp/data http://10.9.0.1/data; md5sum </tmp/data; httpd -h /tmp\n");
        process.StandardInput.Flush();
        string answer = other.Do("until wget -q -O - http://10.9.0.2/data; do sleep 1; done | md5sum");
        LguestResult result = LguestProcess.Finish(process, "poweroff -f\n", Patience);

        Assert.Equal(0, result.ExitCode);
        Assert.Equal(Servers.Checksum(content), Checksum().Match(result.Output).Value);
        Assert.Contains(Servers.Checksum(content), answer, StringComparison.Ordinal);
    }

    private static string[] Arguments(string network) => ["64m", RealGuest.Variable("KERNEL"), $"--initrd={RealGuest.Variable("INITRD")}", network];

    [GeneratedRegex("^[0-9a-f]{32}(?=  -)", RegexOptions.Multiline)]
    private static partial Regex Checksum();
}
