using System.Security.Cryptography;
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
    /// <exception cref="BootException">One can't be read.</exception>
    public static IReadOnlyList<InputReport> Of(Launch launch, InitrdContents contents)
    {
        var inputs = new List<InputReport> { Hash("kernel", launch.Kernel, HostFile.OpenForReading) };
        if (launch.Initrd is { } initrd)
        {
            inputs.Add(Hash("initrd", initrd, contents.Open));
        }

        inputs.AddRange(launch.Disks.Select(disk => Hash("disk", disk.Path, HostFile.OpenForReading)));
        return inputs;
    }

    private static InputReport Hash(string role, string path, Func<string, Stream> open)
    {
        try
        {
            // What can be read only once, a pipe, is for the guest: it has no hash. Nor has a device.
            if (!Directory.Exists(path) && !HostFile.CanBeReadAgain(path))
            {
                return new InputReport(role, path, string.Empty);
            }

            using Stream file = open(path);
            return new InputReport(role, path, Convert.ToHexStringLower(SHA256.HashData(file)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BootException($"'{path}' can't be read for the report: {e.Message.TrimEnd('.')}", e);
        }
    }
}
