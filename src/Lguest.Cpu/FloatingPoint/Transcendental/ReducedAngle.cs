using System.Numerics;
using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint.Transcendental;

/// <summary>An angle as a number of quarter turns and a rest between -pi/4 and pi/4.</summary>
internal readonly struct ReducedAngle
{
    // 2/pi with 256 bits after the point, so that after 63 of them have gone into whole turns and 67 into
    // leading zeros (no 64-bit number below 2^63 comes closer to a multiple of pi/2), 126 are left.
    private const ulong TwoOverPi0 = 0xA2F9836E4E441529;
    private const ulong TwoOverPi1 = 0xFC2757D1F534DDC0;
    private const ulong TwoOverPi2 = 0xDB6295993C439041;
    private const ulong TwoOverPi3 = 0xFE5163ABDEBBC561;

    // pi/4 to 64 bits, rounded down: angles up to here need no reduction.
    private const ulong QuarterPi = 0xC90FDAA22168C234;

    /// <summary>What is left; never zero.</summary>
    public readonly Unrounded Rest;

    private ReducedAngle(int quadrant, in Unrounded rest)
    {
        Quadrant = quadrant;
        Rest = rest;
    }

    /// <summary>Quarter turns, modulo 4.</summary>
    public int Quadrant { get; }

    /// <summary>
    /// Reduces an angle below 2^63 by as many quarter turns as it holds, with pi as exact as the
    /// result can show. (The 8087's pi had 66 bits; there the sine of numbers near pi isn't that of pi.)
    /// </summary>
    [MethodImpl(WideArithmetic.AtOnce)]
    public static ReducedAngle Reduce(in Unpacked angle)
    {
        if (angle.Exponent < -1 || (angle.Exponent == -1 && angle.Significand <= QuarterPi))
        {
            return new ReducedAngle(0, new Unrounded(angle));
        }

        // The significand times 2/pi: five words, the point after the first.
        ulong s = angle.Significand;
        ulong w4 = WideArithmetic.Multiply(s, TwoOverPi0, out ulong w3);
        ulong high = WideArithmetic.Multiply(s, TwoOverPi1, out ulong w2);
        w3 += high;
        w4 += w3 < high ? 1ul : 0;
        high = WideArithmetic.Multiply(s, TwoOverPi2, out ulong w1);
        w2 += high;

        // No carry goes on through this word or the next: 2/pi times a 64-bit number is never less than 2^-62 above an
        // integer, and with the point moved by 64 bits never less than 2^-64.
        w3 += w2 < high ? 1ul : 0;
        high = WideArithmetic.Multiply(s, TwoOverPi3, out ulong w0);
        w1 += high;
        w2 += w1 < high ? 1ul : 0;

        // Divided by 2^(63 - exponent), a shift by 1 to 64; the lowest word has no more to say.
        int shift = 63 - angle.Exponent;
        ulong turns = (w4 >> 1) >> (shift - 1);
        ulong f2 = Join(w4, w3, shift);
        ulong f1 = Join(w3, w2, shift);
        ulong f0 = Join(w2, w1, shift);
        ulong last = Join(w1, w0, shift);

        // To the nearest quarter turn, so that the fraction is at most a half. Whether that is the next one is anybody's guess, so
        // it isn't left to a branch. The complement differs from the negative by one unit of the last word.
        ulong past = (ulong)((long)f2 >> 63);
        turns -= past;
        f2 ^= past;
        f1 ^= past;
        f0 ^= past;
        last ^= past;

        int zeros = 0;
        if (f2 == 0)
        {
            (f2, f1, f0) = (f1, f0, last);
            zeros = 64;
        }

        int leading = BitOperations.LeadingZeroCount(f2);
        zeros += leading;
        Fraction fraction = new(
            WideArithmetic.ShiftLeft(f2, f1, leading), WideArithmetic.ShiftLeft(f1, f0, leading));

        // Quarter turns to radians.
        Fraction radians = fraction * TrigonometryTables.HalfPi;
        int quadrant = (int)(angle.Negative ? 0 - turns : turns) & 3;
        return new ReducedAngle(
            quadrant, WideNumber.MarkInexact(WideNumber.FromFraction(angle.Negative ^ (past != 0), 1 - zeros, radians)));
    }

    // 64 bits of the two words, from bit `shift` of the lower one up; a shift from 1 to 64.
    private static ulong Join(ulong upper, ulong lower, int shift) =>
        (upper << -shift) | ((lower >> 1) >> (shift - 1));
}
