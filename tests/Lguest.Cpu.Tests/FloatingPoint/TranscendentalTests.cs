using System.Numerics;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.FloatingPoint.Transcendental;
using Lguest.Cpu.Tests.Native;
using Xunit;
using static System.FormattableString;

namespace Lguest.Cpu.Tests.FloatingPoint;

/// <summary>
/// The transcendental operations against high precision, where the processors themselves are off by up to an ulp
/// (and FSIN, by their short pi, by more), and against the real processor for operands with special answers.
/// </summary>
public sealed unsafe class TranscendentalTests
{
    private delegate Float80 Model(Float80 y, Float80 x, ref FloatingPointContext context);

    private delegate PreciseNumber Truth(PreciseNumber y, PreciseNumber x);

    private static readonly Dictionary<string, (Model Model, Truth Truth, byte[] Code)> Functions = new()
    {
        ["F2XM1"] = (
            (Float80 y, Float80 x, ref FloatingPointContext c) => Exponential.TwoToXMinusOne(x, ref c),
            (y, x) => PreciseFunctions.TwoToXMinusOne(x),
            [0xD9, 0xF0]),
        ["FYL2X"] = (Logarithm.YLog2X, (y, x) => y * PreciseFunctions.Log2(x), [0xD9, 0xF1]),
        ["FYL2XP1"] = (Logarithm.YLog2XPlus1, (y, x) => y * PreciseFunctions.Log2Plus1(x), [0xD9, 0xF9]),
        ["FSIN"] = (
            (Float80 y, Float80 x, ref FloatingPointContext c) => Trigonometry.Sine(x, out _, ref c),
            (y, x) => PreciseFunctions.SineCosine(x).Sine,
            [0xD9, 0xFE]),
        ["FCOS"] = (
            (Float80 y, Float80 x, ref FloatingPointContext c) => Trigonometry.Cosine(x, out _, ref c),
            (y, x) => PreciseFunctions.SineCosine(x).Cosine,
            [0xD9, 0xFF]),
        ["FPTAN"] = (
            (Float80 y, Float80 x, ref FloatingPointContext c) => Trigonometry.Tangent(x, out _, ref c),
            (y, x) => PreciseFunctions.Tangent(x),
            [0xD9, 0xF2]),
        ["FPATAN"] = (ArcTangent.OfQuotient, PreciseFunctions.AngleOf, [0xD9, 0xF3]),
    };

    /// <summary>Function, and the range of exponents of y and of x.</summary>
    public static TheoryData<string, int, int, int, int> Ranges => new()
    {
        { "F2XM1", 0, 0, -8, -1 },
        { "F2XM1", 0, 0, -70, -1 },
        { "F2XM1", 0, 0, -16445, -60 },
        { "FYL2X", -10, 10, -3, 3 },
        { "FYL2X", -16445, 16383, -16445, 16383 },
        { "FYL2X", -10, 10, -1, 0 },
        { "FYL2XP1", -10, 10, -70, -3 },
        { "FYL2XP1", -10, 10, -2, -2 },
        { "FYL2XP1", -16445, 16383, -16445, -60 },
        { "FSIN", 0, 0, -70, 2 },
        { "FSIN", 0, 0, -1, 62 },
        { "FSIN", 0, 0, -16445, -30 },
        { "FCOS", 0, 0, -70, 2 },
        { "FCOS", 0, 0, -1, 62 },
        { "FCOS", 0, 0, -16445, -30 },
        { "FPTAN", 0, 0, -70, 2 },
        { "FPTAN", 0, 0, -1, 62 },
        { "FPTAN", 0, 0, -16445, -30 },
        { "FPATAN", -1, 1, -1, 1 },
        { "FPATAN", -10, 10, -10, 10 },
        { "FPATAN", -16445, 16383, -16445, 16383 },
    };

    public static TheoryData<string> Names => new(Functions.Keys);

    [Theory]
    [MemberData(nameof(Ranges))]
    public void A_result_is_correctly_rounded(string name, int minY, int maxY, int minX, int maxX)
    {
        Random random = TestSize.SeededRandom(name + maxX);
        var mismatches = new Mismatches(name);
        for (int count = TestSize.Choose(200, 20_000); count > 0; count--)
        {
            Float80 y = Next(random, minY, maxY, signed: true);
            Float80 x = Next(random, minX, maxX, signed: name != "FYL2X");
            if (name == "FYL2X" && random.Next(8) == 0)
            {
                // Next to 1, where all but the last bits of the logarithm cancel.
                ulong distance = (ulong)random.NextInt64() >> random.Next(1, 64);
                x = random.Next(2) == 0
                    ? new Float80(Float80.Bias, Unpacked.IntegerBit | distance)
                    : new Float80(Float80.Bias - 1, ~distance);
            }

            Compare(name, y, x, (ushort)(0x33F | random.Next(4) << 10), mismatches);
        }

        mismatches.AssertNone();
    }

    [Fact]
    public void Angles_closest_to_multiples_of_a_right_angle_keep_their_precision()
    {
        // Numerators of convergents of pi/2, scaled: no other 64-bit numbers come as close to its multiples.
        var mismatches = new Mismatches("near multiples of pi/2");
        foreach (Float80 angle in NearMultiples())
        {
            foreach (string name in (string[])["FSIN", "FCOS", "FPTAN"])
            {
                Compare(name, Float80.One, angle, 0x37F, mismatches);
                Compare(name, Float80.One, angle.Negate(), 0xF7F, mismatches);
            }
        }

        mismatches.AssertNone();
    }

    [Fact]
    public void Angles_of_few_bits_keep_their_precision()
    {
        // Of these products with 2/pi some words are zero.
        var mismatches = new Mismatches("angles of few bits");
        for (int exponent = -1; exponent <= 62; exponent++)
        {
            for (uint significand = 32; significand < 64; significand++)
            {
                Float80 angle = Float80.Pack(negative: false, exponent, (ulong)significand << 58);
                foreach (string name in (string[])["FSIN", "FCOS", "FPTAN"])
                {
                    Compare(name, Float80.One, angle, 0x37F, mismatches);
                }
            }
        }

        mismatches.AssertNone();
    }

    [Fact]
    public void F2XM1_is_correctly_rounded_at_all_entries_of_its_table_and_halfway_between()
    {
        var mismatches = new Mismatches("F2XM1");
        for (int half = 1; half <= 2 * 64; half++)
        {
            // Multiples of 1/128, and the numbers next to them.
            Unpacked number = Unpacked.Normalize(negative: false, 63 - 7, (ulong)half);
            foreach (int distance in (int[])[-2, -1, 0, 1, 2])
            {
                ulong significand = number.Significand + (ulong)distance;
                int exponent = number.Exponent - ((significand & Unpacked.IntegerBit) == 0 ? 1 : 0);
                significand |= Unpacked.IntegerBit;
                foreach (bool negative in (bool[])[false, true])
                {
                    Float80 x = Float80.Pack(negative, exponent, significand);
                    if (exponent < 0)
                    {
                        Compare("F2XM1", default, x, 0x37F, mismatches);
                    }
                }
            }
        }

        mismatches.AssertNone();
    }

    [Fact]
    public void F2XM1_at_and_beyond_the_ends_of_its_range_is_exact()
    {
        // The manual ends at -1 and 1; beyond, it is the operand itself, and at minus infinity the limit.
        Float80 infinity = Float80.SignedInfinity(negative: false);
        (Float80 X, Float80 Result)[] answers =
        [
            (Float80.One, Float80.One),
            (Float80.One.Negate(), Float80.Pack(negative: true, -1, Unpacked.IntegerBit)),
            (Float80.Pack(negative: true, 0, Unpacked.IntegerBit | 1), Float80.Pack(negative: true, 0, Unpacked.IntegerBit | 1)),
            (Float80.Pack(negative: true, 1, Unpacked.IntegerBit), Float80.Pack(negative: true, 1, Unpacked.IntegerBit)),
            (Float80.Pack(negative: false, 1, Unpacked.IntegerBit), Float80.Pack(negative: false, 1, Unpacked.IntegerBit)),
            (infinity, infinity),
            (infinity.Negate(), Float80.One.Negate()),
        ];
        foreach ((Float80 x, Float80 result) in answers)
        {
            FloatingPointContext context = FloatingPointContext.FromX87(0x37F);
            Assert.Equal(result, Exponential.TwoToXMinusOne(x, ref context));
            Assert.Equal(FloatingPointExceptions.None, context.Raised);
        }
    }

    [Fact]
    public void FYL2XP1_is_invalid_where_it_has_no_value()
    {
        Float80 infinity = Float80.SignedInfinity(negative: false);
        Float80 two = Float80.Pack(negative: true, 1, Unpacked.IntegerBit);
        (Float80 Y, Float80 X)[] operands =
        [
            (infinity, default), (infinity.Negate(), default), (default, Float80.One.Negate()), (default, infinity),
            (Float80.One, two), (Float80.One, infinity.Negate()), (default, two),
        ];
        foreach ((Float80 y, Float80 x) in operands)
        {
            FloatingPointContext context = FloatingPointContext.FromX87(0x37F);
            Assert.True(Logarithm.YLog2XPlus1(y, x, ref context).IsNan, $"{y}, {x}");
            Assert.Equal(FloatingPointExceptions.Invalid, context.Raised);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Special_operands_have_the_processor_s_answers(string name)
    {
        NativeProcessor.SkipUnlessSupported();
        var mismatches = new Mismatches(name);
        Random random = TestSize.SeededRandom(name);
        using var native = new NativeProcessor();
        Float80[] ones = [Float80.One, Float80.One.Negate()];
        foreach (Float80 y in FloatSamples.Edges80)
        {
            foreach (Float80 x in FloatSamples.Edges80.Concat(ones))
            {
                if (IsSpecial(name, y, x))
                {
                    CompareWithProcessor(native, name, y, x, FloatSamples.NextControl(random), mismatches);
                }
            }
        }

        mismatches.AssertNone();
    }

    [Fact]
    public void FYL2XP1_of_minus_one_is_the_logarithm_of_zero()
    {
        // Beyond the range that the manual defines: what it would say of FYL2X.
        Float80 minusOne = Float80.One.Negate();
        foreach (Float80 y in (Float80[])[Float80.One, minusOne, Float80.SignedInfinity(false), Float80.SignedInfinity(true)])
        {
            FloatingPointContext context = FloatingPointContext.FromX87(0x37F);
            FloatingPointContext ofZero = context;
            Assert.Equal(Logarithm.YLog2X(y, default, ref ofZero), Logarithm.YLog2XPlus1(y, minusOne, ref context));
            Assert.Equal(ofZero.Raised, context.Raised);
        }
    }

    [Fact]
    public void FSINCOS_is_FSIN_and_FCOS()
    {
        Random random = TestSize.SeededRandom("FSINCOS");
        for (int count = 1000; count > 0; count--)
        {
            Float80 x = FloatSamples.Next80(random);
            FloatingPointContext both = FloatingPointContext.FromX87(0x37F);
            FloatingPointContext apart = both;
            Float80 sine = Trigonometry.SineCosine(x, out Float80 cosine, out bool inRange, ref both);
            Assert.Equal(Trigonometry.Sine(x, out bool sineInRange, ref apart), sine);
            Assert.Equal(Trigonometry.Cosine(x, out _, ref apart), cosine);
            Assert.Equal(sineInRange, inRange);
            Assert.Equal(apart.Raised, both.Raised);
        }
    }

    private static void Compare(string name, Float80 y, Float80 x, ushort control, Mismatches mismatches)
    {
        (Model model, Truth truth, _) = Functions[name];
        FloatingPointContext context = FloatingPointContext.FromX87(control);
        Float80 actual = model(y, x, ref context);
        PreciseNumber exact = truth(PreciseNumber.From(y), PreciseNumber.From(x));
        FloatingPointExceptions raised = context.Raised & ~FloatingPointExceptions.Denormal;
        Float80 expected = default;
        bool up = false;
        FloatingPointExceptions exceptions = 0;
        if (exact.Mantissa.IsZero)
        {
            // The sign of zero is for the comparison with the processor.
            expected = Float80.SignedZero(actual.IsNegative);
        }
        else
        {
            expected = exact.Round(context.Rounding, out up, out exceptions);
        }

        bool same = actual.Equals(expected) && raised == exceptions && context.RoundedUp == up;
        mismatches.Note(same, () =>
            Invariant($"{name} y={y} x={x} FCW={control:x4}: expected {expected} {exceptions} up={up}, ")
            + Invariant($"got {actual} {raised} up={context.RoundedUp}"));
    }

    private static void CompareWithProcessor(
        NativeProcessor native, string name, Float80 y, Float80 x, ushort control, Mismatches mismatches)
    {
        (Model model, _, byte[] code) = Functions[name];
        FloatingPointContext context = FloatingPointContext.FromX87(control);
        Float80 expected = model(y, x, ref context);

        // FPTAN pushes a 1 with a number or a NaN; the others that have two operands pop one.
        NativeState* state = native.State;
        state->Fx.Control = control;
        state->Fx.Status = 0;
        state->Fx.Valid = 0b11;
        state->Fx.St(0) = x;
        state->Fx.St(1) = y;
        native.Execute(code);
        int place = state->Fx.Top == 7 ? 1 : 0;
        Float80 actual = state->Fx.St(place);
        expected = context.StopsComputation ? x : expected;
        uint exceptions = state->Fx.Status & (uint)FloatingPointExceptions.All;

        bool same = actual.Equals(expected) && exceptions == (uint)context.Reported;
        mismatches.Note(same, () =>
            Invariant($"{name} y={y} x={x} FCW={control:x4}: processor {actual} flags {exceptions:x}, ")
            + Invariant($"core {expected} flags {(uint)context.Reported:x}"));
    }

    // Operands for which the manual has a table rather than a function, and doesn't leave the result undefined.
    private static bool IsSpecial(string name, Float80 y, Float80 x)
    {
        bool oneSpecial = x.Class is not (NumberClass.Normal or NumberClass.Denormal);
        bool special = oneSpecial || y.Class is not (NumberClass.Normal or NumberClass.Denormal);
        return name switch
        {
            "F2XM1" => oneSpecial && x.Class != NumberClass.Infinity,
            "FSIN" or "FCOS" or "FPTAN" => oneSpecial,
            "FYL2X" => special || x.IsNegative || x.Equals(Float80.One),
            "FYL2XP1" => special && x.Class != NumberClass.Infinity
                && (x.BiasedExponent < Float80.Bias - 2 || x.IsNan || y.IsNan),
            _ => special,
        };
    }

    private static Float80 Next(Random random, int minExponent, int maxExponent, bool signed)
    {
        bool denormals = minExponent < Float80.MinExponent;
        int lowest = Math.Max(minExponent, Float80.MinExponent);
        Float80 value = FloatSamples.NextNumber(random, lowest, maxExponent, signed);
        if (!denormals || random.Next(4) != 0)
        {
            return value;
        }

        return new Float80((ushort)(value.SignExponent & Float80.SignBit), value.Significand >> random.Next(1, 64));
    }

    private static IEnumerable<Float80> NearMultiples()
    {
        // The continued fraction of pi/2 * 2^-k, for each exponent, by Euclid's algorithm on integers.
        PreciseNumber half = PreciseFunctions.Pi / PreciseNumber.FromInteger(2);
        for (int exponent = 0; exponent <= 62; exponent++)
        {
            // significand * 2^(exponent - 63) is near n * pi/2 when significand / n is near pi/2 * 2^(63 - exponent).
            var ratio = new PreciseNumber(half.Mantissa, half.Exponent + 63 - exponent);
            BigInteger a = ratio.Mantissa;
            BigInteger b = BigInteger.One << -ratio.Exponent;
            (BigInteger previous, BigInteger current) = (0, 1);
            while (!b.IsZero)
            {
                BigInteger quotient = BigInteger.DivRem(a, b, out BigInteger rest);
                (previous, current) = (current, quotient * current + previous);
                (a, b) = (b, rest);
                if (current.GetBitLength() > 64)
                {
                    break;
                }

                Unpacked number = Unpacked.Normalize(negative: false, exponent, (ulong)current);
                yield return Float80.Pack(negative: false, number.Exponent, number.Significand);
            }
        }
    }
}
