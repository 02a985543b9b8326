using System.Text.RegularExpressions;
using Lguest.Boot.Dialects;
using Lguest.Boot.Images;
using Lguest.Host.Abi;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>What the tests of unmodified kernels have in common: their files, which the environment names, and what they say.</summary>
internal static partial class RealGuest
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>The file that the environment names; the test is skipped without one.</summary>
    public static string Variable(string name)
    {
        string variable = $"LGUEST_TEST_{name}";
        string? value = Environment.GetEnvironmentVariable(variable);
        Assert.SkipWhen(string.IsNullOrEmpty(value), $"{variable} names no file.");
        return value!;
    }

    /// <summary>The kernels in the folder that LGUEST_TEST_ERAS names: each in a folder of its own, as vmlinux.</summary>
    public static IEnumerable<Era> Eras()
    {
        string folder = Variable("ERAS");
        string[] kernels = Directory.GetFiles(folder, "vmlinux", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 });
        Assert.True(kernels.Length > 0, $"{folder} has no folder with a vmlinux");
        foreach (string path in kernels.Order())
        {
            using KernelImage kernel = KernelImage.Open(path);
            yield return new Era(path, Dialect.Detect(kernel).Abi);
        }
    }

    /// <summary>Boots the kernel that a variable names.</summary>
    public static LguestResult Boot(string kernel, string input, params string[] arguments) =>
        LguestProcess.Run(input, Patience, ["64m", Variable(kernel), .. arguments]);

    /// <summary>A copy of the root file system that can be written.</summary>
    public static string CopyOfRootFileSystem(TestFolder folder)
    {
        string disk = folder.Path("rootfs.ext2");
        File.Copy(Variable("ROOTFS"), disk);
        return disk;
    }

    /// <summary>Sees that a guest has tested itself, and how it ended.</summary>
    public static void AssertAutotest(LguestResult result, int exitCode)
    {
        Assert.True(result.ExitCode == exitCode, $"exit code {result.ExitCode}: {result.Errors}\n{result.Output}");
        foreach (string line in (string[])["MD5-OK", "GZIP-OK", "guest httpd works", "2 packets received", "GUEST-TEST-DONE"])
        {
            Assert.Contains(line, result.Output, StringComparison.Ordinal);
        }
    }

    /// <summary>Sees that two runs, with --stats, were the same to the byte and the instruction.</summary>
    public static void AssertSame(LguestResult first, LguestResult second)
    {
        Assert.Equal(0, first.ExitCode);
        Assert.Equal(first.Output, second.Output);
        Assert.Equal(Instructions().Match(first.Errors).Value, Instructions().Match(second.Errors).Value);
        Assert.NotEmpty(Instructions().Match(first.Errors).Value);
    }

    [GeneratedRegex("[0-9,]+ instructions")]
    private static partial Regex Instructions();
}

/// <summary>A real kernel.</summary>
/// <param name="Kernel">Its path.</param>
/// <param name="Abi">What kind of guest it is.</param>
internal sealed record Era(string Kernel, GuestAbi Abi);
