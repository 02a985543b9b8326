using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Lguest.Cpu.Tests;

/// <summary>Operands for SIMD instructions from a seed: edges of all element types, mixed with random bits.</summary>
internal sealed class SimdValues(int seed)
{
    private readonly Random _random = new(seed);

    private static ReadOnlySpan<byte> Bytes => [0, 1, 2, 3, 7, 8, 0x0F, 0x10, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF];

    private static ReadOnlySpan<ushort> Words => [0, 1, 0xFF, 0x100, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFF80, 0xFFFE, 0xFFFF];

    private static ReadOnlySpan<uint> Doublewords =>
        [0, 1, 0x7FFF, 0x8000, 0xFFFF_7FFF, 0xFFFF_8000, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF];

    private static ReadOnlySpan<ulong> Quadwords =>
        [0, 1, 7, 15, 16, 31, 32, 63, 64, 0x1_0000_0000, long.MaxValue, 1ul << 63, ulong.MaxValue];

    /// <summary>A number below a bound.</summary>
    public int Next(int bound) => _random.Next(bound);

    /// <summary>32 random bits.</summary>
    public uint NextUInt32() => (uint)_random.NextInt64(1L << 32);

    /// <summary>64 random bits.</summary>
    public ulong NextUInt64() => (ulong)_random.NextInt64(long.MinValue, long.MaxValue);

    /// <summary>An operand of integer elements.</summary>
    public Vector128<byte> NextIntegers()
    {
        Span<byte> value = stackalloc byte[Vector128<byte>.Count];
        switch (_random.Next(6))
        {
            case 0: Fill(value, Bytes); break;
            case 1: Fill(MemoryMarshal.Cast<byte, ushort>(value), Words); break;
            case 2: Fill(MemoryMarshal.Cast<byte, uint>(value), Doublewords); break;
            case 3: Fill(MemoryMarshal.Cast<byte, ulong>(value), Quadwords); break;
            default: _random.NextBytes(value); break;
        }

        return Vector128.Create<byte>(value);
    }

    private void Fill<T>(Span<T> elements, ReadOnlySpan<T> edges)
    {
        foreach (ref T element in elements)
        {
            element = edges[_random.Next(edges.Length)];
        }
    }
}
