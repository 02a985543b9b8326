using System.Diagnostics;
using System.Text.Json;
using System.Xml.Linq;
using Lguest.TestSupport;

namespace Lguest.Tests.Insight;

/// <summary>What lguest says of a kernel that is quiet.</summary>
public sealed class WatchTests : IDisposable
{
    private const string Victim = "__ia32_sys_personality";
    private const int Personality = 136;
    private const string RunProgram = "dd if=/dev/lgbc of=/tmp/x 2>/dev/null; chmod +x /tmp/x; /tmp/x; ";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_kernel_that_warns_makes_the_exit_code_104_whatever_the_guests_own_status()
    {
        string kernel = Warns();

        LguestResult result = Run(kernel, RunProgram + "exit 3", $"--json={_folder.Path("j")}", $"--kmsg={_folder.Path("k")}", $"--junit={_folder.Path("x")}", $"--report={_folder.Path("r")}");

        ShippedImages.AssertEnded(104, result);
        Assert.Matches(@"lguest: the kernel complained: WARNING at \S+:[0-9]+ __ia32_sys_personality \(warning/personality\)\n$", result.Errors);
        Assert.DoesNotContain("WARNING", result.Output, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(_folder.Path("j")));
        JsonElement health = Assert.Single(json.RootElement.GetProperty("health").EnumerateArray());
        Assert.Equal("warning/personality", health.GetProperty("fingerprint").GetString());
        Assert.Contains(health.GetProperty("code").EnumerateArray(), line => line.GetString()!.StartsWith("=> 0f0b", StringComparison.Ordinal));
        Assert.Equal(3, json.RootElement.GetProperty("outcome").GetProperty("guestStatus").GetInt32());
        Assert.Equal(64, json.RootElement.GetProperty("state").GetProperty("sha256").GetString()!.Length);
        Assert.Contains("<4>", File.ReadAllText(_folder.Path("k")), StringComparison.Ordinal);
        Assert.Contains("WARNING: CPU: 0 PID:", File.ReadAllText(_folder.Path("k")), StringComparison.Ordinal);
        Assert.Contains("fingerprint: warning/personality", File.ReadAllText(_folder.Path("r")), StringComparison.Ordinal);
        Assert.Contains("WARNING at", XElement.Load(_folder.Path("x")).Descendants("error").Single().Value, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_without_symbols_says_itself_where_its_log_and_its_taint_are()
    {
        string kernel = WithoutSymbols(Warns());

        LguestResult result = Run(kernel, RunProgram + "exit 3", $"--kmsg={_folder.Path("k")}");

        ShippedImages.AssertEnded(104, result);
        Assert.Matches(@"lguest: the kernel complained: WARNING at \S+:[0-9]+ __ia32_sys_personality", result.Errors);
        string log = File.ReadAllText(_folder.Path("k"));
        Assert.Contains("Linux version 6.", log, StringComparison.Ordinal);
        Assert.Contains("WARNING: CPU: 0 PID:", log, StringComparison.Ordinal);

        string unknown = WithoutSymbols(
            new SabotagedKernel(_folder).WithBug(Victim, isWarning: true).WithText("WARNING: CPU: %d PID: %d at", "Warning on CPU %d in %d at").Write());
        Assert.Contains("the kernel is tainted (W)", Run(unknown, RunProgram).Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3, "--fail-on=none")]
    [InlineData(3, "--fail-on=oops,kernel-bug")]
    [InlineData(3, "--allow=warning/personality")]
    [InlineData(104, "--allow=warning/something_else")]
    [InlineData(104, "--fail-on=warning")]
    public void The_user_says_what_counts(int exitCode, string option) =>
        ShippedImages.AssertEnded(exitCode, Run(Warns(), RunProgram + "exit 3", option));

    [Fact]
    public void A_kernel_that_warns_in_words_that_nobody_knows_is_found_by_its_taint()
    {
        string kernel = new SabotagedKernel(_folder).WithBug(Victim, isWarning: true).WithText("WARNING: CPU: %d PID: %d at", "Warning on CPU %d in %d at").Write();

        LguestResult result = Run(kernel, RunProgram);

        ShippedImages.AssertEnded(104, result);
        Assert.EndsWith("lguest: the kernel complained: the kernel is tainted (W), and its log doesn't say by what (taint/W)\n", result.Errors, StringComparison.Ordinal);
        ShippedImages.AssertEnded(0, Run(kernel, RunProgram, "--fail-on=warning"));
    }

    [Fact]
    public void A_healthy_kernel_and_programs_with_bad_names_leave_the_guests_status_alone()
    {
        string script = """
            for name in "BUG: x" "Oops: 0" "WARNING: CPU: 0" "Oops: 0000 [#1]"; do
              dd if=/dev/lgbc of="/tmp/$name" 2>/dev/null; chmod +x "/tmp/$name"; "/tmp/$name" 2>/dev/null
            done
            echo "<2>BUG: x" >/dev/kmsg; echo "<0>Kernel panic - not syncing: x" >/dev/kmsg
            printf 'KTAP version 1\n' >/dev/kmsg; printf '1..2\n' >/dev/kmsg; printf 'not ok 1 a\n' >/dev/kmsg
            exit 0
            """;

        LguestResult result = Run(ShippedImages.Image("vmlinux"), script, CrashingPrograms.Crashes(), $"--kmsg={_folder.Path("k")}", $"--json={_folder.Path("j")}", "printk.devkmsg=on");

        ShippedImages.AssertEnded(0, result);
        string log = File.ReadAllText(_folder.Path("k"));
        Assert.Contains("WARNING: CPU: 0[", log, StringComparison.Ordinal);
        Assert.Contains("<10>", log, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(_folder.Path("j")));
        Assert.Empty(json.RootElement.GetProperty("health").EnumerateArray());
        Assert.Empty(json.RootElement.GetProperty("tests").EnumerateArray());
    }

    [Fact]
    public void The_kernels_log_is_in_its_file_while_the_guest_sleeps_and_after_SIGKILL()
    {
        using Process process = LguestProcess.Start(
            "64m", ShippedImages.Image("vmlinux"), $"--block={ShippedImages.Image("rootfs.ext2")},ro", $"--kmsg={_folder.Path("k")}", "quiet", "printk.devkmsg=on",
            "root=/dev/lgba", "run=\"echo now asleep >/dev/kmsg; sleep 1000000\"");
        while (!File.Exists(_folder.Path("k")) || !File.ReadAllText(_folder.Path("k")).Contains("now asleep", StringComparison.Ordinal))
        {
            Assert.False(process.HasExited, "it ended");
            Thread.Sleep(50);
        }

        process.Kill();
        process.WaitForExit();

        Assert.StartsWith("<5>[    0.000000] Linux version 6.", File.ReadAllText(_folder.Path("k")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_that_a_limit_ends_says_where_the_kernel_was()
    {
        string kernel = new SabotagedKernel(_folder).WithCode(Victim, 0x55, 0x89, 0xe5, 0xeb, 0xfe).Write();

        LguestResult result = Run(kernel, RunProgram, "--clock=virtual", "--max-instructions=60M", $"--report={_folder.Path("r")}");

        ShippedImages.AssertEnded(124, result);
        AssertTasks(File.ReadAllText(_folder.Path("r")));
        Assert.Matches(@"trace:\n    __ia32_sys_personality\+0x3/0x\w+\n    (?:ia32_sys_call|do_int80_syscall_32)\+", File.ReadAllText(_folder.Path("r")));
    }

    [Fact]
    public void A_kernel_that_is_silent_is_one_whose_log_is_and_a_console_is_not_needed_for_it()
    {
        const string Talker = "for i in 1 2 3 4 5; do sleep 100; echo still here >/dev/kmsg; done; sleep 1000";

        LguestResult result = Run(
            ShippedImages.Image("vmlinux"), Talker, "--clock=virtual", "--max-silence=150s", $"--json={_folder.Path("j")}", "printk.devkmsg=on");

        ShippedImages.AssertEnded(124, result);
        Assert.EndsWith("lguest: ended because nothing came from the guest in 150 s of its time, as --max-silence says\n", result.Errors, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(_folder.Path("j")));
        Assert.InRange(json.RootElement.GetProperty("times").GetProperty("guestSeconds").GetDouble(), 650, 653);
        Assert.Contains("--max-silence", json.RootElement.GetProperty("outcome").GetProperty("limit").GetString()!, StringComparison.Ordinal);
        Assert.Contains(json.RootElement.GetProperty("tasks").EnumerateArray(), task => task.GetProperty("name").GetString() == "sleep");
    }

    [Fact]
    public void A_kernel_that_only_logs_is_not_silent_however_seldom_its_log_is_read()
    {
        // What the shell does by itself takes fewer instructions than those between two looks at the log.
        const string Talker = "mkfifo /tmp/f; exec 3<>/tmp/f 4>/dev/kmsg; for i in 1 2 3 4 5 6; do read -t 0.4 x <&3; echo still here >&4; done";

        LguestResult result = Run(
            ShippedImages.Image("vmlinux"), Talker + "; exit 7", "--clock=virtual", "--max-silence=700ms", "printk.devkmsg=on");

        ShippedImages.AssertEnded(7, result);
    }

    [Fact]
    public void A_log_that_is_lost_after_the_run_is_lost_all_the_same()
    {
        // Too soon for a look at the log before the end: CLI; HLT.
        string kernel = new SabotagedKernel(_folder).WithCode("setup_arch", 0xfa, 0xf4).Write();

        LguestResult result = Run(kernel, "exit 0", "--kmsg=/dev/full");

        ShippedImages.AssertEnded(141, result);
        Assert.Contains("lguest: ended because the kernel's log can't be written to '/dev/full': ", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_that_dies_before_it_has_a_console_has_said_why_all_the_same()
    {
        // PUSH EBP; MOV EBP, ESP; CLI; HLT.
        string kernel = new SabotagedKernel(_folder).WithCode("setup_arch", 0x55, 0x89, 0xe5, 0xfa, 0xf4).Write();

        LguestResult result = Run(kernel, "exit 0", $"--report={_folder.Path("r")}");

        ShippedImages.AssertEnded(100, result);
        Assert.Matches("\nlguest: the guest's kernel died: HLT with interrupts off, which nothing can end \\(EIP 0x[0-9a-f]{8}\\)\n$", result.Errors);
        Assert.Empty(result.Output);
        Assert.Contains("lguest: the kernel's log: [    0.000000] Linux version 6.", result.Errors, StringComparison.Ordinal);
        string report = File.ReadAllText(_folder.Path("r"));
        Assert.Matches(@"trace:\n    setup_arch\+0x\w+/0x\w+\n    start_kernel\+", report);
        Assert.Contains("Linux version 6.", report, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failure_in_the_kernels_own_test_output_makes_the_exit_code_1()
    {
        string kernel = new SabotagedKernel(_folder)
            .WithText("devtmpfs: initialized", "KTAP version 1").WithText("loop: module loaded", "1..1").WithText("devtmpfs: mounted", "not ok 1 broken").Write();

        LguestResult failed = Run(kernel, "exit 0", $"--junit={_folder.Path("x")}");

        ShippedImages.AssertEnded(1, failed);
        Assert.EndsWith("lguest: the kernel's test output says: broken failed\n", failed.Errors, StringComparison.Ordinal);
        XElement failure = XElement.Load(_folder.Path("x")).Descendants("failure").Single();
        Assert.Equal("kernel/broken", $"{failure.Parent!.Attribute("classname")!.Value}/{failure.Parent.Attribute("name")!.Value}");
        ShippedImages.AssertEnded(5, Run(kernel, "exit 5"));
    }

    [Fact]
    public void In_virtual_time_two_runs_end_in_the_same_state_and_watching_changes_nothing()
    {
        string[] reports = [_folder.Path("a"), _folder.Path("b")];
        foreach (string report in reports)
        {
            ShippedImages.AssertEnded(0, Run(ShippedImages.Image("vmlinux"), "exit 0", $"--json={report}", "--clock=virtual"));
        }

        (string State, ulong Instructions)[] ends = [.. reports.Select(End)];
        Assert.Equal(ends[0], ends[1]);
        Assert.True(ends[0].Instructions > 1_000_000, $"only {ends[0].Instructions} instructions");

        static (string State, ulong Instructions) End(string path)
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllText(path));
            return (json.RootElement.GetProperty("state").GetProperty("sha256").GetString()!, json.RootElement.GetProperty("instructions").GetUInt64());
        }
    }

    [Theory]
    [InlineData("--fail-on=warnings", "--fail-on=warnings: 'warnings' is no kind of complaint: write all, none, or some of warning, refcount, oops")]
    [InlineData("--fail-on=warning,", "--fail-on=warning,: '' is no kind of complaint")]
    [InlineData("--allow=warning", "--allow=warning is no fingerprint: copy one from a report")]
    [InlineData("--allow=oops/corrupted/12", "--allow=oops/corrupted/12: a complaint without functions is never the same as another")]
    [InlineData("--kmsg=/nowhere/k", "the kernel's log can't be written to '/nowhere/k'")]
    [InlineData("--json=/nowhere/j", "'/nowhere/j' can't be written: its directory doesn't exist")]
    [InlineData("--junit=/", "'/' is a directory: give the name of a file")]
    [InlineData("--report=/proc/r", "'/proc/r' can't be written: ")]
    public void What_cannot_be_watched_or_written_is_refused_before_the_guest_starts(string option, string sentence)
    {
        LguestResult result = ShippedImages.RunGuest("64m", ShippedImages.Image("vmlinux"), option);

        ShippedImages.AssertEnded(125, result);
        Assert.StartsWith($"lguest: {sentence}", result.Errors, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    [Fact]
    public void Two_reports_need_two_files()
    {
        LguestResult result = ShippedImages.RunGuest("64m", ShippedImages.Image("vmlinux"), $"--json={_folder.Path("a")}", $"--junit={_folder.Path("a")}");

        ShippedImages.AssertEnded(125, result);
        Assert.Equal($"lguest: '{_folder.Path("a")}' can't take two reports: give each a file of its own\n", result.Errors);
    }

    /// <summary>The first program, the thread that makes threads, one that waits for work, and who hangs in the system call.</summary>
    private static void AssertTasks(string report)
    {
        Assert.Matches(@"\ntask 0 swapper(/0)?: running\n", report);
        Assert.Matches(@"\ntask 1 init: sleeping\n    (?:.+\n)*    \S*(?:wait|sigsuspend)\S*\+", report);
        Assert.Matches(@"\ntask 2 kthreadd: sleeping\n    (?:.+\n)*    (?:\? )?kthreadd\+.+\n    (?:\? )?ret_from_fork\+\S+\n\n", report);
        Assert.Matches(@"\ntask \d+ kworker/\S+: idle\n    (?:.+\n)*    (?:\? )?worker_thread\+", report);
        Assert.Matches(@"\ntask \d+ x: running, on the processor\n    __ia32_sys_personality\+", report);
    }

    /// <summary>What is left when nothing in the ELF header leads to sections.</summary>
    private static string WithoutSymbols(string kernel)
    {
        byte[] image = File.ReadAllBytes(kernel);
        image.AsSpan(32, sizeof(uint)).Clear();
        image.AsSpan(48, 2 * sizeof(ushort)).Clear();
        File.WriteAllBytes(kernel, image);
        return kernel;
    }

    private string Warns() => new SabotagedKernel(_folder).WithBug(Victim, isWarning: true).Write();

    private LguestResult Run(string kernel, string script, params string[] arguments) =>
        Run(kernel, script, CrashingPrograms.Calls(Personality), arguments);

    private LguestResult Run(string kernel, string script, byte[] program, params string[] arguments) => ShippedImages.RunGuest(
    [
        "64m", kernel, $"--block={ShippedImages.Image("rootfs.ext2")},ro", $"--block={ShippedImages.ScriptDisk(_folder, script)},ro",
        $"--block={_folder.File("program", program)},ro", .. arguments, "quiet", "root=/dev/lgba", "run=\"sh /dev/lgbb\"",
    ]);
}
