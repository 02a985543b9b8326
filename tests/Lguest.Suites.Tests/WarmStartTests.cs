using System.Diagnostics;
using System.Globalization;
using Lguest.Suites.Results;
using Lguest.Suites.Running;

namespace Lguest.Suites.Tests;

/// <summary>Boots that go on from a guest that was saved.</summary>
public sealed class WarmStartTests : IDisposable
{
    /// <summary>Until the worker has ended, and not for ever.</summary>
    private const string Wait = "n=0; while [ $n -lt 600 ] && kill -0 $$ 2>/dev/null; do sleep 0.05; n=$((n+1)); done";

    private readonly SuiteFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_is_alike_boots_once_and_nothing_is_left_of_it()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            defaults: {from: boot, run: "echo from $state"}
            matrix:
              cmdline: {one: a=1, two: a=2}
              seed: {x: 1, y: 2}
            tests:
              a: {}
              b: {ktap: required, max-silence: 1m}
              cold: {from: start}
            """,
            request => request with { Jobs = 4 });

        Assert.All(result.Boots, boot => Assert.Equal(BootStatus.Passed, boot.Status));
        Assert.Equal(2, Saves().Length);
        Assert.All(Saves(), save => Assert.DoesNotContain("--run=", save, StringComparison.Ordinal));
        Assert.All(result.Boots, boot => Assert.Equal(boot.Test != "cold", Assert.Single(boot.Attempts).IsWarm));
        foreach (string value in (string[])["one", "two"])
        {
            string[] from = [.. result.Boots.Where(boot => boot.Test != "cold" && boot.Name.Contains(value, StringComparison.Ordinal))
                .Select(boot => _folder.Text(boot.Name, 1, files => files.Output)).Distinct()];
            Assert.Matches("^from [0-9]+\n$", Assert.Single(from));
        }

        Assert.False(Directory.Exists(Path.Combine(_folder.Output, SavedBoots.Folder)));
    }

    [Fact]
    public void Who_repeats_it_boots_it()
    {
        SuiteResult result = _folder.Run("version: 1\ntests: {a: {from: boot, run: ':'}}");

        Assert.True(result.Boots[0].Attempts[0].IsWarm);
        Assert.DoesNotContain("--restore", _folder.Text("a", 1, files => files.Repeat), StringComparison.Ordinal);
    }

    [Fact]
    public void One_process_runs_one_after_another_and_each_has_its_own_streams()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            defaults: {from: boot}
            tests:
              a: {run: "echo $$; echo 'of a' >&2; mine=a"}
              b: {run: "echo $$; echo \"of b$mine\" >&2"}
              c: {run: "echo $$; printf '%s' 'a\\n\\\\b' >&2\nprintf '\\r\\n\\n' >&2\n"}
              cold: {run: "echo $$", from: start}
            """,
            request => request with { Jobs = 1 });

        Assert.All(result.Boots, boot => Assert.Equal(BootStatus.Passed, boot.Status));
        string[] processes = [.. result.Boots.Select(boot => _folder.Text(boot.Name, 1, files => files.Output))];
        Assert.Equal([processes[0], processes[0]], processes[1..3]);
        Assert.NotEqual(processes[0], processes[3]);
        Assert.Equal(["of a\n", "of b\n", "a\\n\\\\b\r\n\n"], result.Boots.Take(3).Select(boot => _folder.Text(boot.Name, 1, files => files.Errors)));
        Assert.All(processes, process => Assert.Throws<ArgumentException>(() => Process.GetProcessById(int.Parse(process, CultureInfo.InvariantCulture))));
    }

    [Fact]
    public void A_worker_that_dies_costs_its_one_test()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            defaults: {from: boot, retries: 3}
            tests:
              a: {run: "echo $$"}
              killed: {run: "echo $$; kill -9 $$"}
              ended: {run: "echo $$; echo 'lguest: what it said last' >&2; kill -TERM $$; sleep 1"}
              b: {run: "echo $$"}
            """,
            request => request with { Jobs = 1 });

        Assert.Equal([BootStatus.Passed, BootStatus.Error, BootStatus.Error, BootStatus.Passed], result.Boots.Select(boot => boot.Status));
        Assert.Equal((137, "lguest itself was ended by signal 9, and has left no report"), (result.Boots[1].Attempts[0].ExitCode, result.Boots[1].Sentence));
        Assert.Equal("lguest itself ended, with exit code 143 and without a report: what it said last", result.Boots[2].Sentence);
        Assert.All(result.Boots, boot => Assert.Equal(boot.Status.IsFailure() ? ["lguest"] : (string[])[], boot.Fingerprints));
        Assert.All(result.Boots, boot => Assert.Single(boot.Attempts));
        Assert.Equal([true, false, false], result.Boots.Zip(result.Boots.Skip(1)).Select(pair => Of(pair.First) == Of(pair.Second)));

        string Of(BootResult boot) => _folder.Text(boot.Name, 1, files => files.Output);
    }

    [Theory]
    [InlineData("kill -9 $$", 137, "lguest itself was ended by signal 9, and has left no report")]
    [InlineData("echo 'at x' >&2; kill -6 $$", 134, "lguest itself was ended by signal 6, and has left no report: at x")]
    [InlineData("kill -15 $$", 143, "lguest itself ended, with exit code 143 and without a report")]
    public void What_ends_lguest_is_told_alike_of_a_worker_and_of_a_process_of_its_own(string command, int exitCode, string sentence)
    {
        SuiteResult result = _folder.Run($"version: 1\ndefaults: {{run: \"{command}; exit 9\"}}\ntests: {{warm: {{from: boot}}, cold: {{}}}}", request => request with { ColdShare = 1 });

        Assert.All(result.Boots, boot => Assert.Equal((BootStatus.Error, sentence, "lguest"), (boot.Status, boot.Sentence, Assert.Single(boot.Fingerprints))));
        Assert.Equal([(true, exitCode), (false, exitCode), (false, exitCode)], result.Boots.SelectMany(boot => boot.Attempts).Select(attempt => (attempt.IsWarm, attempt.ExitCode)));
    }

    [Fact]
    public void A_worker_that_can_not_start_says_why()
    {
        File.WriteAllText(_folder.Path("broken"), string.Empty);

        SuiteResult result = _folder.Run("version: 1\ndefaults: {from: boot, run: ':'}\ntests: {a: {}, b: {}}");

        Assert.All(result.Boots, boot => Assert.Equal((BootStatus.Error, "too few of something"), (boot.Status, boot.Sentence)));
    }

    [Fact]
    public void A_worker_is_replaced_after_a_while()
    {
        using var worker = new BootWorker(_folder) { MostBoots = 2 };

        string[] processes = [.. Enumerable.Range(0, 5).Select(number => RunOne(worker, number))];

        Assert.Equal([true, false, true, false], processes.Zip(processes.Skip(1)).Select(pair => pair.First == pair.Second));
    }

    [Fact]
    public void A_worker_that_dies_between_two_tests_costs_none()
    {
        using var worker = new BootWorker(_folder);
        string first = RunOne(worker, 1);
        using (var process = Process.GetProcessById(int.Parse(first, CultureInfo.InvariantCulture)))
        {
            process.Kill();
            process.WaitForExit();
        }

        Assert.NotEqual(first, RunOne(worker, 2));
    }

    [Fact]
    public void A_worker_that_dies_when_it_is_asked_and_has_begun_nothing_costs_no_test()
    {
        using var worker = new BootWorker(_folder);
        string first = RunOne(worker, 1);
        File.WriteAllText(_folder.Path("once"), string.Empty);

        Assert.NotEqual(first, RunOne(worker, 2));

        Assert.False(File.Exists(_folder.Path("once")));
        Assert.Empty(_folder.Asked);
    }

    [Fact]
    public void A_test_that_is_begun_by_none_is_given_to_two()
    {
        File.WriteAllText(_folder.Path("deadly"), string.Empty);
        using var worker = new BootWorker(_folder);
        var files = new BootFiles(Directory.CreateDirectory(_folder.Path("files")).FullName);

        ProcessEnd end = worker.Run(["--run=:"], files, TimeSpan.FromMinutes(1), CancellationToken.None);

        Assert.NotEqual(0, end.ExitCode);
        Assert.Equal(2, File.ReadAllLines(_folder.Path("deadly")).Distinct().Count());
    }

    [Fact]
    public void A_worker_that_takes_too_long_is_ended()
    {
        using var worker = new BootWorker(_folder);
        var files = new BootFiles(Directory.CreateDirectory(_folder.Path("files")).FullName);

        ProcessEnd end = worker.Run([$"--json={files.Result}", $"--run={Wait}"], files, TimeSpan.FromMilliseconds(300), CancellationToken.None);

        Assert.Equal(new ProcessEnd(143, false), end);
        Assert.Single(_folder.Asked);
    }

    [Fact]
    public void A_worker_that_does_not_read_is_ended_as_well()
    {
        File.WriteAllText(_folder.Path("deaf"), string.Empty);
        using var worker = new BootWorker(_folder);
        var files = new BootFiles(Directory.CreateDirectory(_folder.Path("files")).FullName);

        ProcessEnd end = worker.Run([$"--run={new string('x', 1 << 20)}"], files, TimeSpan.FromMilliseconds(300), CancellationToken.None);

        Assert.Equal(new ProcessEnd(143, false), end);
    }

    [Fact]
    public void What_boots_is_no_worker_whatever_the_environment_says()
    {
        Environment.SetEnvironmentVariable(WorkerProtocol.Variable, "1");
        try
        {
            SuiteResult result = _folder.Run("version: 1\ntests: {a: {run: 'echo \"[$LGUEST_WORKER]\"'}}");

            Assert.Equal((BootStatus.Passed, "[]\n"), (result.Boots[0].Status, _folder.Text("a", 1, files => files.Output)));
        }
        finally
        {
            Environment.SetEnvironmentVariable(WorkerProtocol.Variable, null);
        }
    }

    [Fact]
    public Task Who_ends_it_gets_what_there_is_and_no_worker_goes_on() =>
        _folder.AssertEndsCleanly("version: 1\ndefaults: {from: boot}", Wait);

    [Theory]
    [InlineData]
    [InlineData("")]
    [InlineData("a b", "", "--run=x\ny\r\n", "\\", "\\n", "\\\\n\n", "\u00e4\u2028\u0085")]
    public void What_a_worker_is_asked_it_reads(params string[] words)
    {
        using var written = new StringWriter();
        WorkerProtocol.Ask(written, words);
        WorkerProtocol.Ask(written, ["next"]);
        using var reader = new StringReader(written.ToString());

        Assert.Equal(words, WorkerProtocol.Await(reader) ?? []);
        Assert.Equal(["next"], WorkerProtocol.Await(reader) ?? []);
        Assert.Null(WorkerProtocol.Await(reader));
    }

    [Fact]
    public void What_can_not_be_saved_boots_itself()
    {
        SuiteResult result = _folder.Run("version: 1\ndefaults: {from: boot, cmdline: broken}\ntests: {a: {run: 'finish 100 KernelDied x'}, b: {run: 'echo \"$restored\"'}}", request => request with { Jobs = 1 });

        Assert.Equal([BootStatus.Crashed, BootStatus.Passed], result.Boots.Select(boot => boot.Status));
        Assert.All(result.Boots, boot => Assert.False(boot.Attempts[0].IsWarm));
        Assert.Equal("\n", _folder.Text("b", 1, files => files.Output));
        Assert.Single(Saves());
    }

    [Fact]
    public void Some_are_run_from_the_start_as_well_and_have_to_end_alike()
    {
        SuiteResult result = _folder.Run("""
            version: 1
            defaults: {from: boot}
            tests:
              same: {run: "finish 7 GuestStatus x"}
              passes: {run: "true"}
              warm: {run: "test -z \"$restored\" || finish 3 GuestStatus x"}
              cold: {run: "test -n \"$restored\" || finish 100 KernelDied 'the guest panicked: x'"}
              tests: {run: "test -n \"$restored\" && finish 1 TestsFailed x '' \"$(not_ok a)\"; finish 1 TestsFailed x '' \"$(not_ok a),$(not_ok a)\""}
              start: {run: "true", from: start}
              dies: {run: "kill -9 $$"}
            """,
            request => request with { ColdShare = 1 });

        Assert.Equal(
            ["same failed status/7 2", "passes passed  2", "warm failed cold-check 2", "cold failed cold-check 2", "tests failed cold-check 2", "start passed  1", "dies error lguest 2"],
            result.Boots.Select(boot => $"{boot.Name} {boot.Status.ToWord()} {string.Join(' ', boot.Fingerprints)} {boot.Attempts.Count}"));
        Assert.Equal("from a saved guest and from its start it ends in two ways: passed; and crashed, the guest panicked: x", result.Boots[3].Sentence);
        Assert.Equal([true, false], result.Boots[0].Attempts.Select(attempt => attempt.IsWarm));
        Assert.Equal(result.Boots[0].Attempts[0].Seed, result.Boots[0].Attempts[1].Seed);
    }

    [Fact]
    public void Which_ones_follows_from_their_names()
    {
        string tests = string.Join(", ", Enumerable.Range(0, 40).Select(i => $"t{i}: {{run: ':'}}"));

        SuiteResult result = _folder.Run($"version: 1\ndefaults: {{from: boot}}\ntests: {{{tests}}}", request => request with { ColdShare = 0.1 });

        Assert.Equal(["t25", "t28"], result.Boots.Where(boot => boot.Attempts.Count == 2).Select(boot => boot.Name));
    }

    [Theory]
    [InlineData("from: there, run: ':'", "3:13: from is to be boot or start")]
    [InlineData("from: boot", "3:3: a can't be run: that isn't understood")]
    [InlineData("from: boot, run: ':', share: '.:/s,rw'", "3:3: a can't be run: a share that comes back (,rw) changes what the next boot begins with, and from: boot needs what stays as it is: write `from: start`")]
    [InlineData("from: boot, run: ':', share: ['.', '.:/s,rw=1m']", "and from: boot needs what stays as it is: write `from: start`")]
    [InlineData("from: boot, run: ':', network: usernet", "3:3: a can't be run: a network's other end isn't saved with a guest, and from: boot saves it: write `from: start`")]
    public void What_can_not_go_on_is_refused_before_anything_runs(string test, string sentence)
    {
        string message = Assert.Throws<SuiteException>(() => _folder.Run($"version: 1\ntests:\n  a: {{{test}}}")).Message;

        Assert.EndsWith(sentence, message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.Output));
    }

    [Fact]
    public void What_a_suite_that_was_killed_has_saved_is_removed_by_the_next()
    {
        _folder.Run("version: 1\ntests: {a: {run: ':'}}");
        string left = Directory.CreateDirectory(Path.Combine(_folder.Output, SavedBoots.Folder)).FullName;

        _folder.Run("version: 1\ntests: {a: {run: ':'}}");

        Assert.False(Directory.Exists(left));
    }

    /// <summary>Has a worker say which process it is.</summary>
    private string RunOne(BootWorker worker, int number)
    {
        var files = new BootFiles(Directory.CreateDirectory(_folder.Path($"{number}")).FullName);
        Assert.Equal(new ProcessEnd(0, false), worker.Run([$"--json={files.Result}", "--run=echo $$"], files, TimeSpan.FromMinutes(1), CancellationToken.None));
        return File.ReadAllText(files.Output);
    }

    private string[] Saves() => File.ReadAllLines(_folder.Path("saves"));
}
