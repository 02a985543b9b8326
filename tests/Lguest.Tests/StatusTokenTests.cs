using System.Text;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>The status of a guest whose first program isn't ours.</summary>
public sealed class StatusTokenTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("7", 7, "")]
    [InlineData("0", 0, "")]
    [InlineData("200", 99, "lguest: the guest's exit status is 200\n")]
    [InlineData("256", 102, "lguest: the guest switched itself off before it had told its status\n")]
    public void A_first_program_tells_it_by_the_word_in_its_initrd(string status, int exitCode, string errors)
    {
        LguestResult result = Run($"echo \"lguest-status $(cat /lguest-status-token) {status}\"; echo \"lguest-status $(cat /lguest-status-token) 9\" >/dev/null");

        Assert.Equal((exitCode, errors), (result.ExitCode, result.Errors));
    }

    [Fact]
    public void Who_does_not_know_the_word_tells_nothing_and_the_first_who_does_counts()
    {
        const string Tell = "echo \"lguest-status $(cat /lguest-status-token)";

        Assert.Equal(102, Run("echo lguest-status 0; echo lguest-status $(cat /proc/cmdline) 0; echo lguest-status 0123456789abcdef 0").ExitCode);
        Assert.Equal(5, Run($"{Tell} 5\"; {Tell} 0\"").ExitCode);
        LguestResult others = Run("ls -l /lguest-status-token");
        Assert.Contains("-r--------", others.Output, StringComparison.Ordinal);
        Assert.Equal(102, others.ExitCode);
    }

    [Fact]
    public void A_word_of_ones_own_is_given_as_it_is_and_the_random_one_is_new_each_time()
    {
        const string Script = "echo \"word=$(cat /lguest-status-token)\"";

        Assert.Contains("word=Abc123\r\n", Run(Script, "--status-token=Abc123").Output, StringComparison.Ordinal);
        string[] words = [.. Enumerable.Range(0, 2).Select(_ => Run(Script).Output.Split("word=")[1].Split('\r')[0])];
        Assert.All(words, word => Assert.Matches("^[0-9a-f]{32}$", word));
        Assert.NotEqual(words[0], words[1]);
    }

    [Fact]
    public void A_kernel_that_dies_has_died_whatever_it_has_told() =>
        Assert.Equal(100, Run("echo \"lguest-status $(cat /lguest-status-token) 0\"; echo c >/proc/sysrq-trigger").ExitCode);

    [Theory]
    [InlineData("--status-token puts a file into the guest's initrd, and it has none: give it one with --initrd", "--status-token")]
    [InlineData("--status-token is for guests that run no command, whose status is known: leave it out, or --run", "--status-token", "--initrd=x", "--run=x")]
    [InlineData("--status-token=a b: a token has letters and digits alone", "--status-token=a b", "--initrd=x")]
    public void What_makes_no_sense_is_refused(string sentence, params string[] options)
    {
        LguestResult result = LguestProcess.Run(string.Empty, ["64m", "vmlinux", .. options]);

        Assert.Equal(new LguestResult(125, string.Empty, $"lguest: {sentence}\n"), result);
    }

    private LguestResult Run(string script, string token = "--status-token")
    {
        string share = Directory.CreateDirectory(_folder.Path("mine")).FullName;
        string init = Path.Combine(share, "init");
        File.WriteAllText(init, $"#!/bin/sh\nexport PATH=/bin\nmount -t devtmpfs dev /dev\nmount -t proc proc /proc\nexec >/dev/hvc0 2>&1\n{script}\npoweroff -f\n", Encoding.ASCII);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(init, (UnixFileMode)0x1ed);
        }

        return RunGuest("64m", Image("vmlinux"), $"--initrd={Image("initrd.cpio")}", $"--share={share}:/mine", token, "--clock=virtual", "quiet", "rdinit=/mine/init");
    }
}
