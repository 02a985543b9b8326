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
    private const string Memory = "64m";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("--clock=real")]
    [InlineData("--clock=virtual")]
    public void The_initramfs_tests_itself_and_powers_off(string clock)
    {
        LguestResult result = Boot(string.Empty, $"--initrd={Variable("INITRD")}", clock, "autotest");

        AssertAutotest(result);
    }

    [Fact]
    public void The_root_file_system_tests_itself_and_is_sound_afterwards()
    {
        string disk = CopyOfRootFileSystem();

        LguestResult result = Boot(string.Empty, $"--block={disk}", "root=/dev/lgba", "autotest");

        AssertAutotest(result);
        HostTools.AssertSound(disk);
    }

    [Fact]
    public void In_virtual_time_two_boots_are_the_same_to_the_byte_and_the_instruction()
    {
        string[] arguments = [$"--initrd={Variable("INITRD")}", "--clock=virtual", "--stats", "run=uname"];
        LguestResult first = Boot(string.Empty, arguments);
        LguestResult second = Boot(string.Empty, arguments);

        Assert.Equal(0, first.ExitCode);
        Assert.Equal(first.Output, second.Output);
        Assert.Equal(Instructions().Match(first.Errors).Value, Instructions().Match(second.Errors).Value);
        Assert.NotEmpty(Instructions().Match(first.Errors).Value);
    }

    [Fact]
    public void A_shell_takes_commands_and_writes_files_that_the_host_finds_intact()
    {
        string disk = CopyOfRootFileSystem();
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
        LguestResult result = Boot("date +%s; sleep 3; date +%s; poweroff -f\n", $"--initrd={Variable("INITRD")}");

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
        using Process process = LguestProcess.Start(Memory, Variable("KERNEL"), $"--initrd={Variable("INITRD")}");
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

    [GeneratedRegex("[0-9,]+ instructions")]
    private static partial Regex Instructions();

    [GeneratedRegex("^[0-9a-f]{32}(?=  /root/written)", RegexOptions.Multiline)]
    private static partial Regex Checksum();

    [GeneratedRegex(@"^1[0-9]{9}(?=\r?$)", RegexOptions.Multiline)]
    private static partial Regex Date();

    /// <summary>The file that the environment names; the test is skipped without one.</summary>
    internal static string Variable(string name)
    {
        string variable = $"LGUEST_TEST_{name}";
        string? value = Environment.GetEnvironmentVariable(variable);
        Assert.SkipWhen(string.IsNullOrEmpty(value), $"{variable} names no file.");
        return value!;
    }

    private static void AwaitLine(StreamReader output, string line)
    {
        string? read;
        while ((read = output.ReadLine()) != line)
        {
            Assert.True(read is not null, $"The guest never said '{line}'.");
        }
    }

    private static LguestResult Boot(string input, params string[] arguments) =>
        LguestProcess.Run(input, Patience, [Memory, Variable("KERNEL"), .. arguments]);

    private static void AssertAutotest(LguestResult result)
    {
        Assert.True(result.ExitCode == 0, $"exit code {result.ExitCode}: {result.Errors}\n{result.Output}");
        foreach (string line in (string[])["MD5-OK", "GZIP-OK", "guest httpd works", "2 packets received", "GUEST-TEST-DONE"])
        {
            Assert.Contains(line, result.Output, StringComparison.Ordinal);
        }
    }

    private string CopyOfRootFileSystem()
    {
        string disk = _folder.Path("rootfs.ext2");
        File.Copy(Variable("ROOTFS"), disk);
        return disk;
    }
}
