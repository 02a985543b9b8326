using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint.Transcendental;

/// <summary>FSIN, FCOS, FSINCOS and FPTAN (SDM 2A).</summary>
/// <remarks>
/// The angle is reduced to |f| at most pi/4; sine and cosine of f are power series. Both are found as a simple value
/// less something, so that results next to a representable number fall on the right side of it.
/// </remarks>
internal static class Trigonometry
{
    private const int RangeExponent = 63;

    // Below 2^-40, tan f is f and so little more that only its direction matters.
    private const int TinyExponent = -40;

    // The tails of the series are kept multiplied by this power of two, their coefficients being so small.
    private const int TailScale = 32;

    /// <summary>FSIN.</summary>
    /// <param name="value">Any value.</param>
    /// <param name="inRange">False when the angle is 2^63 or more, which sets C2 and leaves it unchanged.</param>
    /// <param name="context">Raises invalid, denormal, underflow and precision.</param>
    public static Float80 Sine(Float80 value, out bool inRange, ref FloatingPointContext context)
    {
        if (!TryReduce(value, out ReducedAngle angle, out inRange, out Float80 special, ref context))
        {
            return special;
        }

        if (IsSmallest(value) && (context.Masked & FloatingPointExceptions.Underflow) == 0)
        {
            // Intel's processors see no underflow in it.
            return value;
        }

        return Rounding.Round<Float80>(Sine(angle), ref context);
    }

    /// <summary>FCOS.</summary>
    /// <param name="value">Any value.</param>
    /// <param name="inRange">False when the angle is 2^63 or more, which sets C2 and leaves it unchanged.</param>
    /// <param name="context">Raises invalid, denormal and precision.</param>
    public static Float80 Cosine(Float80 value, out bool inRange, ref FloatingPointContext context)
    {
        if (!TryReduce(value, out ReducedAngle angle, out inRange, out Float80 special, ref context))
        {
            return value.Class == NumberClass.Zero ? Float80.One : special;
        }

        return Rounding.Round<Float80>(Cosine(angle), ref context);
    }

    /// <summary>FSINCOS.</summary>
    /// <param name="value">Any value.</param>
    /// <param name="cosine">What is pushed.</param>
    /// <param name="inRange">False when the angle is 2^63 or more, which sets C2 and pushes nothing.</param>
    /// <param name="context">Raises invalid, denormal, underflow and precision.</param>
    /// <returns>The sine.</returns>
    [MethodImpl(WideArithmetic.AtOnce)]
    public static Float80 SineCosine(
        Float80 value, out Float80 cosine, out bool inRange, ref FloatingPointContext context)
    {
        if (!TryReduce(value, out ReducedAngle angle, out inRange, out Float80 special, ref context))
        {
            cosine = value.Class == NumberClass.Zero ? Float80.One : special;
            return special;
        }

        ref readonly Unrounded f = ref angle.Rest;
        Fraction square = WideNumber.Square(f);
        Unrounded upright = CosineSeries(square);
        Unrounded level = SineSeries(f, square);
        bool odd = (angle.Quadrant & 1) != 0;
        cosine = Rounding.Round<Float80>(WithCosineSign(angle, odd ? ref level : ref upright), ref context);
        return Rounding.Round<Float80>(WithSineSign(angle, odd ? ref upright : ref level), ref context);
    }

    /// <summary>FPTAN, without the 1 that it pushes.</summary>
    /// <param name="value">Any value.</param>
    /// <param name="inRange">False when the angle is 2^63 or more, which sets C2 and pushes nothing.</param>
    /// <param name="context">Raises invalid, denormal, underflow and precision.</param>
    [MethodImpl(WideArithmetic.AtOnce)]
    public static Float80 Tangent(Float80 value, out bool inRange, ref FloatingPointContext context)
    {
        if (!TryReduce(value, out ReducedAngle angle, out inRange, out Float80 special, ref context))
        {
            return special;
        }

        ref readonly Unrounded f = ref angle.Rest;
        bool odd = (angle.Quadrant & 1) != 0;
        if (f.Exponent < TinyExponent && !odd)
        {
            return Rounding.Round<Float80>(WideNumber.MarkInexact(f), ref context);
        }

        Fraction square = WideNumber.Square(f);
        Unrounded sine = SineSeries(f, square);
        Unrounded cosine = CosineSeries(square);
        Unrounded tangent = WideNumber.Divide(odd ? ref cosine : ref sine, odd ? ref sine : ref cosine);
        bool negative = tangent.Negative ^ odd;
        return Rounding.Round<Float80>(
            new Unrounded(negative, tangent.Exponent, tangent.High, tangent.Low | 1), ref context);
    }

    // A structure that was just written piece by piece is slow to copy, so this is where it is used.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryReduce(
        Float80 value,
        out ReducedAngle angle,
        out bool inRange,
        out Float80 special,
        ref FloatingPointContext context)
    {
        special = value;
        angle = default;
        inRange = true;
        switch (value.Class)
        {
            case NumberClass.Zero:
                return false;
            case NumberClass.Infinity:
                special = FloatArithmetic.Invalid<Float80>(ref context);
                return false;
            case >= NumberClass.QuietNan:
                special = Float80.PropagateNan(value, value, ref context);
                return false;
            case NumberClass.Denormal:
                context.Raise(FloatingPointExceptions.Denormal);
                break;
        }

        Unpacked number = value.Unpack();
        inRange = number.Exponent < RangeExponent;
        if (inRange)
        {
            angle = ReducedAngle.Reduce(number);
        }

        return inRange;
    }

    /// <summary>Whether it is the denormal next to zero, on either side.</summary>
    private static bool IsSmallest(Float80 value) => value.BiasedExponent == 0 && value.Significand == 1;

    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded Sine(in ReducedAngle angle)
    {
        ref readonly Unrounded f = ref angle.Rest;
        Fraction square = WideNumber.Square(f);
        return WithSineSign(angle, (angle.Quadrant & 1) == 0 ? SineSeries(f, square) : CosineSeries(square));
    }

    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded Cosine(in ReducedAngle angle)
    {
        ref readonly Unrounded f = ref angle.Rest;
        Fraction square = WideNumber.Square(f);
        return WithCosineSign(angle, (angle.Quadrant & 1) == 0 ? CosineSeries(square) : SineSeries(f, square));
    }

    // Sines are negative in the third and the fourth quarter turn.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Unrounded WithSineSign(in ReducedAngle angle, in Unrounded value) =>
        new(value.Negative ^ ((angle.Quadrant & 2) != 0), value.Exponent, value.High, value.Low);

    // Cosines are in the second and the third.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Unrounded WithCosineSign(in ReducedAngle angle, in Unrounded value) =>
        new(value.Negative ^ (((angle.Quadrant + 1) & 2) != 0), value.Exponent, value.High, value.Low);

    // f - f (z/3! - z^2/5! + ...), with z the square of f.
    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded SineSeries(in Unrounded f, Fraction square)
    {
        Fraction series = Fraction.Evaluate(
            TrigonometryTables.Sine, TrigonometryTables.SineTail, TailScale, square, adds: false);
        Fraction significand = WideNumber.Significand(f);
        Fraction sum = Fraction.SubtractSomething(significand, significand * (square * series));
        return WideNumber.MarkInexact(WideNumber.FromFraction(f.Negative, f.Exponent + 1, sum));
    }

    // 1 - (z/2! - z^2/4! + ...).
    [MethodImpl(WideArithmetic.AtOnce)]
    private static Unrounded CosineSeries(Fraction square)
    {
        Fraction series = Fraction.Evaluate(
            TrigonometryTables.Cosine, TrigonometryTables.CosineTail, TailScale, square, adds: false);
        Fraction sum = Fraction.SubtractSomething(default, square * series);
        return WideNumber.MarkInexact(WideNumber.FromFraction(negative: false, 0, sum));
    }
}
