using System.Globalization;
using System.Text;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>The guest that ships, as images/build has made it, and ways of running it.</summary>
internal static class ShippedImages
{
    private const int SectorSize = 512;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>The folder with the project in it.</summary>
    public static string Project { get; } = FindProject();

    /// <summary>The path of one of the images; the test is skipped where they haven't been built.</summary>
    public static string Image(string name)
    {
        string path = Path.Combine(Project, "images", "out", name);
        Assert.SkipUnless(File.Exists(path), "images/out isn't there: run images/build.");
        return path;
    }

    /// <summary>The path of one of the images of the guest for more than 4 GiB; the test is skipped where they haven't been built.</summary>
    public static string PaeImage(string name) => VariantImage("pae", name);

    /// <summary>The path of one of the images of the guest that goes wrong on request; the test is skipped where they haven't been built.</summary>
    public static string TestImage(string name) => VariantImage("test", name);

    /// <summary>
    /// Runs a script in the guest, from a disk of its own: /dev/lgbb. The root is /dev/lgba, and what is written to it is lost.
    /// The guest powers off with the script's status.
    /// </summary>
    /// <param name="folder">For the script.</param>
    /// <param name="script">For the guest's shell.</param>
    /// <param name="arguments">More of the command line; disks become /dev/lgbc and so on.</param>
    public static LguestResult Run(TestFolder folder, string script, params string[] arguments) =>
        RunGuest(Arguments(folder, script, arguments));

    /// <summary>The command line that runs a script.</summary>
    public static string[] Arguments(TestFolder folder, string script, params string[] arguments) =>
    [
        "64m", Image("vmlinux"), $"--block={Image("rootfs.ext2")},snapshot", $"--block={ScriptDisk(folder, script)},ro",
        .. arguments, "quiet", "root=/dev/lgba", "run=\"sh /dev/lgbb\"",
    ];

    /// <summary>Runs a command line without any input.</summary>
    public static LguestResult RunGuest(params string[] arguments) => LguestProcess.Run(string.Empty, Patience, arguments);

    /// <summary>A copy of the root file system, to be written.</summary>
    public static string CopyOfRootFileSystem(TestFolder folder)
    {
        string disk = folder.Path("rootfs.ext2");
        File.Copy(Image("rootfs.ext2"), disk);
        return disk;
    }

    /// <summary>What the guest printed, without the carriage returns of its terminal.</summary>
    public static string Text(LguestResult result) => result.Output.Replace("\r", string.Empty, StringComparison.Ordinal);

    /// <summary>Sees that a run ended with a status, and shows everything if it didn't.</summary>
    public static void AssertEnded(int exitCode, LguestResult result) =>
        Assert.True(exitCode == result.ExitCode, $"exit code {result.ExitCode} instead of {exitCode}: {result.Errors}\n{result.Output}");

    /// <summary>The numbers in the last line of standard error that begins so: what --stats said.</summary>
    /// <param name="result">Of a run with --stats.</param>
    /// <param name="line">How the line begins.</param>
    public static ulong[] Statistics(LguestResult result, string line)
    {
        string found = result.Errors.Split('\n').Last(each => each.StartsWith("lguest: " + line, StringComparison.Ordinal));
        return [.. found[(8 + line.Length)..].Split(' ')
            .Where(word => word.All(each => char.IsAsciiDigit(each) || each == ','))
            .Select(word => ulong.Parse(word.TrimEnd(','), NumberStyles.AllowThousands, CultureInfo.InvariantCulture))];
    }

    /// <summary>A disk with a script: a shell reads a device as it reads a file, up to the end, where blank lines do no harm.</summary>
    public static string ScriptDisk(TestFolder folder, string script)
    {
        byte[] text = Encoding.ASCII.GetBytes(script.Replace("\r", string.Empty, StringComparison.Ordinal) + "\nexit\n");
        byte[] disk = new byte[(text.Length + SectorSize - 1) / SectorSize * SectorSize];
        Array.Fill(disk, (byte)'\n');
        text.CopyTo(disk, 0);
        return folder.File("script", disk);
    }

    private static string VariantImage(string variant, string name)
    {
        string path = Path.Combine(Project, "images", "out", variant, name);
        Assert.SkipUnless(File.Exists(path), $"images/out/{variant} isn't there: run images/build --{variant}.");
        return path;
    }

    private static string FindProject()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Lguest.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests aren't in the project's folder.");
    }
}
