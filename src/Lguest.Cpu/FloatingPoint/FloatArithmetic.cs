using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint;

/// <summary>
/// Addition, subtraction, multiplication, division and square root, for all formats (IEEE 754, 5.4.1).
/// </summary>
/// <remarks>
/// 80-bit results are rounded to the context's precision, as the x87's precision control asks. The order
/// in which exceptional operands are looked for is SDM 1, 4.9.2: NaNs, then invalid operations and divisions by
/// zero, then denormals.
/// </remarks>
internal static class FloatArithmetic
{
    /// <summary>The sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Add<T>(T first, T second, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T> => Add(first, second, negateSecond: false, ref context);

    /// <summary>The first less the second.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Subtract<T>(T first, T second, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T> => Add(first, second, negateSecond: true, ref context);

    /// <summary>The product.</summary>
    public static T Multiply<T>(T first, T second, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        if (!(first.IsNormal && second.IsNormal)
            && !TryMultiplySpecial(first, second, ref context, out T special))
        {
            return special;
        }

        Unpacked a = first.Unpack();
        Unpacked b = second.Unpack();
        ulong high = WideArithmetic.Multiply(a.Significand, b.Significand, out ulong low);
        int exponent = a.Exponent + b.Exponent + 1;
        if ((long)high >= 0)
        {
            high = (high << 1) | (low >> 63);
            low <<= 1;
            exponent--;
        }

        var product = new Unrounded(a.Negative ^ b.Negative, exponent, high, low);
        return Rounding.Round<T>(product, T.RoundingPrecision(context), ref context);
    }

    /// <summary>The first over the second.</summary>
    public static T Divide<T>(T first, T second, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        if (!(first.IsNormal && second.IsNormal)
            && !TryDivideSpecial(first, second, ref context, out T special))
        {
            return special;
        }

        Unrounded quotient = DivideFinite(first.Unpack(), second.Unpack());
        return Rounding.Round<T>(quotient, T.RoundingPrecision(context), ref context);
    }

    /// <summary>The square root.</summary>
    public static T SquareRoot<T>(T value, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        if (!(value.IsNormal && !value.IsNegative)
            && !TrySquareRootSpecial(value, ref context, out T special))
        {
            return special;
        }

        Unpacked a = value.Unpack();
        int odd = a.Exponent & 1;
        ulong high = odd != 0 ? a.Significand : a.Significand >> 1;
        ulong low = odd != 0 ? 0 : a.Significand << 63;
        ulong root = WideArithmetic.SquareRoot(high, low, out UInt128 remainder);
        ulong rest = remainder == 0 ? 0 : remainder > root ? Unpacked.IntegerBit | 1 : 1;
        var result = new Unrounded(negative: false, a.Exponent >> 1, root, rest);
        return Rounding.Round<T>(result, T.RoundingPrecision(context), ref context);
    }

    /// <summary>Adds two numbers exactly, up to a sticky bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Unrounded AddFinite(in Unpacked first, in Unpacked second)
    {
        bool swap = second.Exponent > first.Exponent
            || (second.Exponent == first.Exponent && second.Significand > first.Significand);
        Unpacked a = swap ? second : first;
        Unpacked b = swap ? first : second;
        ulong high = b.Significand;
        ulong low = 0;
        WideArithmetic.ShiftRightSticky(ref high, ref low, a.Exponent - b.Exponent);
        int exponent = a.Exponent;
        if (a.Negative == b.Negative)
        {
            high += a.Significand;
            if (high < a.Significand)
            {
                low = (high << 63) | (low >> 1) | (low & 1);
                high = (high >> 1) | Unpacked.IntegerBit;
                exponent++;
            }

            return new Unrounded(a.Negative, exponent, high, low);
        }

        high = a.Significand - high - (low != 0 ? 1ul : 0);
        low = 0 - low;
        if ((high | low) == 0)
        {
            return default;
        }

        exponent -= WideArithmetic.Normalize(ref high, ref low);
        return new Unrounded(a.Negative, exponent, high, low);
    }

    /// <summary>Divides two numbers, up to a sticky bit.</summary>
    public static Unrounded DivideFinite(in Unpacked first, in Unpacked second)
    {
        ulong divisor = second.Significand;
        int exponent = first.Exponent - second.Exponent;
        ulong high = first.Significand;
        ulong low = 0;
        if (high >= divisor)
        {
            low = high << 63;
            high >>= 1;
        }
        else
        {
            exponent--;
        }

        ulong quotient = WideArithmetic.Divide(high, low, divisor, out ulong remainder);
        // Never exactly a half: such a quotient would have 65 bits, and times its divisor no fewer, but a dividend has 64.
        ulong rest = remainder == 0 ? 0 : remainder > divisor - remainder ? Unpacked.IntegerBit | 1 : 1;
        return new Unrounded(first.Negative ^ second.Negative, exponent, quotient, rest);
    }

    /// <summary>The kind of an operand, as the context wants it seen: a denormal may count as zero.</summary>
    public static NumberClass Classify<T>(T value, in FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        NumberClass kind = value.Class;
        return kind == NumberClass.Denormal && context.DenormalsAreZero ? NumberClass.Zero : kind;
    }

    /// <summary>Raises invalid.</summary>
    /// <returns>The indefinite.</returns>
    public static T Invalid<T>(ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        context.Raise(FloatingPointExceptions.Invalid);
        return T.Indefinite;
    }

    private static T Add<T>(T first, T second, bool negateSecond, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        if (!(first.IsNormal && second.IsNormal)
            && !TryAddSpecial(first, second, negateSecond, ref context, out T special))
        {
            return special;
        }

        Unpacked b = second.Unpack();
        Unrounded sum = AddFinite(first.Unpack(), new Unpacked(b.Negative ^ negateSecond, b.Exponent, b.Significand));
        return sum.IsZero
            ? Rounding.Zero<T>(context.Rounding == RoundingMode.Down)
            : Rounding.Round<T>(sum, T.RoundingPrecision(context), ref context);
    }

    /// <summary>Deals with operands that aren't normal; true when the computation is still to be done.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryAddSpecial<T>(
        T first, T second, bool negateSecond, ref FloatingPointContext context, out T result)
        where T : struct, IBinaryFormat<T>
    {
        NumberClass a = Classify(first, context);
        NumberClass b = Classify(second, context);
        bool secondNegative = second.IsNegative ^ negateSecond;
        result = default;
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            result = T.PropagateNan(first, second, ref context);
            return false;
        }

        if (a == NumberClass.Infinity && b == NumberClass.Infinity && first.IsNegative != secondNegative)
        {
            result = Invalid<T>(ref context);
            return false;
        }

        RaiseDenormal(a, b, ref context);
        if (a == NumberClass.Infinity || b == NumberClass.Infinity)
        {
            result = Rounding.Infinity<T>(a == NumberClass.Infinity ? first.IsNegative : secondNegative);
            return false;
        }

        if (a != NumberClass.Zero && b != NumberClass.Zero)
        {
            return true;
        }

        if (a == b)
        {
            result = Rounding.Zero<T>(
                first.IsNegative == secondNegative ? secondNegative : context.Rounding == RoundingMode.Down);
            return false;
        }

        // The other operand may have more bits than the precision control allows, so it is still rounded.
        Unpacked other = a == NumberClass.Zero ? second.Unpack() : first.Unpack();
        bool negative = a == NumberClass.Zero ? secondNegative : first.IsNegative;
        var sum = new Unrounded(negative, other.Exponent, other.Significand, 0);
        result = Rounding.Round<T>(sum, T.RoundingPrecision(context), ref context);
        return false;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryMultiplySpecial<T>(T first, T second, ref FloatingPointContext context, out T result)
        where T : struct, IBinaryFormat<T>
    {
        NumberClass a = Classify(first, context);
        NumberClass b = Classify(second, context);
        bool negative = first.IsNegative ^ second.IsNegative;
        result = default;
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            result = T.PropagateNan(first, second, ref context);
            return false;
        }

        bool infinite = a == NumberClass.Infinity || b == NumberClass.Infinity;
        bool zero = a == NumberClass.Zero || b == NumberClass.Zero;
        if (infinite && zero)
        {
            result = Invalid<T>(ref context);
            return false;
        }

        RaiseDenormal(a, b, ref context);
        if (infinite || zero)
        {
            result = infinite ? Rounding.Infinity<T>(negative) : Rounding.Zero<T>(negative);
            return false;
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryDivideSpecial<T>(T first, T second, ref FloatingPointContext context, out T result)
        where T : struct, IBinaryFormat<T>
    {
        NumberClass a = Classify(first, context);
        NumberClass b = Classify(second, context);
        bool negative = first.IsNegative ^ second.IsNegative;
        result = default;
        if (a >= NumberClass.QuietNan || b >= NumberClass.QuietNan)
        {
            result = T.PropagateNan(first, second, ref context);
            return false;
        }

        if (a == b && (a == NumberClass.Infinity || a == NumberClass.Zero))
        {
            result = Invalid<T>(ref context);
            return false;
        }

        if (b == NumberClass.Zero && a != NumberClass.Infinity)
        {
            context.Raise(FloatingPointExceptions.ZeroDivide);
            result = Rounding.Infinity<T>(negative);
            return false;
        }

        RaiseDenormal(a, b, ref context);
        if (a == NumberClass.Infinity)
        {
            result = Rounding.Infinity<T>(negative);
            return false;
        }

        if (a == NumberClass.Zero || b == NumberClass.Infinity)
        {
            result = Rounding.Zero<T>(negative);
            return false;
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TrySquareRootSpecial<T>(T value, ref FloatingPointContext context, out T result)
        where T : struct, IBinaryFormat<T>
    {
        NumberClass kind = Classify(value, context);
        result = default;
        if (kind >= NumberClass.QuietNan)
        {
            result = T.PropagateNan(value, value, ref context);
            return false;
        }

        if (kind == NumberClass.Zero)
        {
            result = Rounding.Zero<T>(value.IsNegative);
            return false;
        }

        if (value.IsNegative)
        {
            result = Invalid<T>(ref context);
            return false;
        }

        if (kind == NumberClass.Infinity)
        {
            result = value;
            return false;
        }

        RaiseDenormal(kind, kind, ref context);
        return true;
    }

    private static void RaiseDenormal(NumberClass first, NumberClass second, ref FloatingPointContext context)
    {
        if (first == NumberClass.Denormal || second == NumberClass.Denormal)
        {
            context.Raise(FloatingPointExceptions.Denormal);
        }
    }
}
