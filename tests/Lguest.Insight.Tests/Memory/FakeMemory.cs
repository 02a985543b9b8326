using System.Buffers.Binary;
using Lguest.Insight.Memory;

namespace Lguest.Insight.Tests.Memory;

/// <summary>Memory of a guest that isn't there: pages at linear addresses, and at the same physical ones less an offset.</summary>
internal sealed class FakeMemory(uint pageOffset = 0xc000_0000) : IGuestMemoryReader
{
    private const uint PageSize = 4096;
    private readonly Dictionary<uint, byte[]> _pages = [];

    /// <summary>Whether the page tables are of any use.</summary>
    public bool IsMapped { get; set; } = true;

    public bool TryReadVirtual(uint address, Span<byte> destination) => IsMapped && TryCopy(address, destination);

    public bool TryReadPhysical(ulong address, Span<byte> destination) => TryCopy((uint)address + pageOffset, destination);

    public void Write(uint address, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
        {
            if (!_pages.TryGetValue(address / PageSize, out byte[]? page))
            {
                page = new byte[PageSize];
                _pages.Add(address / PageSize, page);
            }

            page[address++ % PageSize] = value;
        }
    }

    public void Write(uint address, uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Write(address, bytes);
    }

    public void Write(uint address, ulong value)
    {
        Write(address, (uint)value);
        Write(address + sizeof(uint), (uint)(value >> 32));
    }

    private bool TryCopy(uint address, Span<byte> destination)
    {
        for (int i = 0; i < destination.Length; i++, address++)
        {
            if (!_pages.TryGetValue(address / PageSize, out byte[]? page))
            {
                return false;
            }

            destination[i] = page[address % PageSize];
        }

        return true;
    }
}
