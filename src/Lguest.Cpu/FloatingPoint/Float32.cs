using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint;

/// <summary>The single-precision format (SDM 1, 4.2.2), 32 bits as they stand in memory.</summary>
internal readonly record struct Float32(uint Bits) : IBinaryFormat<Float32>
{
    /// <summary>Bits of the significand, the integer bit included, which isn't stored.</summary>
    public const int SignificandBits = 24;

    /// <summary>What is added to an exponent to store it.</summary>
    public const int Bias = 127;

    /// <summary>Exponent of the smallest normal number.</summary>
    public const int MinExponent = 1 - Bias;

    /// <summary>Exponent of the largest finite number.</summary>
    public const int MaxExponent = Bias;

    /// <summary>The sign.</summary>
    public const uint SignBit = 1u << 31;

    /// <summary>The fraction: the significand without its integer bit.</summary>
    public const uint FractionMask = (1u << FractionBits) - 1;

    /// <summary>The biased exponent; all ones for infinities and NaNs.</summary>
    public const uint ExponentMask = SignBit - 1 - FractionMask;

    /// <summary>The bit that makes a NaN quiet.</summary>
    public const uint QuietBit = 1u << (FractionBits - 1);

    private const int FractionBits = SignificandBits - 1;

    // From the place of the stored significand to the place of an unpacked one, whose integer bit is bit 63.
    private const int UnpackShift = 64 - SignificandBits;

    /// <inheritdoc />
    public static Float32 Indefinite => new(SignBit | ExponentMask | QuietBit);

    static int IBinaryFormat<Float32>.SignificandBits => SignificandBits;

    static int IBinaryFormat<Float32>.MinExponent => MinExponent;

    static int IBinaryFormat<Float32>.MaxExponent => MaxExponent;

    /// <inheritdoc />
    public bool IsNegative => (Bits & SignBit) != 0;

    /// <inheritdoc />
    public bool IsNormal => ((Bits & ExponentMask) - QuietBit * 2) < ExponentMask - QuietBit * 2;

    /// <inheritdoc />
    public NumberClass Class
    {
        get
        {
            uint fraction = Bits & FractionMask;
            uint exponent = Bits & ExponentMask;
            if (exponent == 0)
            {
                return fraction == 0 ? NumberClass.Zero : NumberClass.Denormal;
            }

            if (exponent != ExponentMask)
            {
                return NumberClass.Normal;
            }

            return fraction == 0 ? NumberClass.Infinity
                : (fraction & QuietBit) != 0 ? NumberClass.QuietNan
                : NumberClass.SignalingNan;
        }
    }

    /// <summary>The fraction, and thereby the payload of a NaN, in the place where an unpacked number has it.</summary>
    public ulong UnpackedFraction => (ulong)(Bits & FractionMask) << UnpackShift;

    /// <inheritdoc />
    public static int RoundingPrecision(in FloatingPointContext context) => SignificandBits;

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32 Pack(bool negative, int exponent, ulong significand)
    {
        // The integer bit, if set, adds the one that the exponent is short of here.
        uint magnitude = ((uint)(exponent - MinExponent) << FractionBits) + (uint)(significand >> UnpackShift);
        return new Float32(magnitude | (negative ? SignBit : 0));
    }

    /// <summary>SSE's choice (SDM 1, table 4-7): the first operand if it is a NaN, else the second.</summary>
    public static Float32 PropagateNan(Float32 first, Float32 second, ref FloatingPointContext context)
    {
        NumberClass firstClass = first.Class;
        if (firstClass == NumberClass.SignalingNan || second.Class == NumberClass.SignalingNan)
        {
            context.Raise(FloatingPointExceptions.Invalid);
        }

        return firstClass >= NumberClass.QuietNan ? first.Quiet() : second.Quiet();
    }

    /// <summary>A NaN made quiet.</summary>
    public Float32 Quiet() => new(Bits | QuietBit);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Unpacked Unpack()
    {
        int biased = (int)((Bits & ExponentMask) >> FractionBits);
        return biased != 0
            ? new Unpacked(IsNegative, biased - Bias, UnpackedFraction | Unpacked.IntegerBit)
            : Unpacked.Normalize(IsNegative, MinExponent, UnpackedFraction);
    }
}
