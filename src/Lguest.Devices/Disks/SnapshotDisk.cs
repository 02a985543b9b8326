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

    private readonly IBlockBackend _below;
    private readonly SafeFileHandle _changes;
    private readonly BitArray _isChanged;
    private readonly byte[] _cluster = new byte[ClusterSize];

    /// <summary>Makes a disk without changes.</summary>
    /// <param name="below">What it begins as, which this owns from now on.</param>
    /// <exception cref="BackendException">There is no place for changes.</exception>
    public SnapshotDisk(IBlockBackend below)
    {
        _below = below;
        _isChanged = new BitArray(checked((int)((below.Length + ClusterSize - 1) / ClusterSize)));
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

        RandomAccess.Write(_changes, source, (long)offset);
        for (ulong cluster = offset / ClusterSize; cluster <= last / ClusterSize; cluster++)
        {
            _isChanged[(int)cluster] = true;
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
        RandomAccess.Write(_changes, cluster, (long)start);
        _isChanged[(int)(start / ClusterSize)] = true;
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

    private bool IsChanged(ulong offset) => offset < Length && _isChanged[(int)(offset / ClusterSize)];

    private static int PartOfCluster(ulong offset, int length) =>
        (int)Math.Min((ulong)length, ClusterSize - (offset % ClusterSize));

    private static SafeFileHandle OpenUnnamedFile(string name)
    {
        string path = Path.Combine(Path.GetTempPath(), $"lguest-{Guid.NewGuid():n}");
        try
        {
            SafeFileHandle file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, FileOptions.DeleteOnClose);
            if (!OperatingSystem.IsWindows())
            {
                File.Delete(path);
            }

            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackendException(
                $"disk image '{name}' cannot be a snapshot, because nothing can be written in {Path.GetTempPath()}: set TMPDIR to a folder with room", e);
        }
    }
}
