using System.Text.Json;
using System.Xml.Linq;
using Lguest.CommandLine;
using Lguest.Running.Watching;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>Test output by where it comes from.</summary>
public sealed class TestOutputTests : IDisposable
{
    private const string Failing = "TAP version 13\n1..2\nok 1 fine\nnot ok 2 broken\n";

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("printf 'TAP version 13\\n1..2\\nok 1 fine\\nnot ok 2 broken\\n'", 1, "the command's test output says: broken failed")]
    [InlineData("printf '1..2\\nok 1 fine\\n'", 1, "the command's test output says: ")]
    [InlineData("printf '1..2\\nok 1 fine\\nok 2 fine, too'; exit 5", 5, null)]
    [InlineData("printf 'not ok 1 broken\\n'; exit 5", 5, null)]
    [InlineData("echo ok; echo not ok; echo 'Bail out!'; echo '# Subtests'; echo ' 1..7'", 0, null)]
    [InlineData("printf 'not ok 1 broken\\n' >&2; printf 'KTAP version 1\\n1..1\\nnot ok 1 broken\\n' >/dev/console", 0, null)]
    public void A_command_says_what_became_of_its_tests_on_its_standard_output(string command, int exitCode, string? sentence)
    {
        LguestResult result = Run($"--run={command}");

        AssertEnded(exitCode, result);
        Assert.Equal(sentence is not null, result.Errors.Contains("lguest: ", StringComparison.Ordinal));
        Assert.Contains(sentence ?? string.Empty, result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_test_in_which_the_kernel_dies_is_the_one_that_has_crashed_and_those_after_it_have_not_run()
    {
        LguestResult result = Run(
            "--run=printf 'TAP version 13\\n1..3\\nok 1 fine\\n# in the second\\n'; echo c >/proc/sysrq-trigger", $"--json={_folder.Path("j")}", $"--junit={_folder.Path("x")}");

        AssertEnded(100, result);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(_folder.Path("j")));
        Assert.Equal(
            [("command", "passed"), ("command", "crashed"), ("command", "notrun")],
            json.RootElement.GetProperty("tests").EnumerateArray().Select(test => (test.GetProperty("source").GetString()!, test.GetProperty("status").GetString()!)));
        Assert.Equal(3, XElement.Load(_folder.Path("x")).Descendants("error").Count());
    }

    [Theory]
    [InlineData("true", 102, "lguest: no test output (KTAP or TAP) came, which --ktap=required asks for\n")]
    [InlineData("exit 3", 3, "")]
    [InlineData("printf 'ok 1 fine\\n1..1\\n'", 0, "")]
    public void Tests_can_be_required(string command, int exitCode, string errors)
    {
        LguestResult result = Run($"--run={command}", "--ktap=required");

        AssertEnded(exitCode, result);
        Assert.EndsWith(errors, result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void What_looks_like_tests_can_be_none() =>
        AssertEnded(0, Run("--run=printf 'TAP version 13\\n1..2\\nok 1 fine\\nnot ok 2 broken\\n'", "--ktap=none"));

    [Theory]
    [InlineData("--ktap=none", "")]
    [InlineData("--ktap=auto", "suite.case 1")]
    public void What_is_no_test_output_is_no_running_test_either(string option, string running)
    {
        var tests = new TestOutput(((Request.Run)Launch.Parse(["64m", "vmlinux", option])).Launch);
        foreach (string line in (string[])["KTAP version 1", "1..1", "    KTAP version 1", "    # Subtest: suite", "    1..2"])
        {
            tests.ReadKernel(line);
        }

        Assert.Equal(running, tests.Running(hasLog: true));
    }

    [Fact]
    public void A_console_counts_where_there_is_nothing_better()
    {
        // No symbols, so no log that could be read.
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("\u001b[0m" + Failing.Replace("\n", "\r\n", StringComparison.Ordinal)));

        LguestResult result = LguestProcess.Run(string.Empty, "8m", kernel);

        Assert.Equal((1, "lguest: the console's test output says: broken failed\n"), (result.ExitCode, result.Errors));
    }

    [Fact]
    public void Programs_that_print_tests_panics_and_our_own_sentences_on_the_console_fool_nobody()
    {
        string script = $"""
            printf '{Failing.Replace("\n", "\\n", StringComparison.Ordinal)}'
            echo 'KTAP version 1'; echo '1..1'; echo 'not ok 1 a'
            echo '[    1.000000] Kernel panic - not syncing: x'; echo '---[ end Kernel panic - not syncing: x ]---'
            echo 'BUG: kernel NULL pointer dereference, address: 00000000'
            echo 'lguest: the guest panicked: x'; echo 'lguest: ended by SIGTERM'; echo 'System halted'; echo 'Power down 9'
            echo '<testcase name="x"><failure/></testcase> ]]> </script> ::error::x'
            """;

        LguestResult result = ShippedImages.Run(_folder, script, $"--junit={_folder.Path("x")}", $"--json={_folder.Path("j")}", $"--report={_folder.Path("r")}");

        AssertEnded(0, result);
        Assert.Equal(string.Empty, result.Errors);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(_folder.Path("j")));
        Assert.Empty(json.RootElement.GetProperty("tests").EnumerateArray());
        Assert.Empty(json.RootElement.GetProperty("health").EnumerateArray());
        Assert.Empty(XElement.Load(_folder.Path("x")).Descendants("failure"));
        AssertEnded(0, Run($"--run={script}", "--ktap=none"));
    }

    private static LguestResult Run(params string[] arguments)
    {
        Image("vmlinux");
        using System.Diagnostics.Process process = LguestProcess.StartIn(Project, arguments);
        return LguestProcess.Finish(process, string.Empty, TimeSpan.FromMinutes(3));
    }
}
