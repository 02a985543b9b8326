using System.Numerics;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>The functions of the x87's transcendental instructions, by textbook series, to about 250 bits.</summary>
internal static class PreciseFunctions
{
    // Terms below this, relative to the sum's first, no longer matter.
    private const int LastBit = 300;

    private static readonly PreciseNumber Ln2 = TwiceInverseTangentH(PreciseNumber.One / Integer(3));

    // Pi to more bits than a PreciseNumber keeps: what remains of an angle near 2^63 needs them.
    private const int PiBits = 640;
    private static readonly BigInteger PiMantissa = Machin();

    public static PreciseNumber Pi => new PreciseNumber(PiMantissa, -PiBits) * PreciseNumber.One;

    /// <summary>2^x - 1.</summary>
    public static PreciseNumber TwoToXMinusOne(PreciseNumber x)
    {
        if ((x + PreciseNumber.One).Mantissa.IsZero)
        {
            return new PreciseNumber(BigInteger.MinusOne, -1);
        }

        PreciseNumber t = x * Ln2;
        PreciseNumber term = t;
        PreciseNumber sum = t;
        for (int n = 2; IsSignificant(term, sum); n++)
        {
            term = term * t / Integer(n);
            sum += term;
        }

        return sum;
    }

    /// <summary>Binary logarithm.</summary>
    public static PreciseNumber Log2(PreciseNumber x)
    {
        // To between about 0.7 and 1.4, so that numbers next to 1 keep their distance from it.
        int exponent = x.Scale;
        var m = new PreciseNumber(x.Mantissa, x.Exponent - exponent);
        if ((m * m - Integer(2)).Mantissa.Sign > 0)
        {
            exponent++;
            m = new PreciseNumber(m.Mantissa, m.Exponent - 1);
        }

        return Integer(exponent) + Log2Plus1(m - PreciseNumber.One);
    }

    /// <summary>Binary logarithm of x + 1, for a small x.</summary>
    public static PreciseNumber Log2Plus1(PreciseNumber x) => x.Mantissa.IsZero
        ? x
        : TwiceInverseTangentH(x / (x + Integer(2))) / Ln2;

    /// <summary>Sine and cosine.</summary>
    public static (PreciseNumber Sine, PreciseNumber Cosine) SineCosine(PreciseNumber x)
    {
        // Whole quarter turns, then series.
        BigInteger quarters = BigInteger.Zero;
        if (x.Scale >= -1)
        {
            // (x * 2^PiBits) / (pi/2 * 2^PiBits), to the nearest integer.
            BigInteger angle = x.Mantissa << (PiBits + x.Exponent);
            quarters = BigInteger.Divide(angle * 4 + PiMantissa * angle.Sign, PiMantissa * 2);
            x = new PreciseNumber(angle * 2 - quarters * PiMantissa, -PiBits - 1);
        }

        PreciseNumber sine = Series(x, x, 1);
        PreciseNumber cosine = Series(PreciseNumber.One, x, 0);
        return (int)(quarters & 3) switch
        {
            0 => (sine, cosine),
            1 => (cosine, -sine),
            2 => (-sine, -cosine),
            _ => (-cosine, sine),
        };
    }

    /// <summary>Tangent.</summary>
    public static PreciseNumber Tangent(PreciseNumber x)
    {
        // Where sine and cosine have lost all but the direction of what sets them apart from x and 1.
        const int tiny = -100;
        if (x.Scale < tiny)
        {
            return x + x * x * x / Integer(3);
        }

        (PreciseNumber sine, PreciseNumber cosine) = SineCosine(x);
        return sine / cosine;
    }

    /// <summary>The angle of the point (x, y).</summary>
    public static PreciseNumber AngleOf(PreciseNumber y, PreciseNumber x)
    {
        PreciseNumber ay = y.Mantissa.Sign < 0 ? -y : y;
        PreciseNumber ax = x.Mantissa.Sign < 0 ? -x : x;
        bool steep = (ay - ax).Mantissa.Sign > 0;
        PreciseNumber angle = InverseTangent(steep ? ax / ay : ay / ax);
        PreciseNumber half = Pi / Integer(2);
        angle = steep ? half - angle : angle;
        angle = x.Mantissa.Sign < 0 ? Pi - angle : angle;
        return y.Mantissa.Sign < 0 ? -angle : angle;
    }

    private static PreciseNumber InverseTangent(PreciseNumber t)
    {
        int doublings = 0;
        for (; t.Scale > -5; doublings++)
        {
            t /= PreciseNumber.One + (PreciseNumber.One + t * t).SquareRoot();
        }

        PreciseNumber square = t * t;
        PreciseNumber power = t;
        PreciseNumber sum = t;
        int n = 3;
        do
        {
            power = -(power * square);
            sum += power / Integer(n);
            n += 2;
        }
        while (IsSignificant(power, sum));

        return new PreciseNumber(sum.Mantissa, sum.Exponent + doublings);
    }

    // 2 artanh z = ln((1 + z) / (1 - z)).
    private static PreciseNumber TwiceInverseTangentH(PreciseNumber z)
    {
        PreciseNumber square = z * z;
        PreciseNumber power = z;
        PreciseNumber sum = z;
        for (int n = 3; IsSignificant(power, sum); n += 2)
        {
            power *= square;
            sum += power / Integer(n);
        }

        return sum + sum;
    }

    // first * (1 - x^2 / ((n + 1)(n + 2)) + ...): the sine from n = 1, the cosine from n = 0.
    private static PreciseNumber Series(PreciseNumber first, PreciseNumber x, int n)
    {
        PreciseNumber square = x * x;
        PreciseNumber term = first;
        PreciseNumber sum = first;
        do
        {
            term = -(term * square) / Integer((n + 1) * (n + 2));
            sum += term;
            n += 2;
        }
        while (IsSignificant(term, sum));

        return sum;
    }

    private static BigInteger Machin()
    {
        // pi = 16 arctan(1/5) - 4 arctan(1/239).
        const int guard = 32;
        BigInteger pi = 16 * InverseTangentOfReciprocal(5) - 4 * InverseTangentOfReciprocal(239);
        return pi >> guard;

        static BigInteger InverseTangentOfReciprocal(int divisor)
        {
            BigInteger power = (BigInteger.One << (PiBits + guard)) / divisor;
            BigInteger sum = power;
            for (int n = 3; !power.IsZero; n += 2)
            {
                power /= -divisor * divisor;
                sum += power / n;
            }

            return sum;
        }
    }

    private static bool IsSignificant(PreciseNumber term, PreciseNumber sum) =>
        !term.Mantissa.IsZero && term.Scale > sum.Scale - LastBit;

    private static PreciseNumber Integer(int value) => PreciseNumber.FromInteger(value);
}
