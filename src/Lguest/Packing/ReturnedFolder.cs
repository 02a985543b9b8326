using System.Formats.Tar;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Results.Reports;

namespace Lguest.Packing;

/// <summary>
/// What a guest gives back of a folder that it was given: a tar archive on a disk, made by the guest, which may be anything. So nothing
/// is written outside the folder, nor through a link, and no more than the disk has room for.
/// </summary>
/// <remarks>
/// A guest may die at any time, and what it has written by then is on its disk in parts. So the first page says whether the archive behind
/// it is all there. Without that word nothing is taken: what is missing would be zeros in the user's files.
/// </remarks>
internal sealed class ReturnedFolder
{
    private const int ArchiveBegin = 4096;
    private const int PieceSize = 1 << 16;
    private const UnixFileMode Permissions = (UnixFileMode)0x1ff;

    private readonly string _folder;
    private readonly List<string> _refused = [];

    // Where files of this archive are: of no other may it have a second name.
    private readonly HashSet<string> _files = new(StringComparer.Ordinal);
    private ulong _room;

    private ReturnedFolder(string folder, ulong room)
    {
        _folder = folder;
        _room = room;
    }

    /// <summary>What a guest writes at the disk's first byte when all of its archive is there (<c>images/rootfs/lguest-share</c>).</summary>
    private static ReadOnlySpan<byte> Whole => "lguest-share: whole\n"u8;

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
        Span<byte> first = stackalloc byte[Whole.Length];
        disk.Read(0, first);
        if (!first.SequenceEqual(Whole) || disk.Length < ArchiveBegin)
        {
            Refuse(".", "nothing was given back whole: the guest has ended before, or there was no room for it");
            return;
        }

        try
        {
            using var stream = new DiskStream(disk, ArchiveBegin);
            using var archive = new TarReader(stream);
            while (archive.GetNextEntry() is { } entry)
            {
                TakeOrTell(entry);
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or OverflowException)
        {
            Refuse(".", "what the guest has given back is no whole archive");
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
        string[] parts = PartsOf(name);
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
        _files.Remove(target);
        switch (entry.EntryType)
        {
            case TarEntryType.Directory:
                TakeFolder(name, target);
                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                TakeFile(name, target, entry.DataStream ?? Stream.Null, entry.Length, entry.Mode);
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

    private static string[] PartsOf(string name) => [.. name.Split('/').Where(part => part != ".")];

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

    private void TakeFile(string name, string target, Stream contents, long length, UnixFileMode mode)
    {
        if (Directory.Exists(target) && new DirectoryInfo(target).LinkTarget is null)
        {
            Refuse(name, "there is a folder of that name");
            return;
        }

        if ((ulong)length > _room)
        {
            Refuse(name, "it is too large");
            return;
        }

        _room -= (ulong)length;
        using (FileStream? there = OpenIfAlike(target, length, mode))
        {
            // An archive is read once, from its beginning. So what was the same before a difference is copied from the file that is there.
            byte[] piece = new byte[PieceSize];
            byte[] other = new byte[PieceSize];
            int count;
            long same = 0;
            while ((count = contents.ReadAtLeast(piece, PieceSize, throwOnEndOfStream: false)) > 0 && there is not null
                && there.ReadAtLeast(other.AsSpan(0, count), count, throwOnEndOfStream: false) == count
                && piece.AsSpan(0, count).SequenceEqual(other.AsSpan(0, count)))
            {
                same += count;
            }

            if (there is null || same != length)
            {
                Replace(target, mode, file =>
                {
                    Copy(there, same, file, other);
                    file.Write(piece, 0, count);
                    contents.CopyTo(file);
                });
            }
        }

        _files.Add(target);
    }

    /// <summary>Opens what is there, if it may be what is to be there.</summary>
    private static FileStream? OpenIfAlike(string target, long length, UnixFileMode mode)
    {
        var there = new FileInfo(target);
        bool isAlike = there.Exists && there.LinkTarget is null && HostFile.IsRegular(target) && there.Length == length
            && (OperatingSystem.IsWindows() || there.UnixFileMode == (mode & Permissions));
        return isAlike ? there.OpenRead() : null;
    }

    private static void Copy(FileStream? from, long length, FileStream to, byte[] piece)
    {
        from?.Seek(0, SeekOrigin.Begin);
        while (length > 0)
        {
            int count = (int)Math.Min(length, piece.Length);
            from!.ReadExactly(piece, 0, count);
            to.Write(piece, 0, count);
            length -= count;
        }
    }

    /// <summary>What takes its place is a whole file, and a link in that place is replaced, not followed.</summary>
    private static void Replace(string target, UnixFileMode mode, Action<FileStream> write)
    {
        string temporary = Path.Combine(Path.GetDirectoryName(target)!, $".lguest-{Guid.NewGuid():n}.tmp");
        try
        {
            using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                write(file);
            }

            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(temporary, mode & Permissions);
            }

            File.Move(temporary, target, overwrite: true);
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
        var source = new FileInfo(Path.Combine([_folder, .. PartsOf(entry.LinkName)]));
        if (!_files.Contains(source.FullName))
        {
            Refuse(name, "it is a link to what did not come before it");
            return;
        }

        using FileStream contents = source.OpenRead();
        TakeFile(name, target, contents, source.Length, entry.Mode);
    }

    private void Refuse(string name, string why) => _refused.Add(
        name == "." ? $"'{_folder}' is not all that the guest has made of it: {why}" : $"'{GuestText.ForPeople(name)}' is not copied back to '{_folder}': {why}");

    /// <summary>A disk from somewhere to its end.</summary>
    private sealed class DiskStream(IBlockBackend disk, ulong begin) : Stream
    {
        private ulong _position = begin;

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
