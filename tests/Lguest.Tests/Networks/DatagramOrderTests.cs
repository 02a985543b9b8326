using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Lguest.TestSupport;

namespace Lguest.Tests.Networks;

/// <summary>What the host sends in bursts comes out of the guest's sockets in order: with our driver, and with that of 2.6.23.</summary>
public sealed partial class DatagramOrderTests : IDisposable
{
    private const int Datagrams = 4000;
    private const int Burst = 12;
    private const int Port = 80;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("--tunnet=192.168.19.1", "eth0=192.168.19.2/24", "192.168.19.1")]
    [InlineData("--usernet", "eth0=dhcp", "10.0.2.2")]
    public void Our_driver_keeps_their_order(string network, string address, string host) =>
        AssertInOrder(ShippedImages.Arguments(_folder, Receive("lgbc"), Program(host), network, address), string.Empty);

    [Theory]
    [InlineData("--tunnet=192.168.19.1", "192.168.19.2", "192.168.19.1")]
    [InlineData("--usernet", "10.0.2.15", "10.0.2.2")]
    public void The_driver_of_2_6_23_keeps_their_order(string network, string address, string host)
    {
        string[] arguments = ["64m", RealGuest.Variable("KERNEL"), $"--initrd={RealGuest.Variable("INITRD")}", Program(host), network];
        AssertInOrder(arguments, $"ifconfig eth0 {address} up; {Receive("lgba")}; poweroff -f\n");
    }

    private static void AssertInOrder(string[] arguments, string input)
    {
        NetworkNamespace.NeedTaps();
        NetworkNamespace.NeedLibslirp();
        using var place = NetworkNamespace.Make();
        using Socket socket = place.In(() =>
        {
            var made = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            made.Bind(new IPEndPoint(IPAddress.Any, Port));
            return made;
        });
        var answering = new Thread(() => Answer(socket)) { IsBackground = true };
        answering.Start();

        using Process process = place.Start(arguments);
        LguestResult result = LguestProcess.Finish(process, input, Patience);

        int[] numbers = [.. Number().Matches(result.Output).Select(match => int.Parse(match.Value, CultureInfo.InvariantCulture))];
        Assert.True(numbers.Length > Datagrams / 2, $"Only {numbers.Length} have arrived: {result.Errors}\n{result.Output}");
        int wrong = numbers.Zip(numbers.Skip(1)).Count(pair => pair.First > pair.Second);
        Assert.True(wrong == 0, $"{wrong} of {numbers.Length} came before one that was sent earlier");
    }

    /// <summary>Waits for a first datagram, and answers with all of them; then with the word that they are over, until nobody hears it.</summary>
    private static void Answer(Socket socket)
    {
        EndPoint peer = new IPEndPoint(IPAddress.Any, 0);
        try
        {
            socket.ReceiveFrom(new byte[64], ref peer);
            for (int i = 0; i < Datagrams; i++)
            {
                socket.SendTo(Encoding.ASCII.GetBytes($"#{i}\n"), peer);
                if (i % Burst == Burst - 1)
                {
                    Thread.Sleep(1);
                }
            }

            while (true)
            {
                socket.SendTo("end\n"u8, peer);
                Thread.Sleep(100);
            }
        }
        catch (SocketException)
        {
            // The test is over, or the guest has closed its end.
        }
        catch (ObjectDisposedException)
        {
        }
    }

    private static string Receive(string disk) => $"cat /dev/{disk} >/tmp/receive; chmod +x /tmp/receive; /tmp/receive >/tmp/got; cat /tmp/got";

    private string Program(string host) =>
        $"--block={_folder.File("receive", DatagramReceiver.Disk(new IPEndPoint(IPAddress.Parse(host), Port)))},ro";

    [GeneratedRegex("(?<=^#)[0-9]+", RegexOptions.Multiline)]
    private static partial Regex Number();
}
