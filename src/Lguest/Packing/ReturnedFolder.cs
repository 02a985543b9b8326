using System.Formats.Tar;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Results.Reports;

namespace Lguest.Packing;

/// <summary>
/// What a guest gives back of a folder that it was given: a tar archive on a disk, made by the guest, which may be anything. So nothing
/// is written outside the folder, nor through a link, and no more than the disk has room for.
/// </summary>
internal sealed class ReturnedFolder
{
    private const int BlockSize = 512;
    private const UnixFileMode Permissions = (UnixFileMode)0x1ff;

    private readonly string _folder;
    private readonly List<string> _refused = [];
    private ulong _room;

    private ReturnedFolder(string folder, ulong room)
    {
        _folder = folder;
        _room = room;
    }

    /// <summary>Copies it back. What the guest has deleted stays, and what it hasn't changed isn't touched.</summary>
    /// <param name="folder">The host's folder.</param>
    /// <param name="disk">What the guest wrote.</param>
    /// <returns>A sentence for each thing that wasn't copied.</returns>
    public static IReadOnlyList<string> Take(string folder, IBlockBackend disk)
    {
        var returned = new ReturnedFolder(Path.GetFullPath(folder), disk.Length);
        returned.Take(disk);
        return returned._refused;
    }

    private void Take(IBlockBackend disk)
    {
        using var stream = new DiskStream(disk);
        Span<byte> first = stackalloc byte[BlockSize];
        disk.Read(0, first);
        if (!first.ContainsAnyExcept((byte)0))
        {
            Refuse(".", "the guest has given nothing back");
            return;
        }

        try
        {
            using var archive = new TarReader(stream);
            while (archive.GetNextEntry() is { } entry)
            {
                TakeOrTell(entry);
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or OverflowException)
        {
            Refuse(".", "what the guest has given back ends in the middle: there was no more room, or no more time");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Refuse(".", e.Message.TrimEnd('.'));
        }
    }

    /// <summary>One file that this host doesn't take costs no other.</summary>
    private void TakeOrTell(TarEntry entry)
    {
        try
        {
            Take(entry);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or ArgumentException or (IOException and not EndOfStreamException))
        {
            Refuse(entry.Name, e.Message.TrimEnd('.'));
        }
    }

    private void Take(TarEntry entry)
    {
        string name = entry.Name.TrimEnd('/');
        string[] parts = [.. name.Split('/').Where(part => part != ".")];
        if (parts.Length == 0 || name.Length == 0)
        {
            return;
        }

        if (parts.Any(part => part.Length == 0 || part == ".."))
        {
            Refuse(name, "its path leads out of the folder");
            return;
        }

        if (Parent(parts) is not { } parent)
        {
            Refuse(name, "a part of its path is no folder, or a link");
            return;
        }

        string target = Path.Combine(parent, parts[^1]);
        switch (entry.EntryType)
        {
            case TarEntryType.Directory:
                TakeFolder(name, target);
                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                TakeFile(name, target, entry.DataStream ?? Stream.Null, (ulong)entry.Length, entry.Mode);
                break;
            case TarEntryType.SymbolicLink:
                TakeLink(name, target, entry.LinkName);
                break;
            case TarEntryType.HardLink:
                TakeHardLink(name, target, entry);
                break;
            default:
                Refuse(name, "it is a device, a pipe, or something else that isn't a file");
                break;
        }
    }

    /// <summary>The folder that something is to be in; null if the way there isn't made of folders.</summary>
    private string? Parent(string[] parts)
    {
        string path = _folder;
        foreach (string part in parts[..^1])
        {
            path = Path.Combine(path, part);
            var there = new DirectoryInfo(path);
            if (there.LinkTarget is not null || File.Exists(path))
            {
                return null;
            }

            there.Create();
        }

        return path;
    }

    private void TakeFolder(string name, string target)
    {
        var there = new DirectoryInfo(target);
        if (there.LinkTarget is not null || File.Exists(target))
        {
            Refuse(name, "there is something else of that name");
        }
        else
        {
            there.Create();
        }
    }

    private void TakeFile(string name, string target, Stream contents, ulong length, UnixFileMode mode)
    {
        if (Directory.Exists(target) && new DirectoryInfo(target).LinkTarget is null)
        {
            Refuse(name, "there is a folder of that name");
            return;
        }

        if (length > _room)
        {
            Refuse(name, "it is too large");
            return;
        }

        // What takes its place is a whole file, and a link in that place is replaced, not followed.
        _room -= length;
        string temporary = Path.Combine(Path.GetDirectoryName(target)!, $".lguest-{Guid.NewGuid():n}.tmp");
        try
        {
            using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                contents.CopyTo(file);
            }

            if (!IsSame(target, temporary, mode))
            {
                if (!OperatingSystem.IsWindows())
                {
                    File.SetUnixFileMode(temporary, mode & Permissions);
                }

                File.Move(temporary, target, overwrite: true);
            }
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private void TakeLink(string name, string target, string link)
    {
        // What the host has made itself may lead anywhere.
        if (new FileInfo(target).LinkTarget == link)
        {
            return;
        }

        if (link.Length == 0 || link.StartsWith('/') || link.Split('/').Contains("..") || link.Contains('\0', StringComparison.Ordinal))
        {
            Refuse(name, "it is a link that may lead out of the folder");
            return;
        }

        if (Directory.Exists(target) && new DirectoryInfo(target).LinkTarget is null)
        {
            Refuse(name, "there is a folder of that name");
            return;
        }

        File.Delete(target);
        File.CreateSymbolicLink(target, link);
    }

    /// <summary>Another name of a file that came before: a copy of it here.</summary>
    private void TakeHardLink(string name, string target, TarEntry entry)
    {
        string[] parts = [.. entry.LinkName.Split('/').Where(part => part != ".")];
        string? parent = parts.Length == 0 || parts.Any(part => part is "" or "..") ? null : Parent(parts);
        var source = new FileInfo(Path.Combine(parent ?? _folder, parts.Length > 0 ? parts[^1] : "."));
        if (parent is null || source.LinkTarget is not null || !source.Exists || !HostFile.IsRegular(source.FullName))
        {
            Refuse(name, "it is a link that may lead out of the folder");
            return;
        }

        using FileStream contents = source.OpenRead();
        TakeFile(name, target, contents, (ulong)source.Length, entry.Mode);
    }

    private static bool IsSame(string target, string other, UnixFileMode mode)
    {
        var there = new FileInfo(target);
        if (!there.Exists || there.LinkTarget is not null || !HostFile.IsRegular(target) || there.Length != new FileInfo(other).Length
            || (!OperatingSystem.IsWindows() && there.UnixFileMode != (mode & Permissions)))
        {
            return false;
        }

        const int PieceSize = 1 << 16;
        using FileStream one = there.OpenRead();
        using FileStream two = File.OpenRead(other);
        byte[] piece = new byte[PieceSize];
        byte[] otherPiece = new byte[PieceSize];
        int count;
        do
        {
            count = one.ReadAtLeast(piece, PieceSize, throwOnEndOfStream: false);
            if (two.ReadAtLeast(otherPiece, PieceSize, throwOnEndOfStream: false) != count || !piece.AsSpan(0, count).SequenceEqual(otherPiece.AsSpan(0, count)))
            {
                return false;
            }
        }
        while (count > 0);

        return true;
    }

    private void Refuse(string name, string why) => _refused.Add(
        name == "." ? $"'{_folder}' is not all that the guest has made of it: {why}" : $"'{GuestText.ForPeople(name)}' is not copied back to '{_folder}': {why}");

    /// <summary>A disk from its beginning to its end.</summary>
    private sealed class DiskStream(IBlockBackend disk) : Stream
    {
        private ulong _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => (long)_position;
            set => throw new NotSupportedException();
        }

        public override int Read(Span<byte> buffer)
        {
            int count = (int)Math.Min((ulong)buffer.Length, disk.Length - _position);
            disk.Read(_position, buffer[..count]);
            _position += (ulong)count;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
