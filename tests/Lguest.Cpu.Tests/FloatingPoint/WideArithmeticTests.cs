using System.Numerics;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.FloatingPoint.Transcendental;
using Lguest.Cpu.Instructions.Integer;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>
/// Shifts, roots and fractions of 128 bits against .NET's integers, also for what the instructions never ask of them.
/// </summary>
public sealed class WideArithmeticTests
{
    private static readonly ulong[] Words =
    [
        0, 1, 2, 3, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, (1ul << 62) - 1, 1ul << 62, (1ul << 63) - 1, 1ul << 63,
        (1ul << 63) + 1, 0xB504_F333_F9DE_6484, 0xFFFF_FFFF_0000_0000, ulong.MaxValue - 1, ulong.MaxValue,
    ];

    private static readonly UInt128[] Pairs =
        [.. (from high in Words from low in Words select new UInt128(high, low)).Concat(Random())];

    [Fact]
    public void Shifts_by_less_than_a_word_lose_nothing_between_the_words()
    {
        foreach (UInt128 pair in Pairs)
        {
            (ulong high, ulong low) = Halves(pair);
            for (int count = 0; count < 64; count++)
            {
                Assert.Equal(High(pair << count), WideArithmetic.ShiftLeft(high, low, count));
                Assert.Equal((ulong)(new UInt128(high, 0) >> count), WideArithmetic.Spill(high, count));
                Assert.Equal(pair << count, Number(Fraction(pair) << count));
            }
        }
    }

    [Fact]
    public void Shifts_to_the_right_take_any_count_and_remember_what_they_lose()
    {
        int[] counts = [.. Enumerable.Range(0, 140), 191, 192, 255, 256, 16_446, int.MaxValue];
        foreach (UInt128 pair in Pairs)
        {
            foreach (int count in counts)
            {
                UInt128 expected = count < 128 ? pair >> count : 0;
                Assert.Equal(expected, Number(Fraction(pair) >> count));

                UInt128 lost = count >= 128 ? pair : pair & ((UInt128.One << count) - 1);
                (ulong high, ulong low) = Halves(pair);
                WideArithmetic.ShiftRightSticky(ref high, ref low, count);
                Assert.Equal(expected | (lost == 0 ? 0u : 1u), new UInt128(high, low));
            }
        }
    }

    [Fact]
    public void A_number_is_normal_when_its_first_bit_is_set()
    {
        foreach (UInt128 pair in Pairs.Where(pair => pair != 0))
        {
            int zeros = (int)UInt128.LeadingZeroCount(pair);
            (ulong high, ulong low) = Halves(pair);
            Assert.Equal(zeros, WideArithmetic.Normalize(ref high, ref low));
            Assert.Equal(pair << zeros, new UInt128(high, low));

            Unrounded number = WideNumber.FromFraction(negative: true, scale: 5, Fraction(pair));
            Assert.Equal((true, 4 - zeros, high, low), (number.Negative, number.Exponent, number.High, number.Low));
        }
    }

    [Fact]
    public void A_root_of_128_bits_is_exact()
    {
        // Beside any numbers, squares and their neighbours.
        IEnumerable<UInt128> squares = Words.Concat(Random().Select(High)).SelectMany(
            root => new[] { 0u, 1u, (UInt128)root, (UInt128)root << 1 }.Select(above => ((UInt128)root * root) + above));
        foreach (UInt128 value in Pairs.Concat(squares).SelectMany(value => new[] { value, value - 1 }))
        {
            (ulong high, ulong low) = Halves(value);
            if (high < 1ul << 62)
            {
                continue;
            }

            ulong root = WideArithmetic.SquareRoot(high, low, out UInt128 remainder);
            Assert.True(
                ((BigInteger)root * root) + remainder == value && remainder <= (UInt128)root << 1,
                $"the root of {value:x} is {root:x}, remainder {remainder:x}");
        }
    }

    [Fact]
    public void Fractions_add_and_subtract_modulo_1_and_multiply_to_three_units()
    {
        foreach (UInt128 a in Pairs.Take(120).Concat(Random()))
        {
            foreach (UInt128 b in Pairs)
            {
                Assert.Equal(unchecked(a + b), Number(Fraction(a) + Fraction(b)));
                Assert.Equal(unchecked(a - b), Number(Fraction(a) - Fraction(b)));
                BigInteger missing = (((BigInteger)a * b) >> 128) - Number(Fraction(a) * Fraction(b));
                Assert.True(missing >= 0 && missing <= 3, $"{a:x} * {b:x} is {missing} too small");
            }
        }
    }

    [Fact]
    public void Wide_numbers_multiply_and_become_fractions()
    {
        UInt128[] normal = [.. Pairs.Where(pair => High(pair) >= 1ul << 63)];
        foreach (UInt128 a in normal)
        {
            foreach (int exponent in (int[])[-1, -2, -63, -64, -65, -127, -128, -129])
            {
                Unrounded number = Make(negative: false, exponent, a);
                Assert.Equal(exponent < -128 ? 0 : a >> (-1 - exponent), Number(WideNumber.ToFraction(number)));

                BigInteger square = ((BigInteger)a * a) >> (128 - 2 - (2 * exponent));
                BigInteger missing = square - Number(WideNumber.Square(number));
                Assert.True(missing >= 0 && missing <= 3, $"the square of {a:x} * 2^{exponent}");
            }

            foreach (UInt128 b in normal)
            {
                Unrounded product = WideNumber.Multiply(Make(negative: true, 7, a), Make(negative: false, -3, b));
                BigInteger actual = (BigInteger)new UInt128(product.High, product.Low) << (127 + product.Exponent - 4);
                BigInteger missing = ((BigInteger)a * b) - actual;
                Assert.True(
                    missing >= 0 && missing < (BigInteger)4 << 128 && product.Negative && product.Exponent is 4 or 5,
                    $"{a:x} * {b:x}: {product.High:x16}{product.Low:x16} * 2^{product.Exponent}");
                Assert.NotEqual(0ul, product.High >> 63);
            }
        }
    }

    private static Unrounded Make(bool negative, int exponent, UInt128 significand) =>
        new(negative, exponent, High(significand), (ulong)significand);

    private static Fraction Fraction(UInt128 value) => new(High(value), (ulong)value);

    private static UInt128 Number(Fraction value) => new(value.High, value.Low);

    private static ulong High(UInt128 value) => (ulong)(value >> 64);

    private static (ulong High, ulong Low) Halves(UInt128 value) => (High(value), (ulong)value);

    private static IEnumerable<UInt128> Random()
    {
        var random = new Random(7);
        for (int i = 0; i < 100; i++)
        {
            yield return new UInt128((ulong)random.NextInt64() << (i & 1), (ulong)random.NextInt64() << (i & 3));
        }
    }
}
