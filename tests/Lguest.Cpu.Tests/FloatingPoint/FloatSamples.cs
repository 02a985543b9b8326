using Lguest.Cpu.FloatingPoint;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>
/// Operands that find mistakes: one of each class, neighbours of every boundary, and seeded random ones.
/// </summary>
internal static class FloatSamples
{
    /// <summary>A few values of each class and sign, for sweeps over pairs.</summary>
    public static Float80[] Edges80 { get; } = MakeEdges80().ToArray();

    /// <summary>The same for 32 bits.</summary>
    public static uint[] Edges32 { get; } = MakeEdges32().ToArray();

    /// <summary>The same for 64 bits.</summary>
    public static ulong[] Edges64 { get; } = MakeEdges64().ToArray();

    // Exponents at which conversions to narrower formats and integers change their ways.
    private static ReadOnlySpan<int> ConversionExponents =>
    [
        -1076, -1075, -1074, -1073, -1023, -1022, -150, -149, -148, -127, -126, -2, -1, 0, 1,
        13, 14, 15, 16, 30, 31, 32, 58, 59, 60, 61, 62, 63, 64, 126, 127, 128, 1022, 1023, 1024,
    ];

    private static ReadOnlySpan<ulong> Significands =>
    [
        0x8000_0000_0000_0000, 0x8000_0000_0000_0001, 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FC00,
        0xFFFF_FF80_0000_0000, 0xC000_0000_0000_0000, 0xA000_0000_0000_0400, 0x8000_0080_0000_0000,
    ];

    /// <summary>A random 80-bit value, of any class but mostly numbers of moderate size.</summary>
    public static Float80 Next80(Random random)
    {
        ulong significand = NextSignificand(random);
        int sign = random.Next(2) << 15;
        switch (random.Next(16))
        {
            case 0:
                return Edges80[random.Next(Edges80.Length)];
            case 1:
                return new Float80((ushort)random.Next(1 << 16), significand & (ulong)random.NextInt64());
            case 2 or 3:
                return new Float80((ushort)random.Next(1 << 16), significand);
            case 4:
                return new Float80((ushort)(sign | random.Next(2)), significand >> random.Next(64));
            case 5 or 6:
                int exponent = ConversionExponents[random.Next(ConversionExponents.Length)];
                return new Float80((ushort)(sign | (Float80.Bias + exponent)), significand);
            default:
                return new Float80((ushort)(sign | (Float80.Bias + random.Next(-70, 71))), significand);
        }
    }

    /// <summary>A random number with an exponent in a range.</summary>
    public static Float80 NextNumber(Random random, int minExponent, int maxExponent, bool signed = true)
    {
        int sign = signed ? random.Next(2) << 15 : 0;
        int exponent = random.Next(minExponent, maxExponent + 1) + Float80.Bias;
        return new Float80((ushort)(sign | exponent), NextSignificand(random));
    }

    /// <summary>A random pair, whose exponents and significands are often close.</summary>
    public static (Float80 First, Float80 Second) NextPair80(Random random)
    {
        Float80 first = Next80(random);
        if (random.Next(3) != 0)
        {
            return (first, Next80(random));
        }

        int exponent = Math.Clamp(first.BiasedExponent + random.Next(-66, 67), 0, Float80.ExponentMask - 1);
        ulong significand = random.Next(2) == 0
            ? NextSignificand(random)
            : first.Significand + (ulong)random.Next(3) - 1;
        return (first, new Float80((ushort)(exponent | random.Next(2) << 15), significand));
    }

    /// <summary>A random 64-bit value.</summary>
    public static ulong Next64(Random random)
    {
        ulong bits = (ulong)random.NextInt64() << 1 | (uint)random.Next(2);
        return random.Next(8) switch
        {
            0 => Edges64[random.Next(Edges64.Length)],
            1 => bits,
            2 => bits & 0x800F_FFFF_FFFF_FFFF,
            3 => (bits & 0x800F_FFFF_FFFF_FFFF) | (ulong)(1023 + random.Next(-150, 151)) << 52,
            4 => bits & (ulong.MaxValue << random.Next(53)),
            _ => (bits & 0x800F_FFFF_FFFF_FFFF) | (ulong)(1023 + random.Next(-60, 61)) << 52,
        };
    }

    /// <summary>A random 32-bit value.</summary>
    public static uint Next32(Random random)
    {
        uint bits = (uint)random.NextInt64(1L << 32);
        return random.Next(8) switch
        {
            0 => Edges32[random.Next(Edges32.Length)],
            1 => bits,
            2 => bits & 0x807F_FFFF,
            3 => bits & (uint.MaxValue << random.Next(24)),
            _ => (bits & 0x807F_FFFF) | (uint)(127 + random.Next(-30, 31)) << 23,
        };
    }

    /// <summary>
    /// An x87 control word: any rounding, any precision (the reserved one too), all masked half of the time.
    /// </summary>
    public static ushort NextControl(Random random)
    {
        int masks = random.Next(2) == 0 ? (int)FloatingPointExceptions.All : random.Next(64);
        int precision = random.Next(8) switch { 0 => 1, 1 or 2 => 0, 3 or 4 => 2, _ => 3 };
        return (ushort)(random.Next(4) << 10 | precision << 8 | masks);
    }

    /// <summary>MXCSR: any rounding, DAZ and FTZ, masks half of the time.</summary>
    public static uint NextMxcsr(Random random, bool unmasked)
    {
        uint masks = !unmasked || random.Next(2) == 0 ? (uint)FloatingPointExceptions.All : (uint)random.Next(64);
        uint zeros = (random.Next(4) == 0 ? 1u << 6 : 0) | (random.Next(4) == 0 ? 1u << 15 : 0);
        return (uint)random.Next(4) << 13 | masks << 7 | zeros;
    }

    private static ulong NextSignificand(Random random)
    {
        ulong bits = (ulong)random.NextInt64() | Unpacked.IntegerBit;
        return random.Next(8) switch
        {
            0 => ulong.MaxValue << random.Next(64),
            1 => Unpacked.IntegerBit | 1ul << random.Next(64),
            2 => bits & (ulong.MaxValue << random.Next(64)),
            3 => ~((ulong)random.NextInt64() >> random.Next(1, 64)),
            _ => bits,
        };
    }

    private static IEnumerable<Float80> MakeEdges80()
    {
        foreach (int sign in (int[])[0, Float80.SignBit])
        {
            // Zeros, denormals, pseudo-denormals, unnormals, infinities, NaNs, pseudo-NaNs.
            foreach (int exponent in (int[])[0, 1, Float80.Bias, Float80.ExponentMask])
            {
                foreach (ulong low in (ulong[])[0, 1, Float80.QuietBit - 1, Float80.QuietBit, Float80.QuietBit + 1])
                {
                    yield return new Float80((ushort)(sign | exponent), low);
                    yield return new Float80((ushort)(sign | exponent), low | Unpacked.IntegerBit);
                }
            }

            foreach (int exponent in (int[])[2, 0x3FBF, 0x3FFE, 0x4000, 0x403E, 0x7FFE])
            {
                foreach (ulong significand in Significands.ToArray())
                {
                    yield return new Float80((ushort)(sign | exponent), significand);
                }
            }
        }
    }

    private static IEnumerable<uint> MakeEdges32() =>
        from sign in (uint[])[0, 1u << 31]
        from exponent in (uint[])[0, 1, 24, 126, 127, 150, 158, 254, 255]
        from fraction in (uint[])[0, 1, 0x3F_FFFF, 0x40_0000, 0x40_0001, 0x7F_FFFF]
        select sign | exponent << 23 | fraction;

    private static IEnumerable<ulong> MakeEdges64() =>
        from sign in (ulong[])[0, 1ul << 63]
        from exponent in (ulong[])[0, 1, 53, 896, 897, 1022, 1023, 1053, 1054, 1086, 1150, 2046, 2047]
        from fraction in (ulong[])[0, 1, 0xF_FFFF_E000_0000, 0x8_0000_0000_0000, 0x8_0000_0000_0001, 0xF_FFFF_FFFF_FFFF]
        select sign | exponent << 52 | fraction;
}
