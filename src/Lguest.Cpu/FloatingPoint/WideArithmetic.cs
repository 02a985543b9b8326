using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Lguest.Cpu.Instructions.Integer;

namespace Lguest.Cpu.FloatingPoint;

/// <summary>Integer arithmetic on 128 bits, for significands.</summary>
internal static class WideArithmetic
{
    /// <summary>
    /// For methods that multiply: what asks for BMI2 isn't compiled ahead of time, and what the JIT makes of it at first takes ten
    /// times as long, for the first third of a second of FSIN.
    /// </summary>
    public const MethodImplOptions AtOnce = MethodImplOptions.AggressiveOptimization;

    // Over a number of nine bits that is at least 256, this is 2^19 over it in eleven bits, rounded down enough.
    private const uint FirstReciprocal = (1 << 19) - (3 << 8);

    /// <summary>Square roots of 64 to 255, times 16 and rounded down: the first eight bits of any root.</summary>
    internal static ReadOnlySpan<byte> RootTable =>
    [
        128, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142,
        143, 144, 144, 145, 146, 147, 148, 149, 150, 150, 151, 152, 153, 154, 155, 155,
        156, 157, 158, 159, 160, 160, 161, 162, 163, 163, 164, 165, 166, 167, 167, 168,
        169, 170, 170, 171, 172, 173, 173, 174, 175, 176, 176, 177, 178, 178, 179, 180,
        181, 181, 182, 183, 183, 184, 185, 185, 186, 187, 187, 188, 189, 189, 190, 191,
        192, 192, 193, 193, 194, 195, 195, 196, 197, 197, 198, 199, 199, 200, 201, 201,
        202, 203, 203, 204, 204, 205, 206, 206, 207, 208, 208, 209, 209, 210, 211, 211,
        212, 212, 213, 214, 214, 215, 215, 216, 217, 217, 218, 218, 219, 219, 220, 221,
        221, 222, 222, 223, 224, 224, 225, 225, 226, 226, 227, 227, 228, 229, 229, 230,
        230, 231, 231, 232, 232, 233, 234, 234, 235, 235, 236, 236, 237, 237, 238, 238,
        239, 240, 240, 241, 241, 242, 242, 243, 243, 244, 244, 245, 245, 246, 246, 247,
        247, 248, 248, 249, 249, 250, 250, 251, 251, 252, 252, 253, 253, 254, 254, 255,
    ];

    /// <summary>The upper half of a product.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong MultiplyHigh(ulong a, ulong b)
    {
        // What Math.BigMul does, but it stores the lower half to memory, which costs more than the multiplication.
        if (Bmi2.X64.IsSupported)
        {
            return Bmi2.X64.MultiplyNoFlags(a, b);
        }

        return ArmBase.Arm64.IsSupported ? ArmBase.Arm64.MultiplyHigh(a, b) : Math.BigMul(a, b, out _);
    }

    /// <summary>A product.</summary>
    /// <param name="a">One factor.</param>
    /// <param name="b">The other.</param>
    /// <param name="low">The lower half.</param>
    /// <returns>The upper half.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Multiply(ulong a, ulong b, out ulong low)
    {
        low = a * b;
        return MultiplyHigh(a, b);
    }

    /// <summary>The upper half of 128 bits, shifted left by less than 64.</summary>
    /// <remarks>
    /// A shift by 64 less the count would be one by 0 when the count is 0; in two steps it needs no branch, which for counts that
    /// are as good as random would cost more than all the rest.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ShiftLeft(ulong high, ulong low, int count) => (high << count) | ((low >> 1) >> ~count);

    /// <summary>The bits that a shift right by less than 64 moves on to the next lower word.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Spill(ulong value, int count) => (value << 1) << ~count;

    /// <summary>
    /// Shifts 128 bits right by any count, and sets the lowest bit if any bit that was set is lost.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ShiftRightSticky(ref ulong high, ref ulong low, int count)
    {
        if (count < 64)
        {
            if (count != 0)
            {
                ulong lost = low << -count;
                low = (high << -count) | (low >> count) | (lost != 0 ? 1ul : 0);
                high >>= count;
            }
        }
        else
        {
            ShiftRightStickyFar(ref high, ref low, count);
        }
    }

    /// <summary>Shifts 128 bits left until bit 127 is set, and says how far. They must not all be zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Normalize(ref ulong high, ref ulong low)
    {
        int moved = 0;
        if (high == 0)
        {
            high = low;
            low = 0;
            moved = 64;
        }

        int shift = BitOperations.LeadingZeroCount(high);
        high = ShiftLeft(high, low, shift);
        low <<= shift;
        return moved + shift;
    }

    /// <summary>Divides 128 bits by 64.</summary>
    /// <param name="high">The dividend's upper half; less than the divisor.</param>
    /// <param name="low">The dividend's lower half.</param>
    /// <param name="divisor">At least 2^63.</param>
    /// <param name="remainder">The remainder.</param>
    /// <remarks>N. Moeller, T. Granlund, "Improved division by invariant integers", algorithm 4.</remarks>
    [MethodImpl(AtOnce)]
    public static ulong Divide(ulong high, ulong low, ulong divisor, out ulong remainder)
    {
        ulong estimate = Multiply(Reciprocal(divisor), high, out ulong fraction);
        fraction += low;
        ulong quotient = estimate + high + (fraction < low ? 1ul : 0) + 1;
        ulong rest = low - (quotient * divisor);
        bool isTooLarge = rest > fraction;
        quotient -= isTooLarge ? 1ul : 0;
        rest += isTooLarge ? divisor : 0;
        if (rest >= divisor)
        {
            quotient++;
            rest -= divisor;
        }

        remainder = rest;
        return quotient;
    }

    /// <summary>2^128 / divisor - 2^64, rounded down a little more than to an integer: what divisions by it multiply with.</summary>
    /// <param name="divisor">At least 2^63.</param>
    /// <remarks>The same, algorithm 2: from 11 bits to 21, 34 and 64, by Newton's method.</remarks>
    [MethodImpl(AtOnce)]
    public static ulong Reciprocal(ulong divisor)
    {
        ulong odd = divisor & 1;
        ulong rounded = (divisor >> 24) + 1;
        ulong v = FirstReciprocal / (uint)(divisor >> 55);
        v = (v << 11) - (v * v * rounded >> 40) - 1;
        v = (v << 13) + (v * ((1ul << 60) - (v * rounded)) >> 47);
        ulong error = ((v >> 1) & (0 - odd)) - (v * ((divisor >> 1) + odd));
        v = (v << 31) + (MultiplyHigh(v, error) >> 1);
        ulong high = Multiply(v, divisor, out ulong low);
        return v - high - divisor - (low + divisor < divisor ? 1ul : 0);
    }

    /// <summary>The square root of 128 bits, rounded down.</summary>
    /// <param name="high">The radicand's upper half; at least 2^62.</param>
    /// <param name="low">The radicand's lower half.</param>
    /// <param name="remainder">The radicand less the root's square: at most twice the root.</param>
    public static ulong SquareRoot(ulong high, ulong low, out UInt128 remainder)
    {
        // Each step doubles the digits of the root: the remainder over twice the root gives the next half
        // (P. Zimmermann, "Karatsuba Square Root").
        ulong half = SquareRoot(high, out ulong rest);
        ulong dividend = (rest << 31) | (low >> 33);
        (ulong digit, ulong left) = Math.DivRem(dividend, half);
        left = (left << 1) | ((low >> 32) & 1);
        ulong root = (half << 32) + digit;
        UInt128 reached = ((UInt128)left << 32) + (uint)low;
        UInt128 square = Math.BigMul(digit, digit);
        if (reached >= square)
        {
            remainder = reached - square;
            return root;
        }

        root--;
        remainder = reached - square + ((UInt128)root << 1) + 1;
        return root;
    }

    // The same for 64 bits: a root of 32.
    private static ulong SquareRoot(ulong value, out ulong remainder)
    {
        ulong top = value >> 32;
        ulong quarter = RootTable[(int)(top >> 24) - 64];
        ulong half = DoubleRoot(quarter, (top >> 16) - (quarter * quarter), top & ushort.MaxValue, 8, out ulong rest);
        return DoubleRoot(half, rest, value & uint.MaxValue, 16, out remainder);
    }

    // One step: a root of `bits` and its remainder, and twice as many bits of the radicand that come next.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong DoubleRoot(ulong root, ulong rest, ulong next, int bits, out ulong remainder)
    {
        (ulong digit, ulong left) = Math.DivRem((rest << bits) | (next >> bits), root << 1);
        root = (root << bits) + digit;
        long over = (long)((left << bits) | (next & ((1ul << bits) - 1))) - (long)(digit * digit);
        while (over < 0)
        {
            root--;
            over += (long)((root << 1) + 1);
        }

        remainder = (ulong)over;
        return root;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ShiftRightStickyFar(ref ulong high, ref ulong low, int count)
    {
        if (count >= 128)
        {
            low = (high | low) != 0 ? 1ul : 0;
        }
        else
        {
            ulong lost = low | (count == 64 ? 0 : high << -count);
            low = (high >> (count - 64)) | (lost != 0 ? 1ul : 0);
        }

        high = 0;
    }
}
