using System.Diagnostics;
using System.Text;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>A command that the guest that ships runs: arguments, streams and status are those of any command, and the console is apart.</summary>
public sealed class CommandTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public CommandTests() => Image("vmlinux");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Output_and_errors_are_the_commands_to_the_byte()
    {
        LguestResult result = Run(string.Empty, "--run=printf \"a b\\n\"; echo e >&2; echo of the console >/dev/console");

        Assert.Equal(new LguestResult(0, "a b\n", "e\n"), result);
    }

    [Theory]
    [InlineData(0, 0, "")]
    [InlineData(7, 7, "")]
    [InlineData(99, 99, "")]
    [InlineData(100, 99, "lguest: the command's exit status is 100\n")]
    [InlineData(255, 99, "lguest: the command's exit status is 255\n")]
    public void Its_status_is_lguests_as_far_as_that_can_be(int status, int exitCode, string errors) =>
        Assert.Equal(new LguestResult(exitCode, string.Empty, errors), Run(string.Empty, $"--run=exit {status}"));

    [Theory]
    [InlineData("kill -9 $$", 137)]
    [InlineData("kill -INT $$", 130)]
    [InlineData("no-such-program", 127)]
    public void What_ends_in_another_way_has_the_status_that_a_shell_gives_it(string command, int status)
    {
        LguestResult result = Run(string.Empty, $"--run={command}");

        Assert.Equal(99, result.ExitCode);
        Assert.EndsWith($"lguest: the command's exit status is {status}\n", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Arguments_arrive_one_by_one_empty_ones_too_and_nothing_in_them_means_anything()
    {
        string[] words = ["printf", "<%s>", "a  b", string.Empty, "-n", "$HOME `id` \\ ' \" *", "two\nlines\n", "voil\u00e0", "\u0001\u001b\u007f"];

        LguestResult result = Run(string.Empty, [.. words.Select(word => $"--run-argv={word}")]);

        Assert.Equal(string.Concat(words.Skip(2).Select(word => $"<{word}>")), Utf8(result.Output));
        Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
    }

    [Fact]
    public void Arguments_may_have_bytes_that_are_no_text()
    {
        using Process shell = Process.Start(new ProcessStartInfo(
            "/bin/sh", ["-c", "\"$1\" --run-argv=printf --run-argv=%s \"--run-argv=$(printf 'a\\200\\201\\240\\377z')\" | od -An -tx1", "sh", LguestProcess.Path])
        {
            WorkingDirectory = Project,
            RedirectStandardOutput = true,
        })!;

        Assert.Equal(" 61 80 81 a0 ff 7a\n", shell.StandardOutput.ReadToEnd());
    }

    [Fact]
    public void A_program_is_found_as_a_program_and_never_is_a_word_of_the_shells()
    {
        LguestResult result = Run(string.Empty, "--run-argv=exit", "--run-argv=0");

        Assert.Equal(99, result.ExitCode);
        Assert.Contains("exit: not found", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_line_of_the_shells_may_begin_with_a_dash() =>
        Assert.Contains("-x: not found", Run(string.Empty, "--run=-x").Errors, StringComparison.Ordinal);

    [Theory]
    [InlineData("--clock=real")]
    [InlineData("--clock=virtual")]
    public void Every_byte_of_input_and_output_comes_through(string clock)
    {
        byte[] bytes = new byte[300_000];
        new Random(18).NextBytes(bytes);
        string text = Encoding.Latin1.GetString(bytes);

        LguestResult result = Run(text, "--run=tee /dev/stderr", clock);

        Assert.Equal(0, result.ExitCode);
        Assert.Equal(text, result.Output);
    }

    [Fact]
    public void A_command_that_reads_nothing_leaves_the_input_to_who_comes_next()
    {
        string input = _folder.File("input", "one\ntwo\n"u8.ToArray());
        const string Script = "\"$1\" --run=true <&0; \"$1\" --run='cat >&2; echo end' <&0; cat";

        using Process shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", $"exec <\"$2\"; {Script}", "sh", LguestProcess.Path, input])
        {
            WorkingDirectory = Project,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;

        Assert.Equal("end\n", shell.StandardOutput.ReadToEnd());
        Assert.Equal("one\ntwo\n", shell.StandardError.ReadToEnd());
    }

    [Fact]
    public void Input_that_comes_bit_by_bit_is_there_as_it_comes()
    {
        using Process process = Start("--run=while read line; do echo \"got $line\"; done; echo end");
        foreach (string line in (string[])["one", "two"])
        {
            process.StandardInput.Write(line + "\n");
            process.StandardInput.Flush();
            Assert.Equal($"got {line}", process.StandardOutput.ReadLine());
        }

        Assert.Equal(new LguestResult(0, "end\n", string.Empty), LguestProcess.Finish(process, string.Empty));
    }

    [Fact]
    public void Who_asks_whether_there_is_input_hears_of_it_when_it_comes()
    {
        using Process process = Start("--run=echo ready; until read -t 1 line; do :; done; echo \"got $line\"; read -t 60 line || echo end");
        Assert.Equal("ready", process.StandardOutput.ReadLine());

        LguestResult result = LguestProcess.Finish(process, "late\n");

        Assert.Equal(new LguestResult(0, "got late\nend\n", string.Empty), result);
    }

    [Fact]
    public void In_virtual_time_a_run_with_input_is_the_same_each_time()
    {
        LguestResult[] runs = [.. Enumerable.Range(0, 2).Select(_ => Run("one\ntwo\n", "--run=cat; date", "--clock=virtual", "--stats"))];

        Assert.Equal("one\ntwo\nTue Oct  9 20:31:38 UTC 2007\n", runs[0].Output);
        Assert.Equal(runs[0].Output, runs[1].Output);
        Assert.Equal(Instructions(runs[0]), Instructions(runs[1]));
        Assert.Contains("lguest: command: 37 bytes out, 0 of errors, 8 in\n", runs[0].Errors, StringComparison.Ordinal);

        static string Instructions(LguestResult result) => result.Errors[..result.Errors.IndexOf(" instructions", StringComparison.Ordinal)];
    }

    [Fact]
    public void The_console_goes_to_a_file_and_to_standard_error_when_the_run_fails()
    {
        string log = _folder.Path("log");
        LguestResult result = Run(string.Empty, "--run=echo out; echo c >/proc/sysrq-trigger", $"--log={log}");

        Assert.Equal((100, "out\n"), (result.ExitCode, result.Output));
        Assert.StartsWith("lguest: what the guest printed on its console:\n[    0.000000] Linux version ", result.Errors, StringComparison.Ordinal);
        Assert.Contains("Kernel panic - not syncing: sysrq triggered crash\n", result.Errors, StringComparison.Ordinal);
        Assert.EndsWith("\nlguest: the guest panicked: sysrq triggered crash\n", result.Errors, StringComparison.Ordinal);
        Assert.StartsWith("[    0.000000] Linux version ", File.ReadAllText(log), StringComparison.Ordinal);
        Assert.Contains("Kernel panic - not syncing: sysrq triggered crash\r\n", File.ReadAllText(log), StringComparison.Ordinal);
    }

    [Fact]
    public void The_console_of_a_run_that_ends_well_goes_to_the_file_alone()
    {
        string log = _folder.Path("log");
        LguestResult result = Run(string.Empty, "--run=echo of the console >/dev/hvc0; exit 3", $"--log={log}");

        Assert.Equal(new LguestResult(3, string.Empty, string.Empty), result);
        Assert.Contains("of the console\r\n", File.ReadAllText(log), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("poweroff; sleep 60", 0, "")]
    [InlineData("echo 5 >/sys/bus/lguest/exit_status; halt; sleep 60", 5, "")]
    [InlineData("reboot; sleep 60", 103, "lguest: the guest asks to be started again\n")]
    [InlineData("poweroff -f", 102, "lguest: the guest switched itself off before it had told its command's exit status\n")]
    [InlineData("kill -9 -1; sleep 60", 99, "lguest: the command's exit status is 137\n")]
    public void A_command_may_end_the_guest_itself(string command, int exitCode, string errors)
    {
        LguestResult result = Run(string.Empty, $"--run={command}");

        AssertEnded(exitCode, result);
        Assert.Equal(string.Empty, result.Output);
        Assert.EndsWith(errors, result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vmlinux")]
    [InlineData("bzImage")]
    public void A_kernel_of_ones_own_runs_it_in_the_initrd_that_ships(string kernel)
    {
        LguestResult result = Run(string.Empty, "64m", Image(kernel), "--run=cut -d' ' -f1-3 /proc/mounts | head -n 1; cat /proc/cmdline", "--append=a=\"b  c\" quiet");

        Assert.Equal(new LguestResult(0, "rootfs / rootfs\na=\"b  c\" quiet\n", string.Empty), result);
    }

    [Theory]
    [InlineData("ro", 3)]
    [InlineData("rw", 0)]
    public void A_root_file_system_of_ones_own_runs_it_with_the_init_that_ships(string mode, int exitCode)
    {
        string disk = CopyOfRootFileSystem(_folder);
        LguestResult result = Run(
            string.Empty, "64m", Image("vmlinux"), $"--block={disk}", "root=/dev/lgba", mode,
            "--run=grep -o ^/dev/lgba./.ext4 /proc/mounts; test -b /dev/lgba && pwd; echo of it >/of-it || exit 3");

        AssertEnded(exitCode, result);
        Assert.Equal("/dev/lgba / ext4\n/\n", result.Output);
        HostTools.AssertSound(disk);
        Assert.Equal(exitCode == 0 ? "of it" : string.Empty, HostTools.TextOfFile(disk, "/of-it"));
    }

    [Fact]
    public void A_root_file_system_that_is_none_is_told()
    {
        LguestResult result = Run(string.Empty, "64m", Image("vmlinux"), "root=/dev/lgbx", "--run=true");

        Assert.Equal(
            new LguestResult(99, string.Empty, "mount: mounting /dev/lgbx on /mnt failed: No such file or directory\nlguest: the command's exit status is 126\n"),
            result);
    }

    [Fact]
    public void A_kernel_without_a_driver_for_it_is_refused()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Spinner("x"));
        LguestResult result = Run(string.Empty, "8m", kernel, $"--initrd={kernel}", "--run=true");

        Assert.Equal((125, string.Empty), (result.ExitCode, result.Output));
        Assert.EndsWith(
            "\nlguest: the guest's kernel has no driver through which it could be given a command: build it with CONFIG_LGUEST_COMMAND=y, "
            + "from the images/linux of this lguest (docs/guest.md says how), or use run= on its command line\n",
            "\n" + result.Errors,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_that_nothing_can_reach_is_refused_before_it_runs()
    {
        byte[] code = [.. "Linux version 2.6.31 (x)\n"u8, .. TestImages.Configuration("CONFIG_LGUEST_GUEST=y\n")];
        string kernel = _folder.File(
            "vmlinux", TestImages.Elf(TestImages.KernelAddress, new ElfPart(TestImages.KernelAddress + TestImages.UsualPageOffset, TestImages.KernelAddress, code)));
        LguestResult result = Run(string.Empty, "32m", kernel, $"--initrd={kernel}", "--run=true");

        Assert.Equal((125, string.Empty), (result.ExitCode, result.Output));
        Assert.EndsWith(
            "\nlguest: a guest of a Linux from 2.6.24 to 3.0 can't be given a command: its console driver has no files for the command's streams, as that of 3.1 and "
            + "later has. Give it an --initrd whose first program does the work, and --status-token for its status\n",
            "\n" + result.Errors,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_guest_with_virtio_devices_cannot_be_saved_ready_for_one()
    {
        byte[] code = [.. "Linux version 3.19.0 (x)\n"u8, .. TestImages.Configuration("CONFIG_LGUEST_GUEST=y\n")];
        string kernel = _folder.File(
            "vmlinux", TestImages.Elf(TestImages.KernelAddress, new ElfPart(TestImages.KernelAddress + TestImages.UsualPageOffset, TestImages.KernelAddress, code)));
        LguestResult result = Run(string.Empty, "32m", kernel, $"--initrd={kernel}", $"--save-at-ready={_folder.Path("ready")}");

        Assert.Equal(125, result.ExitCode);
        Assert.EndsWith("and can't be saved ready for one: leave out --save-at-ready and --restore\n", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_limit_ends_it()
    {
        LguestResult result = Run(string.Empty, "--run=echo before; sleep 1000", "--clock=virtual", "--max-guest-time=100s");

        Assert.Equal((124, "before\n"), (result.ExitCode, result.Output));
        Assert.EndsWith("\nlguest: ended after 100 s of the guest's time, as --max-guest-time says\n", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_reader_that_goes_away_ends_it()
    {
        using Process process = Start("--run=yes");
        Assert.Equal("y", process.StandardOutput.ReadLine());
        process.StandardOutput.Close();
        LguestProcess.WaitFor(process);

        Assert.Equal(141, process.ExitCode);
    }

    [Fact]
    public void A_terminal_is_left_as_it_is()
    {
        using var terminal = new PseudoTerminal();
        using Process process = terminal.Start(
            "/bin/sh", "-c", "cd \"$1\"; shift; exec \"$@\"", "sh", Project, LguestProcess.Path, "--run=read line; echo \"got $line\"; cat");
        terminal.Type("typed\n\u0004");
        terminal.Await("got typed\r\n");
        LguestProcess.WaitFor(process);

        Assert.Equal(0, process.ExitCode);
        Assert.Equal(terminal.SavedSettings, terminal.Settings("-g"));
        Assert.Equal("typed\r\ngot typed\r\n", terminal.Screen);
    }

    [Fact]
    public void A_long_command_arrives_and_one_that_is_too_long_is_refused()
    {
        const int Most = 128 << 10;
        string long100 = new('x', 100_000);
        LguestResult result = Run(string.Empty, $"--run=wc -c <<'END'\n{long100}\nEND");
        Assert.Equal(new LguestResult(0, "100001\n", string.Empty), result);

        LguestResult refused = Run(string.Empty, $"--run-argv={long100}", $"--run-argv={new string('x', Most - 100_002)}", "--run-argv=");
        Assert.Equal(125, refused.ExitCode);
        Assert.StartsWith($"lguest: the command has {Most + 1} bytes, and {Most} is the most it can have", refused.Errors, StringComparison.Ordinal);
    }

    private static LguestResult Run(string input, params string[] arguments)
    {
        using Process process = Start(arguments);
        return LguestProcess.Finish(process, input, TimeSpan.FromMinutes(3));
    }

    private static Process Start(params string[] arguments) => LguestProcess.StartIn(Project, arguments);

    private static string Utf8(string latin1) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(latin1));
}
