using System.Numerics;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.FloatingPoint.Transcendental;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>Divisions by reciprocals, whose corrections are too rare for operands that aren't chosen.</summary>
public sealed class WideDivisionTests
{
    // Words next to all that could make a carry or a difference of one.
    private static readonly ulong[] Words =
    [
        0, 1, 2, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, (1ul << 62) - 1, 1ul << 62, (1ul << 63) - 1, 1ul << 63,
        (1ul << 63) + 1, 0xB504_F333_F9DE_6484, 0xC000_0000_0000_0000, 0xFF80_0000_0000_0000, 0xFFFF_FFFF_0000_0000,
        ulong.MaxValue - 2, ulong.MaxValue - 1, ulong.MaxValue,
    ];

    private static readonly UInt128[] Pairs = [.. from high in Words from low in Words select new UInt128(high, low)];

    private static UInt128 Normal { get; } = UInt128.One << 127;

    [Fact]
    public void A_reciprocal_is_rounded_down()
    {
        foreach (ulong divisor in Words.Concat(Random()).Where(word => word >= 1ul << 63))
        {
            // What is 2^128 / d if that isn't an integer, and one less if it is.
            ulong expected = (ulong)((UInt128.MaxValue / divisor) - (UInt128.One << 64));
            Assert.True(WideArithmetic.Reciprocal(divisor) == expected, $"{divisor:x}");
        }
    }

    [Fact]
    public void A_quotient_of_128_bits_over_64_is_exact()
    {
        foreach (ulong divisor in Words.Concat(Random()).Where(word => word >= 1ul << 63))
        {
            ulong[] highs = [divisor - 1, divisor - 2, divisor >> 1, .. Words];
            foreach (ulong high in highs.Where(high => high < divisor))
            {
                foreach (ulong low in Words)
                {
                    CheckByWord(new UInt128(high, low), divisor);
                }
            }

            // Multiples: the estimate's own remainder may be all of the divisor.
            foreach (ulong quotient in Words.Concat([divisor, ~divisor, divisor - 1]))
            {
                CheckByWord((UInt128)quotient * divisor, divisor);
            }
        }
    }

    [Fact]
    public void A_quotient_of_significands_has_128_bits_and_knows_whether_there_are_more()
    {
        UInt128[] significands = [.. Pairs.Where(pair => pair >= Normal)];
        foreach (UInt128 divisor in significands)
        {
            // Also dividends for which a digit of the quotient is all ones, or nearly, and for which it is exact.
            UInt128[] near = [divisor, divisor - 1, divisor + 1, divisor << 1, new UInt128((ulong)(divisor >> 64), ulong.MaxValue)];
            foreach (UInt128 dividend in significands.Concat(near.Where(pair => pair >= Normal)))
            {
                // A dividend that isn't below the divisor is halved, and loses its last bit.
                if (dividend < divisor || UInt128.IsEvenInteger(dividend))
                {
                    Check(dividend, divisor);
                }
            }
        }
    }

    private static void CheckByWord(UInt128 dividend, ulong divisor)
    {
        (UInt128 expected, UInt128 rest) = UInt128.DivRem(dividend, divisor);
        ulong actual = WideArithmetic.Divide((ulong)(dividend >> 64), (ulong)dividend, divisor, out ulong remainder);
        Assert.True(actual == expected && remainder == rest, $"{dividend:x32} / {divisor:x}: {actual:x}");
    }

    private static void Check(UInt128 dividend, UInt128 divisor)
    {
        bool isLess = dividend < divisor;
        BigInteger scaled = (BigInteger)dividend << (isLess ? 128 : 127);
        BigInteger expected = BigInteger.DivRem(scaled, divisor, out BigInteger rest);
        Unrounded actual = WideNumber.Divide(MakeUnrounded(dividend), MakeUnrounded(divisor));
        UInt128 significand = new(actual.High, actual.Low);
        UInt128 sticky = (UInt128)expected | (rest.IsZero ? 0 : UInt128.One);
        Assert.True(
            significand == sticky && actual.Exponent == (isLess ? -1 : 0),
            $"{dividend:x} / {divisor:x}: {significand:x} * 2^{actual.Exponent}, expected {sticky:x}");
    }

    private static Unrounded MakeUnrounded(UInt128 significand) =>
        new(negative: false, 0, (ulong)(significand >> 64), (ulong)significand);

    private static IEnumerable<ulong> Random()
    {
        const int samples = 10_000;
        Random random = TestSize.SeededRandom(nameof(WideDivisionTests));
        for (int i = 0; i < samples; i++)
        {
            yield return (ulong)random.NextInt64() | 1ul << 63;
        }
    }
}
