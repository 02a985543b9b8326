using System.Diagnostics;
using Lguest.Suites.Results;

namespace Lguest.Suites.Tests;

/// <summary>What becomes of boots: each is a process, here a script that plays lguest.</summary>
public sealed class SuiteRunTests : IDisposable
{
    private readonly SuiteFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Each_boot_has_its_result_its_files_and_its_line()
    {
        SuiteResult result = _folder.Run(out string said, """
            version: 1
            name: mine
            tests:
              good: {run: "echo out; echo err >&2"}
              bad: {run: "finish 7 GuestStatus ''"}
              dead: {run: "finish 100 KernelDied 'the guest panicked: x'"}
              late: {run: "finish 124 LimitReached 'ended after 1 s of silence, as --max-silence says'"}
            """);

        Assert.Equal(
            ["good passed ", "bad failed status/7", "dead crashed died/the guest panicked: x", "late timeout limit/max-silence"],
            result.Boots.Select(boot => $"{boot.Name} {boot.Status.ToWord()} {string.Join(' ', boot.Fingerprints)}"));
        Assert.Equal((7, "the exit code is 7"), (result.Boots[1].Attempts[0].ExitCode, result.Boots[1].Sentence));
        Assert.Equal((2.0, 3ul), (result.Boots[0].Attempts[0].GuestSeconds, result.Boots[0].Attempts[0].Instructions));
        Assert.Equal(("out\n", "err\n"), (_folder.Text("good", 1, files => files.Output), _folder.Text("good", 1, files => files.Errors)));
        string[] lines = said.TrimEnd('\n').Split('\n');
        Assert.Contains(lines, line => line.StartsWith("crashed ", StringComparison.Ordinal) && line.EndsWith(": the guest panicked: x", StringComparison.Ordinal));
        Assert.StartsWith("mine: 1 passed, 1 failed, 1 crashed, 1 timeout; 4 boots in ", lines[^1], StringComparison.Ordinal);
        Assert.Equal(ToJson(result), ToJson(ResultsFile.Read(Path.Combine(_folder.Output, ResultsFile.Name))));
    }

    [Fact]
    public void A_kernel_that_dies_without_a_word_is_not_known_for_what_it_had_complained_of()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            tests:
              told: {run: "finish 100 KernelDied x \"$(complain warning/a false),$(complain panic/a true | sed s/warning/panic/)\""}
              silent: {run: "finish 100 KernelDied x \"$(complain warning/a false)\""}
            defaults:
              known: [{fingerprint: warning/a, issue: "#1"}, {fingerprint: panic/a, issue: "#2"}]
            """);

        Assert.Equal([BootStatus.Known, BootStatus.Crashed], result.Boots.Select(boot => boot.Status));
        Assert.Equal(["died/x", "warning/a"], result.Boots[1].Fingerprints);
    }

    [Fact]
    public void What_was_run_before_this_host_is_full_counts()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            tests:
              a: {run: "finish 7 GuestStatus ''"}
              b: {run: "runs=${json%/b/*}; rm -r $runs; : >$runs; exit 3"}
              c: {run: ":"}
              d: {run: ":"}
            """,
            request => request with { Jobs = 1 });

        Assert.Equal([BootStatus.Failed, BootStatus.Error, BootStatus.Error, BootStatus.NotRun], result.Boots.Select(boot => boot.Status));
        Assert.StartsWith("it can't be run: ", result.Boots[2].Sentence, StringComparison.Ordinal);
        Assert.Equal(ToJson(result), ToJson(ResultsFile.Read(Path.Combine(_folder.Output, ResultsFile.Name))));
    }

    [Fact]
    public void An_attempt_that_can_not_be_made_does_not_hide_those_before()
    {
        BootResult boot = Assert.Single(_folder.Run("version: 1\ntests: {a: {retries: 1, run: \": >${json%/1/*}/2; finish 7 GuestStatus one\"}}").Boots);

        Assert.Equal([BootStatus.Failed, BootStatus.Error], boot.Attempts.Select(attempt => attempt.Status));
        Assert.Equal([1, 2], boot.Attempts.Select(attempt => attempt.Number));
        Assert.Equal(BootStatus.Error, boot.Status);
        Assert.Contains("one; then: it can't be run: ", boot.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_takes_the_results_of_one_suite_at_a_time()
    {
        const string Text = "version: 1\ntests: {a: {run: 'echo mine; touch FOLDER/up; while [ ! -e FOLDER/go ]; do sleep 0.05; done'}}";
        string text = Text.Replace("FOLDER", _folder.Path("."), StringComparison.Ordinal);
        Task<SuiteResult> first = Task.Run(() => _folder.Run(text), TestContext.Current.CancellationToken);
        Assert.True(SpinWait.SpinUntil(() => File.Exists(_folder.Path("up")), TimeSpan.FromSeconds(60)));

        string message = Assert.Throws<SuiteException>(() => _folder.Run(text)).Message;
        await File.WriteAllTextAsync(_folder.Path("go"), string.Empty, TestContext.Current.CancellationToken);

        Assert.Equal($"another suite is writing its results to '{_folder.Output}': wait for its end, or name another folder with --out=DIR", message);
        Assert.Equal(BootStatus.Passed, Assert.Single((await first).Boots).Status);
        Assert.Equal("mine\n", _folder.Text("a", 1, files => files.Output));
        Assert.Equal(BootStatus.Passed, Assert.Single(_folder.Run(text).Boots).Status);
        Assert.Equal(["index.html", "junit.xml", "results.json", "runs", "summary.md"], Directory.GetFileSystemEntries(_folder.Output).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("exit 125", "lguest itself ended, and could write neither a report nor why: the disk may be full")]
    [InlineData("echo 'lguest: there is no memory' >&2; exit 125", "there is no memory")]
    [InlineData("exit 9", "lguest itself ended, with exit code 9 and without a report")]
    [InlineData("exit 255", "lguest itself ended, with exit code 255 and without a report")]
    public void Without_a_report_it_is_told_what_is_known(string command, string sentence)
    {
        BootResult boot = Assert.Single(_folder.Run($"version: 1\ntests: {{a: {{run: \"{command}\"}}}}").Boots);

        Assert.Equal((BootStatus.Error, sentence), (boot.Status, boot.Sentence));
    }

    [Fact]
    public void A_process_that_dies_costs_its_one_test()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            tests:
              a: {run: ":"}
              killed: {run: "kill -9 $$"}
              odd: {run: "echo 'lguest: what it said last' >&2; exit 125"}
              liar: {run: "(finish 0 PowerOff ''); exit 3"}
              b: {run: ":"}
            """);

        Assert.Equal(
            [BootStatus.Passed, BootStatus.Error, BootStatus.Error, BootStatus.Error, BootStatus.Passed], result.Boots.Select(boot => boot.Status));
        Assert.Equal("lguest itself was ended by signal 9, and has left no report", result.Boots[1].Sentence);
        Assert.Equal("what it said last", result.Boots[2].Sentence);
    }

    [Fact]
    public void A_pass_with_another_seed_is_told_from_a_pass()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            defaults: {retries: 3}
            tests:
              depends: {run: "test $seed != 5 || finish 1 TestsFailed no '' \"$(not_ok a)\"", seed: 5}
              always: {run: "finish 1 GuestStatus ''"}
              real: {run: "test -e $json.x || { touch ${json%/*/*}/x; }; test -e ${json%/*/*}/y || { touch ${json%/*/*}/y; finish 2 GuestStatus ''; }", clock: real}
            """);

        Assert.Equal([BootStatus.SeedDependent, BootStatus.Failed, BootStatus.Flaky], result.Boots.Select(boot => boot.Status));
        Assert.Equal("it failed with seed 5, and passed with seed 1000000012: no", result.Boots[0].Sentence);
        Assert.Equal(["test/s.a"], result.Boots[0].Fingerprints);
        Assert.Equal([2, 4, 2], result.Boots.Select(boot => boot.Attempts.Count));
        Assert.Equal([null, null], result.Boots[2].Attempts.Select(attempt => attempt.Seed));
    }

    [Theory]
    [InlineData("finish 100 KernelDied x")]
    [InlineData("finish 101 AbiBreach x")]
    [InlineData("finish 104 Complaint x \"$(complain warning/a true)\"")]
    [InlineData("kill -9 $$")]
    public void A_crash_is_never_tried_again(string run)
    {
        BootResult boot = Assert.Single(_folder.Run($"version: 1\ntests:\n  a:\n    retries: 5\n    run: |\n      test $seed = 0 || finish 0 PowerOff ''\n      {run}\n").Boots);

        Assert.True(boot.Status.IsFailure());
        Assert.Single(boot.Attempts);
    }

    [Fact]
    public void Failing_differently_is_not_flaky()
    {
        BootResult boot = Assert.Single(_folder.Run("version: 1\ntests: {a: {retries: 5, run: 'case $seed in 0) finish 1 GuestStatus one;; 1000000007) finish 2 GuestStatus two;; esac'}}").Boots);

        Assert.Equal((BootStatus.Failed, 2), (boot.Status, boot.Attempts.Count));
        Assert.Equal("it failed in different ways, and that isn't flaky: one; then: two", boot.Sentence);
    }

    [Fact]
    public void A_known_failure_does_not_count_until_its_day()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            defaults:
              known:
              - {fingerprint: status/7, issue: "#1"}
              - {fingerprint: warning/a, issue: "#2", until: 2999-01-01}
              - {fingerprint: status/8, issue: "#3", until: 2020-01-01}
            tests:
              status: {run: "finish 7 GuestStatus ''", retries: 4}
              warning: {run: "finish 0 PowerOff '' \"$(complain warning/a false)\""}
              both: {run: "finish 7 GuestStatus '' \"$(complain warning/a false)\""}
              more: {run: "finish 7 GuestStatus '' '' \"$(not_ok a)\""}
              old: {run: "finish 8 GuestStatus gone"}
              other: {run: "finish 104 Complaint x \"$(complain warning/b true)\""}
            """);

        Assert.Equal(
            [BootStatus.Known, BootStatus.Known, BootStatus.Known, BootStatus.Failed, BootStatus.Failed, BootStatus.Crashed],
            result.Boots.Select(boot => boot.Status));
        Assert.Single(result.Boots[0].Attempts);
        Assert.Equal(["status/7", "warning/a"], result.Boots[2].Known.Select(known => known.Fingerprint));
        Assert.Equal("known: status/7 (#1)", result.Boots[0].Sentence);
        Assert.Equal("gone; this was known until 2020-01-01 (#3)", result.Boots[4].Sentence);
    }

    [Fact]
    public void As_many_run_at_once_as_there_are_jobs()
    {
        // Each waits for the other.
        SuiteResult result = _folder.Run("""
            version: 1
            defaults: {run: "d=${json%/*/*/*}; touch $d/up-$seed; n=0; until [ -e $d/up-1 -a -e $d/up-2 ]; do sleep 0.05; n=$((n+1)); [ $n -lt 400 ] || exit 9; done"}
            matrix: {seed: {a: 1, b: 2}}
            tests: {x: {}}
            """);

        Assert.All(result.Boots, boot => Assert.Equal(BootStatus.Passed, boot.Status));
    }

    [Fact]
    public void After_a_failure_nothing_new_begins_if_the_user_wants_that()
    {
        SuiteResult result = _folder.Run(
            "version: 1\ntests: {a: {run: ':'}, b: {run: 'finish 1 GuestStatus no'}, c: {run: ':'}}", request => request with { Jobs = 1, FailsFast = true });

        Assert.Equal([BootStatus.Passed, BootStatus.Failed, BootStatus.NotRun], result.Boots.Select(boot => boot.Status));
    }

    [Fact]
    public Task Who_ends_it_gets_what_there_is_and_nothing_goes_on() =>
        _folder.AssertEndsCleanly("version: 1", "exec sleep 600");

    [Fact]
    public void What_lguest_would_not_understand_is_told_before_the_first_boot()
    {
        SuiteException error = Assert.Throws<SuiteException>(() => _folder.Run("version: 1\ntests:\n  a: {run: ':'}\n  b: {run: ':', ktap: none}"));

        Assert.Equal($"{_folder.Path("suite.yaml")}:4:3: b can't be run: that isn't understood", error.Message);
        Assert.False(Directory.Exists(_folder.Output));
    }

    [Fact]
    public void A_filter_that_finds_nothing_is_a_mistake() => Assert.EndsWith(
        "has a name that --filter=x or y finds",
        Assert.Throws<SuiteException>(() => _folder.Run("version: 1\ntests: {a: {}}", request => request with { Filters = ["x", "y"] })).Message,
        StringComparison.Ordinal);

    [Fact]
    public void What_an_earlier_suite_left_goes_and_what_else_is_there_stays()
    {
        Directory.CreateDirectory(_folder.Output);
        File.WriteAllText(Path.Combine(_folder.Output, "mine"), "mine");
        _folder.Run("version: 1\ntests: {a: {run: ':'}}");
        _folder.Run("version: 1\ntests: {b: {run: ':'}}");

        Assert.Equal(["b"], Directory.GetDirectories(Path.Combine(_folder.Output, "runs")).Select(Path.GetFileName));
        Assert.True(File.Exists(Path.Combine(_folder.Output, "mine")));
    }

    [Fact]
    public void A_folder_of_runs_that_is_somebodys_is_left_alone()
    {
        Directory.CreateDirectory(Path.Combine(_folder.Output, "runs", "mine"));

        Assert.Contains("that no suite has made", Assert.Throws<SuiteException>(() => _folder.Run("version: 1\ntests: {a: {run: ':'}}")).Message, StringComparison.Ordinal);
        Assert.True(Directory.Exists(Path.Combine(_folder.Output, "runs", "mine")));
    }

    [Fact]
    public void The_script_beside_the_results_runs_the_same_once_more()
    {
        _folder.Run("version: 1\ntests:\n  a:\n    run: |\n      echo \"it's $seed\"\n      exit 3\n    seed: 5");
        string lguest = _folder.Executable("again", $"#!/bin/sh\nexec /bin/sh {_folder.Path("fake.sh")} \"$@\" --log=/dev/null");

        using var again = Process.Start(new ProcessStartInfo(Results.BootFiles.Of(_folder.Output, "a", 1).Repeat)
        {
            RedirectStandardOutput = true,
            Environment = { ["LGUEST"] = lguest },
        })!;

        Assert.Equal("it's 5\n", again.StandardOutput.ReadToEnd());
        again.WaitForExit();
        Assert.Equal(3, again.ExitCode);
    }

    [Fact]
    public void What_a_guest_says_is_one_line_and_no_order_to_a_ci_server()
    {
        _folder.Run(out string said, "version: 1\ntests:\n  a:\n    run: |\n      finish 1 GuestStatus '\\n::error::x ##[error]y \\u001b[2J'\n");

        Assert.DoesNotContain(said.Split('\n'), line => line.StartsWith("::", StringComparison.Ordinal));
        Assert.DoesNotContain("##[", said, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', said);
        Assert.Contains("::error::x ## [error]y \\e[2J", said, StringComparison.Ordinal);
    }

    private static string ToJson(SuiteResult result) => System.Text.Json.JsonSerializer.Serialize(result);
}
