using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint.Transcendental;

/// <summary>FPATAN (SDM 2A).</summary>
/// <remarks>
/// With t the smaller of the two magnitudes over the larger, and c = j/64 near t, arctan t = arctan c +
/// arctan((t - c) / (1 + t c)). That last fraction is found with one division, of numbers that are still exact;
/// it is at most about 1/128, where a short power series does.
/// </remarks>
internal static class ArcTangent
{
    private const int IndexBits = 6;

    // Beyond this difference of exponents c is 0.
    private const int LargestTableDistance = IndexBits + 1;

    // Sums with multiples of pi have this many bits before the point.
    private const int SumIntegerBits = 2;

    /// <summary>The angle of the point (x, y), from -pi to pi.</summary>
    /// <param name="y">ST(1).</param>
    /// <param name="x">ST(0).</param>
    /// <param name="context">Raises invalid, denormal, underflow and precision.</param>
    public static Float80 OfQuotient(Float80 y, Float80 x, ref FloatingPointContext context)
    {
        NumberClass a = y.Class;
        NumberClass b = x.Class;
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            return Float80.PropagateNan(x, y, ref context);
        }

        if (a == NumberClass.Denormal || b == NumberClass.Denormal)
        {
            context.Raise(FloatingPointExceptions.Denormal);
        }

        Unrounded angle;
        if (a == NumberClass.Infinity || b == NumberClass.Infinity || a == NumberClass.Zero || b == NumberClass.Zero)
        {
            if (!TryAxis(a, b, x.IsNegative, out Fraction axis))
            {
                return Float80.SignedZero(y.IsNegative);
            }

            angle = WideNumber.FromFraction(y.IsNegative, SumIntegerBits, axis);
        }
        else
        {
            angle = OfFinite(y.Unpack(), x.Unpack());
        }

        return Rounding.Round<Float80>(WideNumber.MarkInexact(angle), ref context);
    }

    // Multiples of pi/4; false for 0, which alone is exact.
    private static bool TryAxis(NumberClass y, NumberClass x, bool xNegative, out Fraction angle)
    {
        Fraction pi = TrigonometryTables.HalfPi;
        if (y == NumberClass.Infinity && x == NumberClass.Infinity)
        {
            angle = xNegative ? (pi >> 1) + (pi >> 2) : pi >> 2;
            return true;
        }

        if (y == NumberClass.Infinity || (x == NumberClass.Zero && y != NumberClass.Zero))
        {
            angle = pi >> 1;
            return true;
        }

        angle = xNegative ? pi : default;
        return xNegative;
    }

    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded OfFinite(in Unpacked y, in Unpacked x)
    {
        bool steep = y.Exponent > x.Exponent || (y.Exponent == x.Exponent && y.Significand > x.Significand);
        Unrounded part = steep ? OfRatio(x, y) : OfRatio(y, x);
        if (!steep && !x.Negative)
        {
            return new Unrounded(y.Negative, part.Exponent, part.High, part.Low);
        }

        // pi/2 -+ the part, or pi - the part, with the point after two bits.
        Fraction pi = TrigonometryTables.HalfPi;
        Fraction small = WideNumber.ToFraction(part) >> SumIntegerBits;
        Fraction angle = !steep ? pi - small
            : x.Negative ? (pi >> 1) + small
            : (pi >> 1) - small;
        return WideNumber.FromFraction(y.Negative, SumIntegerBits, angle);
    }

    // The arc tangent of the smaller magnitude over the larger: above 0, at most pi/4.
    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded OfRatio(in Unpacked smaller, in Unpacked larger)
    {
        int distance = larger.Exponent - smaller.Exponent;
        int index = distance > LargestTableDistance ? 0 : NearestIndex(smaller, larger, distance);
        if (index == 0)
        {
            return Series(WideNumber.Divide(Magnitude(smaller), Magnitude(larger)));
        }

        // 64 times both numbers still leaves room in 128 bits: the numbers come in the upper half, 8 bits down.
        const int room = IndexBits + 2;
        Fraction a = new Fraction(smaller.Significand, 0) >> (room + distance);
        Fraction b = new Fraction(larger.Significand, 0) >> room;
        Fraction left = a << IndexBits;
        Fraction right = MultiplySmall(b, index);
        bool below = left.High < right.High || (left.High == right.High && left.Low < right.Low);
        Fraction numerator = below ? right - left : left - right;
        Fraction denominator = (b << IndexBits) + MultiplySmall(a, index);
        Fraction nearest = Fraction.FromTable(ArcTangentTables.Angles, index);
        if (numerator.IsZero)
        {
            return WideNumber.FromFraction(negative: false, 0, nearest);
        }

        Unrounded quotient = WideNumber.Divide(
            WideNumber.FromFraction(below, 0, numerator), WideNumber.FromFraction(negative: false, 0, denominator));
        Fraction rest = WideNumber.ToFraction(Series(quotient));
        return WideNumber.FromFraction(negative: false, 0, below ? nearest - rest : nearest + rest);
    }

    // z - z (z^2/3 - z^4/5 + ...), for z up to about 1/128.
    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded Series(in Unrounded z)
    {
        Fraction square = WideNumber.Square(z);
        Fraction series = Fraction.Evaluate(
            ArcTangentTables.Series, ArcTangentTables.SeriesTail, 0, square, adds: false);
        Fraction significand = WideNumber.Significand(z);
        Fraction sum = Fraction.SubtractSomething(significand, significand * (square * series));
        return WideNumber.FromFraction(z.Negative, z.Exponent + 1, sum);
    }

    // The ratio times 64, to the nearest integer or nearly so: 24 bits of each number tell.
    private static int NearestIndex(in Unpacked smaller, in Unpacked larger, int distance)
    {
        uint a = (uint)(smaller.Significand >> 40) >> distance;
        uint b = (uint)(larger.Significand >> 40);
        return (int)(((a << IndexBits) + (b >> 1)) / b);
    }

    private static Unrounded Magnitude(in Unpacked number) =>
        new(negative: false, number.Exponent, number.Significand, 0);

    [MethodImpl(WideArithmetic.AtOnce)]
    private static Fraction MultiplySmall(Fraction value, int factor)
    {
        ulong carry = WideArithmetic.Multiply(value.Low, (ulong)factor, out ulong low);
        return new Fraction(value.High * (ulong)factor + carry, low);
    }
}
