using System.Diagnostics;

namespace Lguest.Tests;

/// <summary>What a finished <c>lguest</c> left behind.</summary>
/// <param name="ExitCode">Its exit code.</param>
/// <param name="Output">Standard output, a byte a character.</param>
/// <param name="Errors">Standard error.</param>
internal sealed record LguestResult(int ExitCode, string Output, string Errors);

/// <summary>Runs the <c>lguest</c> that was built with the tests, in a process of its own, as a user would.</summary>
internal static class LguestProcess
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>The program.</summary>
    public static string Path { get; } = System.IO.Path.Combine(AppContext.BaseDirectory, "lguest");

    /// <summary>Runs it to its end.</summary>
    /// <param name="input">All of its standard input.</param>
    /// <param name="arguments">Its arguments.</param>
    public static LguestResult Run(string input, params string[] arguments) => Run(input, Patience, arguments);

    /// <summary>The same for a guest that takes its time.</summary>
    public static LguestResult Run(string input, TimeSpan patience, params string[] arguments)
    {
        using Process process = Start(arguments);
        return Finish(process, input, patience);
    }

    /// <summary>Gives a run its last input and waits for its end.</summary>
    public static LguestResult Finish(Process process, string input, TimeSpan? patience = null)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        WaitFor(process, patience);
        return new LguestResult(process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>Runs a shell's script to its end, without input. In it, <c>"$0"</c> is lguest and <c>"$@"</c> are the arguments.</summary>
    public static LguestResult Shell(string script, params string[] arguments)
    {
        using Process process = StartShell(script, arguments);
        return Finish(process, string.Empty);
    }

    /// <summary>Starts a shell's script with its three descriptors on pipes.</summary>
    public static Process StartShell(string script, params string[] arguments) =>
        Process.Start(Redirected(new ProcessStartInfo("/bin/sh", ["-c", script, Path, .. arguments])))!;

    /// <summary>Starts it with its three descriptors on pipes.</summary>
    public static Process Start(params string[] arguments) => StartIn(Environment.CurrentDirectory, arguments);

    /// <summary>The same in another folder.</summary>
    public static Process StartIn(string folder, params string[] arguments) =>
        Process.Start(Redirected(new ProcessStartInfo(Path, arguments) { WorkingDirectory = folder }))!;

    private static ProcessStartInfo Redirected(ProcessStartInfo start)
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.StandardInputEncoding = start.StandardOutputEncoding = System.Text.Encoding.Latin1;
        return start;
    }

    /// <summary>Sends it a signal. The test is skipped where that is one that it ignores.</summary>
    /// <param name="signal">INT, TERM, ...</param>
    /// <param name="process">Who gets it.</param>
    public static void Send(string signal, Process process)
    {
        if (IsIgnored(signal))
        {
            process.Kill(entireProcessTree: true);
        }

        SkipWhereIgnored(signal);
        using Process kill = Process.Start("kill", [$"-{signal}", $"{process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Skips the test where processes ignore a signal from their start: a background job's SIGINT, SIGHUP under nohup.</summary>
    /// <param name="signal">INT, HUP, ...</param>
    public static void SkipWhereIgnored(string signal) =>
        Assert.SkipWhen(IsIgnored(signal), $"SIG{signal} is ignored here, as in a background job or under nohup.");

    private static bool IsIgnored(string signal)
    {
        int number = signal switch { "HUP" => 1, "INT" => 2, _ => 0 };
        if (number == 0 || !File.Exists("/proc/self/status"))
        {
            return false;
        }

        string ignored = File.ReadLines("/proc/self/status").First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal));
        return (Convert.ToUInt64(ignored["SigIgn:".Length..].Trim(), 16) & (1ul << (number - 1))) != 0;
    }

    /// <summary>Waits for its end, or fails.</summary>
    public static void WaitFor(Process process, TimeSpan? patience = null)
    {
        if (!process.WaitForExit(patience ?? Patience))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail("lguest did not end in time.");
        }

        process.WaitForExit();
    }
}
