using System.Numerics;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.FloatingPoint.Transcendental;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>The constants of the softfloat core are to the last bit what their comments say.</summary>
public sealed class TableTests
{
    [Fact]
    public void Sines_and_cosines_are_summed_with_inverse_factorials()
    {
        AssertPairs(TrigonometryTables.Sine, 128, i => Inverse(Factorial(2 * i + 3)));
        AssertSingles(TrigonometryTables.SineTail, 96, i => Inverse(Factorial(2 * i + 15)));
        AssertPairs(TrigonometryTables.Cosine, 128, i => Inverse(Factorial(2 * i + 2)));
        AssertSingles(TrigonometryTables.CosineTail, 96, i => Inverse(Factorial(2 * i + 14)));
    }

    [Fact]
    public void Half_a_pi_has_127_bits_after_its_point()
    {
        Fraction half = TrigonometryTables.HalfPi;
        Assert.Equal(Floor(PreciseFunctions.Pi, 126), Join(half.High, half.Low));
    }

    [Theory]
    [InlineData(0, 62)]
    [InlineData(64, 64)]
    public void No_64_bit_number_times_2_over_pi_is_just_above_an_integer(int moved, int bits)
    {
        // The fractions that are smaller, or larger, than those of all numbers before: each is the sum of the last of either.
        BigInteger one = BigInteger.One << 256;
        BigInteger above = Floor(PreciseNumber.One / PreciseFunctions.Pi, 257 + moved) % one;
        BigInteger below = one - above;
        (BigInteger First, BigInteger Second) numbers = (1, 1);
        while (numbers.First + numbers.Second <= ulong.MaxValue)
        {
            if (above > below)
            {
                above -= below;
                numbers.First += numbers.Second;
            }
            else
            {
                below -= above;
                numbers.Second += numbers.First;
            }
        }

        Assert.True(above > BigInteger.One << (256 - bits));
    }

    [Fact]
    public void Powers_of_two_are_summed_with_powers_of_the_logarithm_of_2()
    {
        AssertPairs(ExponentialTables.Series, 128, i => Power(Ln2, i + 1) * Inverse(Factorial(i + 1)));
        AssertSingles(ExponentialTables.SeriesTail, 64, i => Power(Ln2, i + 7) * Inverse(Factorial(i + 7)));
        AssertPairs(ExponentialTables.Powers, 127, j => PreciseFunctions.TwoToXMinusOne(Quotient(j, 64)) + PreciseNumber.One);
    }

    [Fact]
    public void Arc_tangents_are_summed_with_inverses_of_odd_numbers()
    {
        AssertPairs(ArcTangentTables.Series, 128, i => Quotient(1, 2 * i + 3));
        AssertSingles(ArcTangentTables.SeriesTail, 64, i => Quotient(1, 2 * i + 11));
        AssertPairs(
            ArcTangentTables.Angles,
            128,
            j => j == 0 ? default : PreciseFunctions.AngleOf(PreciseNumber.FromInteger(j), PreciseNumber.FromInteger(64)));
    }

    [Fact]
    public void Logarithms_are_summed_with_inverses_of_numbers()
    {
        AssertPairs(LogarithmTables.Series, 128, i => Quotient(1, 2 * (i + 1)) / Ln2);
        AssertSingles(LogarithmTables.SeriesTail, 64, i => Quotient(1, 2 * (i + 7)) / Ln2);
    }

    [Fact]
    public void Logarithms_begin_with_a_reciprocal_whose_logarithm_is_known()
    {
        const int parts = 128;
        Assert.Equal(parts, LogarithmTables.Reciprocals.Length);
        for (int i = 0; i < parts; i++)
        {
            // The middle of part i is (257 + 2 i) / 256; both ends are exact.
            int exact = i switch { 0 => 1024, parts - 1 => 512, _ => (2 * 1024 * 256 / (257 + 2 * i) + 1) / 2 };
            Assert.Equal(exact, LogarithmTables.Reciprocals[i]);
            PreciseNumber logarithm = exact == 1024 ? default : PreciseFunctions.Log2(Quotient(1024, exact));
            BigInteger expected = ((Floor(logarithm, 113) + 1) >> 1) - (i >= LogarithmTables.UpperHalf ? BigInteger.One << 112 : 0);
            BigInteger actual = Join(LogarithmTables.Offsets[2 * i], LogarithmTables.Offsets[2 * i + 1]);
            Assert.Equal(expected & ((BigInteger.One << 128) - 1), actual);
        }
    }

    [Fact]
    public void Square_roots_begin_with_eight_bits()
    {
        for (int i = 64; i < 256; i++)
        {
            Assert.Equal((int)Math.Sqrt(256 * i), WideArithmetic.RootTable[i - 64]);
        }
    }

    private static PreciseNumber Ln2 => PreciseNumber.One / PreciseFunctions.Log2(E);

    private static PreciseNumber E
    {
        get
        {
            PreciseNumber sum = PreciseNumber.One;
            for (int n = 1; n < 80; n++)
            {
                sum += Inverse(Factorial(n));
            }

            return sum;
        }
    }

    private static PreciseNumber Quotient(int a, int b) => PreciseNumber.FromInteger(a) / PreciseNumber.FromInteger(b);

    private static PreciseNumber Inverse(BigInteger value) => PreciseNumber.One / PreciseNumber.FromInteger(value);

    private static BigInteger Factorial(int n) => n < 2 ? BigInteger.One : n * Factorial(n - 1);

    private static PreciseNumber Power(PreciseNumber x, int n) => n == 0 ? PreciseNumber.One : x * Power(x, n - 1);

    private static BigInteger Join(ulong high, ulong low) => ((BigInteger)high << 64) | low;

    private static BigInteger Floor(PreciseNumber value, int bits)
    {
        int shift = value.Exponent + bits;
        return shift >= 0 ? value.Mantissa << shift : value.Mantissa >> -shift;
    }

    private static void AssertPairs(ReadOnlySpan<ulong> table, int bits, Func<int, PreciseNumber> value)
    {
        for (int i = 0; i < table.Length / 2; i++)
        {
            Assert.True(Floor(value(i), bits) == Join(table[2 * i], table[2 * i + 1]), $"number {i}: {Floor(value(i), bits):x}");
        }
    }

    private static void AssertSingles(ReadOnlySpan<ulong> table, int bits, Func<int, PreciseNumber> value)
    {
        for (int i = 0; i < table.Length; i++)
        {
            Assert.True(Floor(value(i), bits) == table[i], $"number {i}: {Floor(value(i), bits):x}");
        }
    }
}
