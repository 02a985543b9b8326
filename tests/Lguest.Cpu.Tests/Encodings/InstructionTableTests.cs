using System.Diagnostics;
using Lguest.Cpu.Tests.Native;
using Lguest.Cpu.Tests.Unicorn;

namespace Lguest.Cpu.Tests.Encodings;

/// <summary>docs/instructions.md: every encoding, what becomes of it here, and the tests that were seen to cover it.</summary>
public sealed class InstructionTableTests
{
    private const string Document = "instructions.md";
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    [Fact]
    public void Every_encoding_is_covered_and_the_documentation_says_by_what()
    {
        Assert.SkipWhen(TestEngine.Current == Engine.Traced, "This is the run that another one records.");
        Assert.SkipUnless(
            NativeProcessor.CatchesFaults, "Many tests compare with an x86-64 processor on Linux: without one, less is covered.");
        UnicornProcessor.SkipUnlessInstalled();
        string path = Path.GetTempFileName();
        try
        {
            RunAllTestsTraced(path);
            var table = new InstructionTable(ExecutionRecord.Read(path));
            string[] uncovered = [.. table.Uncovered];
            Assert.True(uncovered.Length == 0, $"No test covers\n{string.Join('\n', uncovered)}");
            Documentation.AssertUpToDate(Document, table.Render());
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>All the tests of this project must pass in this engine too, and what they execute is recorded.</summary>
    private static void RunAllTestsTraced(string record)
    {
        string program = Path.Combine(AppContext.BaseDirectory, typeof(InstructionTableTests).Assembly.GetName().Name!);
        var start = new ProcessStartInfo(program, ["-noLogo", "-noColor", "-parallel", "none"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["LGUEST_TEST_ENGINE"] = "traced",
                [ExecutionRecord.Variable] = record,
                ["LGUEST_LONG_TESTS"] = null,
                ["LGUEST_UPDATE_DOCS"] = null,
            },
        };
        using Process process = Process.Start(start)!;
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            Assert.True(process.WaitForExit(Longest), $"The tests ran for {Longest} with the traced engine, and didn't end.");
            string text = output.GetAwaiter().GetResult() + errors.GetAwaiter().GetResult();
            Assert.True(process.ExitCode == 0, $"With the traced engine the tests end with code {process.ExitCode}:\n{text}");
        }
        finally
        {
            process.Kill();
        }
    }
}
