using System.Text.RegularExpressions;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>
/// A real guest of a later lguest, with virtio devices, when the environment names one: LGUEST_TEST_LATER_KERNEL is a vmlinux or bzImage with
/// the drivers built in, and initramfs and root file system are those of <see cref="AcceptanceTests"/>.
/// </summary>
public sealed partial class LaterKernelTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("--clock=real")]
    [InlineData("--clock=virtual")]
    public void The_initramfs_tests_itself_and_asks_for_a_restart(string clock)
    {
        LguestResult result = Boot(string.Empty, $"--initrd={RealGuest.Variable("INITRD")}", clock, "autotest");

        RealGuest.AssertAutotest(result, exitCode: 103);
    }

    [Fact]
    public void The_root_file_system_tests_itself_and_is_sound_afterwards()
    {
        string disk = RealGuest.CopyOfRootFileSystem(_folder);

        LguestResult result = Boot(string.Empty, $"--block={disk}", "root=/dev/vda", "autotest");

        RealGuest.AssertAutotest(result, exitCode: 103);
        HostTools.AssertSound(disk);
    }

    [Fact]
    public void In_virtual_time_two_boots_are_the_same_to_the_byte_and_the_instruction()
    {
        string[] arguments =
        [
            $"--block={RealGuest.Variable("ROOTFS")},snapshot", "--clock=virtual", "--stats", "root=/dev/vda",
        ];
        const string Script = "cat /bin/busybox /bin/autotest | md5sum; poweroff -f\n";
        LguestResult first = Boot(Script, arguments);
        LguestResult second = Boot(Script, arguments);

        RealGuest.AssertSame(first, second);
    }

    [Fact]
    public void A_shell_writes_files_that_the_host_finds_intact_and_switches_the_guest_off()
    {
        string disk = RealGuest.CopyOfRootFileSystem(_folder);

        LguestResult result = Boot(
            "yes 0123456789 | head -c 3000000 >/root/written; sync; md5sum /root/written; poweroff -f\n", $"--block={disk}", "root=/dev/vda");

        Assert.Equal(0, result.ExitCode);
        Assert.Equal(Checksum().Match(result.Output).Value, HostTools.Md5OfFile(disk, "/root/written"));
        HostTools.AssertSound(disk);
    }

    [Fact]
    public void A_guest_whose_first_program_dies_panics()
    {
        LguestResult result = Boot(
            string.Empty, "--fail-on=none", $"--block={RealGuest.Variable("ROOTFS")},snapshot", "root=/dev/vda", "init=/bin/true");

        Assert.Equal(100, result.ExitCode);
        Assert.Contains("Attempted to kill init!", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Random_bytes_come_from_the_seed()
    {
        string Read(string seed) => Checksum().Match(Boot(
            "mknod /tmp/random c 10 183; dd if=/tmp/random of=/tmp/bytes bs=64 count=4 2>/dev/null; md5sum /tmp/bytes; poweroff -f\n",
            $"--initrd={RealGuest.Variable("INITRD")}",
            $"--seed={seed}").Output).Value;

        string first = Read("1");

        Assert.NotEmpty(first);
        Assert.Equal(first, Read("1"));
        Assert.NotEqual(first, Read("2"));
    }

    [Fact]
    public void A_disk_by_the_name_of_other_kernels_is_told()
    {
        LguestResult result = Boot(
            string.Empty, "--fail-on=none", $"--block={RealGuest.Variable("ROOTFS")},snapshot", "root=/dev/lgba");

        Assert.Equal(100, result.ExitCode);
        Assert.Contains("root=/dev/lgba is no disk of this guest's: the first is /dev/vda, so write root=/dev/vda", result.Errors, StringComparison.Ordinal);
    }

    [GeneratedRegex("^[0-9a-f]{32}(?=  /)", RegexOptions.Multiline)]
    private static partial Regex Checksum();

    private static LguestResult Boot(string input, params string[] arguments) => RealGuest.Boot("LATER_KERNEL", input, arguments);
}
