using Lguest.Suites.Results;
using Lguest.Suites.Running;

namespace Lguest.Suites.Tests;

/// <summary>Boots that go on from a guest that was saved.</summary>
public sealed class WarmStartTests : IDisposable
{
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
            """,
            request => request with { ColdShare = 1 });

        Assert.Equal(
            ["same failed status/7 2", "passes passed  2", "warm failed cold-check 2", "cold failed cold-check 2", "tests failed cold-check 2", "start passed  1"],
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

    private string[] Saves() => File.ReadAllLines(_folder.Path("saves"));
}
