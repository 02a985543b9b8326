using System.Diagnostics;
using System.Text.RegularExpressions;
using Lguest.Devices;
using Lguest.Host.Abi;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>
/// Real guests of many lguests, when the environment names them: LGUEST_TEST_ERAS is a folder with folders that have a vmlinux each, with the drivers built
/// in. Initramfs and root file system are those of <see cref="AcceptanceTests"/>.
/// </summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed partial class EraTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>LGUEST_TEST_ERA_BOOTS says how often; once otherwise.</summary>
    [Fact]
    public void Each_boots_to_a_shell_from_an_initramfs_and_from_a_disk_with_a_network()
    {
        int boots = int.TryParse(Environment.GetEnvironmentVariable("LGUEST_TEST_ERA_BOOTS"), out int wanted) ? wanted : 1;
        foreach (Era era in RealGuest.Eras())
        {
            string disk = $"/dev/{FrontEnds.Of(era.Abi).DiskPrefix}a";
            for (int i = 0; i < boots; i++)
            {
                AssertWorks(era, $"mount -t ext2 {disk} /mnt; f=/mnt/bin/busybox", $"--initrd={RealGuest.Variable("INITRD")}");
                AssertWorks(era, "f=/bin/busybox", $"root={disk}");
            }
        }
    }

    [Fact]
    public void All_meet_in_one_shared_network_and_exchange_10_mb()
    {
        Era[] eras = [.. RealGuest.Eras()];
        const UnixFileMode Executable = UnixFileMode.UserRead | UnixFileMode.UserExecute;
        string share = _folder.Path("share");
        Directory.CreateDirectory(share);
        File.WriteAllText(Path.Combine(share, "meet"), Meeting);
        File.SetUnixFileMode(Path.Combine(share, "meet"), Executable);
        string network = _folder.Path("net");
        Process[] guests =
        [
            .. eras.Select((era, i) => LguestProcess.Start(
                "64m",
                era.Kernel,
                $"--initrd={RealGuest.Variable("INITRD")}",
                $"--share={share}",
                $"--sharenet={network}",
                "--timeout=9m",
                "run=/share/meet",
                $"own={i + 1}",
                $"others={string.Join(',', Enumerable.Range(1, eras.Length).Where(each => each != i + 1))}")),
        ];

        // All run at once: who isn't read must not wait.
        LguestResult[] results = [.. guests.Select(guest => Task.Run(() => LguestProcess.Finish(guest, string.Empty, Patience))).ToArray().Select(task => task.Result)];

        for (int i = 0; i < eras.Length; i++)
        {
            string what = $"{eras[i].Kernel}: {results[i].Errors}\n{results[i].Output}";
            Assert.True(results[i].ExitCode == 0, what);
            Assert.True(Same().Count(results[i].Output) == eras.Length - 1, what);
            Assert.True(Answered().Count(results[i].Output) == eras.Length - 1, what);
        }
    }

    [Fact]
    public void Those_whose_console_has_ports_run_a_command_and_the_others_say_why_not()
    {
        string initrd = ShippedImages.Image("initrd.cpio");
        foreach (Era era in RealGuest.Eras().Where(era => era.Abi.Bus != DeviceBusKind.Lguest))
        {
            LguestResult result = LguestProcess.Run(
                "in\nput\n", Patience, "64m", era.Kernel, $"--initrd={initrd}", "--run=cat; echo \"<$0>\"; head -c 200000 /dev/zero | wc -c; echo error >&2; exit 7");

            if (era.Abi.HasConsolePorts)
            {
                Assert.Equal(new LguestResult(7, "in\nput\n<sh>\n200000\n", "error\n"), result);
            }
            else
            {
                Assert.Equal(125, result.ExitCode);
                Assert.Contains("a guest of a Linux from 2.6.24 to 3.0 can't be given a command", result.Errors, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void A_command_s_binary_input_comes_through_and_large_output_too()
    {
        byte[] bytes = new byte[300_000];
        new Random(19).NextBytes(bytes);
        string text = System.Text.Encoding.Latin1.GetString(bytes);
        foreach (Era era in RealGuest.Eras().Where(era => era.Abi.HasConsolePorts))
        {
            LguestResult result = LguestProcess.Run(text, Patience, "64m", era.Kernel, $"--initrd={ShippedImages.Image("initrd.cpio")}", "--run=cat");

            Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
            Assert.True(text == result.Output, era.Kernel);
        }
    }

    /// <summary>What each guest of the network does: offers 10 MB, fetches the others', and waits until they have its own.</summary>
    private const string Meeting = """
        #!/bin/sh
        for word in $(cat /proc/cmdline); do
          case $word in own=*) own=${word#own=} ;; others=*) others=$(echo ${word#others=} | tr , ' ') ;; esac
        done
        mkdir /tmp/www; cd /tmp/www
        ifconfig eth0 10.9.0.$own netmask 255.255.255.0 up
        dd if=/dev/urandom of=file bs=64k count=160
        md5sum file >sum
        httpd -h /tmp/www -p 80
        for other in $others; do
          tries=0
          until wget -q -O - http://10.9.0.$other/sum >/tmp/sum && [ -s /tmp/sum ] || [ $((tries=tries+1)) -gt 120 ]; do sleep 1; done
          ping -c 3 10.9.0.$other
          wget -q -O - http://10.9.0.$other/file | md5sum | cut -c1-32 >/tmp/got
          [ "$(cut -c1-32 /tmp/sum)" = "$(cat /tmp/got)" ] && echo "SAME $other"
        done
        echo >done
        for other in $others; do
          tries=0
          until wget -q -O - http://10.9.0.$other/done || [ $((tries=tries+1)) -gt 120 ]; do sleep 1; done
        done
        sleep 5
        poweroff -f

        """;

    [GeneratedRegex(@"^SAME [0-9]+\r?$", RegexOptions.Multiline)]
    private static partial Regex Same();

    [GeneratedRegex("^3 packets transmitted, [1-3] packets received", RegexOptions.Multiline)]
    private static partial Regex Answered();

    private static void AssertWorks(Era era, string find, string way)
    {
        LguestResult result = LguestProcess.Run(
            string.Empty,
            Patience,
            "64m",
            era.Kernel,
            way,
            $"--block={RealGuest.Variable("ROOTFS")},snapshot",
            "--usernet",
            "--timeout=2m",
            $"--send=guest# $=>{find}; md5sum $f /bin/busybox | cut -c1-32 | uniq | wc -l; ifconfig eth0 10.0.2.15 up; ping -c 2 10.0.2.2; poweroff -f\\n",
            "--expect=^1$",
            "--expect=^2 packets transmitted, 2 packets received");
        Assert.True(result.ExitCode == 0, $"{era.Kernel} {way}: exit code {result.ExitCode}: {result.Errors}\n{result.Output}");
    }
}
