using System.Diagnostics;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests;

/// <summary>This project's tests once more, in a process of their own.</summary>
internal static class TestProcess
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(20);

    /// <summary>Runs all of them with another engine; they must pass.</summary>
    /// <param name="engine">What LGUEST_TEST_ENGINE says.</param>
    /// <param name="record">Where it is recorded what they execute, or null.</param>
    public static void RunAll(string engine, string? record)
    {
        string program = Path.Combine(AppContext.BaseDirectory, typeof(TestProcess).Assembly.GetName().Name!);
        var start = new ProcessStartInfo(program, ["-noLogo", "-noColor", "-parallel", "none"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["LGUEST_TEST_ENGINE"] = engine,
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
            Assert.True(process.WaitForExit(Longest), $"The tests ran for {Longest} with the engine '{engine}', and didn't end.");
            string text = output.GetAwaiter().GetResult() + errors.GetAwaiter().GetResult();
            Assert.True(process.ExitCode == 0, $"With the engine '{engine}' the tests end with code {process.ExitCode}:\n{text}");
        }
        finally
        {
            process.Kill();
        }
    }
}
