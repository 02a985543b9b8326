using Lguest.Devices.Backends;

namespace Lguest.CommandLine;

/// <summary>The guest that ships (docs/guest.md): what runs when the user names none.</summary>
internal static class ShippedGuest
{
    private const string Folder = "images/out";
    private const string Kernel = "vmlinux";
    private const string Disk = "rootfs.ext2";
    private const string InitialDisk = "initrd.cpio";

    /// <summary>Arguments that boot it, as a user would write them.</summary>
    /// <param name="places">Folders in which there may be a checkout of the project, the likeliest first.</param>
    /// <exception cref="CommandLineException">It hasn't been built.</exception>
    public static string[] Arguments(IEnumerable<string> places)
    {
        (string kernel, string disk) = Find(places, Disk);
        return ["64m", kernel, $"--block={CommaParts.Escape(disk)},snapshot", "root=/dev/lgba"];
    }

    /// <summary>The same with its initrd as its root file system, to which more can be added.</summary>
    /// <inheritdoc cref="Arguments" />
    public static string[] ArgumentsWithInitrd(IEnumerable<string> places)
    {
        (string kernel, string initrd) = Find(places, InitialDisk);
        return ["64m", kernel, $"--initrd={initrd}"];
    }

    /// <summary>Its initrd, in which any kernel can run a command.</summary>
    /// <param name="places">As for <see cref="Arguments"/>.</param>
    /// <exception cref="CommandLineException">It hasn't been built.</exception>
    public static string Initrd(IEnumerable<string> places) =>
        places.Select(place => Path.Combine(place, Folder, InitialDisk)).FirstOrDefault(HostFile.Exists)
            ?? throw new CommandLineException(
                $"--{Options.RunLine.Name} needs the initrd of the guest that ships, which isn't built: run `images/build` in lguest's folder, or name one with --{Options.Initrd.Name}");

    /// <summary>Its kernel; null if it isn't there.</summary>
    /// <param name="places">As for <see cref="Arguments"/>.</param>
    public static string? KernelIn(IEnumerable<string> places) => places.Select(place => Path.Combine(place, Folder, Kernel)).FirstOrDefault(HostFile.Exists);

    /// <summary>Where to look: here, in the folder from which lguest was published, and beside lguest, where a package has it.</summary>
    public static IEnumerable<string> Places() =>
        [string.Empty, Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..")), AppContext.BaseDirectory];

    private static (string Kernel, string Root) Find(IEnumerable<string> places, string root)
    {
        foreach (string place in places)
        {
            string kernel = Path.Combine(place, Folder, Kernel);
            string path = Path.Combine(place, Folder, root);
            if (HostFile.Exists(kernel) && HostFile.Exists(path))
            {
                return (kernel, path);
            }
        }

        throw new CommandLineException(
            "no guest is given, and the one that ships isn't built: run `images/build` in lguest's folder, "
            + "or write, for example, `lguest 64m vmlinux --block=rootfile root=/dev/lgba`");
    }
}
