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

    /// <summary>Makes an ext4 with a journal.</summary>
    public static void MakeExt4(string disk)
    {
        (int exitCode, string report) = Run("/sbin/mke2fs", "-q", "-t", "ext4", "-F", disk);
        Assert.True(exitCode == 0, report);
    }

    /// <summary>Does what a mount does after a crash: replays the journal.</summary>
    public static void Recover(string disk)
    {
        // 1: it did something.
        (int exitCode, string report) = Run("/sbin/e2fsck", "-E", "journal_only", "-y", disk);
        Assert.True(exitCode is 0 or 1, report);
    }

    /// <summary>A text file in a file system.</summary>
    public static string TextOfFile(string disk, string file) =>
        Run("/bin/sh", "-c", "/sbin/debugfs -R \"cat $2\" \"$1\" 2>/dev/null", "sh", disk, file).Output.Trim();

    /// <summary>Characters in a disk.</summary>
    public static string TextAt(string disk, long offset, int length)
    {
        using FileStream file = File.OpenRead(disk);
        file.Position = offset;
        byte[] bytes = new byte[length];
        file.ReadExactly(bytes);
        return System.Text.Encoding.ASCII.GetString(bytes);
    }

    /// <summary>What a file takes on the host's disk.</summary>
    public static long AllocatedBytes(string file)
    {
        const int KiB = 1024;
        return long.Parse(Run("/usr/bin/du", "-k", file).Output.Split('\t')[0], System.Globalization.CultureInfo.InvariantCulture) * KiB;
    }

    private static (int ExitCode, string Output) Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }
}
