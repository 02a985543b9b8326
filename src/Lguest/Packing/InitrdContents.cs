using System.Security.Cryptography;
using System.Text;
using Lguest.Boot;
using Lguest.Boot.Archives;
using Lguest.CommandLine;
using Lguest.Devices.Backends;
using Lguest.Running;

namespace Lguest.Packing;

/// <summary>
/// What a guest gets as its initrd: a file, or a folder as an archive, and behind it archives of what it is to have besides. Linux unpacks
/// one after the other, and the later ones into the same place. It is packed once, so that a report's hash is that of what the guest has.
/// </summary>
/// <param name="launch">What the user wants; it has an initrd.</param>
/// <param name="diskPrefix">What the guest calls disks, before the letter.</param>
internal sealed class InitrdContents(Launch launch, string diskPrefix) : IDisposable
{
    private const string ModulesFolder = "lib/modules";
    private const int Alignment = 4;
    private const uint RootReads = 0x100; // r--------
    private const uint AllRead = 0x124; // r--r--r--

    // Where make modules_install has left links to where the kernel was built.
    private static readonly string[] LinksToSource = ["build", "source"];

    private MemoryStream? _packed;
    private string? _hash;

    /// <summary>Opens it. What there is only one file of isn't read before somebody reads it.</summary>
    /// <param name="path">The initrd, as the user named it.</param>
    /// <exception cref="BootException">Something that is to go into it can't be read.</exception>
    /// <exception cref="IOException">The file itself can't.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    public Stream Open(string path)
    {
        bool isFolder = Directory.Exists(path);
        if (IsFile(isFolder))
        {
            return HostFile.OpenForReading(path);
        }

        _packed ??= Pack(path, isFolder);
        return new MemoryStream(_packed.GetBuffer(), 0, (int)_packed.Length, writable: false);
    }

    /// <summary>The SHA-256 of all of it, in hexadecimal.</summary>
    /// <param name="path">The initrd, as the user named it.</param>
    /// <param name="files">Knows that of files.</param>
    /// <inheritdoc cref="Open" />
    public string Hash(string path, KnownFiles files)
    {
        if (IsFile(Directory.Exists(path)))
        {
            return files.Hash(path);
        }

        using Stream contents = Open(path);
        return _hash ??= Convert.ToHexStringLower(SHA256.HashData(contents));
    }

    /// <summary>Gives its memory back.</summary>
    public void Dispose()
    {
        _packed?.Dispose();
        _packed = null;
    }

    private bool IsFile(bool isFolder) => !isFolder && launch.Shares.Count == 0 && launch.Modules is null && launch.StatusToken is null;

    private MemoryStream Pack(string path, bool isFolder)
    {
        var contents = new MemoryStream();
        var there = new UnpackedTree();
        if (isFolder)
        {
            Append(contents, there, writer => FolderArchive.Add(writer, path, string.Empty, there));
        }
        else
        {
            using Stream file = HostFile.OpenForReading(path);
            file.CopyTo(contents);
            there.Unpack(Written(contents, 0));
        }

        foreach (ShareOption share in launch.Shares)
        {
            Append(contents, there, writer => FolderArchive.Add(writer, Existing(share.Folder, "--share"), share.Mount, there));
        }

        if (launch.Modules is { } modules)
        {
            string folder = Existing(Path.Combine(modules, ModulesFolder), "--modules");
            Append(contents, there, writer => FolderArchive.Add(writer, folder, ModulesFolder, there, IsLinkToSource));
        }

        if (launch.ReturnedShares.Any())
        {
            Append(contents, there, writer => writer.Add(CpioKind.File, ReturnedShares.File, AllRead, ReturnedShares.Table(launch, diskPrefix)));
        }

        if (launch.StatusToken is { } token)
        {
            Append(contents, there, writer => writer.Add(CpioKind.File, ToldStatus.File, RootReads, Encoding.ASCII.GetBytes(token)));
        }

        return contents;
    }

    private static void Append(MemoryStream contents, UnpackedTree there, Action<CpioWriter> add)
    {
        while (contents.Length % Alignment != 0)
        {
            contents.WriteByte(0);
        }

        long begin = contents.Length;
        var writer = new CpioWriter(contents);
        add(writer);
        writer.Finish();
        there.Unpack(Written(contents, begin));
    }

    private static ReadOnlySpan<byte> Written(MemoryStream contents, long begin) => contents.GetBuffer().AsSpan((int)begin, (int)(contents.Length - begin));

    private static string Existing(string folder, string option) => Directory.Exists(folder)
        ? folder
        : throw new BootException($"{option}: there is no folder '{folder}'");

    /// <summary>Of <c>lib/modules/6.1.0/build</c> and the like.</summary>
    private static bool IsLinkToSource(string name)
    {
        const int Depth = 4;
        return name.Split('/') is { Length: Depth } parts && LinksToSource.Contains(parts[^1]);
    }
}
