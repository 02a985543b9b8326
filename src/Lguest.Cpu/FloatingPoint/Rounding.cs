using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint;

/// <summary>
/// The last step of every operation: an exact or sticky result becomes a number of some format, with the
/// exceptions that go with it (SDM 1, 4.8.4 and 4.9.1). Tininess is detected after rounding.
/// </summary>
internal static class Rounding
{
    private const ulong Half = 1ul << 63;

    /// <summary>Rounds a result other than zero to the format's own precision.</summary>
    public static T Round<T>(in Unrounded value, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T> => Round<T>(value, T.SignificandBits, ref context);

    /// <summary>Rounds a result other than zero to a number of bits, within the format's range of exponents.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Round<T>(in Unrounded value, int precision, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        // One below the largest exponent, a carry out of the significand can't overflow.
        if ((uint)(value.Exponent - T.MinExponent) >= (uint)(T.MaxExponent - T.MinExponent))
        {
            return RoundExtreme<T>(value, precision, ref context);
        }

        ulong rest = Discarded(value.High, value.Low, precision);
        if (rest == 0)
        {
            return T.Pack(value.Negative, value.Exponent, value.High);
        }

        int exponent = value.Exponent;
        ulong significand = RoundInexact(value.Negative, ref exponent, value.High, rest, precision, ref context);
        return T.Pack(value.Negative, exponent, significand);
    }

    /// <summary>Whether the magnitude is to be increased.</summary>
    /// <param name="mode">Rounding control.</param>
    /// <param name="negative">The sign.</param>
    /// <param name="odd">Whether the last bit that is kept is set.</param>
    /// <param name="rest">What follows that bit, as a fraction of 2^64; not zero.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Increments(RoundingMode mode, bool negative, bool odd, ulong rest)
    {
        if (mode == RoundingMode.NearestEven)
        {
            return rest > Half - (odd ? 1ul : 0);
        }

        return mode == (negative ? RoundingMode.Down : RoundingMode.Up);
    }

    /// <summary>The bits that rounding takes away, as a fraction of the last bit that it keeps.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Discarded(ulong high, ulong low, int precision) => precision == 64
        ? low
        : (high << precision) | (low != 0 ? 1ul : 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong RoundInexact(
        bool negative, ref int exponent, ulong high, ulong rest, int precision, ref FloatingPointContext context)
    {
        ulong unit = 1ul << (64 - precision);
        ulong kept = high & (0 - unit);
        bool up = Increments(context.Rounding, negative, (kept & unit) != 0, rest);
        context.Raise(FloatingPointExceptions.Precision);
        context.RoundedUp = up;
        kept += up ? unit : 0;
        if (up && kept == 0)
        {
            kept = Unpacked.IntegerBit;
            exponent++;
        }

        return kept;
    }

    /// <summary>Rounds what is, or may become, too large or too small.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static T RoundExtreme<T>(in Unrounded value, int precision, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        // First as if exponents had no bounds, which is what tininess and overflow are judged by.
        FloatingPointContext unbounded = context;
        int exponent = value.Exponent;
        ulong rest = Discarded(value.High, value.Low, precision);
        ulong significand = rest == 0
            ? value.High
            : RoundInexact(value.Negative, ref exponent, value.High, rest, precision, ref unbounded);

        if (exponent > T.MaxExponent)
        {
            return Overflow<T>(value.Negative, exponent, significand, precision, ref context, unbounded);
        }

        bool tiny = exponent < T.MinExponent;
        if (tiny && (context.Masked & FloatingPointExceptions.Underflow) == 0)
        {
            context = unbounded;
            context.Raise(FloatingPointExceptions.Underflow);

            // Only a register is given a result then; one of another format goes nowhere.
            exponent += Float80.ExponentAdjustment;
            return exponent < T.MinExponent ? Zero<T>(value.Negative) : T.Pack(value.Negative, exponent, significand);
        }

        if (tiny && context.FlushToZero)
        {
            context.Raise(FloatingPointExceptions.Underflow | FloatingPointExceptions.Precision);
            return Zero<T>(value.Negative);
        }

        if (value.Exponent >= T.MinExponent)
        {
            context = unbounded;
            return T.Pack(value.Negative, exponent, significand);
        }

        return Denormalize<T>(value, tiny, precision, ref context);
    }

    private static T Denormalize<T>(in Unrounded value, bool tiny, int precision, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        ulong high = value.High;
        ulong low = value.Low;
        WideArithmetic.ShiftRightSticky(ref high, ref low, T.MinExponent - value.Exponent);
        ulong rest = Discarded(high, low, precision);
        if (rest == 0)
        {
            return T.Pack(value.Negative, T.MinExponent, high);
        }

        // A denormal has room for the carry: it becomes the smallest normal number.
        int exponent = T.MinExponent;
        ulong significand = RoundInexact(value.Negative, ref exponent, high, rest, precision, ref context);
        if (tiny)
        {
            context.Raise(FloatingPointExceptions.Underflow);
        }

        return T.Pack(value.Negative, exponent, significand);
    }

    private static T Overflow<T>(
        bool negative,
        int exponent,
        ulong significand,
        int precision,
        ref FloatingPointContext context,
        in FloatingPointContext unbounded)
        where T : struct, IBinaryFormat<T>
    {
        if ((context.Masked & FloatingPointExceptions.Overflow) == 0)
        {
            context = unbounded;
            context.Raise(FloatingPointExceptions.Overflow);
            exponent -= Float80.ExponentAdjustment;
            return exponent > T.MaxExponent ? Infinity<T>(negative) : T.Pack(negative, exponent, significand);
        }

        context.Raise(FloatingPointExceptions.Overflow | FloatingPointExceptions.Precision);
        bool toInfinity = context.Rounding == RoundingMode.NearestEven
            || context.Rounding == (negative ? RoundingMode.Down : RoundingMode.Up);
        context.RoundedUp = toInfinity;
        return toInfinity
            ? Infinity<T>(negative)
            : T.Pack(negative, T.MaxExponent, 0 - (1ul << (64 - precision)));
    }

    /// <summary>An infinity with a sign.</summary>
    public static T Infinity<T>(bool negative)
        where T : struct, IBinaryFormat<T> => T.Pack(negative, T.MaxExponent + 1, Unpacked.IntegerBit);

    /// <summary>A zero with a sign.</summary>
    public static T Zero<T>(bool negative)
        where T : struct, IBinaryFormat<T> => T.Pack(negative, T.MinExponent, 0);
}
