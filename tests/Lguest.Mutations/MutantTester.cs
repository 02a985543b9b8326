using System.Diagnostics;

namespace Lguest.Mutations;

/// <summary>The processor's tests, in a copy of their own beside which a faulty processor can be put.</summary>
internal sealed class MutantTester : IDisposable
{
    private const string Tests = "tests/Lguest.Cpu.Tests/bin/Release/net10.0";

    // Tests find the documentation they check by the solution above them.
    private static readonly string[] Needed = ["Lguest.sln", "docs", Tests];

    private readonly string _copy = Directory.CreateTempSubdirectory("lguest-mutants-").FullName;

    /// <summary>Copies the tests.</summary>
    /// <param name="root">The clone; its tests are built.</param>
    public MutantTester(string root)
    {
        foreach (string name in Needed)
        {
            Copy(Path.Combine(root, name), Path.Combine(_copy, name));
        }
    }

    /// <summary>Where the processor that is tested lies.</summary>
    public string ProcessorPath => Path.Combine(_copy, Tests, "Lguest.Cpu.dll");

    /// <summary>Runs the ordinary tests up to the first failure.</summary>
    /// <param name="limit">After that long the processor counts as hung, which is a failure.</param>
    /// <param name="filters">Arguments for the test runner.</param>
    /// <returns>The first failure, or null when all passed.</returns>
    public string? FindFailure(TimeSpan limit, params ReadOnlySpan<string> filters)
    {
        string program = Path.Combine(_copy, Tests, OperatingSystem.IsWindows() ? "Lguest.Cpu.Tests.exe" : "Lguest.Cpu.Tests");
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("-stopOnFail");
        start.ArgumentList.Add("-noColor");
        start.Environment["LGUEST_FUZZ_SECONDS"] = "5";
        foreach (string filter in filters)
        {
            start.ArgumentList.Add(filter);
        }

        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} can't be started.");
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(limit))
        {
            process.Kill(entireProcessTree: true);
            return "it hangs";
        }

        // A run that stops at its first failure may say that it was of none, so that comes last.
        string text = output.Result + errors.Result;
        if (process.ExitCode != 0)
        {
            return text.Split('\n').FirstOrDefault(line => line.Contains("[FAIL]", StringComparison.Ordinal))?.Trim()
                ?? $"the process ended with code {process.ExitCode}, having said: {errors.Result.Split('\n')[0]}";
        }

        bool isEmpty = text.Split('\n').Any(line => line.TrimEnd().EndsWith(" Total: 0", StringComparison.Ordinal));
        return isEmpty ? "no test runs with these options" : null;
    }

    /// <inheritdoc />
    public void Dispose() => Directory.Delete(_copy, recursive: true);

    private static void Copy(string source, string target)
    {
        if (File.Exists(source))
        {
            File.Copy(source, target);
            return;
        }

        Directory.CreateDirectory(target);
        foreach (string file in Directory.EnumerateFiles(source))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }

        foreach (string directory in Directory.EnumerateDirectories(source))
        {
            Copy(directory, Path.Combine(target, Path.GetFileName(directory)));
        }
    }
}
