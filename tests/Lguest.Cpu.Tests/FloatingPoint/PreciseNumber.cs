using System.Numerics;
using Lguest.Cpu.FloatingPoint;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>
/// A real number to about 300 bits: Mantissa * 2^Exponent. Slow and simple, so that it can be trusted to say
/// what the softfloat core's transcendentals should have returned. Where bits are lost the last one kept is set,
/// so that a number which is exact in few bits is known from one that is merely close to it.
/// </summary>
internal readonly record struct PreciseNumber(BigInteger Mantissa, int Exponent)
{
    private const int Precision = 320;

    public static PreciseNumber One => new(BigInteger.One, 0);

    /// <summary>The exponent of the first bit.</summary>
    public int Scale => Exponent + (int)BigInteger.Abs(Mantissa).GetBitLength() - 1;

    public static PreciseNumber operator -(PreciseNumber a) => new(-a.Mantissa, a.Exponent);

    public static PreciseNumber operator +(PreciseNumber a, PreciseNumber b)
    {
        if (a.Mantissa.IsZero || b.Mantissa.IsZero)
        {
            return a.Mantissa.IsZero ? b : a;
        }

        // What lies far below the other operand's last bit leaves only a trace, so that shifts stay small.
        int low = Math.Max(Math.Min(a.Exponent, b.Exponent), Math.Max(a.Scale, b.Scale) - 2 * Precision);
        return new PreciseNumber(Shift(a.Mantissa, a.Exponent - low) + Shift(b.Mantissa, b.Exponent - low), low).Trim();
    }

    public static PreciseNumber operator -(PreciseNumber a, PreciseNumber b) => a + -b;

    public static PreciseNumber operator *(PreciseNumber a, PreciseNumber b) =>
        new PreciseNumber(a.Mantissa * b.Mantissa, a.Exponent + b.Exponent).Trim();

    public static PreciseNumber operator /(PreciseNumber a, PreciseNumber b)
    {
        int shift = Math.Max(0, Precision + (int)b.Mantissa.GetBitLength() - (int)a.Mantissa.GetBitLength());
        BigInteger quotient = BigInteger.DivRem(a.Mantissa << shift, b.Mantissa, out BigInteger remainder);
        return new PreciseNumber(
            remainder.IsZero ? quotient : Mark(quotient), a.Exponent - shift - b.Exponent).Trim();
    }

    public static PreciseNumber FromInteger(BigInteger value) => new(value, 0);

    public static PreciseNumber From(Float80 value)
    {
        Unpacked number = value.Unpack();
        BigInteger mantissa = number.Significand;
        return new PreciseNumber(number.Negative ? -mantissa : mantissa, number.Exponent - 63);
    }

    public PreciseNumber SquareRoot()
    {
        int shift = 2 * Precision + (Exponent & 1);
        BigInteger radicand = Mantissa << shift;
        BigInteger root = BigInteger.One << (int)((radicand.GetBitLength() + 1) / 2);
        while (true)
        {
            BigInteger next = (root + radicand / root) >> 1;
            if (next >= root)
            {
                return new PreciseNumber(root, (Exponent - shift) / 2).Trim();
            }

            root = next;
        }
    }

    /// <summary>The number rounded to 80 bits, with the exceptions that go with that while all are masked.</summary>
    public Float80 Round(RoundingMode mode, out bool roundedUp, out FloatingPointExceptions exceptions)
    {
        bool negative = Mantissa.Sign < 0;
        BigInteger magnitude = BigInteger.Abs(Mantissa);
        int lowest = Exponent;
        RoundAt(Scale, out _, out _, out int scale);
        bool tiny = scale < Float80.MinExponent;
        BigInteger kept = RoundAt(Math.Max(Scale, Float80.MinExponent), out roundedUp, out bool exact, out scale);
        exceptions = exact ? 0 : FloatingPointExceptions.Precision | (tiny ? FloatingPointExceptions.Underflow : 0);
        if (scale <= Float80.MaxExponent)
        {
            return Float80.Pack(negative, scale, (ulong)kept);
        }

        exceptions |= FloatingPointExceptions.Overflow | FloatingPointExceptions.Precision;
        roundedUp = mode == RoundingMode.NearestEven || mode == (negative ? RoundingMode.Down : RoundingMode.Up);
        return roundedUp
            ? Float80.SignedInfinity(negative)
            : Float80.Pack(negative, Float80.MaxExponent, ulong.MaxValue);

        BigInteger RoundAt(int first, out bool up, out bool isExact, out int exponent)
        {
            int shift = lowest - (first - 63);
            BigInteger result = shift >= 0 ? magnitude << shift : magnitude >> -shift;
            BigInteger rest = shift >= 0 ? BigInteger.Zero : magnitude - (result << -shift);
            isExact = rest.IsZero;
            int half = isExact ? -1 : rest.CompareTo(BigInteger.One << (-shift - 1));
            up = !isExact && mode switch
            {
                RoundingMode.NearestEven => half > 0 || (half == 0 && !result.IsEven),
                RoundingMode.TowardZero => false,
                _ => mode == (negative ? RoundingMode.Down : RoundingMode.Up),
            };
            result += up ? 1 : 0;
            bool carry = result.GetBitLength() > 64;
            exponent = carry ? first + 1 : first;
            return carry ? result >> 1 : result;
        }
    }

    /// <summary>The distance between two numbers, in units of the last of 64 bits of this one.</summary>
    public double UlpsFrom(PreciseNumber other)
    {
        PreciseNumber difference = this - other;
        int unit = Math.Max(Scale, Float80.MinExponent) - 63;
        return Math.Abs((double)Shift(difference.Mantissa, difference.Exponent - unit + 40)) / (1L << 40);
    }

    private PreciseNumber Trim()
    {
        int excess = (int)BigInteger.Abs(Mantissa).GetBitLength() - Precision;
        return excess > 0 ? new PreciseNumber(Shift(Mantissa, -excess), Exponent + excess) : this;
    }

    private static BigInteger Shift(BigInteger value, int count)
    {
        if (count >= 0)
        {
            return value << count;
        }

        BigInteger magnitude = BigInteger.Abs(value);
        BigInteger kept = magnitude >> -count;
        kept = kept << -count == magnitude ? kept : Mark(kept);
        return value.Sign < 0 ? -kept : kept;
    }

    private static BigInteger Mark(BigInteger value) => value.IsEven ? value + (value.Sign < 0 ? -1 : 1) : value;
}
