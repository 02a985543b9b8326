using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Tests;

/// <summary>A suite's file is read strictly, and says where it is wrong.</summary>
public sealed class SuiteReaderTests : IDisposable
{
    private readonly SuiteFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", "1:1: the file is empty")]
    [InlineData("a", "1:1: a suite is to be a mapping: keys with values")]
    [InlineData("tests: {}", "1:1: the suite has no version: begin it with `version: 1`")]
    [InlineData("version: 2\ntests: {}", "1:10: this lguest reads suites of version 1")]
    [InlineData("version: one\ntests: {}", "1:10: version is to be a number from 0 to 2147483647")]
    [InlineData("version: 1", "1:1: the suite has no tests")]
    [InlineData("version: 1\ntest: {}", "2:1: there is no 'test' here, only version, name, defaults, matrix, tests")]
    [InlineData("version: 1\ntests:\n  a:\n    rum: x", "4:5: there is no 'rum' here, only kernel, ")]
    [InlineData("version: 1\ndefaults:\n  only: {}\ntests: {}", "3:3: there is no 'only' here, only kernel, ")]
    [InlineData("version: 1\ntests:\n  a:\n    run:", "4:9: run has no value")]
    [InlineData("version: 1\ntests:\n  a:\n    run: []", "4:10: run is to be a text")]
    [InlineData("version: 1\ntests:\n  a:\n    run: [x, [y]]", "4:14: run is to be a text, or a list of texts")]
    [InlineData("version: 1\ntests:\n  a:\n    run: [x, ~]", "4:14: run has no value: write \"\" for an empty one")]
    [InlineData("version: 1\ntests:\n  a:\n    run: \"x\\0\"", "4:10: there is a NUL in run")]
    [InlineData("version: 1\ntests:\n  a:\n    ktap: yes", "4:11: ktap is to be auto or required or none")]
    [InlineData("version: 1\ntests:\n  a:\n    retries: -1", "4:14: retries is to be a number from 0 to 100")]
    [InlineData("version: 1\ntests:\n  a:\n    expect: [x, [y]]", "4:17: expect is to be a text, or a list of texts")]
    [InlineData("version: 1\ntests:\n  a: x", "3:6: a test is to be a mapping: keys with values")]
    [InlineData("version: 1\ntests:\n  ../a: {}", "3:3: '../a' is no name")]
    [InlineData("version: 1\ntests:\n  a: {}\n  a: {}", "4:3: 'a' is here for the second time: it is in line 3 already")]
    [InlineData("version: 1\nmatrix:\n  cpu: {}\ntests: {}", "3:3: there is no 'cpu' here, only kernel, cmdline, memory, seed")]
    [InlineData("version: 1\nmatrix:\n  cmdline:\n    plain:\ntests: {}", "4:11: plain has no value: write \"\" for an empty one")]
    [InlineData("version: 1\nmatrix:\n  kernel:\n    new: {image: no-such}\ntests: {}", "4:18: there is no file '")]
    [InlineData("version: 1\nmatrix:\n  kernel:\n    new: {modules: .}\ntests: {}", "4:10: the kernel has no image: write `image: vmlinux`")]
    [InlineData("version: 1\nmatrix:\n  memory: {small: 8m}\ntests:\n  a:\n    memory: 9m", "6:5: memory is in the matrix: leave it out here, or choose with `only: {memory: NAME}`")]
    [InlineData("version: 1\nmatrix:\n  memory: {small: 8m}\ntests:\n  a:\n    only: {memory: large}", "6:20: the matrix has no memory 'large'")]
    [InlineData("version: 1\ntests:\n  a:\n    only: {memory: large}", "4:12: 'memory' isn't in the matrix")]
    [InlineData("version: 1\ntests:\n  a:\n    share: no-such", "4:12: there is no folder '")]
    [InlineData("version: 1\ntests:\n  a:\n    network: [usernet, usernat]", "4:24: 'usernat' is no network: write usernet, usernet=OPTIONS, sharenet=FILE or tunnet=ADDRESS")]
    [InlineData("version: 1\ntests:\n  a:\n    network: sharenet", "4:14: 'sharenet' is no network: ")]
    [InlineData("version: 1\ntests:\n  a:\n    network: tunnet=", "4:14: 'tunnet=' is no network: ")]
    [InlineData("version: 1\ntests:\n  a:\n    engine: fast", "4:13: engine is to be auto or interpreter or translator")]
    [InlineData("version: 1\ntests:\n  a:\n    keep: [dump, all]", "4:18: keep is to be dump, pcap or profile, or a list of them")]
    [InlineData("version: 1\ntests:\n  a:\n    send: {x: y}", "4:11: send is to be a text, or a list of texts")]
    [InlineData("version: 1\ntests:\n  a:\n    profile-compare: no-such,5%", "4:22: there is no file '")]
    [InlineData("version: 1\ntests:\n  a:\n    known: [{fingerprint: x}]", "4:13: the known failure has no issue: say where somebody works on it")]
    [InlineData("version: 1\ntests:\n  a:\n    known: [{fingerprint: x, issue: y, until: 2026-13-01}]", "4:47: until is to be a day, such as 2026-12-31")]
    [InlineData("version: 1\ntests: *a", "2:8: there is no anchor &a before this")]
    [InlineData("version: 1\ntests: {a: {run: !!binary aGk=}}", "2:18: the tag tag:yaml.org,2002:binary means nothing here: leave it out")]
    [InlineData("version: 1\ntests: {a: !str {}}", "2:12: the tag !str means nothing here: leave it out")]
    [InlineData("version: 1\ntests: {a: {run: !!str 5, rum: x}}", "2:27: there is no 'rum' here")]
    [InlineData("version: 1\ntests: {}\n---\nversion: 1", "3:1: a second document begins here, and a suite is one")]
    [InlineData("version: 1\n? [a]\n: b", "2:3: a key is to be a word")]
    [InlineData("a: [1\nb: }", "1:")]
    [InlineData("\t- a: b: c", "1:")]
    public void What_is_wrong_is_told_with_line_and_column(string text, string sentence)
    {
        string path = _folder.Suite(text);

        string message = Assert.Throws<SuiteException>(() => SuiteReader.Read(path)).Message;

        Assert.StartsWith($"{path}:{sentence}", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Theory]
    [InlineData("kernel: FILE")]
    [InlineData("initrd: FILE")]
    [InlineData("profile-compare: \"FILE,5%\"")]
    public void What_each_boot_reads_is_no_pipe(string test)
    {
        using (var mkfifo = System.Diagnostics.Process.Start("mkfifo", [_folder.Path("pipe")]))
        {
            mkfifo.WaitForExit();
        }

        File.CreateSymbolicLink(_folder.Path("link"), "pipe");
        File.WriteAllText(_folder.Path("empty"), string.Empty);
        File.CreateSymbolicLink(_folder.Path("good"), "fake.sh");

        foreach (string file in (string[])["pipe", "link", "empty"])
        {
            string path = _folder.Suite($"version: 1\ntests: {{a: {{{test.Replace("FILE", file, StringComparison.Ordinal)}}}}}");

            string message = Assert.Throws<SuiteException>(() => SuiteReader.Read(path)).Message;

            Assert.StartsWith($"{path}:2:", message, StringComparison.Ordinal);
            Assert.EndsWith($": '{_folder.Path(file)}' is empty, or can be read only once, as pipes can: give a file", message, StringComparison.Ordinal);
        }

        Assert.Single(_folder.Plan($"version: 1\ntests: {{a: {{{test.Replace("FILE", "good", StringComparison.Ordinal)}}}}}"));
    }

    [Fact]
    public void What_is_nested_without_an_end_is_refused_and_nothing_overflows()
    {
        string path = _folder.Suite("version: 1\ntests: " + new string('[', 100_000));

        Assert.Contains("this is nested too deep", Assert.Throws<SuiteException>(() => SuiteReader.Read(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_text_or_no_file_is_refused()
    {
        string path = _folder.Path("suite.yaml");
        File.WriteAllBytes(path, [0x76, 0xff, 0xfe]);

        Assert.Equal($"'{path}' is not text in UTF-8", Assert.Throws<SuiteException>(() => SuiteReader.Read(path)).Message);
        Assert.StartsWith("there is no suite '", Assert.Throws<SuiteException>(() => SuiteReader.Read(path + "x")).Message, StringComparison.Ordinal);
        Assert.StartsWith("the suite '/' can't be read: ", Assert.Throws<SuiteException>(() => SuiteReader.Read("/")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_test_says_is_put_over_the_defaults_and_lists_are_put_together()
    {
        Directory.CreateDirectory(_folder.Path("t"));
        PlannedBoot boot = Assert.Single(_folder.Plan("""
            version: 1
            defaults: {run: one, memory: 8m, cmdline: quiet, expect: a, share: t, retries: 2}
            tests:
              x:
                run: two
                cmdline: on
                expect: [b, c]
                share: [t:/mnt/t]
            """));

        Assert.Equal(("x", "two", "8m", "quiet on", 2), (boot.Name, boot.Settings.Run, boot.Settings.Memory, boot.Settings.CommandLine, boot.Settings.Retries));
        Assert.Equal(["a", "b", "c"], boot.Settings.Expect);
        Assert.Equal([$"{_folder.Path("t")}:/share", $"{_folder.Path("t")}:/mnt/t"], boot.Settings.Shares);
    }

    [Theory]
    [InlineData("[a, b]", "--run=two")]
    [InlineData("one", "--run-argv=a", "--run-argv=", "--run-argv=b c")]
    public void A_test_has_its_own_command_in_one_of_its_two_forms(string first, params string[] command)
    {
        string own = command.Length == 1 ? "two" : "[a, \"\", b c]";
        PlannedBoot boot = Assert.Single(_folder.Plan($"version: 1\ndefaults: {{run: {first}, kernel: fake.sh}}\ntests: {{x: {{run: {own}}}}}"));

        Assert.Equal(command, Arguments(boot).Where(word => word.StartsWith("--run", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_boot_with_a_network_has_the_real_clock_and_no_seed_of_its_own()
    {
        IReadOnlyList<PlannedBoot> boots = _folder.Plan("""
            version: 1
            defaults: {kernel: fake.sh}
            tests:
              none: {}
              usual: {network: usernet}
              wanted: {network: usernet, clock: virtual, seed: 7}
            """);

        Assert.Equal([true, false, false], boots.Select(boot => boot.Settings.IsRepeatable));
        Assert.Equal(
            ["--clock=virtual --seed=0", "--clock=real", "--clock=virtual --seed=7"],
            boots.Select(boot => string.Join(' ', Arguments(boot).Where(word => word.StartsWith("--clock", StringComparison.Ordinal) || word.StartsWith("--seed", StringComparison.Ordinal)))));
    }

    [Theory]
    [InlineData("t,,x:/mnt,,y,rw=1m", "t,,x:/mnt,,y,rw=1m")]
    [InlineData("t,,x,rw", "t,,x:/share,rw")]
    [InlineData("t,,x,,rw", "t,,x,,rw:/share")]
    [InlineData("t,,x,ro", "t,,x:/share,ro")]
    public void A_shares_commas_are_those_of_the_command_line(string share, string said)
    {
        Directory.CreateDirectory(_folder.Path("t,x"));
        Directory.CreateDirectory(_folder.Path("t,x,rw"));

        PlannedBoot boot = Assert.Single(_folder.Plan($"version: 1\ntests: {{x: {{share: \"{share}\"}}}}"));

        Assert.Equal(_folder.Path(said), Assert.Single(boot.Settings.Shares));
    }

    [Fact]
    public void A_boot_is_called_after_its_test_and_the_values_of_its_matrix()
    {
        IReadOnlyList<PlannedBoot> boots = _folder.Plan("""
            version: 1
            matrix:
              kernel: {old: fake.sh, new: {image: fake.sh}}
              cmdline: {plain: "", verbose: debug}
            tests:
              timers: {cmdline: quiet}
              other: {only: {kernel: new, cmdline: [verbose]}}
            """);

        Assert.Equal(
            [
                "timers[kernel=old,cmdline=plain]", "timers[kernel=old,cmdline=verbose]",
                "timers[kernel=new,cmdline=plain]", "timers[kernel=new,cmdline=verbose]",
                "other[kernel=new,cmdline=verbose]",
            ],
            boots.Select(boot => boot.Name));
        Assert.Equal(["quiet", "quiet debug", "quiet", "quiet debug", "debug"], boots.Select(boot => boot.Settings.CommandLine));
        Assert.Equal([0, 1, 2, 3, 4], boots.Select(boot => boot.Index));
    }

    [Theory]
    [InlineData("version: 1\ntests: {}")]
    [InlineData("version: 1\nmatrix: {seed: {}}\ntests: {a: {}}")]
    public void A_suite_without_a_boot_is_refused(string text) =>
        Assert.EndsWith("is empty", Assert.Throws<SuiteException>(() => _folder.Plan(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_suite_with_too_many_boots_is_refused()
    {
        string many = string.Join(", ", Enumerable.Range(0, 400).Select(i => $"v{i}: \"{i}\""));
        string text = $"version: 1\nmatrix:\n  cmdline: {{{many}}}\n  seed: {{{many}}}\ntests: {{a: {{}}}}";

        Assert.EndsWith("has more than 100000 boots: make several suites of it", Assert.Throws<SuiteException>(() => _folder.Plan(text)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("timers", true)]
    [InlineData("timers[kernel=new,cmdline=plain]", true)]
    [InlineData("t*=plain", true)]
    [InlineData("plain*timers", false)]
    [InlineData("Timers", false)]
    public void A_filter_is_a_part_of_the_name(string pattern, bool chosen)
    {
        Assert.Equal(chosen, new BootFilter([pattern]).Has("timers[kernel=new,cmdline=plain]"));
        Assert.True(new BootFilter(["x", "timers"]).Has("timers"));
        Assert.True(new BootFilter([]).Has("timers"));
    }

    [Fact]
    public void What_a_boot_is_like_is_said_to_lguest_as_a_user_would()
    {
        PlannedBoot boot = Assert.Single(_folder.Plan("""
            version: 1
            tests:
              x:
                run: echo "it's"
                kernel: fake.sh
                block: "fake.sh,ro"
                cmdline: --x a=b
                seed: 5
                fail-on: [oops, warning]
                ktap: required
                forbid: no
                known:
                - {fingerprint: warning/a, issue: "#1"}
                - {fingerprint: warning/old, issue: "#2", until: 2020-01-01}
                - {fingerprint: status/7, issue: "#3"}
                max-silence: 1m
                abi: ring0
                engine: interpreter
                date: 2001-02-03
                send: [a=>b, 'c=>d\n']
                network: [usernet=restrict, sharenet=lan, tunnet=192.168.19.1, usernet]
                clock: virtual
                profile-compare: "fake.sh,7%"
                keep: [dump, profile]
            """));

        Assert.Equal(
            [
                "64m", _folder.Path("fake.sh"), "--clock=virtual", "--seed=5", "--date=2001-02-03", "--engine=interpreter", "--abi=ring0", $"--block={_folder.Path("fake.sh")},ro", 
                "--usernet=restrict", $"--sharenet={_folder.Path("lan")}", "--tunnet=192.168.19.1", "--usernet", "--run=echo \"it's\"",
                "--append=--x a=b", "--ktap=required", "--fail-on=oops,warning", "--allow=warning/a", "--forbid=no", "--send=a=>b", @"--send=c=>d\n",
                $"--profile-compare={_folder.Path("fake.sh")},7%", "--timeout=10m", "--max-silence=1m",
            ],
            Arguments(boot));
        Assert.Equal(["--dump=files/core", "--profile=files/profile"], BootArguments.Kept(boot.Settings, new BootFiles("files")));
    }

    [Fact]
    public void An_attempt_that_is_not_the_first_has_another_seed()
    {
        PlannedBoot boot = Assert.Single(_folder.Plan("version: 1\ntests: {x: {kernel: fake.sh, seed: 5}}"));

        Assert.Equal((5ul, 1000000012ul, 6000000047ul), (Seed(1), Seed(2), Seed(7)));

        ulong? Seed(int attempt) => BootArguments.Seed(boot.Settings, attempt);
    }

    private static IReadOnlyList<string> Arguments(PlannedBoot boot) =>
        BootArguments.Of(boot.Settings, BootArguments.Seed(boot.Settings, 1), new DateOnly(2026, 1, 1));
}
