using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint.Transcendental;

/// <summary>
/// An unsigned number in fixed point, of 128 bits. Where its binary point is, the user knows; unless said
/// otherwise it stands before the first bit, and the number is below 1.
/// </summary>
internal readonly struct Fraction
{
    /// <summary>The upper 64 bits.</summary>
    public readonly ulong High;

    /// <summary>The lower 64 bits.</summary>
    public readonly ulong Low;

    /// <summary>Makes a number of its two halves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Fraction(ulong high, ulong low)
    {
        High = high;
        Low = low;
    }

    /// <summary>Whether no bit is set.</summary>
    public bool IsZero => (High | Low) == 0;

    /// <summary>The sum, modulo 2^128.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction operator +(Fraction a, Fraction b)
    {
        ulong low = a.Low + b.Low;
        return new Fraction(a.High + b.High + (low < a.Low ? 1ul : 0), low);
    }

    /// <summary>The difference, modulo 2^128.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction operator -(Fraction a, Fraction b) =>
        new(a.High - b.High - (a.Low < b.Low ? 1ul : 0), a.Low - b.Low);

    /// <summary>
    /// The upper half of the product, which is at most three units too small: the lowest partial product is left out.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction operator *(Fraction a, Fraction b)
    {
        ulong high = WideArithmetic.Multiply(a.High, b.High, out ulong low);
        ulong firstCross = WideArithmetic.MultiplyHigh(a.High, b.Low);
        ulong secondCross = WideArithmetic.MultiplyHigh(a.Low, b.High);
        ulong cross = firstCross + secondCross;
        high += cross < firstCross ? 1ul : 0;
        low += cross;
        return new Fraction(high + (low < cross ? 1ul : 0), low);
    }

    /// <summary>Shifted right by any count.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction operator >>(Fraction a, int count)
    {
        if (count >= 64)
        {
            return count >= 128 ? default : new Fraction(0, a.High >> (count - 64));
        }

        return new Fraction(a.High >> count, WideArithmetic.Spill(a.High, count) | (a.Low >> count));
    }

    /// <summary>Shifted left by less than 64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction operator <<(Fraction a, int count) =>
        new(WideArithmetic.ShiftLeft(a.High, a.Low, count), a.Low << count);

    /// <summary>
    /// The first less a product, but at least one unit less: for a result that is known to be a little below a
    /// value, so that it is never mistaken for that value.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction SubtractSomething(Fraction a, Fraction product) =>
        a - (product.IsZero ? new Fraction(0, 1) : product);

    /// <summary>One number of a table, which holds pairs of a high and a low half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction FromTable(ReadOnlySpan<ulong> table, int index) =>
        new(table[2 * index], table[2 * index + 1]);

    /// <summary>
    /// The value of a power series, with all plus signs or alternating ones: c[0] - x c[1] + x^2 c[2] - ...
    /// The coefficients must fall so fast that no sum goes below zero or above 1.
    /// </summary>
    /// <param name="coefficients">Pairs of halves, that of the lowest power first; two, four or six pairs.</param>
    /// <param name="tail">The coefficients that follow, for which 64 bits are enough, times 2^tailScale.</param>
    /// <param name="tailScale">See there.</param>
    /// <param name="x">The variable.</param>
    /// <param name="adds">Whether the signs are all plus.</param>
    /// <remarks>
    /// Even and odd powers are summed apart: the steps of each sum must wait for each other, but not for the other's.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Fraction Evaluate(
        ReadOnlySpan<ulong> coefficients, ReadOnlySpan<ulong> tail, int tailScale, Fraction x, bool adds)
    {
        Fraction square = x * x;
        ulong evenTail = (tail.Length & 1) != 0 ? tail[^1] : 0;
        ulong oddTail = 0;
        for (int index = (tail.Length & ~1) - 2; index >= 0; index -= 2)
        {
            evenTail = tail[index] + WideArithmetic.MultiplyHigh(square.High, evenTail);
            oddTail = tail[index + 1] + WideArithmetic.MultiplyHigh(square.High, oddTail);
        }

        Fraction even = new Fraction(evenTail, 0) >> tailScale;
        Fraction odd = new Fraction(oddTail, 0) >> tailScale;
        // The table's length is known where this is inlined, so each of these is decided at compile time.
        const int numbers = 2 * 2;
        if (coefficients.Length > 2 * numbers)
        {
            Step(coefficients[(2 * numbers)..], square, ref even, ref odd);
        }

        if (coefficients.Length > numbers)
        {
            Step(coefficients[numbers..], square, ref even, ref odd);
        }

        Step(coefficients, square, ref even, ref odd);
        odd = x * odd;
        return adds ? even + odd : even - odd;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(ReadOnlySpan<ulong> coefficients, Fraction square, ref Fraction even, ref Fraction odd)
    {
        even = FromTable(coefficients, 0) + square * even;
        odd = FromTable(coefficients, 1) + square * odd;
    }
}
