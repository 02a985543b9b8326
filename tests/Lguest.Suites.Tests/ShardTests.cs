using System.Net.Sockets;
using System.Text.RegularExpressions;
using Lguest.Suites.Merging;
using Lguest.Suites.Output;
using Lguest.Suites.Plans;
using Lguest.Suites.Results;

namespace Lguest.Suites.Tests;

/// <summary>A suite in parts, and the whole made of them.</summary>
public sealed class ShardTests : IDisposable
{
    private const string Text = """
        version: 1
        matrix: {seed: {a: 1, b: 2, c: 3, d: 4}}
        tests:
          good: {run: "echo $seed"}
          bad: {run: "finish 1 TestsFailed x '' \"$(not_ok t)\""}
          dead: {run: "finish 100 KernelDied 'the guest panicked: x' \"$(complain warning/a true)\""}
          depends: {run: "test $seed -gt 9 || finish 3 GuestStatus x", retries: 1}
        """;

    private static readonly string[] Files = ["results.json", "junit.xml", "summary.md", "index.html"];

    private readonly SuiteFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("1/1", 1, 1)]
    [InlineData("3/4", 3, 4)]
    public void A_shard_is_written_from_one(string text, int index, int of) => Assert.Equal(new ShardChoice(index, of), ShardChoice.Parse(text));

    [Theory]
    [InlineData("0/4")]
    [InlineData("5/4")]
    [InlineData("1")]
    [InlineData("1/2/3")]
    [InlineData("-1/4")]
    [InlineData("1/99999")]
    public void What_is_none_is_refused(string text) => Assert.Null(ShardChoice.Parse(text));

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(100)]
    public void Every_boot_is_in_one_shard(int of)
    {
        IReadOnlyList<PlannedBoot> boots = _folder.Plan(Text);

        Assert.Equal(
            boots.Select(boot => boot.Name).Order(StringComparer.Ordinal),
            Enumerable.Range(1, of).SelectMany(i => new ShardChoice(i, of).Take(boots, null)).Select(boot => boot.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Which_one_follows_from_the_name_and_is_the_same_for_ever() => Assert.Equal(
        ["good[seed=b]", "good[seed=d]", "bad[seed=c]", "bad[seed=d]", "dead[seed=d]", "depends[seed=b]", "depends[seed=c]"],
        new ShardChoice(1, 3).Take(_folder.Plan(Text), null).Select(boot => boot.Name));

    [Fact]
    public void Shards_are_balanced_by_what_boots_took_before()
    {
        IReadOnlyList<PlannedBoot> boots = _folder.Plan("version: 1\nmatrix: {seed: {a: 1, b: 2, c: 3, d: 4, e: 5}}\ntests: {x: {}}");
        double[] seconds = [8, 1, 1, 6];
        var earlier = new SuiteResult
        {
            Name = "x",
            SuiteSha256 = string.Empty,
            Plan = [],
            Boots =
            [
                .. boots.Zip(seconds, (boot, time) => new BootResult
                {
                    Name = boot.Name,
                    Test = "x",
                    Status = BootStatus.Passed,
                    Attempts = [new AttemptResult { Number = 1, Status = BootStatus.Passed, WallSeconds = time }],
                }),
            ],
        };

        // The one that is new counts as the mean of the others, 4.
        Assert.Equal(["x[seed=a]", "x[seed=b]", "x[seed=c]"], Names(1));
        Assert.Equal(["x[seed=d]", "x[seed=e]"], Names(2));

        string[] Names(int index) => [.. new ShardChoice(index, 2).Take(boots, earlier).Select(boot => boot.Name).Order(StringComparer.Ordinal)];
    }

    [Fact]
    public void A_shard_without_boots_is_a_shard()
    {
        SuiteResult[] shards = [.. Enumerable.Range(1, 3).Select(i => RunShard("version: 1\ntests: {a: {run: ':'}}", i, 3))];

        Assert.Equal([0, 0, 1], shards.Select(shard => shard.Boots.Count).Order());
        Assert.Single(Merge(1, 2, 3).Boots);
    }

    [Fact]
    public void What_is_merged_is_what_would_have_been_in_one_piece()
    {
        _folder.Run(Text, request => request with { Output = _folder.Path("whole") });
        Array.ForEach([1, 2, 3], i => RunShard(Text, i, 3));

        SuiteResult merged = Merge(3, 1, 2);

        Assert.Null(merged.Shard);
        Assert.All(Files, name => Assert.Equal(WithoutTimes(Path.Combine(_folder.Path("whole"), name)), WithoutTimes(Path.Combine(_folder.Path("all"), name))));
        Assert.Equal(Tree("whole"), Tree("all"));
        Assert.Equal("1\n", File.ReadAllText(Path.Combine(_folder.Path("all"), "runs/good[seed=a]/1/stdout")));
    }

    [Fact]
    public void A_missing_a_double_and_a_foreign_shard_are_refused()
    {
        Array.ForEach([1, 2, 3], i => RunShard(Text, i, 3));
        RunShard(Text, 1, 2, "half");
        RunShard(Text.Replace("1, b", "7, b", StringComparison.Ordinal), 3, 3, "other");
        _folder.Run(Text, request => request with { Output = _folder.Path("filtered"), Shard = new ShardChoice(3, 3), Filters = ["a"] });
        _folder.Run(Text, request => request with { Output = _folder.Path("whole") });
        File.AppendAllText(_folder.Path("fake.sh"), "\n");
        RunShard(Text, 3, 3, "kernel");

        Assert.Equal("of 3 shards, these are missing: 2", Refusal("1", "3"));
        Assert.EndsWith("are both shard 1/3: leave one out", Refusal("1", "2", "3", "1"), StringComparison.Ordinal);
        Assert.EndsWith("one is of 3, and the other of 2", Refusal("1", "half"), StringComparison.Ordinal);
        Assert.EndsWith("their suites' files differ", Refusal("1", "2", "other"), StringComparison.Ordinal);
        Assert.EndsWith("they were run with different filters", Refusal("1", "2", "filtered"), StringComparison.Ordinal);
        Assert.EndsWith("their kernels or initial RAM disks differ", Refusal("1", "2", "kernel"), StringComparison.Ordinal);
        Assert.EndsWith("has a whole suite in it, and no shard: there is nothing to merge", Refusal("whole"), StringComparison.Ordinal);
        Assert.StartsWith("there is no '", Refusal("none"), StringComparison.Ordinal);
        Assert.EndsWith("name another folder with --out=DIR", Assert.Throws<SuiteException>(() => SuiteMerger.Merge([_folder.Path("1")], _folder.Path("1"))).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.Path("all")));
    }

    [Fact]
    public void A_shard_that_lost_something_on_its_way_is_refused()
    {
        Array.ForEach([1, 2], i => RunShard(Text, i, 2));
        string lost = Directory.GetDirectories(Path.Combine(_folder.Path("1"), "runs"))[0];
        Directory.Delete(lost, recursive: true);

        Assert.EndsWith($"isn't whole: runs/{Path.GetFileName(lost)}/1 is missing", Refusal("1", "2"), StringComparison.Ordinal);

        string results = Path.Combine(_folder.Path("2"), "results.json");
        File.WriteAllText(results, File.ReadAllText(results)[..500]);
        Assert.Contains("has no results of a suite in it", Refusal("1", "2"), StringComparison.Ordinal);
        File.WriteAllText(results, "{\"name\":\"x\",\"suiteSha256\":\"\",\"plan\":[\"a\"],\"boots\":[{\"name\":\"a\",\"test\":\"a\",\"status\":\"passed\"}]}");
        Assert.Contains("has no results of a suite in it", Refusal("1", "2"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "something is missing or wrong in line 1, byte 1")]
    [InlineData("{\n  \"schema\": x}", "something is missing or wrong in line 2, byte 13")]
    [InlineData("[]", "something is missing or wrong in line 1, byte 2")]
    [InlineData("null", "something is missing")]
    [InlineData("{\"schema\": 1}", "something is missing or wrong in line 1, byte 14")]
    public void Why_a_file_is_none_of_results_is_told_without_what_the_program_is_made_of(string text, string why)
    {
        RunShard(Text, 1, 1);
        string results = Path.Combine(_folder.Path("1"), "results.json");
        File.WriteAllText(results, text);

        Assert.Equal($"'{results}' has no results of a suite in it: {why}", Refusal("1"));
    }

    [Theory]
    [InlineData("\"fingerprints\": []", "\"fingerprints\": [null]")]
    [InlineData("\"known\": []", "\"known\": [null]")]
    [InlineData("\"known\": []", "\"known\": [{\"fingerprint\": \"a\"}]")]
    [InlineData("\"matrix\": []", "\"matrix\": [null]")]
    [InlineData("\"matrix\": []", "\"matrix\": [{\"axis\": \"a\"}]")]
    [InlineData("\"number\": 1", "\"number\": -1")]
    [InlineData("\"index\": 1", "\"index\": 0")]
    [InlineData("\"index\": 1", "\"index\": 2")]
    [InlineData("\"of\": 1", "\"of\": -1")]
    [InlineData("\"inputSha256\": [", "\"inputSha256\": [null,")]
    [InlineData("\"plan\": [", "\"plan\": [null,")]
    public void Results_that_have_nothing_where_something_is_needed_are_refused(string had, string has)
    {
        RunShard("version: 1\ntests: {a: {run: ':'}}", 1, 1);
        string results = Path.Combine(_folder.Path("1"), "results.json");
        string text = File.ReadAllText(results);
        Assert.Contains(had, text, StringComparison.Ordinal);
        File.WriteAllText(results, text.Replace(had, has, StringComparison.Ordinal));

        Assert.Equal($"'{results}' has no results of a suite in it: something is missing", Refusal("1"));
    }

    [Theory]
    [InlineData("../../../evil")]
    [InlineData("a/../../../evil")]
    [InlineData("/evil")]
    [InlineData(".")]
    [InlineData("")]
    public void A_boot_whose_name_leads_out_of_the_folder_is_refused(string name)
    {
        RunShard("version: 1\ntests: {a: {run: ':'}}", 1, 1);
        string results = Path.Combine(_folder.Path("1"), "results.json");
        File.WriteAllText(results, Regex.Replace(File.ReadAllText(results), "(\"name\": |\"plan\": \\[\\s*)\"a\"", $"$1\"{name}\""));

        Assert.Equal($"'{_folder.Path("1")}' has a boot that isn't in its plan: it wasn't made by lguest", Refusal("1"));
        Assert.False(Directory.Exists(_folder.Path("all")));
    }

    [Fact]
    public void A_merge_that_ended_in_the_middle_can_be_done_again()
    {
        RunShard("version: 1\ntests: {a: {run: ':'}}", 1, 1);
        string socket = Path.Combine(_folder.Path("1"), "runs/a/1/socket");
        using (var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            listener.Bind(new UnixDomainSocketEndPoint(socket));
            Assert.StartsWith("the shards' files can't be copied: ", Refusal("1"), StringComparison.Ordinal);
        }

        Assert.Equal("lguest was killed while it merged, or runs still", ResultsFile.Read(Path.Combine(_folder.Path("all"), ResultsFile.Name)).Interrupted);
        File.Delete(socket);

        Assert.Equal(BootStatus.Passed, Assert.Single(Merge(1).Boots).Status);
    }

    [Fact]
    public void A_shard_that_was_ended_is_no_suite_that_is_well()
    {
        RunShard(Text, 1, 2);
        _folder.RunUntil(Text, request => request with { Output = _folder.Path("2"), Shard = new ShardChoice(2, 2) }, new CancellationToken(canceled: true));
        var session = new SuiteSession(_folder, Stream.Null, isTerminal: false, TimeProvider.System);

        string message = Assert.Throws<SuiteException>(() => session.Merge([_folder.Path("1"), _folder.Path("2")], _folder.Path("all"), tellsGitHub: false)).Message;

        Assert.Equal("this is not all of the suite, which was ended by a signal, in shard 2/2: run that shard again", message);
        Assert.Contains("This is not all", File.ReadAllText(Path.Combine(_folder.Path("all"), "summary.md")), StringComparison.Ordinal);
    }

    private SuiteResult RunShard(string text, int index, int of, string? name = null) =>
        _folder.Run(text, request => request with { Output = _folder.Path(name ?? $"{index}"), Shard = new ShardChoice(index, of) });

    private SuiteResult Merge(params int[] shards)
    {
        var session = new SuiteSession(_folder, Stream.Null, isTerminal: false, TimeProvider.System);
        return session.Merge([.. shards.Select(shard => _folder.Path($"{shard}"))], _folder.Path("all"), tellsGitHub: false);
    }

    private string Refusal(params string[] shards) =>
        Assert.Throws<SuiteException>(() => SuiteMerger.Merge([.. shards.Select(_folder.Path)], _folder.Path("all"))).Message;

    private string[] Tree(string name) =>
        [.. Directory.GetFiles(_folder.Path(name), "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(_folder.Path(name), path)).Order(StringComparer.Ordinal)];

    /// <summary>A file without what differs from run to run.</summary>
    private static string WithoutTimes(string path)
    {
        string text = File.ReadAllText(path);
        text = Regex.Replace(text, "\"(wallSeconds|started|jobs)\": [^,\n]+", "$1");
        text = Regex.Replace(text, "(time|timestamp)=\"[^\"]*\"", "$1");
        text = Regex.Replace(text, "<rect class=\"([a-z-]+)\"[^>]*>", "<rect $1>");
        text = Regex.Replace(text, @"seconds of each boot, [\d.]+ at most|begun [^<]*| in [\d.]+ s \(\d+ a minute\)|[\d.]+ s, |<td class=""number"">[\d.]+</td>", string.Empty);
        return text;
    }
}
