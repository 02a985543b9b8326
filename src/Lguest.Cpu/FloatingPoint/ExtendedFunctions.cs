namespace Lguest.Cpu.FloatingPoint;

/// <summary>
/// What only the x87 has: FRNDINT, FSCALE, FXTRACT, FPREM and FPREM1. Precision control doesn't touch them.
/// </summary>
internal static class ExtendedFunctions
{
    // An exponent difference from which FPREM only reduces, and leaves the rest to be done by the next FPREM.
    private const int LargestFullReduction = 63;

    /// <summary>FRNDINT: an integer in the same format.</summary>
    public static Float80 RoundToInteger(Float80 value, ref FloatingPointContext context)
    {
        switch (value.Class)
        {
            case NumberClass.Zero or NumberClass.Infinity:
                return value;
            case >= NumberClass.QuietNan:
                return Float80.PropagateNan(value, value, ref context);
            case NumberClass.Denormal:
                context.Raise(FloatingPointExceptions.Denormal);
                break;
        }

        Unpacked number = value.Unpack();
        if (number.Exponent >= Float80.SignificandBits - 1)
        {
            return value;
        }

        ulong integer = number.Significand;
        ulong rest = 0;
        WideArithmetic.ShiftRightSticky(ref integer, ref rest, 63 - number.Exponent);
        if (rest == 0)
        {
            return value;
        }

        context.Raise(FloatingPointExceptions.Precision);
        context.RoundedUp = Rounding.Increments(context.Rounding, number.Negative, (integer & 1) != 0, rest);
        integer += context.RoundedUp ? 1ul : 0;
        if (integer == 0)
        {
            return Float80.SignedZero(number.Negative);
        }

        Unpacked rounded = Unpacked.Normalize(number.Negative, 63, integer);
        return Float80.Pack(rounded.Negative, rounded.Exponent, rounded.Significand);
    }

    /// <summary>FSCALE: the value times two to the power of the scale, whose fraction is dropped.</summary>
    public static Float80 Scale(Float80 value, Float80 scale, ref FloatingPointContext context)
    {
        NumberClass a = value.Class;
        NumberClass b = scale.Class;
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            return Float80.PropagateNan(value, scale, ref context);
        }

        if (b == NumberClass.Infinity && a == (scale.IsNegative ? NumberClass.Infinity : NumberClass.Zero))
        {
            return FloatArithmetic.Invalid<Float80>(ref context);
        }

        if (a == NumberClass.Denormal || b == NumberClass.Denormal)
        {
            context.Raise(FloatingPointExceptions.Denormal);
        }

        if (a is NumberClass.Zero or NumberClass.Infinity)
        {
            return value;
        }

        if (b == NumberClass.Infinity)
        {
            return scale.IsNegative
                ? Float80.SignedZero(value.IsNegative)
                : Float80.SignedInfinity(value.IsNegative);
        }

        Unpacked number = value.Unpack();
        if (b == NumberClass.Zero && number.Exponent < Float80.MinExponent)
        {
            // Intel's processors see no underflow in it, even if that isn't masked.
            return value;
        }

        int exponent = number.Exponent + (b == NumberClass.Zero ? 0 : TruncateScale(scale.Unpack()));
        Float80 result = Rounding.Round<Float80>(
            new Unrounded(number.Negative, exponent, number.Significand, 0), ref context);

        // So far out that even an adjusted exponent doesn't fit: delivered as infinity or zero, and inexact.
        if (exponent is > Float80.MaxExponent + Float80.ExponentAdjustment
            or < Float80.MinExponent - Float80.ExponentAdjustment)
        {
            context.Raise(FloatingPointExceptions.Precision);
            context.RoundedUp |= result.Class == NumberClass.Infinity;
        }

        return result;
    }

    /// <summary>FXTRACT: a significand from 1 up to 2, with the sign, and the exponent as a number.</summary>
    public static Float80 Extract(Float80 value, out Float80 exponent, ref FloatingPointContext context)
    {
        switch (value.Class)
        {
            case NumberClass.Zero:
                context.Raise(FloatingPointExceptions.ZeroDivide);
                exponent = Float80.SignedInfinity(negative: true);
                return value;
            case NumberClass.Infinity:
                exponent = Float80.Infinity;
                return value;
            case >= NumberClass.QuietNan:
                exponent = Float80.PropagateNan(value, value, ref context);
                return exponent;
            case NumberClass.Denormal:
                context.Raise(FloatingPointExceptions.Denormal);
                break;
        }

        Unpacked number = value.Unpack();
        exponent = IntegerConversion.ToFloat80(number.Exponent);
        return Float80.Pack(number.Negative, 0, number.Significand);
    }

    /// <summary>FPREM: the remainder of a division whose quotient is truncated.</summary>
    /// <param name="dividend">ST(0).</param>
    /// <param name="divisor">ST(1).</param>
    /// <param name="quotient">The quotient's low bits, when the reduction is complete, else 0.</param>
    /// <param name="complete">
    /// False when the exponents lie so far apart that the instruction must be repeated (C2).
    /// </param>
    /// <param name="context">Raises invalid, denormal and underflow.</param>
    public static Float80 Remainder(
        Float80 dividend, Float80 divisor, out uint quotient, out bool complete, ref FloatingPointContext context) =>
        Remainder(dividend, divisor, toNearest: false, out quotient, out complete, ref context);

    /// <summary>FPREM1: the remainder of a division whose quotient is rounded to nearest (IEEE 754, 5.3.1).</summary>
    /// <param name="dividend">ST(0).</param>
    /// <param name="divisor">ST(1).</param>
    /// <param name="quotient">The quotient's low bits, when the reduction is complete, else 0.</param>
    /// <param name="complete">
    /// False when the exponents lie so far apart that the instruction must be repeated (C2).
    /// </param>
    /// <param name="context">Raises invalid, denormal and underflow.</param>
    public static Float80 RemainderToNearest(
        Float80 dividend, Float80 divisor, out uint quotient, out bool complete, ref FloatingPointContext context) =>
        Remainder(dividend, divisor, toNearest: true, out quotient, out complete, ref context);

    private static Float80 Remainder(
        Float80 dividend,
        Float80 divisor,
        bool toNearest,
        out uint quotient,
        out bool complete,
        ref FloatingPointContext context)
    {
        NumberClass a = dividend.Class;
        NumberClass b = divisor.Class;
        quotient = 0;
        complete = true;
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            return Float80.PropagateNan(dividend, divisor, ref context);
        }

        if (a == NumberClass.Infinity || b == NumberClass.Zero)
        {
            return FloatArithmetic.Invalid<Float80>(ref context);
        }

        if (a == NumberClass.Denormal || b == NumberClass.Denormal)
        {
            context.Raise(FloatingPointExceptions.Denormal);
        }

        if (a == NumberClass.Zero)
        {
            return dividend;
        }

        Unpacked x = dividend.Unpack();
        if (b == NumberClass.Infinity)
        {
            // Intel's processors see no underflow in a denormal that stays as it is, even if that isn't masked.
            return x.Exponent < Float80.MinExponent ? dividend : Rounding.Round<Float80>(new Unrounded(x), ref context);
        }

        Unpacked y = divisor.Unpack();
        int distance = x.Exponent - y.Exponent;
        if (distance > LargestFullReduction)
        {
            // Any step from 32 to 63 is allowed; this one leaves a multiple of 32 to go.
            complete = false;
            int step = 32 + (distance & 31);
            ulong partial = Reduce(x.Significand, y.Significand, step, out _);
            return Finish(x.Negative, partial, y.Exponent + distance - step, ref context);
        }

        ulong rest = distance < 0 ? x.Significand : Reduce(x.Significand, y.Significand, distance, out quotient);
        if (toNearest && distance >= -1 && RoundsUp(rest, y.Significand, distance, quotient))
        {
            // One more subtraction goes past zero, so the remainder changes its sign.
            quotient++;
            ulong past = distance < 0 ? (y.Significand << 1) - rest : y.Significand - rest;
            return Finish(!x.Negative, past, Math.Min(x.Exponent, y.Exponent), ref context);
        }

        return Finish(x.Negative, rest, Math.Min(x.Exponent, y.Exponent), ref context);
    }

    // Whether the remainder is more than half the divisor, or just half with an odd quotient. At a distance of -1
    // the remainder is counted in half the divisor's units.
    private static bool RoundsUp(ulong rest, ulong divisor, int distance, uint quotient)
    {
        if (distance < 0)
        {
            return rest > divisor;
        }

        ulong left = divisor - rest;
        return rest > left || (rest == left && (quotient & 1) != 0);
    }

    // (significand * 2^distance) mod divisor, for a distance up to 63, with the quotient's low bits.
    private static ulong Reduce(ulong significand, ulong divisor, int distance, out uint quotient)
    {
        uint first = 0;
        if (significand >= divisor)
        {
            significand -= divisor;
            first = 1;
        }

        if (distance == 0)
        {
            quotient = first;
            return significand;
        }

        ulong digits = WideArithmetic.Divide(
            significand >> (64 - distance), significand << distance, divisor, out ulong remainder);
        quotient = (uint)digits + (distance < 32 ? first << distance : 0);
        return remainder;
    }

    private static Float80 Finish(bool negative, ulong significand, int exponent, ref FloatingPointContext context) =>
        significand == 0
            ? Float80.SignedZero(negative)
            : Rounding.Round<Float80>(new Unrounded(Unpacked.Normalize(negative, exponent, significand)), ref context);

    // A scale beyond this is as good as infinite.
    private static int TruncateScale(in Unpacked scale)
    {
        const int enough = 1 << 17;
        int magnitude = scale.Exponent < 0 ? 0
            : scale.Exponent > 16 ? enough
            : (int)(scale.Significand >> (63 - scale.Exponent));
        return scale.Negative ? -magnitude : magnitude;
    }
}
