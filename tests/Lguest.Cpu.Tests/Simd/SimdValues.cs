using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Lguest.Cpu.Instructions.Simd;

namespace Lguest.Cpu.Tests.Simd;

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

    // Of both formats: zeros, denormals, the ends of the normal range, halves and integers around 2^31, NaNs.
    private static ReadOnlySpan<uint> Singles =>
    [
        0, 1, 0x0040_0000, 0x007F_FFFF, 0x0080_0000, 0x0080_0001, 0x00FF_FFFF, 0x2000_0000, 0x3380_0000, 0x3F00_0000,
        0x3F7F_FFFF, 0x3F80_0000, 0x3F80_0001, 0x3FC0_0000, 0x4020_0000, 0x4B00_0001, 0x4EFF_FFFF, 0x4F00_0000,
        0x5F00_0000, 0x7F7F_FFFF, 0x7F80_0000, 0x7F80_0001, 0x7FBF_FFFF, 0x7FC0_0000, 0x7FD1_2345, 0x7FFF_FFFF,
    ];

    private static ReadOnlySpan<ulong> Doubles =>
    [
        0, 1, 0x0008_0000_0000_0000, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x0010_0000_0000_0001,
        0x2000_0000_0000_0000, 0x3690_0000_0000_0000, 0x36A0_0000_0000_0000, 0x380F_FFFF_FFFF_FFFF,
        0x380F_FFFF_F000_0000, 0x3810_0000_0000_0000, 0x3C90_0000_0000_0000, 0x3FE0_0000_0000_0000,
        0x3FEF_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0000, 0x3FF0_0000_0000_0001, 0x3FF8_0000_0000_0000,
        0x4004_0000_0000_0000, 0x41DF_FFFF_FFC0_0000, 0x41DF_FFFF_FFE0_0000, 0x41E0_0000_0000_0000,
        0x41E0_0000_0010_0000, 0x47EF_FFFF_E000_0000, 0x47EF_FFFF_F000_0000, 0x47F0_0000_0000_0000,
        0x5FF0_0000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000, 0x7FF0_0000_0000_0001,
        0x7FF7_FFFF_FFFF_FFFF, 0x7FF8_0000_0000_0000, 0x7FFA_BCDE_F012_3456, 0x7FFF_FFFF_FFFF_FFFF,
    ];

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

    /// <summary>An operand of singles.</summary>
    public Vector128<byte> NextSingles() =>
        Vector128.Create(NextSingle(), NextSingle(), NextSingle(), NextSingle()).AsByte();

    /// <summary>An operand of doubles.</summary>
    public Vector128<byte> NextDoubles() => Vector128.Create(NextDouble(), NextDouble()).AsByte();

    /// <summary>MXCSR: any rounding, any of FTZ and DAZ, any flags already set, and masks all set or any.</summary>
    public uint NextMxcsr(bool masked)
    {
        const uint allMasked = 0x1F80;
        const uint flagsToBegin = 0x3F;
        uint value = NextUInt32() & 0xFFFF;
        return _random.Next(2) == 0 ? value & ~flagsToBegin | (masked ? allMasked : 0) : value | (masked ? allMasked : 0);
    }

    private uint NextSingle()
    {
        const int exponentShift = 23;
        const int bias = 127;
        uint sign = NextUInt32() & 0x8000_0000;
        uint fraction = NextUInt32() & 0x7F_FFFF;
        return _random.Next(8) switch
        {
            0 or 1 => sign | Singles[_random.Next(Singles.Length)],
            2 => NextUInt32(),

            // Near each other, so that sums cancel and quotients round; and with few digits, so that ties happen.
            3 or 4 => sign | (uint)(bias - 3 + _random.Next(6)) << exponentShift | fraction,
            5 => sign | (uint)(bias + _random.Next(34)) << exponentShift | fraction & 0x7F_F800,
            6 => sign | (uint)_random.Next(2) << exponentShift | fraction >> _random.Next(24),
            _ => sign | (uint)(bias + _random.Next(34)) << exponentShift | fraction,
        };
    }

    private ulong NextDouble()
    {
        const int exponentShift = 52;
        const int bias = 1023;
        ulong sign = NextUInt64() & 1ul << 63;
        ulong fraction = NextUInt64() & 0xF_FFFF_FFFF_FFFF;
        return _random.Next(9) switch
        {
            0 or 1 => sign | Doubles[_random.Next(Doubles.Length)],
            2 => NextUInt64(),
            3 or 4 => sign | (ulong)(bias - 3 + _random.Next(6)) << exponentShift | fraction,
            5 => sign | (ulong)(bias + _random.Next(34)) << exponentShift | fraction & 0xF_FFFF_0000_0000,
            6 => sign | (ulong)_random.Next(2) << exponentShift | fraction >> _random.Next(53),

            // Where the range of singles ends.
            7 => sign | (ulong)(bias - 128 - 24 + _random.Next(30)) << exponentShift | fraction,
            _ => sign | (ulong)(bias + _random.Next(34)) << exponentShift | fraction,
        };
    }

    private void Fill<T>(Span<T> elements, ReadOnlySpan<T> edges)
    {
        foreach (ref T element in elements)
        {
            element = edges[_random.Next(edges.Length)];
        }
    }
}
