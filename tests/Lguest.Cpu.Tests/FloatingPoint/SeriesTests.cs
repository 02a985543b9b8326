using System.Numerics;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.FloatingPoint.Transcendental;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>The sums of power series are as exact as their terms allow: far more than a rounding could show.</summary>
public sealed class SeriesTests
{
    private const int FractionBits = 128;

    // (pi/4)^2, 2^-7 and 2^-14: the largest variables.
    private const ulong SquareOfAnEighthTurn = 0x9DE9_E64D_F22E_F2D2;
    private const ulong HalfOfAPart = 1ul << 57;
    private const ulong SquareOfHalfAPart = 1ul << 50;

    /// <summary>The series, and the bits after the point that are right.</summary>
    [Theory]
    [InlineData("sine", 93)]
    [InlineData("cosine", 93)]
    [InlineData("exponential", 103)]
    [InlineData("logarithm", 103)]
    [InlineData("arc tangent", 116)]
    public void A_series_is_summed_to_so_many_bits(string name, int bits)
    {
        Random random = TestSize.SeededRandom(name);
        BigInteger tolerance = BigInteger.One << (FractionBits - bits);
        for (int count = 1000; count > 0; count--)
        {
            ulong most = name switch
            {
                "sine" or "cosine" => SquareOfAnEighthTurn,
                "arc tangent" => SquareOfHalfAPart,
                _ => HalfOfAPart,
            };
            var x = new Fraction((ulong)random.NextInt64((long)(most >> 1)) << 1, (ulong)random.NextInt64());
            foreach (bool adds in (bool[])[false, true])
            {
                (ulong[] coefficients, ulong[] tail, int scale) = Series(name);
                Fraction sum = name switch
                {
                    "sine" => Fraction.Evaluate(TrigonometryTables.Sine, TrigonometryTables.SineTail, scale, x, adds),
                    "cosine" => Fraction.Evaluate(TrigonometryTables.Cosine, TrigonometryTables.CosineTail, scale, x, adds),
                    "exponential" => Fraction.Evaluate(ExponentialTables.Series, ExponentialTables.SeriesTail, scale, x, adds),
                    "logarithm" => Fraction.Evaluate(LogarithmTables.Series, LogarithmTables.SeriesTail, scale, x, adds),
                    _ => Fraction.Evaluate(ArcTangentTables.Series, ArcTangentTables.SeriesTail, scale, x, adds),
                };
                BigInteger error = Join(sum.High, sum.Low) - Exact(coefficients, tail, scale, Join(x.High, x.Low), adds);
                Assert.True(BigInteger.Abs(error) <= tolerance, $"{name} at {x.High:x}: off by {error}");
            }
        }
    }

    private static (ulong[] Coefficients, ulong[] Tail, int Scale) Series(string name) => name switch
    {
        "sine" => (TrigonometryTables.Sine.ToArray(), TrigonometryTables.SineTail.ToArray(), 32),
        "cosine" => (TrigonometryTables.Cosine.ToArray(), TrigonometryTables.CosineTail.ToArray(), 32),
        "exponential" => (ExponentialTables.Series.ToArray(), ExponentialTables.SeriesTail.ToArray(), 0),
        "logarithm" => (LogarithmTables.Series.ToArray(), LogarithmTables.SeriesTail.ToArray(), 0),
        _ => (ArcTangentTables.Series.ToArray(), ArcTangentTables.SeriesTail.ToArray(), 0),
    };

    /// <summary>The sum in units of the last bit, by Horner's rule with 256 bits more.</summary>
    private static BigInteger Exact(ulong[] coefficients, ulong[] tail, int scale, BigInteger x, bool adds)
    {
        const int guard = 256;
        BigInteger[] all =
        [
            .. Enumerable.Range(0, coefficients.Length / 2).Select(i => Join(coefficients[2 * i], coefficients[2 * i + 1]) << guard),
            .. tail.Select(c => (BigInteger)c << (FractionBits - 64 - scale + guard)),
        ];
        BigInteger sum = 0;
        foreach (BigInteger coefficient in all.Reverse())
        {
            sum = coefficient + (adds ? sum * x : -sum * x) / (BigInteger.One << FractionBits);
        }

        return sum >> guard;
    }

    private static BigInteger Join(ulong high, ulong low) => ((BigInteger)high << 64) | low;
}
