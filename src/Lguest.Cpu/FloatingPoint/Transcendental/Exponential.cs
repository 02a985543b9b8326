using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint.Transcendental;

/// <summary>F2XM1 (SDM 2A).</summary>
/// <remarks>
/// 2^x = 2^(j/64) * 2^r with |r| at most 1/128: the first factor comes from a table, the second from its power
/// series. Near 0, where the 1 would cancel, the series alone gives 2^x - 1 with full precision.
/// </remarks>
internal static class Exponential
{
    private const int IndexBits = 6;

    // Below 2^-7 the series is good without the table.
    private const int SeriesExponent = -8;

    /// <summary>Two to the power of x, less one.</summary>
    /// <param name="value">From -1 to 1. Beyond, where the manual leaves the result undefined, it is x itself.</param>
    /// <param name="context">Raises invalid, denormal, underflow and precision.</param>
    public static Float80 TwoToXMinusOne(Float80 value, ref FloatingPointContext context)
    {
        switch (value.Class)
        {
            case NumberClass.Zero:
                return value;
            case NumberClass.Infinity:
                return value.IsNegative ? Float80.One.Negate() : value;
            case >= NumberClass.QuietNan:
                return Float80.PropagateNan(value, value, ref context);
            case NumberClass.Denormal:
                context.Raise(FloatingPointExceptions.Denormal);
                break;
        }

        Unpacked x = value.Unpack();
        if (x.Exponent >= 0)
        {
            bool half = x.Exponent == 0 && x.Negative && x.Significand == Unpacked.IntegerBit;
            return half ? Float80.Pack(negative: true, -1, Unpacked.IntegerBit) : value;
        }

        Unrounded result = x.Exponent <= SeriesExponent
            ? Series(new Unrounded(x))
            : WithTable(x);
        return Rounding.Round<Float80>(WideNumber.MarkInexact(result), ref context);
    }

    // 2^r - 1 for |r| at most 1/128.
    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded Series(in Unrounded r)
    {
        Fraction magnitude = WideNumber.ToFraction(r);
        Fraction factor = Fraction.Evaluate(
            ExponentialTables.Series, ExponentialTables.SeriesTail, 0, magnitude, adds: !r.Negative);
        return WideNumber.Multiply(r, WideNumber.FromFraction(negative: false, 0, factor));
    }

    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded WithTable(in Unpacked x)
    {
        // The fraction of x + 1 or of x, so that the power to find is from 1 up to 2.
        Fraction fraction = new Fraction(x.Significand, 0) >> (-1 - x.Exponent);
        if (x.Negative)
        {
            fraction = default(Fraction) - fraction;
        }

        int index = (int)((fraction.High >> (63 - IndexBits)) + 1) >> 1;
        Fraction nearest = new((ulong)index << (64 - IndexBits), 0);
        bool below = nearest.High > fraction.High || index == 1 << IndexBits;
        Fraction distance = below ? nearest - fraction : fraction - nearest;

        // With the point after the first bit: 2^(j/64) from 1 to 2, and the sum from 1 up to 2.
        Fraction power = index == 1 << IndexBits
            ? default
            : Fraction.FromTable(ExponentialTables.Powers, index);
        Fraction sum = power;
        if (!distance.IsZero)
        {
            Unrounded change = Series(WideNumber.FromFraction(below, 0, distance));
            Fraction step = WideNumber.ToFraction(change);
            step = index == 1 << IndexBits ? step : power * step;
            sum = below ? power - step : power + step;
        }

        // 2^x - 1 for x above 0, and 1 - 2^(x + 1) / 2 below, both with the point after the first bit.
        Fraction one = new(Unpacked.IntegerBit, 0);
        Fraction result = x.Negative ? one - (sum >> 1) : sum - one;
        return WideNumber.FromFraction(x.Negative, 1, result);
    }
}
