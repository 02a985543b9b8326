using Lguest.CommandLine;
using Lguest.Devices.Backends;
using Lguest.Host;

namespace Lguest.Tests;

/// <summary>How a command line is read.</summary>
public class CommandLineTests
{
    [Fact]
    public void The_original_form_is_memory_kernel_options_and_words_for_the_kernel()
    {
        Launch launch = Parse("64m", "vmlinux", "--block=rootfile", "root=/dev/lgba");

        Assert.Equal(64u << 20, launch.MemoryBytes);
        Assert.Equal("vmlinux", launch.Kernel);
        Assert.Equal([new DiskOption("rootfile", DiskMode.ReadWrite)], launch.Disks);
        Assert.Equal("root=/dev/lgba", launch.KernelCommandLine);
    }

    [Theory]
    [InlineData("single -b init=/bin/sh", "--block=d 64m vmlinux single -b init=/bin/sh")]
    [InlineData("single -b", "64m --block=d vmlinux single -b")]
    [InlineData("single -b", "64m vmlinux single --block=d -b")]
    [InlineData("quiet --block=x", "64m vmlinux --block=d -- quiet --block=x")]
    [InlineData("--block=x", "--block=d -- 64m vmlinux --block=x")]
    [InlineData("init=/x -- -a --b", "64m vmlinux --block=d init=/x -- -- -a --b")]
    [InlineData("a b", "64m vmlinux --block=d a -- b")]
    [InlineData("", "64m vmlinux --block=d --")]
    [InlineData("-", "64m vmlinux --block=d -")]
    public void Options_may_stand_anywhere_before_the_first_two_dashes(string words, string commandLine)
    {
        Launch launch = Parse(commandLine.Split(' '));

        Assert.Equal("vmlinux", launch.Kernel);
        Assert.Equal(64u << 20, launch.MemoryBytes);
        Assert.Equal([new DiskOption("d", DiskMode.ReadWrite)], launch.Disks);
        Assert.Equal(words, launch.KernelCommandLine);
    }

    [Theory]
    [InlineData("run=exit 5", "run=\"exit 5\"")]
    [InlineData("run=a\tb", "run=\"a\tb\"")]
    [InlineData("run=a\nb", "run=\"a\nb\"")]
    [InlineData("run=echo 'a  b'", "run=\"echo 'a  b'\"")]
    [InlineData("run=voil\u00e0", "run=\"voil\u00e0\"")]
    [InlineData("run=", "run=")]
    [InlineData("run=poweroff", "run=poweroff")]
    [InlineData("run=\"uname -a; exit 7\"", "run=\"uname -a; exit 7\"")]
    [InlineData("run=\"uname", "run=\"uname")]
    [InlineData("run=a\"b c\"d", "run=a\"b c\"d")]
    [InlineData("root=/dev/lgba quiet", "root=/dev/lgba quiet")]
    [InlineData("quiet run=exit 5", "quiet run=exit 5")]
    [InlineData("rerun=a b", "rerun=a b")]
    public void A_command_reaches_the_guest_whole_and_all_other_words_as_they_are(string word, string expected) =>
        Assert.Equal($"a {expected} b", Parse("64m", "vmlinux", "a", word, "b").KernelCommandLine);

    [Fact]
    public void A_byte_that_is_no_text_may_be_a_blank_to_the_kernel()
    {
        // Attributes can't carry half a surrogate pair.
        Assert.Equal("run=\"\udca0\"", Parse("64m", "vmlinux", "run=\udca0").KernelCommandLine);
        Assert.Equal("run=\udc80", Parse("64m", "vmlinux", "run=\udc80").KernelCommandLine);
    }

    [Theory]
    [InlineData("run=echo \"a b\"")]
    [InlineData("run=\"my program\" 5")]
    [InlineData("run=\"a b\"c\"")]
    [InlineData("run=\"a\"b")]
    [InlineData("run=it\"s")]
    [InlineData("run=voil\u00e0 \"")]
    public void A_command_that_cannot_be_quoted_for_the_kernel_is_refused(string word)
    {
        CommandLineException refusal = Assert.Throws<CommandLineException>(() => Parse("64m", "vmlinux", word));

        Assert.StartsWith($"{word} cannot be given to the guest", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_is_one_for_the_shell_or_a_program_and_its_arguments()
    {
        Assert.Null(Parse("64m", "vmlinux").Command);
        Assert.Equal(["sh", "-c", "--", "a  b; c"], Parse("64m", "vmlinux", "--initrd=i", "--run=a  b; c").Command);
        Assert.Equal(["a", "", "b c", ""], Parse("64m", "vmlinux", "--initrd=i", "--run-argv=a", "--run-argv=", "--run-argv=b c", "--run-argv=").Command);
    }

    [Fact]
    public void Words_can_be_appended_to_the_kernels_command_line() =>
        Assert.Equal("a b c d e", Parse("64m", "vmlinux", "--append=c d", "a", "--append=e", "b").KernelCommandLine);

    [Theory]
    [InlineData("console=ttyS0", "console=ttyS0")]
    [InlineData("console=hvc0 console=ttyS0,115200n8 quiet", "console=ttyS0,115200n8")]
    [InlineData("quiet", null)]
    [InlineData("console=ttyS0 console=hvc0", null)]
    [InlineData("console=", null)]
    [InlineData("console=null", null)]
    [InlineData("quiet run=\"echo console=ttyS0 x\"", null)]
    public void A_console_that_no_guest_has_is_worth_a_word(string words, string? start)
    {
        string? warning = Parse(["64m", "vmlinux", .. words.Split(' ')]).Warning;

        Assert.Equal(start, Parse("64m", "vmlinux", words).Warning?.Split(' ')[0]);
        Assert.Equal(start, warning?.Split(' ')[0]);
    }

    [Fact]
    public void A_word_within_a_command_is_none_of_the_kernels()
    {
        Assert.Null(Parse("64m", "vmlinux", "run=echo console=ttyS0 root=/dev/sda x").Warning);
        Assert.Null(KernelWords.RootWarning(Parse("64m", "vmlinux", "root=/dev/lgba", "run=echo root=/dev/sda x").KernelCommandLine, "lgb"));
        Assert.StartsWith("root=/dev/sda is no disk of this guest's", KernelWords.RootWarning("run=\"a b\" root=/dev/sda quiet", "lgb"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("disk,ro", "disk", (int)DiskMode.ReadOnly)]
    [InlineData("disk,snapshot", "disk", (int)DiskMode.Snapshot)]
    [InlineData("disk,ro,ro", "disk", (int)DiskMode.ReadOnly)]
    [InlineData("a,,b", "a,b", (int)DiskMode.ReadWrite)]
    [InlineData("a,,ro", "a,ro", (int)DiskMode.ReadWrite)]
    [InlineData("a,,,ro", "a,", (int)DiskMode.ReadOnly)]
    [InlineData("a,,ro,,,,b,snapshot", "a,ro,,b", (int)DiskMode.Snapshot)]
    [InlineData(",,", ",", (int)DiskMode.ReadWrite)]
    [InlineData("ro", "ro", (int)DiskMode.ReadWrite)]
    public void A_disk_may_be_read_only_or_a_snapshot(string text, string path, int mode) =>
        Assert.Equal([new DiskOption(path, (DiskMode)mode)], Parse("64m", "vmlinux", $"--block={text}").Disks);

    [Fact]
    public void Two_disks_may_be_alike_and_two_networks_are_one()
    {
        DiskOption disk = new("d", DiskMode.Snapshot);

        Launch launch = Parse("64m", "vmlinux", "--block=d,snapshot", "--usernet", "--stats", "--block=d,snapshot", "--usernet", "--stats");

        Assert.Equal([disk, disk], launch.Disks);
        Assert.Single(launch.Networks);
    }

    [Fact]
    public void Networks_are_in_the_order_in_which_they_are_named()
    {
        Launch launch = Parse(
            "64m", "vmlinux", "--usernet", "--tunnet=192.168.19.1", "--block=d", "--tunnet=10.0.0.1/8", "--tunnet=bridge:br0", "--pcap=f",
            "--usernet=restrict,net=10.9.0.0/16,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp::53-10.9.0.15:53");

        Assert.Equal(
            ["eth0 10.0.2.0/24 False ", "192.168.19.1/24", "10.0.0.1/8", "br0", "eth4 10.9.0.0/16 True tcp:127.0.0.1:2222-:22 udp::53-10.9.0.15:53"],
            launch.Networks.Select((network, i) => network switch
            {
                NetworkOption.Tap tap => tap.Address.ToString(),
                NetworkOption.Bridge bridge => bridge.Name,
                NetworkOption.User user => $"eth{i} {user.Options.Network} {user.Options.IsRestricted} {string.Join(' ', user.Options.Forwards)}",
                _ => network.ToString(),
            }));
        Assert.Equal("f", launch.Recording);
    }

    [Fact]
    public void A_word_is_never_the_value_of_the_option_before_it()
    {
        Launch launch = Parse("--verbose", "64m", "--stats", "vmlinux", "--verbose", "quiet");

        Assert.True(launch.Verbose);
        Assert.True(launch.Statistics);
        Assert.Equal("vmlinux", launch.Kernel);
        Assert.Equal("quiet", launch.KernelCommandLine);
    }

    [Fact]
    public void Every_option_is_understood()
    {
        Launch launch = Parse(
            "64m", "vmlinux", "--block=a", "--initrd=i", "--clock=virtual", "--block=-b=c", "--timeout=30s", "--max-instructions=5G",
            "--trace=0xc0100000", "--stats", "--verbose", "--date=2007-10-09T20:31:38");

        Assert.Equal(["a", "-b=c"], launch.Disks.Select(disk => disk.Path));
        Assert.Equal("i", launch.Initrd);
        Assert.Equal(ClockKind.Virtual, launch.Clock);
        Assert.Equal(TimeSpan.FromSeconds(30), launch.Timeout);
        Assert.Equal(5_000_000_000UL, launch.MaxInstructions);
        Assert.Equal(new TraceStart(0xc0100000, null), launch.Trace);
        Assert.Equal(new DateTimeOffset(2007, 10, 9, 20, 31, 38, TimeSpan.Zero), launch.Date);
        Assert.True(launch.Statistics);
        Assert.True(launch.Verbose);
    }

    [Theory]
    [InlineData(InputKind.Fixed, ClockKind.Virtual)]
    [InlineData(InputKind.Fixed, ClockKind.Real, "--usernet")]
    [InlineData(InputKind.Fixed, ClockKind.Real, "--clock=real")]
    [InlineData(InputKind.Stream, ClockKind.Real)]
    [InlineData(InputKind.Stream, ClockKind.Real, "--run=true", "--initrd=i")]
    [InlineData(InputKind.Stream, ClockKind.Virtual, "--clock=virtual")]
    [InlineData(InputKind.Device, ClockKind.Real)]
    [InlineData(InputKind.Device, ClockKind.Virtual, "--run=true", "--initrd=i")]
    [InlineData(InputKind.Device, ClockKind.Real, "--run=true", "--initrd=i", "--sharenet=n")]
    [InlineData(InputKind.Fixed, ClockKind.Virtual, "--clock=virtual", "--tunnet=10.0.0.1")]
    public void Time_is_virtual_where_nothing_outside_has_a_pace_of_its_own(InputKind input, ClockKind clock, params string[] options) =>
        Assert.Equal(clock, Parse(["64m", "vmlinux", .. options]).ClockFor(input));

    [Fact]
    public void An_option_that_is_repeated_alike_counts_once()
    {
        Launch launch = Parse("64m", "vmlinux", "--clock=virtual", "--verbose", "--clock=virtual", "--verbose");

        Assert.Equal(ClockKind.Virtual, launch.Clock);
    }

    [Theory]
    [InlineData("64m", 64u << 20)]
    [InlineData("64M", 64u << 20)]
    [InlineData("64", 64u << 20)]
    [InlineData("1g", 1u << 30)]
    [InlineData("65536k", 64u << 20)]
    [InlineData("6g", 6ul << 30)]
    [InlineData("65280m", 65280ul << 20)]
    public void Memory_is_written_in_kibibytes_mebibytes_or_gibibytes(string text, ulong bytes) =>
        Assert.Equal(bytes, Parse(text, "vmlinux").MemoryBytes);

    [Theory]
    [InlineData("")]
    [InlineData("m")]
    [InlineData("0")]
    [InlineData("-1m")]
    [InlineData("+1m")]
    [InlineData("1.5g")]
    [InlineData("64mb")]
    [InlineData("3k")]
    [InlineData("65281m")]
    [InlineData("99999999999999999999m")]
    [InlineData("18446744073709551615g")]
    public void Other_amounts_of_memory_are_refused(string text) => Assert.Throws<CommandLineException>(() => Parse(text, "vmlinux"));

    [Theory]
    [InlineData("500ms", 500)]
    [InlineData("2m", 120_000)]
    [InlineData("1H", 3_600_000)]
    public void A_timeout_has_a_unit(string text, int milliseconds) =>
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), Parse("64m", "vmlinux", $"--timeout={text}").Timeout);

    [Fact]
    public void Help_names_every_option_and_needs_nothing_else()
    {
        Assert.IsType<Request.Help>(Launch.Parse(["--help"]));
        Assert.IsType<Request.Help>(Launch.Parse(["64m", "--help", "--stats"]));

        foreach (Command command in Options.Named.Append(Options.Run))
        {
            string help = Usage.Help(command);
            Assert.Contains(command.Usage, help, StringComparison.Ordinal);
            Assert.All(
                Options.Table.Declared.Where(option => option.IsFor(command)),
                option => Assert.Matches($@"(?m)^  --{option.Name}(=\S+)? +[A-Z]", help));
        }
    }

    [Fact]
    public void A_first_word_before_two_dashes_may_name_a_command()
    {
        Assert.Equal(new Request.Inspect("vmlinux", AsJson: false), Launch.Parse(["inspect", "vmlinux"]));
        Assert.Equal(new Request.Inspect("vmlinux", AsJson: true), Launch.Parse(["--json", "inspect", "vmlinux"]));
        Assert.Equal(new Request.Inspect("--odd", AsJson: false), Launch.Parse(["inspect", "--", "--odd"]));
        Assert.Equal(new Request.Inspect("inspect", AsJson: false), Launch.Parse(["inspect", "inspect"]));
        Assert.Equal(new Request.Help(Options.Inspect), Launch.Parse(["inspect", "--help"]));
        Assert.Equal("inspect", Parse("64m", "vmlinux", "inspect").KernelCommandLine);
        Assert.Throws<CommandLineException>(() => Launch.Parse(["--", "inspect", "vmlinux"]));
    }

    [Fact]
    public void The_version_is_one_line()
    {
        Assert.IsType<Request.Version>(Launch.Parse(["--version"]));
        Assert.Matches(@"^lguest \d+\.\d+\.\d+\n$", Usage.Version(isOnTerminal: false));
    }

    private static Launch Parse(params string[] arguments) => Assert.IsType<Request.Run>(Launch.Parse(arguments)).Launch;
}
