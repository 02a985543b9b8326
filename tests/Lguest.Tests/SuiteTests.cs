using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary><c>lguest suite</c>: many boots, as a user would have them.</summary>
public sealed class SuiteTests : IDisposable
{
    private const string Busy = "echo up >/dev/console; while :; do :; done";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Kernels_that_end_in_all_ways_are_told_apart()
    {
        _folder.File("greeter", GuestProgram.Greeter("all is well\n"));
        _folder.File("panicker", GuestProgram.Panicker("out of puppies"));
        _folder.File("offender", GuestProgram.Offender());
        _folder.File("restarter", GuestProgram.Restarter());
        _folder.File("spinner", GuestProgram.Spinner("up"));

        LguestResult result = RunSuite("""
            version: 1
            defaults: {memory: 8m, max-guest-time: 1s}
            matrix:
              kernel: {greeter: greeter, panicker: panicker, offender: offender, restarter: restarter, spinner: spinner}
            tests:
              boot: {}
              well: {only: {kernel: greeter}, expect: well, forbid: panic}
              bad: {only: {kernel: greeter}, expect: bad}
            """);

        Assert.Equal((1, string.Empty), (result.ExitCode, result.Errors));
        Assert.Equal(
            [
                "boot[kernel=greeter] passed", "boot[kernel=panicker] crashed", "boot[kernel=offender] crashed", "boot[kernel=restarter] failed",
                "boot[kernel=spinner] timeout", "well[kernel=greeter] passed", "bad[kernel=greeter] failed",
            ],
            Boots().Select(boot => $"{boot.GetProperty("name")} {boot.GetProperty("status")}"));
        Assert.Contains(": the guest panicked: out of puppies\n", result.Output, StringComparison.Ordinal);
        Assert.Equal("all is well\n", File.ReadAllText(_folder.Path("out/runs/boot[kernel=greeter]/1/console")).ReplaceLineEndings("\n"));
    }

    [Fact]
    public void Tests_that_go_on_from_a_guest_that_has_booted_end_as_those_that_boot()
    {
        ShippedImages.Image("vmlinux");
        Directory.CreateDirectory(_folder.Path("tests"));
        _folder.File("tests/tap.sh", "echo 1..2; echo ok 1 a; echo not ok 2 b\n"u8.ToArray());

        LguestResult result = RunSuite(
            """
            version: 1
            defaults: {from: boot, share: tests, cmdline: quiet}
            tests:
              tap: {run: sh /share/tap.sh, ktap: required}
              status: {run: exit 7}
              hang: {run: sleep 100000, max-guest-time: 1h}
              panic: {run: "echo c >/proc/sysrq-trigger", retries: 3}
              kmsg: {run: "dmesg | grep -q 'Linux version'", expect: of the console}
              random: {run: "cat /proc/sys/kernel/random/uuid; echo of the console >/dev/console", expect: of the console}
              other: {run: "cat /proc/sys/kernel/random/uuid", seed: 5}
            """,
            "--cold-check=100%");

        Assert.True(result.ExitCode == 1, result.Errors);
        Assert.Equal(
            ["tap failed test/command.b", "status failed status/7", "hang timeout limit/max-guest-time", "panic crashed ", "kmsg failed expectation/nothing", "random passed ", "other passed "],
            Boots().Select(boot => $"{boot.GetProperty("name")} {boot.GetProperty("status")} {boot.GetProperty("fingerprints").EnumerateArray()
                .Select(print => print.GetString()!.Split(' ')[0]).FirstOrDefault(print => !print.StartsWith("panic/", StringComparison.Ordinal) && !print.StartsWith("died/", StringComparison.Ordinal))}"));
        Assert.All(Boots(), boot => Assert.Equal([true, false], boot.GetProperty("attempts").EnumerateArray().Select(attempt => attempt.GetProperty("isWarm").GetBoolean())));
        const int UuidAndNewline = 37;
        Assert.Equal(4, Directory.GetFiles(_folder.Path("out/runs"), "stdout", SearchOption.AllDirectories).Select(File.ReadAllText).Where(text => text.Length == UuidAndNewline).Distinct().Count());
        Assert.False(Directory.Exists(_folder.Path("out/saved")));
    }

    [Fact]
    public void What_one_test_has_done_the_next_does_not_see()
    {
        ShippedImages.Image("vmlinux");
        const string Look = "dmesg; hostname; mount; ls -la /tmp /dev; cat /proc/sys/kernel/printk /proc/sys/kernel/random/uuid; ps; head -c 65536 /dev/lgba | cksum; echo to the console >/dev/console";
        string disk = _folder.File("disk", new byte[1 << 16]);

        LguestResult result = RunSuite(
            $$"""
            version: 1
            defaults: {from: boot, cmdline: quiet, block: "{{disk}},snapshot"}
            tests:
              before: {run: "{{Look}}"}
              dirt: {run: "echo '<4>dirt' >/dev/kmsg; hostname dirt; mount -t tmpfs x /mnt; echo 1 >/proc/sys/kernel/printk; tr '\\0' d </dev/zero | head -c 24000000 >/tmp/dirt; echo dirt >/dev/lgba; sync; echo dirt >/dev/console; echo dirt; echo dirt >&2; sleep 1000 & exit 3"}
              crash: {run: "echo c >/proc/sysrq-trigger"}
              hang: {run: "tr '\\0' d </dev/zero", timeout: 2s}
              after: {run: "{{Look}}"}
            """,
            "--jobs=1");

        Assert.True(result.ExitCode == 1, result.Errors);
        Assert.Equal(["passed", "failed", "crashed", "timeout", "passed"], Boots().Select(boot => boot.GetProperty("status").GetString()));
        Assert.All((string[])["console", "kmsg", "stdout", "stderr"], file => Assert.Equal(Text("before", file), Text("after", file)));
        Assert.NotEmpty(Text("after", "stdout"));
        Assert.NotEmpty(Text("after", "console"));
        Assert.Equal(Essence("before"), Essence("after"));

        string Text(string test, string file) => File.ReadAllText(_folder.Path($"out/runs/{test}/1/{file}"));
        string Essence(string test)
        {
            using var report = JsonDocument.Parse(Text(test, "result.json"));
            return $"{report.RootElement.GetProperty("instructions")} {report.RootElement.GetProperty("counters")} {report.RootElement.GetProperty("state")} {report.RootElement.GetProperty("inputs")}";
        }
    }

    [Fact]
    public void A_worker_that_is_killed_costs_the_test_that_it_ran()
    {
        ShippedImages.Image("vmlinux");
        using Process process = Start(
            "version: 1\ndefaults: {from: boot, cmdline: quiet}\ntests: {a: {run: 'true'}, killed: {run: '" + Busy + "'}, b: {run: exit 7}, c: {run: 'true'}}",
            "--jobs=1");
        AwaitConsole("killed");

        using (var worker = Process.GetProcessById(Assert.Single(Workers(process))))
        {
            worker.Kill();
        }

        LguestResult result = LguestProcess.Finish(process, string.Empty, Patience);

        Assert.True(result.ExitCode == 1, result.Errors);
        Assert.Equal(
            ["passed 0 ", "error 137 lguest itself was ended by signal 9, and has left no report", "failed 7 the exit code is 7", "passed 0 "],
            Boots().Select(boot => $"{boot.GetProperty("status")} {boot.GetProperty("attempts")[0].GetProperty("exitCode")} {boot.GetProperty("sentence")}"));
        Assert.Equal("lguest", Assert.Single(Boots()[1].GetProperty("fingerprints").EnumerateArray()).GetString());
        Assert.Empty(Workers(process));
    }

    [Fact]
    public void A_worker_that_is_killed_while_it_has_nothing_to_run_costs_no_test()
    {
        ShippedImages.Image("vmlinux");
        using Process process = Start(
            "version: 1\ndefaults: {from: boot, cmdline: quiet}\ntests: {a: {run: 'true'}, other: {from: start, max-guest-time: 20s, run: '" + Busy + "'}, b: {run: exit 7}}",
            "--jobs=1");
        AwaitConsole("other");

        using (var worker = Process.GetProcessById(Assert.Single(Workers(process))))
        {
            worker.Kill();
        }

        LguestResult result = LguestProcess.Finish(process, string.Empty, Patience);

        Assert.True(result.ExitCode == 1, result.Errors);
        Assert.Equal(["passed 0", "timeout 124", "failed 7"], Boots().Select(boot => $"{boot.GetProperty("status")} {boot.GetProperty("attempts")[0].GetProperty("exitCode")}"));
        Assert.Equal([true, false, true], Boots().Select(boot => Assert.Single(boot.GetProperty("attempts").EnumerateArray()).GetProperty("isWarm").GetBoolean()));
    }

    [Theory]
    [InlineData("KILL")]
    [InlineData("TERM")]
    [InlineData("HUP")]
    public void Whatever_ends_a_suite_ends_its_workers(string signal)
    {
        ShippedImages.Image("vmlinux");
        using Process process = Start(
            "version: 1\ndefaults: {from: boot, cmdline: quiet}\nmatrix: {seed: {a: 1, b: 2, c: 3}}\ntests: {x: {run: '" + Busy + "'}}");
        AwaitConsole("x[seed=a]");
        AwaitConsole("x[seed=b]");
        Assert.Equal(2, Workers(process).Length);

        LguestProcess.Send(signal, process);
        LguestResult result = LguestProcess.Finish(process, string.Empty, Patience);

        Assert.Equal(signal switch { "KILL" => 137, "TERM" => 143, _ => 129 }, result.ExitCode);
        Assert.All(Boots(), boot => Assert.Equal("not-run", boot.GetProperty("status").GetString()));
        Assert.True(SpinWait.SpinUntil(() => Workers(process).Length == 0, Patience));
    }

    [Theory]
    [InlineData("5")]
    [InlineData("-1%")]
    [InlineData("101%")]
    [InlineData("x%")]
    public void A_cold_check_is_a_share(string share) => Assert.Equal(
        (125, $"lguest: --cold-check={share} is no share of the boots: write 5%\n"),
        (RunSuite("version: 1\ntests: {a: {}}", $"--cold-check={share}") is var result ? result.ExitCode : 0, result.Errors));

    [Fact]
    public void The_guest_that_ships_runs_tests_of_the_hosts_in_virtual_time()
    {
        ShippedImages.Image("vmlinux");
        Directory.CreateDirectory(_folder.Path("tests"));
        _folder.File("tests/tap.sh", "echo 1..2; echo ok 1 a; echo not ok 2 b\n"u8.ToArray());

        LguestResult result = RunSuite("""
            version: 1
            defaults: {share: tests, cmdline: quiet}
            tests:
              tap: {run: sh /share/tap.sh, ktap: required}
              none: {run: "true", ktap: required}
              known: {run: exit 7, known: [{fingerprint: status/7, issue: "#18"}]}
              hang: {run: sleep 100000, max-guest-time: 1h}
              warn: {run: "echo c >/proc/sysrq-trigger", retries: 3}
            """);

        Assert.True(result.ExitCode == 1, result.Errors);
        Assert.Equal(
            ["tap failed test/command.b", "none failed", "known known status/7", "hang timeout limit/max-guest-time", "warn crashed"],
            Boots().Select(boot => $"{boot.GetProperty("name")} {boot.GetProperty("status")} {boot.GetProperty("fingerprints").EnumerateArray()
                .Select(print => print.GetString()!).FirstOrDefault(print => !print.StartsWith("expectation/", StringComparison.Ordinal) && !print.StartsWith("panic/", StringComparison.Ordinal))}".TrimEnd()));
        Assert.Equal(1, Boots()[4].GetProperty("attempts").GetArrayLength());
        Assert.Contains("Linux version ", File.ReadAllText(_folder.Path("out/runs/tap/1/kmsg")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_test_has_its_networks_what_is_typed_for_it_and_what_it_keeps()
    {
        string image = ShippedImages.Image("vmlinux");
        _folder.File("panicker", GuestProgram.Panicker("out of puppies"));

        LguestResult result = RunSuite($$"""
            version: 1
            tests:
              net: {run: "cat /proc/uptime; ls /sys/class/net", network: [sharenet=lan, sharenet=other], keep: pcap, engine: interpreter}
              words: {run: [printf, "%s|", "a  b", ""], date: 2001-02-03}
              typed: {kernel: {{image}}, initrd: {{ShippedImages.Image("initrd.cpio")}}, send: ['# =>echo ty''''ped\n', 'typed=>exit\n']}
              dead: {kernel: panicker, memory: 8m, keep: [dump]}
            """);

        Assert.True(result.ExitCode == 1, result.Errors);
        Assert.Equal(
            ["net passed", "words passed", "typed passed", "dead crashed"],
            Boots().Select(boot => $"{boot.GetProperty("name")} {boot.GetProperty("status")}"));
        Assert.EndsWith("\neth0\neth1\nlo\n", Text("net/1/stdout"), StringComparison.Ordinal);
        Assert.Equal("a  b||", Text("words/1/stdout"));
        Assert.Equal([0x0a, 0x0d, 0x0d, 0x0a], File.ReadAllBytes(_folder.Path("out/runs/net/1/frames.pcapng"))[..4]);
        Assert.StartsWith("\u007fELF", Text("dead/1/core"), StringComparison.Ordinal);
        Assert.Contains($" --clock=real --engine=interpreter --sharenet={_folder.Path("lan")} --sharenet={_folder.Path("other")} ", Text("net/1/repro.sh").Replace(" \\\n ", string.Empty, StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("href=\"runs/dead/1/core\"", File.ReadAllText(_folder.Path("out/index.html")), StringComparison.Ordinal);

        string Text(string file) => File.ReadAllText(_folder.Path($"out/runs/{file}")).ReplaceLineEndings("\n");
    }

    [Fact]
    public void A_signal_ends_all_of_it_and_what_is_known_is_written()
    {
        _folder.File("spinner", GuestProgram.Spinner("up"));
        using Process process = Start("version: 1\ndefaults: {memory: 8m, kernel: spinner}\nmatrix: {seed: {a: 1, b: 2, c: 3}}\ntests: {x: {}}");
        AwaitConsole("x[seed=a]");

        LguestProcess.Send("TERM", process);
        LguestResult result = LguestProcess.Finish(process, string.Empty, Patience);

        Assert.True(result.ExitCode == 143, result.Errors + result.Output);
        Assert.All(Boots(), boot => Assert.Equal("not-run", boot.GetProperty("status").GetString()));
        Assert.Empty(Guests());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_typed_to_end_it_ends_its_guests_too_and_none_of_them_has_failed(bool isWarm)
    {
        LguestProcess.SkipWhereIgnored("INT");
        _folder.File("spinner", GuestProgram.Spinner("up"));
        string test = isWarm
            ? $"{{kernel: {ShippedImages.Image("vmlinux")}, initrd: {ShippedImages.Image("initrd.cpio")}, from: boot, run: '{Busy}'}}"
            : "{memory: 8m, kernel: spinner}";
        _folder.File("suite.yaml", Encoding.UTF8.GetBytes($"version: 1\nmatrix: {{seed: {{a: 1, b: 2, c: 3}}}}\ntests: {{x: {test}}}"));
        using var terminal = new PseudoTerminal();
        using Process process = terminal.Start(LguestProcess.Path, "suite", "run", _folder.Path("suite.yaml"), $"--out={_folder.Path("out")}", "--jobs=2");
        AwaitConsole("x[seed=a]");
        AwaitConsole("x[seed=b]");
        Assert.Equal(isWarm ? 2 : 0, Workers(process).Length);

        terminal.Type("\u0003");
        LguestProcess.WaitFor(process);

        Assert.Equal(130, process.ExitCode);
        Assert.All(Boots(), boot => Assert.Equal("not-run", boot.GetProperty("status").GetString()));
        Assert.Empty(Guests());
        Assert.Empty(Workers(process));
    }

    [Fact]
    public void A_suite_that_comes_from_a_pipe_can_be_ended_before_it_has_come()
    {
        string pipe = _folder.Path("pipe");
        using (var mkfifo = Process.Start("mkfifo", [pipe]))
        {
            mkfifo.WaitForExit();
        }

        using Process process = LguestProcess.Start("suite", "run", pipe, $"--out={_folder.Path("out")}");
        using FileStream writer = File.OpenWrite(pipe);
        LguestProcess.Send("TERM", process);
        LguestProcess.WaitFor(process);

        Assert.Equal(143, process.ExitCode);
        Assert.False(Directory.Exists(_folder.Path("out")));
    }

    [Fact]
    public void Who_stops_reading_its_progress_gets_its_results_all_the_same()
    {
        _folder.File("greeter", GuestProgram.Greeter("all is well\n"));
        _folder.File("suite.yaml", "version: 1\ndefaults: {memory: 8m, kernel: greeter}\nmatrix: {seed: {a: 1, b: 2, c: 3}}\ntests: {x: {}}"u8.ToArray());

        LguestResult result = LguestProcess.Shell(
            "{ \"$0\" \"$@\"; echo $? >&2; } | true", "suite", "run", _folder.Path("suite.yaml"), $"--out={_folder.Path("out")}", "--jobs=1");

        Assert.EndsWith("\n141\n", "\n" + result.Errors, StringComparison.Ordinal);
        Assert.All(Boots(), boot => Assert.Equal("passed", boot.GetProperty("status").GetString()));
        Assert.True(File.Exists(_folder.Path("out/index.html")));
    }

    [Fact]
    public void A_suite_that_is_killed_takes_its_guests_with_it()
    {
        _folder.File("spinner", GuestProgram.Spinner("up"));
        using Process process = Start("version: 1\ntests: {x: {memory: 8m, kernel: spinner}}");
        AwaitConsole("x");
        Assert.NotEmpty(Guests());

        process.Kill();
        LguestProcess.WaitFor(process);

        Assert.True(SpinWait.SpinUntil(() => Guests().Length == 0, Patience));
        Assert.Equal("not-run", Boots()[0].GetProperty("status").GetString());
    }

    [Theory]
    [InlineData("say what to do with a suite: ", "suite")]
    [InlineData("say what to do with a suite: ", "suite", "walk")]
    [InlineData("`lguest suite run FILE.yaml` runs one suite, and 0 words are given: name its file", "suite", "run")]
    [InlineData("there is no suite 'no-such'", "suite", "run", "no-such")]
    [InlineData("`lguest suite merge DIR...` merges shards, and none is given: name the folders of their results", "suite", "merge")]
    [InlineData("--shard=0/2 is no part of a suite: write 1/4 for the first of four", "suite", "run", "no-such", "--shard=0/2")]
    [InlineData("--durations balances shards, and there are none: give --shard=I/N too", "suite", "run", "no-such", "--durations=x")]
    [InlineData("--jobs=0 is not a number from 1 to 1000: write 4", "suite", "run", "no-such", "--jobs=0")]
    [InlineData("--run is an option of `lguest MEMORY KERNEL`, not of `lguest suite run FILE.yaml`: leave it out", "suite", "run", "no-such", "--run=x")]
    public void What_cannot_be_done_is_told(string sentence, params string[] arguments)
    {
        LguestResult result = LguestProcess.Run(string.Empty, arguments);

        Assert.Equal((125, string.Empty), (result.ExitCode, result.Output));
        Assert.StartsWith($"lguest: {sentence}", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void What_lguest_itself_would_refuse_is_told_with_its_place()
    {
        _folder.File("k", [1]);
        LguestResult result = RunSuite("version: 1\ntests:\n  a: {kernel: k}\n  b: {kernel: k, timeout: soon}\n");

        Assert.Equal(125, result.ExitCode);
        Assert.Equal($"lguest: {_folder.Path("suite.yaml")}:4:3: b can't be run: --timeout=soon is not a time: write 30s, 500ms, 5m or 1h\n", result.Errors);
    }

    [Fact]
    public void On_a_terminal_there_is_a_bar_and_what_has_failed_and_the_terminal_is_left_in_order()
    {
        _folder.File("panicker", GuestProgram.Panicker("out of [puppies]"));
        _folder.File("suite.yaml", "version: 1\ntests: {x: {memory: 8m, kernel: panicker}}"u8.ToArray());
        using var terminal = new PseudoTerminal();
        using Process process = terminal.Start(LguestProcess.Path, "suite", "run", _folder.Path("suite.yaml"), $"--out={_folder.Path("out")}");
        LguestProcess.WaitFor(process);

        Assert.Equal(1, process.ExitCode);
        terminal.Await("suite: 1 crashed; 1 boots in ");
        Assert.Contains("the guest panicked: out of [puppies]", terminal.Screen, StringComparison.Ordinal);
        Assert.EndsWith("\u001b[?25h", terminal.Screen[..(terminal.Screen.LastIndexOf("\u001b[?25h", StringComparison.Ordinal) + 6)], StringComparison.Ordinal);
        Assert.True(terminal.Screen.LastIndexOf("\u001b[?25h", StringComparison.Ordinal) > terminal.Screen.LastIndexOf("\u001b[?25l", StringComparison.Ordinal));
    }

    [Fact]
    public void Shards_that_are_merged_are_the_suite_to_the_instruction()
    {
        _folder.File("greeter", GuestProgram.Greeter("all is well\n"));
        _folder.File("panicker", GuestProgram.Panicker("out of puppies"));
        const string Text = "version: 1\ndefaults: {memory: 8m}\nmatrix:\n  kernel: {greeter: greeter, panicker: panicker}\n  seed: {a: 1, b: 2}\ntests: {x: {}}";
        RunSuite(Text);
        JsonElement[] whole = Boots();
        string[] shards = [.. Enumerable.Range(1, 2).Select(i => _folder.Path($"shard{i}"))];
        Assert.All(shards, shard => Assert.InRange(RunSuite(Text, $"--shard={shard[^1]}/2", $"--out={shard}").ExitCode, 0, 1));

        LguestResult merged = LguestProcess.Run(string.Empty, ["suite", "merge", .. shards, $"--out={_folder.Path("out")}", "--github"]);

        Assert.Equal((1, string.Empty), (merged.ExitCode, merged.Errors));
        Assert.Contains("\n::error title=x[kernel=panicker%2Cseed=a]::crashed: the guest panicked: out of puppies (", merged.Output, StringComparison.Ordinal);
        Assert.Equal(whole.Select(Essence), Boots().Select(Essence));
        Assert.Equal(125, LguestProcess.Run(string.Empty, "suite", "merge", shards[0], $"--out={_folder.Path("out")}").ExitCode);

        static string Essence(JsonElement boot) => $"{boot.GetProperty("name")} {boot.GetProperty("status")} {boot.GetProperty("attempts")[0].GetProperty("instructions")}";
    }

    private LguestResult RunSuite(string text, params string[] arguments) => LguestProcess.Finish(Start(text, arguments), string.Empty, Patience);

    private Process Start(string text, params string[] arguments)
    {
        _folder.File("suite.yaml", Encoding.UTF8.GetBytes(text.ReplaceLineEndings("\n")));
        string[] output = arguments.Any(argument => argument.StartsWith("--out=", StringComparison.Ordinal)) ? [] : [$"--out={_folder.Path("out")}"];
        string[] jobs = arguments.Any(argument => argument.StartsWith("--jobs=", StringComparison.Ordinal)) ? [] : ["--jobs=2"];
        return LguestProcess.StartIn(ShippedImages.Project, ["suite", "run", _folder.Path("suite.yaml"), .. jobs, .. output, .. arguments]);
    }

    private JsonElement[] Boots() =>
        [.. JsonDocument.Parse(File.ReadAllText(_folder.Path("out/results.json"))).RootElement.GetProperty("boots").EnumerateArray()];

    private void AwaitConsole(string boot)
    {
        string console = _folder.Path($"out/runs/{boot}/1/console");
        Assert.True(SpinWait.SpinUntil(() => File.Exists(console) && new FileInfo(console).Length > 0, Patience));
    }

    /// <summary>The processes that run a guest of this test's.</summary>
    private string[] Guests() =>
    [
        .. Directory.GetDirectories("/proc").Where(folder => char.IsAsciiDigit(Path.GetFileName(folder)[0])).Select(CommandLine)
            .Where(line => line.Contains($"--log={_folder.Name}", StringComparison.Ordinal)),
    ];

    /// <summary>The processes that run a suite's warm tests.</summary>
    private static int[] Workers(Process suite) =>
    [
        .. Directory.GetDirectories("/proc").Where(folder => char.IsAsciiDigit(Path.GetFileName(folder)[0]))
            .Where(folder => Read(folder, "environ").Split('\0') is var words && words.Contains("LGUEST_WORKER=1") && words.Contains($"LGUEST_PARENT={suite.Id}"))
            .Select(folder => int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture)),
    ];

    private static string CommandLine(string process) => Read(process, "cmdline");

    private static string Read(string process, string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return string.Empty;
        }
    }
}
