using Lguest.Devices.Backends;

namespace Lguest.Devices.Disks;

/// <summary>
/// A disk that begins empty and is gone at the end, however that comes. The host may read it while the guest has it: unlike others, it
/// takes several callers.
/// </summary>
public sealed class ScratchDisk : IBlockBackend
{
    private readonly SnapshotDisk _disk;
    private readonly object _lock = new();

    /// <summary>Makes one.</summary>
    /// <param name="name">For messages.</param>
    /// <param name="length">Bytes that it can have; those that are written take room in the folder for temporary files.</param>
    /// <exception cref="BackendException">Nothing can be written there.</exception>
    public ScratchDisk(string name, ulong length)
    {
        _disk = new SnapshotDisk(new Blank(name, length));
    }

    /// <inheritdoc />
    public ulong Length => _disk.Length;

    /// <inheritdoc />
    public bool IsReadOnly => false;

    /// <inheritdoc />
    public string Name => _disk.Name;

    /// <inheritdoc />
    public void Read(ulong offset, Span<byte> destination)
    {
        lock (_lock)
        {
            _disk.Read(offset, destination);
        }
    }

    /// <inheritdoc />
    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        lock (_lock)
        {
            _disk.Write(offset, source);
        }
    }

    /// <inheritdoc />
    public void Flush()
    {
        lock (_lock)
        {
            _disk.Flush();
        }
    }

    /// <inheritdoc />
    public void Dispose() => _disk.Dispose();

    /// <summary>What it begins as.</summary>
    private sealed class Blank(string name, ulong length) : IBlockBackend
    {
        public ulong Length => length;

        public bool IsReadOnly => true;

        public string Name => name;

        public void Read(ulong offset, Span<byte> destination)
        {
            this.CheckRange(offset, destination.Length);
            destination.Clear();
        }

        public void Write(ulong offset, ReadOnlySpan<byte> source) => throw new IOException($"'{Name}' can't be written");

        public void Flush()
        {
        }

        public void Dispose()
        {
        }
    }
}
