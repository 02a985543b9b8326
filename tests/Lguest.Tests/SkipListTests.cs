using System.Diagnostics;

namespace Lguest.Tests;

/// <summary>The reasons for which CI lets a test be skipped.</summary>
public sealed class SkipListTests
{
    [Fact]
    public void Each_reason_on_the_list_is_one_that_some_test_gives()
    {
        string sources = string.Concat(Directory
            .EnumerateFiles(Path.Combine(ShippedImages.Project, "tests"), "*.cs", SearchOption.AllDirectories)
            .Select(File.ReadAllText));

        IEnumerable<string> stale = File.ReadLines(Path.Combine(ShippedImages.Project, "tests/skips.txt"))
            .Where(line => line.Length > 0 && line[0] != '#')
            .Where(reason => !sources.Contains(LongestPart(reason), StringComparison.Ordinal));

        Assert.Empty(stale);
    }

    [Theory]
    [InlineData("This needs root, for a network namespace.", true)]
    [InlineData("SIGHUP is ignored here, as in a background job or under nohup.", true)]
    [InlineData("images/out isn't there: run images/build.", false)]
    [InlineData("", false)]
    public void A_skip_for_a_reason_that_is_not_on_it_fails_the_run(string reason, bool allowed)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "CI runs on Linux.");
        string report = Path.GetTempFileName();
        try
        {
            File.WriteAllText(report, $"passed A.Test\nskipped A.Test_that_is_skipped (0ms)\n  {reason}\n  from some.dll\n\n  skipped: 1\n");
            using Process process = Process.Start(new ProcessStartInfo(Path.Combine(ShippedImages.Project, ".ci/skips"), [report])
            {
                RedirectStandardOutput = true,
            })!;
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();

            Assert.Equal(allowed, process.ExitCode == 0);
            Assert.Equal(allowed, output.Length == 0);
        }
        finally
        {
            File.Delete(report);
        }
    }

    private static string LongestPart(string pattern) => pattern.Split('*').MaxBy(part => part.Length)!;
}
