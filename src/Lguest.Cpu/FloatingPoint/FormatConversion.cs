using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint;

/// <summary>Conversion between the formats (SDM 1, 4.8.4.1 and 8.5).</summary>
internal static class FormatConversion
{
    /// <summary>
    /// A 32-bit or 64-bit number in 80 bits: the same number, denormal or not, and the same NaN, signaling or not.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float80 Widen<TBits>(SseFloat<TBits> value) =>
        value.IsNormal
            ? Float80.Pack(value.IsNegative, value.Exponent, value.UnpackedFraction | Unpacked.IntegerBit)
            : WidenSpecial(value, value.UnpackedFraction);

    /// <summary>FLD of a 32-bit or 64-bit operand.</summary>
    public static Float80 ToFloat80<TBits>(SseFloat<TBits> value, ref FloatingPointContext context) =>
        Load(Widen(value), value.Class, ref context);

    /// <summary>FST to a 32-bit operand.</summary>
    public static Float32 ToFloat32(Float80 value, ref FloatingPointContext context) =>
        value.IsNormal || !TryNarrowSpecial(value, ref context, out Float32 special)
            ? Narrow<Float32>(value, ref context)
            : special;

    /// <summary>FST to a 64-bit operand.</summary>
    public static Float64 ToFloat64(Float80 value, ref FloatingPointContext context) =>
        value.IsNormal || !TryNarrowSpecial(value, ref context, out Float64 special)
            ? Narrow<Float64>(value, ref context)
            : special;

    /// <summary>CVTSS2SD: exact.</summary>
    public static Float64 ToFloat64(Float32 value, ref FloatingPointContext context)
    {
        NumberClass kind = FloatArithmetic.Classify(value, context);
        switch (kind)
        {
            case NumberClass.Zero:
                return Rounding.Zero<Float64>(value.IsNegative);
            case NumberClass.Infinity:
                return Rounding.Infinity<Float64>(value.IsNegative);
            case NumberClass.QuietNan or NumberClass.SignalingNan:
                RaiseIfSignaling(kind, ref context);
                return Float64.Pack(
                    value.IsNegative, Float64.MaxExponent + 1, value.UnpackedFraction | Unpacked.IntegerBit).Quiet();
            case NumberClass.Denormal:
                context.Raise(FloatingPointExceptions.Denormal);
                break;
        }

        Unpacked number = value.Unpack();
        return Float64.Pack(number.Negative, number.Exponent, number.Significand);
    }

    /// <summary>CVTSD2SS.</summary>
    public static Float32 ToFloat32(Float64 value, ref FloatingPointContext context)
    {
        NumberClass kind = FloatArithmetic.Classify(value, context);
        switch (kind)
        {
            case NumberClass.Zero:
                return Rounding.Zero<Float32>(value.IsNegative);
            case NumberClass.Infinity:
                return Rounding.Infinity<Float32>(value.IsNegative);
            case NumberClass.QuietNan or NumberClass.SignalingNan:
                RaiseIfSignaling(kind, ref context);
                return Float32.Pack(
                    value.IsNegative, Float32.MaxExponent + 1, value.UnpackedFraction | Unpacked.IntegerBit).Quiet();
            case NumberClass.Denormal:
                context.Raise(FloatingPointExceptions.Denormal);
                break;
        }

        return Rounding.Round<Float32>(new Unrounded(value.Unpack()), ref context);
    }

    // An unmasked overflow or underflow stores nothing, so the x87 doesn't say how it would have rounded.
    private static T Narrow<T>(Float80 value, ref FloatingPointContext context)
        where T : struct, IBinaryFormat<T>
    {
        FloatingPointContext before = context;
        T result = Rounding.Round<T>(new Unrounded(value.Unpack()), ref context);
        FloatingPointExceptions unmasked = context.Unmasked & ~before.Raised
            & (FloatingPointExceptions.Overflow | FloatingPointExceptions.Underflow);
        if (unmasked != 0)
        {
            context = before;
            context.Raise(unmasked);
        }

        return result;
    }

    private static Float80 Load(Float80 value, NumberClass kind, ref FloatingPointContext context)
    {
        if (kind == NumberClass.Denormal)
        {
            context.Raise(FloatingPointExceptions.Denormal);
        }

        RaiseIfSignaling(kind, ref context);
        return kind == NumberClass.SignalingNan ? value.Quiet() : value;
    }

    private static Float80 WidenSpecial<T>(T value, ulong fraction)
        where T : struct, IBinaryFormat<T>
    {
        switch (value.Class)
        {
            case NumberClass.Zero:
                return Float80.SignedZero(value.IsNegative);
            case NumberClass.Denormal:
                Unpacked number = value.Unpack();
                return Float80.Pack(number.Negative, number.Exponent, number.Significand);
            default:
                return Float80.Pack(value.IsNegative, Float80.MaxExponent + 1, fraction | Unpacked.IntegerBit);
        }
    }

    // A denormal needs no word of its own here: it is far below what the narrower formats can hold.
    private static bool TryNarrowSpecial<T>(Float80 value, ref FloatingPointContext context, out T result)
        where T : struct, IBinaryFormat<T>
    {
        NumberClass kind = value.Class;
        switch (kind)
        {
            case NumberClass.Zero:
                result = Rounding.Zero<T>(value.IsNegative);
                return true;
            case NumberClass.Infinity:
                result = Rounding.Infinity<T>(value.IsNegative);
                return true;
            case NumberClass.Unsupported:
                result = FloatArithmetic.Invalid<T>(ref context);
                return true;
            case NumberClass.QuietNan or NumberClass.SignalingNan:
                RaiseIfSignaling(kind, ref context);
                result = T.Pack(value.IsNegative, T.MaxExponent + 1, value.Quiet().Significand);
                return true;
            default:
                result = default;
                return false;
        }
    }

    private static void RaiseIfSignaling(NumberClass kind, ref FloatingPointContext context)
    {
        if (kind == NumberClass.SignalingNan)
        {
            context.Raise(FloatingPointExceptions.Invalid);
        }
    }
}
