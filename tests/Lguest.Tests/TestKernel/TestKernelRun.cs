using Lguest.Results.Reports;
using Lguest.TestSupport;

namespace Lguest.Tests.TestKernel;

/// <summary>Runs the guest that goes wrong on request, and gives the report of it.</summary>
internal static class TestKernelRun
{
    // Nothing is printed on the console, not even a panic.
    private const string Silence = "quiet loglevel=0";

    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>A command that asks the kernel for a crash, in a process of its own, and ends well.</summary>
    /// <param name="type">The kind, as /sys/kernel/debug/provoke-crash/DIRECT lists them.</param>
    /// <param name="place">Where: DIRECT, or another name in that folder.</param>
    public static string Provoke(string type, string place = "DIRECT") => $"(echo {type} >/sys/kernel/debug/provoke-crash/{place}) 2>/dev/null";

    /// <summary>Runs a command, and sees that the kernel says nothing on the console.</summary>
    /// <param name="folder">For the report.</param>
    /// <param name="command">For the guest's shell; it finds debugfs mounted, and 0 is the status.</param>
    /// <param name="words">More for the kernel's command line.</param>
    /// <param name="arguments">More of lguest's.</param>
    public static RunReport Command(TestFolder folder, string command, string words = "", params string[] arguments)
    {
        string console = folder.Path("console");
        RunReport report = Report(
            folder, Arguments(words, [$"--run=mount -t debugfs none /sys/kernel/debug && {{ {command}; exit 0; }}", $"--log={console}", .. arguments]));
        Assert.Empty(File.ReadAllText(console));
        return report;
    }

    /// <summary>Runs lguest, and reads the report of it.</summary>
    public static RunReport Report(TestFolder folder, params string[] arguments)
    {
        string json = folder.Path("report");
        File.Delete(json);
        LguestResult result = LguestProcess.Run(string.Empty, Patience, [.. arguments, $"--json={json}"]);
        Assert.True(File.Exists(json), $"exit code {result.ExitCode}: {result.Errors}");
        using FileStream stream = File.OpenRead(json);
        RunReport report = JsonReport.Read(stream);
        Assert.Equal(result.ExitCode, report.Outcome.ExitCode);
        return report;
    }

    /// <summary>The command line for the guest with a kernel that is silent.</summary>
    public static string[] Arguments(string words, params string[] arguments) =>
    [
        "64m", ShippedImages.TestImage("vmlinux"), $"--initrd={ShippedImages.Image("initrd.cpio")}", .. arguments,
        .. $"{Silence} {words}".Split(' ', StringSplitOptions.RemoveEmptyEntries),
    ];

    /// <summary>What to show where a report isn't as it should be.</summary>
    public static string Describe(RunReport report) =>
        $"{report.Outcome}\n{string.Join('\n', report.Health.Select(complaint => $"{complaint.Fingerprint}: {complaint.Title}\n  {string.Join("\n  ", complaint.Records)}"))}";
}
