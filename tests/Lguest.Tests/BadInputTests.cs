using System.Diagnostics;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>What can't be run: one sentence on standard error and exit code 125, before anything has begun.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("no kernel is given", "64m")]
    [InlineData("'vmlinux' is not an amount of memory: write 64m, 1g, or 64 for MiB", "vmlinux", "64m")]
    [InlineData("'-h' is not an amount of memory", "-h")]
    [InlineData("'64g' is more memory than a 32-bit guest can have", "64g", "vmlinux")]
    [InlineData("there is no option --nonsense: `lguest --help` lists them", "--nonsense", "64m", "vmlinux")]
    [InlineData("there is no option --blo: did you mean --block?", "--blo=disk", "64m", "vmlinux")]
    [InlineData("there is no option --blokc: did you mean --block?", "--blokc=disk", "64m", "vmlinux")]
    [InlineData("--initrd needs a value: --initrd=FILE", "--initrd", "64m", "vmlinux")]
    [InlineData("--block needs a value: --block=FILE", "--block=", "64m", "vmlinux")]
    [InlineData("--block=disk,ro,snapshot is both read-only and a snapshot", "--block=disk,ro,snapshot", "64m", "vmlinux")]
    [InlineData("--block=,ro names no file", "--block=,ro", "64m", "vmlinux")]
    [InlineData("--block=a,b: 'b' is nothing that a disk can be: write ro or snapshot, or --block=a,,b if these commas are in the file's name", "--block=a,b", "64m", "vmlinux")]
    [InlineData("--block=a,,b,rw: 'rw' is nothing that a disk can be: write ro or snapshot, or --block=a,,b,,rw if", "--block=a,,b,rw", "64m", "vmlinux")]
    [InlineData("--block=disk,: '' is nothing that a disk can be", "--block=disk,", "64m", "vmlinux")]
    [InlineData("--usernet=restrict,,net=10.9.0.0/16: 'restrict,net=10.9.0.0/16' is no option of a network", "--usernet=restrict,,net=10.9.0.0/16", "64m", "vmlinux")]
    [InlineData("--stats takes no value: write it without '=yes'", "--stats=yes", "64m", "vmlinux")]
    [InlineData("--initrd=a and --initrd=b contradict each other: give one of them", "--initrd=a", "64m", "vmlinux", "--initrd=b")]
    [InlineData("--abi=2.6.22 is no kind of guest: write one of 2.6.23, 2.6.24, 2.6.25, 2.6.26, 2.6.29, 2.6.30, 2.6.31, 2.6.31-pae, 2.6.34, 2.6.34-pae, 3.1, 3.1-pae, 4.0, 4.0-pae, 4.1, 4.1-pae, 4.10, 4.10-pae, ring0", "--abi=2.6.22", "64m", "vmlinux")]
    [InlineData("--clock=fast is no clock: write real or virtual", "--clock=fast", "64m", "vmlinux")]
    [InlineData("--timeout=soon is not a time", "--timeout=soon", "64m", "vmlinux")]
    [InlineData("--max-instructions=0 is not a count of instructions", "--max-instructions=0", "64m", "vmlinux")]
    [InlineData("--seed=-1 is not a number from 0", "--seed=-1", "64m", "vmlinux")]
    [InlineData("--trace=0xfffffffff is neither an address nor a count", "--trace=0xfffffffff", "64m", "vmlinux")]
    [InlineData("--date=1969-12-31 is not a date from 1970 on", "--date=1969-12-31", "64m", "vmlinux")]
    [InlineData("--tunnet needs a value: --tunnet=IP[/BITS]|bridge:NAME", "--tunnet", "64m", "vmlinux")]
    [InlineData("--tunnet=1.2.3 is not an IPv4 address that this host could have: write --tunnet=192.168.19.1", "--tunnet=1.2.3", "64m", "vmlinux")]
    [InlineData("--tunnet=192.168.19.0 is not an IPv4 address that this host could have", "--tunnet=192.168.19.0", "64m", "vmlinux")]
    [InlineData("--tunnet=bridge: names no bridge: write --tunnet=bridge:br0", "--tunnet=bridge:", "64m", "vmlinux")]
    [InlineData("--tunnet=bridge:a/b names no bridge", "--tunnet=bridge:a/b", "64m", "vmlinux")]
    [InlineData("--usernet needs a value: --usernet[=OPTIONS]", "--usernet=", "64m", "vmlinux")]
    [InlineData("--usernet=ipv6: 'ipv6' is no option of a network: write hostfwd=tcp:127.0.0.1:2222-:22, net=10.0.2.0/24 or restrict", "--usernet=ipv6", "64m", "vmlinux")]
    [InlineData("--usernet=net=10.0.2.1/24 is not a network of 8 to 27 bits", "--usernet=net=10.0.2.1/24", "64m", "vmlinux")]
    [InlineData("--usernet=hostfwd=tcp:2222-22 forwards no port: write hostfwd=tcp:127.0.0.1:2222-:22", "--usernet=restrict,hostfwd=tcp:2222-22", "64m", "vmlinux")]
    [InlineData("--usernet=hostfwd=sctp::1-:1 forwards no port", "--usernet=hostfwd=sctp::1-:1", "64m", "vmlinux")]
    [InlineData("--usernet=hostfwd=udp::0-:1 forwards no port", "--usernet=hostfwd=udp::0-:1", "64m", "vmlinux")]
    [InlineData("--usernet=hostfwd=tcp::2222-10.0.3.4:22: 10.0.3.4 is not in the guest's network, 10.0.2.0/24", "--usernet=hostfwd=tcp::2222-10.0.3.4:22", "64m", "vmlinux")]
    [InlineData("--pcap=frames has nothing to record: give a network too", "--pcap=frames", "64m", "vmlinux")]
    [InlineData("16 disks and networks are too many: a guest has at most 15", "--block=1", "--block=2", "--block=3", "--block=4", "--block=5", "--block=6", "--block=7", "--block=8", "--block=9", "--block=a", "--block=b", "--block=c", "--block=d", "--block=e", "--block=f", "--usernet", "64m", "vmlinux")]
    [InlineData("--run needs a value: --run=COMMAND", "--run", "64m", "vmlinux")]
    [InlineData("--run and --run-argv contradict each other: give one of them", "--run=true", "--run-argv=true", "64m", "vmlinux")]
    [InlineData("--run-argv needs a value: --run-argv=WORD", "--run-argv", "64m", "vmlinux")]
    [InlineData("the first --run-argv is the command itself, and cannot be empty", "--run-argv=", "--run-argv=true", "64m", "vmlinux")]
    [InlineData("--run needs the initrd of the guest that ships, which isn't built: run `images/build` in lguest's folder, or name one with --initrd", "--run=true", "64m", "vmlinux")]
    [InlineData("kernel 'no/such/vmlinux' does not exist", "64m", "no/such/vmlinux")]
    [InlineData("kernel 'no/such/vmlinux' does not exist", "inspect", "no/such/vmlinux")]
    [InlineData("`lguest inspect KERNEL` looks at one kernel, and 0 words are given: name its file", "inspect")]
    [InlineData("`lguest inspect KERNEL` looks at one kernel, and 2 words are given: name its file", "inspect", "64m", "vmlinux")]
    [InlineData("--block is an option of `lguest MEMORY KERNEL`, not of `lguest inspect KERNEL`: leave it out", "inspect", "vmlinux", "--block=disk")]
    [InlineData("--json takes no value: write it without '=file'", "inspect", "vmlinux", "--json=file")]
    [InlineData("there is no option --what: `lguest inspect --help` lists them", "inspect", "vmlinux", "--what")]
    public void Is_refused(string sentence, params string[] arguments) => AssertRefused(sentence, arguments);

    [Theory]
    [InlineData("disk image 'no/such/disk' does not exist: make it", "--block=no/such/disk")]
    [InlineData("--pcap=no/such/folder: the file cannot be created", "--usernet", "--pcap=no/such/folder")]
    public void What_a_good_kernel_cannot_have_is_refused(string sentence, params string[] options) =>
        AssertRefused(sentence, ["8m", _folder.File("vmlinux", GuestProgram.Greeter("x")), .. options]);

    [Fact]
    public void A_disk_that_another_guest_has_is_refused()
    {
        string disk = _folder.File("disk", new byte[65536]);
        string kernel = _folder.File("vmlinux", GuestProgram.Spinner("up"));
        using Process other = LguestProcess.Start("8m", kernel, $"--block={disk}");
        Assert.Equal('u', other.StandardOutput.Read());

        AssertRefused($"disk image '{disk}' is in use by another guest, or named twice: stop that guest", "8m", kernel, $"--block={disk}");

        other.Kill();
        LguestProcess.WaitFor(other);
        Assert.Equal(0, LguestProcess.Run(string.Empty, "8m", _folder.File("k", GuestProgram.Greeter("x")), $"--block={disk}").ExitCode);
    }

    [Fact]
    public void A_log_that_cannot_be_written_is_refused() => AssertRefused(
        "--log=no/such/file: the file cannot be created", "8m", _folder.File("vmlinux", GuestProgram.Greeter("x")), "--log=no/such/file");

    [Fact]
    public void A_disk_that_is_named_twice_is_refused()
    {
        string disk = _folder.File("disk", new byte[65536]);
        AssertRefused("is in use by another guest, or named twice", "8m", _folder.File("vmlinux", GuestProgram.Greeter("x")), $"--block={disk}", "--clock=real", $"--block={_folder.Name}/./disk");
    }

    [Fact]
    public void A_kernel_command_line_of_more_than_2047_bytes_is_refused() => AssertRefused(
        "the kernel's command line has 2048 bytes, and 2047 is the most it can have",
        "8m",
        _folder.File("vmlinux", GuestProgram.Greeter("x")),
        new string('x', 2000),
        new string('y', 47));

    [Fact]
    public void More_memory_than_the_kernel_can_use_is_refused() => AssertRefused(
        "can use at most 892m of memory",
        "893m",
        _folder.File("vmlinux", GuestProgram.Greeter("x")));

    private static void AssertRefused(string sentence, params string[] arguments)
    {
        LguestResult result = LguestProcess.Run(string.Empty, arguments);

        Assert.Equal(125, result.ExitCode);
        Assert.Empty(result.Output);
        Assert.StartsWith("lguest: ", result.Errors, StringComparison.Ordinal);
        Assert.Contains(sentence, result.Errors, StringComparison.Ordinal);
        Assert.Equal(result.Errors.Length - 1, result.Errors.IndexOf('\n', StringComparison.Ordinal));
    }
}
