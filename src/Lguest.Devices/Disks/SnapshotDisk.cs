using System.Collections;
using Lguest.Devices.Backends;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Devices.Disks;

/// <summary>
/// A disk that keeps what is written to it aside: the one below is only read, so that many guests may share it, and all
/// changes are gone when this is disposed or the process ends.
/// </summary>
/// <remarks>
/// Changes go to a sparse file in the folder for temporary files (TMPDIR), which has no name there any more: nothing
/// remains of it, however the process ends. It has the layout of the disk, and each cluster of it is either whole or not
/// there at all.
/// </remarks>
public sealed class SnapshotDisk : IBlockBackend
{
    private const int ClusterSize = 4096;
    private const ulong ClustersInPart = 1 << 16;
    private const uint OwnersOnly = 0x180;

    private readonly IBlockBackend _below;
    private readonly SafeFileHandle _changes;
    private readonly Dictionary<ulong, BitArray> _isChanged = [];
    private readonly byte[] _cluster = new byte[ClusterSize];

    /// <summary>Makes a disk without changes.</summary>
    /// <param name="below">What it begins as, which this owns from now on.</param>
    /// <exception cref="BackendException">There is no place for changes.</exception>
    public SnapshotDisk(IBlockBackend below)
    {
        _below = below;
        _changes = OpenUnnamedFile(below.Name);
    }

    /// <inheritdoc />
    public ulong Length => _below.Length;

    /// <inheritdoc />
    public bool IsReadOnly => false;

    /// <inheritdoc />
    public string Name => _below.Name;

    /// <inheritdoc />
    public void Read(ulong offset, Span<byte> destination)
    {
        this.CheckRange(offset, destination.Length);

        // Neighbours that come from the same place are read at once.
        while (!destination.IsEmpty)
        {
            bool isChanged = IsChanged(offset);
            int length = PartOfCluster(offset, destination.Length);
            while (length < destination.Length && IsChanged(offset + (ulong)length) == isChanged)
            {
                length += PartOfCluster(offset + (ulong)length, destination.Length - length);
            }

            if (isChanged)
            {
                ReadChanges(offset, destination[..length]);
            }
            else
            {
                _below.Read(offset, destination[..length]);
            }

            destination = destination[length..];
            offset += (ulong)length;
        }
    }

    /// <summary>Tries it with the disk below, for what hasn't changed.</summary>
    public bool TryRead(ulong offset, Span<byte> destination)
    {
        this.CheckRange(offset, destination.Length);
        for (int i = 0; i < destination.Length; i += PartOfCluster(offset + (ulong)i, destination.Length - i))
        {
            if (IsChanged(offset + (ulong)i))
            {
                return false;
            }
        }

        return _below.TryRead(offset, destination);
    }

    /// <inheritdoc />
    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        this.CheckRange(offset, source.Length);
        if (source.IsEmpty)
        {
            return;
        }

        // The two ends may be parts of clusters, of which the rest is what it was.
        Complete(offset, source.Length);
        ulong last = offset + (ulong)source.Length - 1;
        if (last / ClusterSize != offset / ClusterSize)
        {
            Complete(last / ClusterSize * ClusterSize, (int)(last % ClusterSize) + 1);
        }

        HostFile.Write(_changes, source, (long)offset);
        for (ulong cluster = offset / ClusterSize; cluster <= last / ClusterSize; cluster++)
        {
            MarkChanged(cluster);
        }
    }

    /// <summary>Nothing has to last.</summary>
    public void Flush()
    {
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _changes.Dispose();
        _below.Dispose();
    }

    /// <summary>Copies a cluster that is about to be written in part.</summary>
    private void Complete(ulong offset, int length)
    {
        ulong start = offset / ClusterSize * ClusterSize;
        int size = (int)Math.Min(ClusterSize, Length - start);
        if (IsChanged(offset) || (offset == start && length >= size))
        {
            return;
        }

        Span<byte> cluster = _cluster.AsSpan(0, size);
        _below.Read(start, cluster);
        HostFile.Write(_changes, cluster, (long)start);
        MarkChanged(start / ClusterSize);
    }

    private void ReadChanges(ulong offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int read = RandomAccess.Read(_changes, destination, (long)offset);
            if (read == 0)
            {
                throw new IOException($"what was written to '{Name}' has gone: nothing could be read at byte {offset}");
            }

            destination = destination[read..];
            offset += (ulong)read;
        }
    }

    // Only what is changed costs memory, however large the disk is.
    private bool IsChanged(ulong offset)
    {
        (ulong part, ulong cluster) = Math.DivRem(offset / ClusterSize, ClustersInPart);
        return _isChanged.TryGetValue(part, out BitArray? changed) && changed[(int)cluster];
    }

    private void MarkChanged(ulong number)
    {
        (ulong part, ulong cluster) = Math.DivRem(number, ClustersInPart);
        if (!_isChanged.TryGetValue(part, out BitArray? changed))
        {
            changed = new BitArray((int)ClustersInPart);
            _isChanged.Add(part, changed);
        }

        changed[(int)cluster] = true;
    }

    private static int PartOfCluster(ulong offset, int length) =>
        (int)Math.Min((ulong)length, ClusterSize - (offset % ClusterSize));

    private static SafeFileHandle OpenUnnamedFile(string name)
    {
        string folder = Path.GetTempPath();
        try
        {
            return OperatingSystem.IsLinux() ? OpenUnnamedFileOfLinux(folder) : File.OpenHandle(
                RandomName(folder), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, FileOptions.DeleteOnClose);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackendException(
                $"disk image '{name}' cannot be a snapshot, because nothing can be written in {folder} ({e.Message.TrimEnd('.')}): set TMPDIR to a folder with room", e);
        }
    }

    // Without a name from the start, where the file system can do that, and else for a moment only.
    private static SafeFileHandle OpenUnnamedFileOfLinux(string folder)
    {
        try
        {
            return HostFile.Open(folder, SystemCalls.OpenReadWrite | SystemCalls.OpenUnnamed, OwnersOnly);
        }
        catch (IOException e) when (e.HResult is SystemCalls.Eopnotsupp or SystemCalls.Eisdir)
        {
            string path = RandomName(folder);
            SafeFileHandle file = HostFile.Open(path, SystemCalls.OpenReadWrite | SystemCalls.OpenCreate | SystemCalls.OpenExclusive, OwnersOnly);
            _ = SystemCalls.RemoveName(path);
            return file;
        }
    }

    private static string RandomName(string folder) => Path.Combine(folder, $"lguest-{Guid.NewGuid():n}");
}
