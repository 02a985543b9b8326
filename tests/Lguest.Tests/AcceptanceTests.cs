using System.Diagnostics;
using System.Text.RegularExpressions;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>
/// A real 2.6.23 guest, when the environment names one: LGUEST_TEST_KERNEL is a vmlinux or bzImage,
/// LGUEST_TEST_INITRD an initramfs and LGUEST_TEST_ROOTFS an ext2 file system that test themselves and power off when
/// the kernel's command line has the word autotest.
/// </summary>
public sealed partial class AcceptanceTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("--clock=real")]
    [InlineData("--clock=virtual")]
    public void The_initramfs_tests_itself_and_powers_off(string clock)
    {
        LguestResult result = Boot(string.Empty, $"--initrd={RealGuest.Variable("INITRD")}", clock, "autotest");

        RealGuest.AssertAutotest(result, exitCode: 0);
    }

    [Fact]
    public void The_root_file_system_tests_itself_and_is_sound_afterwards()
    {
        string disk = RealGuest.CopyOfRootFileSystem(_folder);

        LguestResult result = Boot(string.Empty, $"--block={disk}", "root=/dev/lgba", "autotest");

        RealGuest.AssertAutotest(result, exitCode: 0);
        HostTools.AssertSound(disk);
    }

    [Fact]
    public void In_virtual_time_two_boots_are_the_same_to_the_byte_and_the_instruction()
    {
        string[] arguments = [$"--initrd={RealGuest.Variable("INITRD")}", "--clock=virtual", "--stats", "run=uname"];
        LguestResult first = Boot(string.Empty, arguments);
        LguestResult second = Boot(string.Empty, arguments);

        RealGuest.AssertSame(first, second);
    }

    [Fact]
    public void A_shell_takes_commands_and_writes_files_that_the_host_finds_intact()
    {
        string disk = RealGuest.CopyOfRootFileSystem(_folder);
        const string Script = """
            i=0; while [ $i -lt 20 ]; do /bin/true; i=$((i+1)); done; echo "processes $i"
            echo "pipe and float: $(echo 1 | awk '{ printf "%.6f", $1 / 3 }')"
            sh -c 'trap "echo caught" USR1; kill -USR1 $$; echo after'
            yes 0123456789 | head -c 300000 >/root/written; sync; md5sum /root/written
            poweroff -f

            """;

        LguestResult result = Boot(Script, $"--block={disk}", "root=/dev/lgba");

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("processes 20", result.Output, StringComparison.Ordinal);
        Assert.Contains("pipe and float: 0.333333", result.Output, StringComparison.Ordinal);
        Assert.Matches("\ncaught\r\nafter\r\n", result.Output);
        string guestSum = Checksum().Match(result.Output).Value;
        Assert.Equal(guestSum, HostTools.Md5OfFile(disk, "/root/written"));
        HostTools.AssertSound(disk);
    }

    [Fact]
    public void A_sleep_takes_its_time_and_the_date_is_right()
    {
        LguestResult result = Boot("date +%s; sleep 3; date +%s; poweroff -f\n", $"--initrd={RealGuest.Variable("INITRD")}");

        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        long[] dates = [.. Date().Matches(result.Output).Select(match => long.Parse(match.Value, null))];
        Assert.Equal(2, dates.Length);
        Assert.InRange(dates[1] - dates[0], 3, 4);
        Assert.InRange(dates[1], now - 60, now + 1);
    }

    [Fact]
    public void An_idle_guest_lets_the_processor_sleep()
    {
        var window = TimeSpan.FromSeconds(5);
        using Process process = LguestProcess.Start("64m", RealGuest.Variable("KERNEL"), $"--initrd={RealGuest.Variable("INITRD")}");
        process.StandardInput.Write("echo waiting; sleep 60\n");
        process.StandardInput.Close();
        AwaitLine(process.StandardOutput, "waiting");
        Thread.Sleep(TimeSpan.FromSeconds(2));

        TimeSpan before = process.TotalProcessorTime;
        Thread.Sleep(window);
        process.Refresh();
        TimeSpan used = process.TotalProcessorTime - before;
        process.Kill();

        // One that waits in a loop takes all of it; how little it is else is for the benchmarks to say.
        Assert.True(used <= window / 4, $"{used.TotalMilliseconds} ms in {window.TotalSeconds} s");
    }

    [GeneratedRegex("^[0-9a-f]{32}(?=  /root/written)", RegexOptions.Multiline)]
    private static partial Regex Checksum();

    [GeneratedRegex(@"^1[0-9]{9}(?=\r?$)", RegexOptions.Multiline)]
    private static partial Regex Date();

    private static void AwaitLine(StreamReader output, string line)
    {
        string? read;
        while ((read = output.ReadLine()) != line)
        {
            Assert.True(read is not null, $"The guest never said '{line}'.");
        }
    }

    private static LguestResult Boot(string input, params string[] arguments) => RealGuest.Boot("KERNEL", input, arguments);
}
