using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint.Transcendental;

/// <summary>FYL2X and FYL2XP1 (SDM 2A).</summary>
/// <remarks>
/// The argument is 2^e * m with m from 1 up to 2. A table gives c near 1/m, with so few bits that m * c = 1 + r is
/// exact, and its logarithm; log2(1 + r), with |r| below 1/128, is a power series. Where the argument is near 1,
/// from either side, c is a power of two and nothing cancels.
/// </remarks>
internal static class Logarithm
{
    private const int IndexBits = 7;
    private const int ReciprocalBits = 10;

    // Sums are kept in fixed point with this many bits after the point, and 16 before it.
    private const int SumFractionBits = 112;

    // Below 2^-7 the series is good for log2(1 + x) as it is.
    private const int SeriesExponent = -8;

    /// <summary>FYL2X: y times the binary logarithm of x.</summary>
    /// <param name="y">ST(1).</param>
    /// <param name="x">ST(0).</param>
    /// <param name="context">Raises any exception.</param>
    public static Float80 YLog2X(Float80 y, Float80 x, ref FloatingPointContext context)
    {
        NumberClass a = y.Class;
        NumberClass b = x.Class;
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            return Float80.PropagateNan(x, y, ref context);
        }

        bool isOne = x.Equals(Float80.One);
        if ((x.IsNegative && b != NumberClass.Zero)
            || (a == NumberClass.Zero && (b is NumberClass.Zero or NumberClass.Infinity))
            || (a == NumberClass.Infinity && isOne))
        {
            return FloatArithmetic.Invalid<Float80>(ref context);
        }

        // The sign of the logarithm, which zero has too.
        bool negative = y.IsNegative ^ (x.BiasedExponent < Float80.Bias);
        if (b == NumberClass.Zero)
        {
            context.Raise(a == NumberClass.Infinity ? 0 : FloatingPointExceptions.ZeroDivide);
            return Float80.SignedInfinity(negative);
        }

        RaiseDenormal(a, b, ref context);
        if (a == NumberClass.Infinity || b == NumberClass.Infinity)
        {
            return Float80.SignedInfinity(negative);
        }

        if (a == NumberClass.Zero || isOne)
        {
            return Float80.SignedZero(negative);
        }

        return Scale(y.Unpack(), Log2(new Unrounded(x.Unpack())), ref context);
    }

    /// <summary>FYL2XP1: y times the binary logarithm of x + 1.</summary>
    /// <param name="y">ST(1).</param>
    /// <param name="x">
    /// ST(0). The manual allows from -(1 - sqrt(1/2)) to 1 - sqrt(1/2); beyond, the result is still y * log2(x + 1),
    /// and invalid below -1.
    /// </param>
    /// <param name="context">Raises any exception.</param>
    public static Float80 YLog2XPlus1(Float80 y, Float80 x, ref FloatingPointContext context)
    {
        NumberClass a = y.Class;
        NumberClass b = x.Class;
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            return Float80.PropagateNan(x, y, ref context);
        }

        bool isMinusOne = x.Equals(Float80.One.Negate());
        bool below = x.IsNegative && x.BiasedExponent >= Float80.Bias && !isMinusOne;
        if (below
            || (a == NumberClass.Infinity && b == NumberClass.Zero)
            || (a == NumberClass.Zero && (isMinusOne || b == NumberClass.Infinity)))
        {
            return FloatArithmetic.Invalid<Float80>(ref context);
        }

        bool negative = y.IsNegative ^ x.IsNegative;
        if (isMinusOne)
        {
            context.Raise(a == NumberClass.Infinity ? 0 : FloatingPointExceptions.ZeroDivide);
            return Float80.SignedInfinity(negative);
        }

        RaiseDenormal(a, b, ref context);
        if (a == NumberClass.Infinity || b == NumberClass.Infinity)
        {
            return Float80.SignedInfinity(negative);
        }

        if (a == NumberClass.Zero || b == NumberClass.Zero)
        {
            return Float80.SignedZero(negative);
        }

        Unpacked number = x.Unpack();
        Unrounded logarithm = number.Exponent <= SeriesExponent
            ? Series(new Unrounded(number))
            : Log2(FloatArithmetic.AddFinite(number, new Unpacked(negative: false, 0, Unpacked.IntegerBit)));
        return Scale(y.Unpack(), logarithm, ref context);
    }

    /// <summary>The logarithm of a number above zero; exact for a power of two.</summary>
    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded Log2(in Unrounded value)
    {
        Fraction m = WideNumber.Significand(value);
        int index = (int)(m.High >> (63 - IndexBits)) - (1 << IndexBits);
        uint reciprocal = LogarithmTables.Reciprocals[index];

        // m has 127 bits after its point and the reciprocal has ReciprocalBits, so that this many bits of the
        // product's upper part belong to its fraction. Before them stands the 1 of 1 + r, or a 0 if r is below zero.
        const int fractionBits = ReciprocalBits - 1;
        ulong productHigh = WideArithmetic.Multiply(m.High, reciprocal, out ulong productMiddle);
        ulong carry = WideArithmetic.Multiply(m.Low, reciprocal, out ulong productLow);
        productMiddle += carry;
        productHigh += productMiddle < carry ? 1ul : 0;
        Fraction r = new(
            (productHigh << (64 - fractionBits)) | (productMiddle >> fractionBits),
            (productMiddle << (64 - fractionBits)) | (productLow >> fractionBits));
        bool negative = productHigh >> fractionBits == 0;
        if (negative)
        {
            r = default(Fraction) - r;
        }

        // The tables take the upper half of the range as below 1, with an exponent higher by one.
        int exponent = value.Exponent + (index >= LogarithmTables.UpperHalf ? 1 : 0);
        Fraction offset = Fraction.FromTable(LogarithmTables.Offsets, index);
        if (r.IsZero)
        {
            return Sum(exponent, offset, default);
        }

        Unrounded rest = Series(WideNumber.FromFraction(negative, 0, r));
        if (exponent == 0 && offset.IsZero)
        {
            return rest;
        }

        Fraction change = WideNumber.Significand(rest) >> (127 - SumFractionBits - rest.Exponent);
        return WideNumber.MarkInexact(Sum(exponent, offset, negative ? default(Fraction) - change : change));
    }

    // All in fixed point and two's complement.
    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded Sum(int exponent, Fraction offset, Fraction change)
    {
        Fraction sum = new Fraction((ulong)exponent << (SumFractionBits - 64), 0) + offset + change;
        bool negative = (long)sum.High < 0;
        return WideNumber.FromFraction(negative, 128 - SumFractionBits, negative ? default(Fraction) - sum : sum);
    }

    // log2(1 + r) for |r| below 1/128.
    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded Series(in Unrounded r)
    {
        Fraction magnitude = WideNumber.ToFraction(r);
        Fraction factor = Fraction.Evaluate(
            LogarithmTables.Series, LogarithmTables.SeriesTail, 0, magnitude, adds: r.Negative);

        // The coefficients are halved, because the first is above 1.
        Unrounded product = WideNumber.Multiply(r, WideNumber.FromFraction(negative: false, 1, factor));
        return WideNumber.MarkInexact(product);
    }

    [MethodImpl(WideArithmetic.AtOnce)]
    private static Float80 Scale(in Unpacked y, in Unrounded logarithm, ref FloatingPointContext context)
    {
        // The product has 192 bits; the lowest 64 only say whether it is exact.
        ulong high = WideArithmetic.Multiply(logarithm.High, y.Significand, out ulong middle);
        ulong carry = WideArithmetic.Multiply(logarithm.Low, y.Significand, out ulong low);
        middle += carry;
        high += middle < carry ? 1ul : 0;
        int exponent = logarithm.Exponent + y.Exponent + 1;
        exponent -= WideArithmetic.Normalize(ref high, ref middle);
        var product = new Unrounded(logarithm.Negative ^ y.Negative, exponent, high, middle | (low != 0 ? 1ul : 0));
        return Rounding.Round<Float80>(product, ref context);
    }

    private static void RaiseDenormal(NumberClass first, NumberClass second, ref FloatingPointContext context)
    {
        if (first == NumberClass.Denormal || second == NumberClass.Denormal)
        {
            context.Raise(FloatingPointExceptions.Denormal);
        }
    }
}
