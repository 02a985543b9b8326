using Lguest.Boot.Loading;
using Lguest.Host;

namespace Lguest.Boot.Tests;

/// <summary>RAM in an array, for a loader without a machine.</summary>
internal sealed class ArrayMemory(uint size) : IBootMemory
{
    private readonly byte[] _bytes = new byte[size];

    public uint Size => size;

    public IReadOnlyList<MemoryRange> HighRam { get; init; } = [];

    public Span<byte> Slice(uint address, int length) => _bytes.AsSpan(checked((int)address), length);

    public uint ReadUInt32(uint address) => BitConverter.ToUInt32(_bytes, (int)address);
}
