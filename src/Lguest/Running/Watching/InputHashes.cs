using Lguest.Boot;
using Lguest.CommandLine;
using Lguest.Devices.Backends;
using Lguest.Packing;
using Lguest.Results.Reports;

namespace Lguest.Running.Watching;

/// <summary>The hashes of what goes into a run.</summary>
internal static class InputHashes
{
    /// <summary>Those of the kernel, the initrd and the disks, before the guest has written to them.</summary>
    /// <param name="launch">What the user wants.</param>
    /// <param name="contents">The initrd's.</param>
    /// <param name="files">Knows the hashes of files.</param>
    /// <exception cref="BootException">One can't be read.</exception>
    public static IReadOnlyList<InputReport> Of(Launch launch, InitrdContents contents, KnownFiles files)
    {
        var inputs = new List<InputReport> { Hash("kernel", launch.Kernel, files.Hash) };
        if (launch.Initrd is { } initrd)
        {
            inputs.Add(Hash("initrd", initrd, path => contents.Hash(path, files)));
        }

        inputs.AddRange(launch.Disks.Select(disk => Hash("disk", disk.Path, files.Hash)));
        return inputs;
    }

    private static InputReport Hash(string role, string path, Func<string, string> hash)
    {
        try
        {
            // What can be read only once, a pipe, is for the guest: it has no hash. Nor has a device.
            if (!Directory.Exists(path) && !HostFile.CanBeReadAgain(path))
            {
                return new InputReport(role, path, string.Empty);
            }

            return new InputReport(role, path, hash(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BootException($"'{path}' can't be read for the report: {e.Message.TrimEnd('.')}", e);
        }
    }
}
