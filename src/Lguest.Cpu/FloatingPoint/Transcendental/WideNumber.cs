using System.Runtime.CompilerServices;
using Lguest.Cpu.Instructions.Integer;

namespace Lguest.Cpu.FloatingPoint.Transcendental;

/// <summary>
/// Arithmetic on <see cref="Unrounded"/> numbers with significands of 128 bits, good to about 2^-126.
/// </summary>
internal static class WideNumber
{
    /// <summary>The significand as a fraction: at least a half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction Significand(in Unrounded value) => new(value.High, value.Low);

    /// <summary>Makes a number of a fraction that isn't zero, times a power of two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Unrounded FromFraction(bool negative, int scale, Fraction fraction)
    {
        ulong high = fraction.High;
        ulong low = fraction.Low;
        int shift = WideArithmetic.Normalize(ref high, ref low);
        return new Unrounded(negative, scale - 1 - shift, high, low);
    }

    /// <summary>A number below 1 as a fraction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction ToFraction(in Unrounded value) => Significand(value) >> (-1 - value.Exponent);

    /// <summary>The product.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Unrounded Multiply(in Unrounded first, in Unrounded second)
    {
        Fraction product = Significand(first) * Significand(second);
        return FromFraction(first.Negative ^ second.Negative, first.Exponent + second.Exponent + 2, product);
    }

    /// <summary>The square of a number below 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction Square(in Unrounded value)
    {
        Fraction significand = Significand(value);
        return (significand * significand) >> (-2 - 2 * value.Exponent);
    }

    /// <summary>The quotient.</summary>
    [MethodImpl(WideArithmetic.AtOnce)]
    public static Unrounded Divide(in Unrounded first, in Unrounded second)
    {
        Fraction dividend = Significand(first);
        Fraction divisor = Significand(second);
        int exponent = first.Exponent - second.Exponent;
        if (dividend.High > divisor.High || (dividend.High == divisor.High && dividend.Low >= divisor.Low))
        {
            dividend >>= 1;
        }
        else
        {
            exponent--;
        }

        ulong reciprocal = Reciprocal(divisor);
        ulong high = DivideDigit(ref dividend, divisor, reciprocal);
        ulong low = DivideDigit(ref dividend, divisor, reciprocal);
        return new Unrounded(
            first.Negative ^ second.Negative, exponent, high, low | (dividend.IsZero ? 0 : 1ul));
    }

    /// <summary>The same with a sticky bit: for numbers that are known not to be exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Unrounded MarkInexact(in Unrounded value) =>
        new(value.Negative, value.Exponent, value.High, value.Low | 1);

    // 2^192 over the divisor, less 2^64 (N. Moeller, T. Granlund, "Improved division by invariant integers", algorithm 6).
    [MethodImpl(WideArithmetic.AtOnce)]
    private static ulong Reciprocal(Fraction divisor)
    {
        ulong v = WideArithmetic.Reciprocal(divisor.High);
        ulong p = (divisor.High * v) + divisor.Low;
        if (p < divisor.Low)
        {
            v--;
            if (p >= divisor.High)
            {
                v--;
                p -= divisor.High;
            }

            p -= divisor.High;
        }

        ulong high = WideArithmetic.Multiply(v, divisor.Low, out ulong low);
        p += high;
        if (p < high)
        {
            v -= IsLess(new Fraction(p, low), divisor) ? 1ul : 2;
        }

        return v;
    }

    // The next 64 bits of the quotient; the remainder, which must be less than the divisor, moves on by as many (the same, algorithm 5).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong DivideDigit(ref Fraction remainder, Fraction divisor, ulong reciprocal)
    {
        Fraction estimate = Product(reciprocal, remainder.High) + remainder;
        ulong digit = estimate.High;
        Fraction rest = new Fraction(remainder.Low - (digit * divisor.High), 0) - Product(digit, divisor.Low) - divisor;
        digit++;
        ulong isTooLarge = rest.High >= estimate.Low ? ulong.MaxValue : 0;
        digit += isTooLarge;
        rest += new Fraction(divisor.High & isTooLarge, divisor.Low & isTooLarge);
        if (!IsLess(rest, divisor))
        {
            digit++;
            rest -= divisor;
        }

        remainder = rest;
        return digit;
    }

    private static bool IsLess(Fraction a, Fraction b) => a.High < b.High || (a.High == b.High && a.Low < b.Low);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Fraction Product(ulong a, ulong b)
    {
        ulong high = WideArithmetic.Multiply(a, b, out ulong low);
        return new Fraction(high, low);
    }
}
