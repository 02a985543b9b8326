using System.Text;
using Lguest.Boot;
using Lguest.Boot.Archives;
using Lguest.Devices.Backends;

namespace Lguest.Packing;

/// <summary>A folder of the host's as an archive.</summary>
internal static class FolderArchive
{
    private const string InFolder = "/";
    private const uint UsualFolder = 0x1ed; // rwxr-xr-x

    /// <summary>
    /// Adds all that is in a folder: files, folders, and links as they are, in the order of their names. Sockets, pipes and devices are left out.
    /// </summary>
    /// <param name="writer">The archive.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="under">Where it is to be in the archive, such as <c>usr/share</c>; empty for the root. Folders on the way there are made, where there are none.</param>
    /// <param name="there">What the guest has already. A folder on the way that is unpacked again would replace a link, or lose its mode.</param>
    /// <param name="leavesOut">Whether something, by its path in the archive, is left out; null for nothing.</param>
    /// <exception cref="BootException">Something in it can't be read.</exception>
    public static void Add(CpioWriter writer, string folder, string under, UnpackedTree there, Func<string, bool>? leavesOut = null)
    {
        string way = string.Empty;
        foreach (string part in under.Split(InFolder, StringSplitOptions.RemoveEmptyEntries))
        {
            way = Join(way, part);
            if (!there.HasFolder(way))
            {
                writer.Add(CpioKind.Folder, way, UsualFolder);
            }
        }

        AddContents(writer, new DirectoryInfo(folder), way, leavesOut);
    }

    private static void AddContents(CpioWriter writer, DirectoryInfo folder, string under, Func<string, bool>? leavesOut)
    {
        FileSystemInfo[] entries = Guard(folder.FullName, () => folder.GetFileSystemInfos());
        Array.Sort(entries, static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        foreach (FileSystemInfo entry in entries)
        {
            string name = Join(under, entry.Name);
            if (leavesOut?.Invoke(name) != true)
            {
                AddEntry(writer, entry, name, leavesOut);
            }
        }
    }

    private static void AddEntry(CpioWriter writer, FileSystemInfo entry, string name, Func<string, bool>? leavesOut)
    {
        const uint AllMayUse = 0x1ff;
        RequireText(entry, entry.Name, "name");
        if (entry.LinkTarget is { } target)
        {
            RequireText(entry, target, "target");
            writer.Add(CpioKind.Link, name, AllMayUse, Encoding.UTF8.GetBytes(target));
            return;
        }

        uint permissions = Guard(entry.FullName, () => (uint)entry.UnixFileMode);
        if (entry is DirectoryInfo inner)
        {
            writer.Add(CpioKind.Folder, name, permissions);
            AddContents(writer, inner, name, leavesOut);
        }
        else if (HostFile.IsRegular(entry.FullName))
        {
            Guard(entry.FullName, () =>
            {
                using Stream file = HostFile.OpenForReading(entry.FullName);
                writer.AddFile(name, permissions, file);
                return true;
            });
        }
    }

    /// <summary>.NET puts U+FFFD where a name's bytes are no UTF-8, and then finds no such file.</summary>
    private static void RequireText(FileSystemInfo entry, string text, string what)
    {
        if (text.Contains('\ufffd', StringComparison.Ordinal))
        {
            throw new BootException($"'{entry.FullName}' can't be put into the initrd: its {what} is not UTF-8: give it another");
        }
    }

    private static T Guard<T>(string path, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BootException($"'{path}' can't be put into the initrd: {e.Message.TrimEnd('.')}", e);
        }
    }

    private static string Join(string folder, string name) => folder.Length == 0 ? name : folder + InFolder + name;
}
