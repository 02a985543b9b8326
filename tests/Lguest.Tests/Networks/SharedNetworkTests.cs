using System.Diagnostics;
using System.Security.Cryptography;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests.Networks;

/// <summary>Guests that talk to each other, seen from the guest that ships.</summary>
public sealed class SharedNetworkTests : IDisposable
{
    private const int Mebibyte = 1 << 20;
    private const int AddressSize = 6;
    private const int Seed = 2623;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TestFolder _folder = new();
    private readonly Random _random = new(Seed);

    private static bool IsLongRun => Environment.GetEnvironmentVariable("LGUEST_LONG_TESTS") == "1";

    private string File => _folder.Path("net");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Two_guests_with_one_file_by_two_paths_ping_and_send_each_other_a_lot_at_the_same_time()
    {
        (string data, string checksum) = MakeData(100);
        using ControlledGuest first = Start(1, $"--block={data},ro");
        System.IO.File.CreateSymbolicLink(_folder.Path("link"), File);
        using ControlledGuest second = StartOn(_folder.Path("link"), 2, $"--block={data},ro");

        Assert.Contains("3 packets received", first.Do("ping -c 3 10.9.0.2"), StringComparison.Ordinal);
        const string Exchange = $"({ControlledGuest.Receive} >/tmp/sum) & until nc 10.9.0.NUMBER 5000 </dev/lgbc; do sleep 1; done; wait; cat /tmp/sum";
        string firsts = Exchange.Replace("NUMBER", "2", StringComparison.Ordinal);
        string seconds = Exchange.Replace("NUMBER", "1", StringComparison.Ordinal);
        first.Begin(firsts);
        second.Begin(seconds);

        Assert.Contains(checksum, first.End(firsts), StringComparison.Ordinal);
        Assert.Contains(checksum, second.End(seconds), StringComparison.Ordinal);
    }

    [Fact]
    public void A_broadcast_reaches_all_and_a_frame_for_one_reaches_others_only_if_they_want_everything()
    {
        const string Received = "cat /sys/class/net/eth0/statistics/rx_packets";
        const int Pings = 20;
        using ControlledGuest first = Start(1);
        using ControlledGuest second = Start(2);
        using ControlledGuest third = Start(3);
        first.Do(Reach("10.9.0.2"));
        int before = third.Number(Received);
        first.Do("arping -q -f -b -c 3 -w 5 -I eth0 10.9.0.2");
        int afterBroadcast = third.Number(Received);

        first.Do($"ping -q -c {Pings} -i 0.05 10.9.0.2");
        int afterPings = third.Number(Received);
        third.Do("ip link set eth0 promisc on");
        first.Do($"ping -q -c {Pings} -i 0.05 10.9.0.2");
        int afterPromiscuous = third.Number(Received);

        Assert.True(afterBroadcast > before, $"{before} frames, then {afterBroadcast}");

        // They may look for each other's addresses again.
        Assert.InRange(afterPings - afterBroadcast, 0, Pings / 2);
        Assert.InRange(afterPromiscuous - afterPings, Pings, int.MaxValue);
    }

    [Fact]
    public void A_guest_that_is_killed_under_load_leaves_nothing_and_the_others_go_on()
    {
        (string data, string checksum) = MakeData(4);
        using ControlledGuest first = Start(1, $"--block={data},ro");
        using ControlledGuest second = Start(2);
        for (int kill = 0; kill < (IsLongRun ? 1000 : 30); kill++)
        {
            string when = $"kill {kill} of seed {Seed}";
            using ControlledGuest third = Start(3);
            Assert.True(Addresses().Count == 3, when);
            third.Begin("while :; do nc -w 1 10.9.0.1 6000; done </dev/zero >/dev/null 2>&1 & ping -q -i 0.01 10.9.0.2");
            second.Begin(ControlledGuest.Receive);
            first.Begin("until nc 10.9.0.2 5000 </dev/lgbc; do sleep 1; done");
            Thread.Sleep(_random.Next(500));
            third.Process.Kill();

            Assert.Contains(checksum, second.End(ControlledGuest.Receive), StringComparison.Ordinal);
            first.End("sending");
            Assert.True(SpinWait.SpinUntil(() => Addresses().Count == 2, Patience), when);
        }

        using ControlledGuest last = Start(3);
        last.Do(Reach("10.9.0.1"));
        first.Do(Reach("10.9.0.3"));
    }

    [Fact]
    public void A_guest_that_is_stopped_under_load_holds_nobody_up_and_goes_on()
    {
        (string data, string checksum) = MakeData(1);
        using ControlledGuest first = Start(1, $"--block={data},ro");
        using ControlledGuest second = Start(2);
        using ControlledGuest third = Start(3);
        third.Do("ping -q -i 0.01 10.9.0.2 >/dev/null & ping -q -i 0.01 10.9.0.1 >/dev/null &");
        first.Do("ping -q -i 0.01 10.9.0.3 >/dev/null &");
        for (int stop = 0; stop < (IsLongRun ? 1000 : 30); stop++)
        {
            second.Begin(ControlledGuest.Receive);
            Thread.Sleep(_random.Next(50));
            LguestProcess.Send("STOP", third.Process);
            first.Do("until nc 10.9.0.2 5000 </dev/lgbc; do sleep 1; done");
            Assert.Contains(checksum, second.End(ControlledGuest.Receive), StringComparison.Ordinal);
            LguestProcess.Send("CONT", third.Process);
        }

        third.Do(Reach("10.9.0.2"));
        second.Do(Reach("10.9.0.3"));
    }

    [Fact]
    public void Guests_have_different_addresses_on_all_networks_that_they_share_and_leave_none_behind()
    {
        string other = _folder.Path("other");
        using (ControlledGuest first = StartOn(other, 1))
        using (ControlledGuest second = Start(2))
        using (ControlledGuest both = Start(3, $"--sharenet={other}", "eth1=10.8.0.3/24"))
        {
            string[] addresses = [AddressOf(first), AddressOf(second), AddressOf(both)];
            Assert.NotEqual(addresses[0], addresses[2]);
            Assert.NotEqual(addresses[1], addresses[2]);
            foreach (ControlledGuest guest in new[] { first, second, both })
            {
                guest.Process.StandardInput.WriteLine("poweroff");
                guest.Process.StandardInput.Flush();
                LguestProcess.WaitFor(guest.Process);
            }
        }

        Assert.Empty(Addresses());
    }

    [Fact]
    public void What_is_no_network_or_is_there_twice_is_refused()
    {
        System.IO.File.CreateSymbolicLink(_folder.Path("link"), File);

        LguestResult twice = RunGuest("64m", Image("vmlinux"), $"--sharenet={File}", $"--sharenet={_folder.Path("link")}");
        LguestResult folder = RunGuest("64m", Image("vmlinux"), $"--sharenet={System.IO.Path.GetDirectoryName(File)}");

        Assert.Equal((125, 125), (twice.ExitCode, folder.ExitCode));
        Assert.Contains("are the same file, and a guest is in a network once: leave one out", twice.Errors, StringComparison.Ordinal);
        Assert.Contains("is a directory: give a file", folder.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Who_may_not_write_the_file_may_not_join()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "This needs root, to be somebody else.");
        using ControlledGuest first = Start(1);
        string[] asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", LguestProcess.Path];
        Assert.SkipUnless(RunHost("setpriv", [.. asNobody, "--version"]).ExitCode == 0, "Others can't run lguest from this folder.");

        LguestResult refused = RunHost("setpriv", [.. asNobody, "64m", Image("vmlinux"), $"--sharenet={File}"]);

        Assert.Equal(125, refused.ExitCode);
        Assert.Contains("may not be written by this user: change its mode with chmod", refused.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void In_virtual_time_a_guest_with_a_network_runs_and_it_is_told_that_the_run_cannot_be_repeated()
    {
        LguestResult result = Run(_folder, "ping -c 1 -w 1 10.9.0.9; exit 0", "eth0=10.9.0.1/24", "--clock=virtual", $"--sharenet={File}");

        AssertEnded(0, result);
        Assert.Contains("this run can't be repeated exactly, as the guest has a network", result.Errors, StringComparison.Ordinal);
    }

    /// <summary>A network may lose a frame, and a busy one does.</summary>
    private static string Reach(string address) => $"for i in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -W 3 {address} && break; done";

    private static string AddressOf(ControlledGuest guest) =>
        guest.Do("cat /sys/class/net/eth0/address").Split('\n').Last(line => line.StartsWith("02:00:", StringComparison.Ordinal));

    private static LguestResult RunHost(string program, string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        return LguestProcess.Finish(process, string.Empty);
    }

    private ControlledGuest Start(int number, params string[] arguments) => StartOn(File, number, arguments);

    private static ControlledGuest StartOn(string file, int number, params string[] arguments) =>
        new([$"--sharenet={file}", $"eth0=10.9.0.{number}/24", .. arguments]);

    private (string Path, string Checksum) MakeData(int mebibytes)
    {
        byte[] data = new byte[mebibytes * Mebibyte];
        _random.NextBytes(data);

        // As the guest's md5sum writes it; it keeps no secret.
#pragma warning disable CA5351
        return (_folder.File("data", data), Convert.ToHexStringLower(MD5.HashData(data)));
#pragma warning restore CA5351
    }

    /// <summary>The MAC addresses that are in the file, seen from outside.</summary>
    private List<string> Addresses()
    {
        byte[] page = new byte[4096];
        using FileStream file = System.IO.File.OpenRead(File);
        file.ReadExactly(page);
        return [.. page.Chunk(AddressSize).Where(address => address[0] != 0).Select(Convert.ToHexString)];
    }
}
