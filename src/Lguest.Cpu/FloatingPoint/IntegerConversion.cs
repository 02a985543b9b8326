namespace Lguest.Cpu.FloatingPoint;

/// <summary>Conversion between the formats and integers, binary and decimal.</summary>
internal static class IntegerConversion
{
    /// <summary>Digits of a packed decimal (SDM 1, 4.7).</summary>
    private const int PackedDigits = 18;

    private const long LargestPacked = 999_999_999_999_999_999;
    private const ushort PackedSign = 1 << 15;
    private const ulong PackedIndefiniteLow = 0xC000_0000_0000_0000;
    private const ushort PackedIndefiniteHigh = 0xFFFF;

    /// <summary>CVTSI2SS, CVTDQ2PS and their kin: rounded where the format has too few bits.</summary>
    public static T FromInteger<T>(long value, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        if (value == 0)
        {
            return Rounding.Zero<T>(negative: false);
        }

        bool negative = value < 0;
        ulong magnitude = negative ? 0 - (ulong)value : (ulong)value;
        return Rounding.Round<T>(new Unrounded(Unpacked.Normalize(negative, 63, magnitude)), ref context);
    }

    /// <summary>FILD: any 64-bit integer fits.</summary>
    public static Float80 ToFloat80(long value)
    {
        if (value == 0)
        {
            return default;
        }

        ulong magnitude = value < 0 ? 0 - (ulong)value : (ulong)value;
        Unpacked number = Unpacked.Normalize(value < 0, 63, magnitude);
        return Float80.Pack(number.Negative, number.Exponent, number.Significand);
    }

    /// <summary>FIST, CVTSS2SI, CVTPS2DQ and their kin.</summary>
    /// <param name="value">Any value.</param>
    /// <param name="bits">16, 32 or 64.</param>
    /// <param name="rounding">
    /// The context's rounding, or <see cref="RoundingMode.TowardZero"/> for the truncating forms.
    /// </param>
    /// <param name="context">Raises invalid or precision only.</param>
    /// <returns>
    /// The integer; the integer indefinite, which is the most negative one, for what doesn't fit.
    /// </returns>
    public static long ToInteger<T>(T value, int bits, RoundingMode rounding, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        long indefinite = long.MinValue >> (64 - bits);
        NumberClass kind = FloatArithmetic.Classify(value, context);
        if (kind == NumberClass.Zero)
        {
            return 0;
        }

        if (kind >= NumberClass.Infinity)
        {
            context.Raise(FloatingPointExceptions.Invalid);
            return indefinite;
        }

        Unpacked number = value.Unpack();
        FloatingPointContext rounded = context;
        ulong limit = (ulong)~indefinite + (number.Negative ? 1ul : 0);
        if (!TryRoundMagnitude(number, rounding, ref rounded, out ulong magnitude) || magnitude > limit)
        {
            context.Raise(FloatingPointExceptions.Invalid);
            return indefinite;
        }

        context = rounded;
        return number.Negative ? (long)(0 - magnitude) : (long)magnitude;
    }

    /// <summary>FBLD. Digits above 9 count as what they say: the manual leaves them undefined.</summary>
    /// <param name="low">Bytes 0 to 7 of the operand.</param>
    /// <param name="high">Bytes 8 and 9, with the sign.</param>
    public static Float80 FromPackedDecimal(ulong low, ushort high)
    {
        ulong magnitude = 0;
        for (int digit = PackedDigits - 1; digit >= 0; digit--)
        {
            uint nibble = digit >= 16 ? (uint)high >> (4 * (digit - 16)) : (uint)(low >> (4 * digit));
            magnitude = magnitude * 10 + (nibble & 15);
        }

        bool negative = (high & PackedSign) != 0;
        if (magnitude == 0)
        {
            return Float80.SignedZero(negative);
        }

        Unpacked number = Unpacked.Normalize(negative, 63, magnitude);
        return Float80.Pack(number.Negative, number.Exponent, number.Significand);
    }

    /// <summary>FBSTP.</summary>
    /// <param name="value">Any value.</param>
    /// <param name="high">Bytes 8 and 9 of the operand.</param>
    /// <param name="context">Raises invalid or precision only.</param>
    /// <returns>Bytes 0 to 7 of the operand; the packed indefinite for what doesn't fit 18 digits.</returns>
    public static ulong ToPackedDecimal(Float80 value, out ushort high, ref FloatingPointContext context)
    {
        FloatingPointContext rounded = context;
        long integer = ToInteger(value, 64, context.Rounding, ref rounded);
        if ((rounded.Raised & ~context.Raised & FloatingPointExceptions.Invalid) != 0
            || integer is > LargestPacked or < -LargestPacked)
        {
            context.Raise(FloatingPointExceptions.Invalid);
            high = PackedIndefiniteHigh;
            return PackedIndefiniteLow;
        }

        context = rounded;
        ulong magnitude = (ulong)Math.Abs(integer);
        ulong low = 0;
        for (int digit = 0; digit < 16; digit++)
        {
            (magnitude, ulong remainder) = Math.DivRem(magnitude, 10);
            low |= remainder << (4 * digit);
        }

        high = (ushort)(magnitude % 10 | magnitude / 10 << 4 | (value.IsNegative ? PackedSign : 0u));
        return low;
    }

    /// <summary>Rounds to an integer; false when it doesn't fit 64 bits.</summary>
    private static bool TryRoundMagnitude(
        in Unpacked number, RoundingMode rounding, ref FloatingPointContext context, out ulong magnitude)
    {
        magnitude = 0;
        if (number.Exponent > 63)
        {
            return false;
        }

        ulong high = number.Significand;
        ulong rest = 0;
        WideArithmetic.ShiftRightSticky(ref high, ref rest, 63 - number.Exponent);
        magnitude = high;
        context.RoundedUp = false;
        if (rest != 0)
        {
            context.Raise(FloatingPointExceptions.Precision);
            context.RoundedUp = Rounding.Increments(rounding, number.Negative, (high & 1) != 0, rest);
            magnitude += context.RoundedUp ? 1ul : 0;
            return magnitude != 0 || !context.RoundedUp;
        }

        return true;
    }
}
