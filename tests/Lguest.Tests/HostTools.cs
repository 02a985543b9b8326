using System.Diagnostics;

namespace Lguest.Tests;

/// <summary>Programs of the host that look at a disk from outside.</summary>
internal static class HostTools
{
    /// <summary>Sees that a file system has no errors. That it wasn't unmounted is none.</summary>
    public static void AssertSound(string disk)
    {
        Assert.SkipUnless(File.Exists("/sbin/e2fsck"), "e2fsck isn't installed (package e2fsprogs).");
        (int exitCode, string report) = Run("/sbin/e2fsck", "-fn", disk);
        Assert.True(exitCode == 0, report);
    }

    /// <summary>The MD5 sum of a file in an ext2 file system.</summary>
    public static string Md5OfFile(string disk, string file) =>
        Run("/bin/sh", "-c", "/sbin/debugfs -R \"cat $2\" \"$1\" 2>/dev/null | md5sum", "sh", disk, file).Output[..32];

    private static (int ExitCode, string Output) Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }
}
