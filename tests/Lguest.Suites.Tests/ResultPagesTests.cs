using System.Text.RegularExpressions;
using System.Xml.Linq;
using Lguest.Suites.Output;
using Lguest.Suites.Results;

namespace Lguest.Suites.Tests;

/// <summary>What is written of a suite, and that no guest can write any of it.</summary>
public sealed class ResultPagesTests : IDisposable
{
    private const string Evil = "</script><img src=x onerror=alert(1)> ]]> <!-- \\u001b[2J | ` @everyone %0A::error::x";

    private static readonly string[] Pages = ["index.html", "junit.xml", "summary.md"];

    private readonly SuiteFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Each_boot_is_a_suite_for_ci_servers_and_no_two_tests_have_the_same_name()
    {
        _folder.Run("""
            version: 1
            defaults:
              known: [{fingerprint: status/7, issue: "#1"}, {fingerprint: test/s.k, issue: "#2"}]
            matrix: {seed: {a: 1, b: 2}}
            tests:
              good: {run: ":"}
              tests: {run: "finish 1 TestsFailed x '' \"$(not_ok t)\""}
              dead: {run: "finish 100 KernelDied 'the guest panicked: x' \"$(complain warning/a true)\"", only: {seed: a}}
              known: {run: "finish 1 TestsFailed x '' \"$(not_ok k)\"", only: {seed: a}}
              depends: {run: "test $seed != 1 || finish 3 GuestStatus x", only: {seed: a}, retries: 1}
            """);

        XElement root = XDocument.Load(At("junit.xml")).Root!;
        string[] names = [.. root.Descendants("testcase").Select(test => $"{test.Attribute("classname")!.Value}/{test.Attribute("name")!.Value}")];

        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.Equal(["tests[seed=a].s/t", "tests[seed=b].s/t"], Names("failure"));
        Assert.Equal(["dead[seed=a]/dead"], Names("error"));
        Assert.Equal(["known[seed=a]/known", "known[seed=a].s/k"], Names("skipped"));
        Assert.Equal("the guest panicked: x\nWARNING at a\nWARNING: CPU: 0 at a\n", root.Descendants("error").Single().Value);
        Assert.StartsWith("seed-dependent: it failed with seed 1, ", root.Descendants("system-out").Single().Value, StringComparison.Ordinal);
        Assert.Equal(("10", "2", "1", "2"), (Count("tests"), Count("failures"), Count("errors"), Count("skipped")));

        string Count(string name) => root.Attribute(name)!.Value;

        IEnumerable<string> Names(string kind) => root.Descendants(kind).Select(each => each.Parent!)
            .Select(test => $"{test.Attribute("classname")!.Value}/{test.Attribute("name")!.Value}");
    }

    [Fact]
    public void Whatever_a_guest_prints_is_text_in_all_of_it()
    {
        _folder.Run(
            out string said,
            $"version: 1\ntests:\n  a:\n    run: |\n      printf '%s\\n' '{Evil}' >>$log\n      finish 1 TestsFailed '{Evil}' '' \"$(not_ok '{Evil}')\"\n",
            request => request with { TellsGitHub = true });

        string page = File.ReadAllText(At("index.html"));
        Assert.Single(Regex.Matches(page, "<script"));
        Assert.Single(Regex.Matches(page, "</script>"));
        Assert.DoesNotContain("<img", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<!-- ", page, StringComparison.Ordinal);
        Assert.Contains("&lt;/script&gt;&lt;img", page, StringComparison.Ordinal);
        Assert.Contains("</script><img", XDocument.Load(At("junit.xml")).Descendants("failure").Single().Parent!.Attribute("name")!.Value, StringComparison.Ordinal);
        Assert.DoesNotMatch("script>|<img|`|@|\\]\\]|\\[2J", File.ReadAllText(At("summary.md")));
        Assert.Single(said.Split('\n'), line => line.StartsWith("::", StringComparison.Ordinal));
        Assert.Contains("%250A::error::x", said, StringComparison.Ordinal);
        Assert.All(Pages, name => Assert.DoesNotContain('\u001b', File.ReadAllText(At(name))));
    }

    [Fact]
    public void The_page_allows_its_own_script_alone()
    {
        _folder.Run("version: 1\ntests: {a: {run: ':'}}");
        string page = File.ReadAllText(At("index.html"));
        string script = Regex.Match(page, "<script>(.*?)</script>", RegexOptions.Singleline).Groups[1].Value;
        string hash = Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(script)));

        Assert.Contains($"content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'\"", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http://", page, StringComparison.Ordinal);
        Assert.DoesNotContain("https://", page, StringComparison.Ordinal);
    }

    [Fact]
    public void The_failure_is_marked_where_the_guest_printed_it()
    {
        _folder.Run("""
            version: 1
            tests:
              record:
                run: |
                  printf '[    1.5] before\r\n[    2.5] WARNING: CPU: 0 at a\r\n[    2.6] after\n' >>$log
                  finish 104 Complaint x "$(complain warning/a true)"
              tap:
                run: |
                  printf 'ok 1 a\n[    2.5]     not ok 2 b\nend\n' >>$log
                  finish 1 TestsFailed x '' "$(not_ok b)"
              last: {run: "echo first >>$log; echo last >>$log; finish 3 GuestStatus ''"}
              quiet:
                run: |
                  echo '<4>[    2.5] WARNING: CPU: 0 at a' >${log%/*}/kmsg
                  finish 104 Complaint x "$(complain warning/a true)"
              huge:
                run: |
                  head -c 200000 /dev/zero | tr '\0' x >>$log; echo >>$log; echo not ok 1 here >>$log
                  finish 1 TestsFailed x '' "$(not_ok b)"
            """);
        string page = File.ReadAllText(At("index.html"));

        Assert.Equal(
            ["[    2.5] WARNING: CPU: 0 at a", "[    2.5]     not ok 2 b", "last", "&lt;4&gt;[    2.5] WARNING: CPU: 0 at a", "not ok 1 here"],
            Regex.Matches(page, "<mark>(.*)</mark>").Select(match => match.Groups[1].Value));
        Assert.Matches("\\.\\.\\. 13\\d{4} bytes \\.\\.\\.", page);
        Assert.True(page.Length < 100_000);
        Assert.Contains("<a href=\"runs/record/1/console\">", page, StringComparison.Ordinal);
    }

    [Fact]
    public void GitHub_gets_ten_annotations_of_a_kind_and_the_summary()
    {
        string seeds = string.Join(", ", Enumerable.Range(1, 12).Select(i => $"s{i}: {i}"));
        string summary = _folder.Path("summary");
        File.WriteAllText(summary, "before\n");
        Environment.SetEnvironmentVariable(GitHubCommands.SummaryVariable, summary);
        try
        {
            _folder.Run(
                out string said, $"version: 1\nmatrix: {{seed: {{{seeds}}}}}\ntests: {{a: {{run: 'finish 7 GuestStatus bad'}}}}", request => request with { TellsGitHub = true });
            string[] annotations = [.. said.Split('\n').Where(line => line.StartsWith("::", StringComparison.Ordinal))];

            Assert.Equal(10, annotations.Length);
            Assert.Equal("::error title=a[seed=s1]::failed: bad (status/7)", annotations[0]);
            Assert.Equal("::error title=suite::3 more boots: see the summary", annotations[9]);
            Assert.StartsWith("before\n## suite\n\n12 failed\n", File.ReadAllText(summary), StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable(GitHubCommands.SummaryVariable, null);
        }
    }

    [Fact]
    public void A_page_of_very_many_boots_stays_one_that_can_be_looked_at()
    {
        var result = new SuiteResult
        {
            Name = "many",
            SuiteSha256 = string.Empty,
            Plan = [],
            Boots =
            [
                .. Enumerable.Range(0, 10_000).Select(i => new BootResult
                {
                    Name = $"b{i}",
                    Test = "b",
                    Status = i == 5000 ? BootStatus.Failed : BootStatus.Passed,
                    Attempts = [new AttemptResult { Number = 1, Status = BootStatus.Passed, WallSeconds = 1 }],
                }),
            ],
        };
        Directory.CreateDirectory(_folder.Output);

        ResultPages.Write(_folder.Output, result);

        string page = File.ReadAllText(At("index.html"));
        Assert.InRange(Regex.Count(page, "<rect "), 300, 600);
        Assert.Single(Regex.Matches(page, "<rect class=\"failed\""));
        Assert.True(page.Length < 4 << 20);
    }

    private string At(string name) => Path.Combine(_folder.Output, name);
}
