using System.Globalization;
using Lguest.Boot;
using Lguest.CommandLine;
using Lguest.Devices;
using Lguest.Devices.Backends;
using Lguest.Host.Abi;
using Lguest.Host.Saving;
using Lguest.Packing;

namespace Lguest.Running.Saving;

/// <summary>What a saved guest was made of: who goes on with it has to name the same.</summary>
internal static class StateFacts
{
    /// <summary>Those of a command line.</summary>
    /// <param name="launch">What the user wants.</param>
    /// <param name="abi">What kind of guest it is.</param>
    /// <param name="initrd">What goes into the initrd.</param>
    /// <param name="files">Knows the hashes of files.</param>
    /// <exception cref="BootException">Something can't be read.</exception>
    public static IReadOnlyList<SavedFact> Of(Launch launch, GuestAbi abi, InitrdContents initrd, KnownFiles files) =>
    [
        new("another version of lguest", $"{typeof(FrontEnds).Assembly.ManifestModule.ModuleVersionId} {typeof(StateFacts).Assembly.ManifestModule.ModuleVersionId}"),
        new("another kind of kernel", abi.Name),
        new("another kernel", Hash(launch.Kernel, files.Hash)),
        new("another initial RAM disk", launch.Initrd is { } path ? Hash(path, file => initrd.Hash(file, files)) : string.Empty),
        new("another kernel command line", launch.KernelCommandLine),
        new("another amount of memory", launch.MemoryBytes.ToString(CultureInfo.InvariantCulture)),
        .. launch.Disks.Select((disk, i) => new SavedFact(string.Create(CultureInfo.InvariantCulture, $"another disk {i + 1}"), $"{disk.Mode} {Hash(disk.Path, files.Hash)}")),
    ];

    /// <summary>Says in what two guests differ.</summary>
    /// <returns>Words for the user; null if they don't differ.</returns>
    public static string? Difference(IReadOnlyList<SavedFact> one, IReadOnlyList<SavedFact> other)
    {
        string[] names = [.. one.Except(other).Concat(other.Except(one)).Select(fact => fact.Name).Distinct()];
        return names.Length == 0 ? null : string.Join(", ", names);
    }

    private static string Hash(string path, Func<string, string> hash)
    {
        try
        {
            if (!Directory.Exists(path) && !HostFile.CanBeReadAgain(path))
            {
                throw new BootException($"'{path}' can be read only once, and a guest that is saved needs files that are known by their contents: give it a file");
            }

            return hash(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BootException($"'{path}' can't be read: {e.Message.TrimEnd('.')}", e);
        }
    }
}
