using Lguest.Devices.Disks;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>A disk in memory that can fail, and can be slow.</summary>
public sealed class MemoryDisk(int length) : IBlockBackend
{
    private readonly ManualResetEventSlim _gate = new(true);

    public byte[] Contents { get; } = new byte[length];

    public ulong Length => (ulong)Contents.Length;

    public bool IsReadOnly { get; init; }

    public string Name => "disk.img";

    /// <summary>What was done, in order.</summary>
    public List<string> Log { get; } = [];

    /// <summary>Whether everything fails.</summary>
    public bool IsBroken { get; set; }

    /// <summary>Whether reads need no waiting.</summary>
    public bool IsQuick { get; set; }

    public bool IsDisposed { get; private set; }

    /// <summary>Makes all that comes wait until <see cref="Release"/>.</summary>
    public void Hold() => _gate.Reset();

    public void Release() => _gate.Set();

    public void Read(ulong offset, Span<byte> destination)
    {
        Do($"read {offset}+{destination.Length}");
        Contents.AsSpan((int)offset, destination.Length).CopyTo(destination);
    }

    public bool TryRead(ulong offset, Span<byte> destination)
    {
        if (IsQuick)
        {
            Read(offset, destination);
        }

        return IsQuick;
    }

    public void Write(ulong offset, ReadOnlySpan<byte> source)
    {
        Do($"write {offset}+{source.Length}");
        source.CopyTo(Contents.AsSpan((int)offset));
    }

    public void Flush() => Do("flush");

    public void Dispose()
    {
        IsDisposed = true;
        _gate.Dispose();
    }

    private void Do(string what)
    {
        _gate.Wait();
        Log.Add(what);
        if (IsBroken)
        {
            throw new IOException("the disk is broken");
        }
    }
}
