using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lguest.Cpu.FloatingPoint;

/// <summary>
/// The x87's double extended-precision format (SDM 1, 4.2.2): 64 bits of significand with an explicit integer
/// bit, and 15 of exponent. It is what an x87 register holds, in a slot of 16 bytes; the low 64 bits are what MMX calls MMn.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
internal readonly struct Float80 : IBinaryFormat<Float80>, IEquatable<Float80>
{
    /// <summary>Bits of the significand.</summary>
    public const int SignificandBits = 64;

    /// <summary>What is added to an exponent to store it.</summary>
    public const int Bias = 16383;

    /// <summary>Exponent of the smallest normal number.</summary>
    public const int MinExponent = 1 - Bias;

    /// <summary>Exponent of the largest finite number.</summary>
    public const int MaxExponent = Bias;

    /// <summary>What an unmasked overflow or underflow moves the exponent of a register's new value by (SDM 1, 8.5.4 and 8.5.5).</summary>
    public const int ExponentAdjustment = 3 << 13;

    /// <summary>The sign in <see cref="SignExponent"/>.</summary>
    public const ushort SignBit = 1 << 15;

    /// <summary>The biased exponent in <see cref="SignExponent"/>; all ones for infinities and NaNs.</summary>
    public const ushort ExponentMask = SignBit - 1;

    /// <summary>The bit that makes a NaN quiet.</summary>
    public const ulong QuietBit = 1ul << 62;

    /// <summary>The significand, integer bit included.</summary>
    public ulong Significand { get; init; }

    // Of 64 bits, so that a value travels in two registers. The lower 16 count.
    private readonly ulong _signExponent;

    /// <summary>Makes a value of its two fields.</summary>
    public Float80(ushort signExponent, ulong significand)
    {
        Significand = significand;
        _signExponent = signExponent;
    }

    /// <summary>Sign (bit 15) and biased exponent.</summary>
    public ushort SignExponent
    {
        get => (ushort)_signExponent;
        init => _signExponent = value;
    }

    /// <summary>Plus zero.</summary>
    public static Float80 Zero => default;

    /// <summary>Plus one.</summary>
    public static Float80 One => new(Bias, Unpacked.IntegerBit);

    /// <summary>Plus infinity.</summary>
    public static Float80 Infinity => new(ExponentMask, Unpacked.IntegerBit);

    /// <inheritdoc />
    public static Float80 Indefinite => new(SignBit | ExponentMask, Unpacked.IntegerBit | QuietBit);

    static int IBinaryFormat<Float80>.SignificandBits => SignificandBits;

    static int IBinaryFormat<Float80>.MinExponent => MinExponent;

    static int IBinaryFormat<Float80>.MaxExponent => MaxExponent;

    /// <inheritdoc />
    public bool IsNegative => (SignExponent & SignBit) != 0;

    /// <inheritdoc />
    public bool IsNormal => (long)Significand < 0 && (uint)(BiasedExponent - 1) < ExponentMask - 1;

    /// <summary>The exponent as stored.</summary>
    public int BiasedExponent => SignExponent & ExponentMask;

    /// <summary>Whether this is a NaN of either kind (and not an unsupported encoding).</summary>
    public bool IsNan => BiasedExponent == ExponentMask && Significand > Unpacked.IntegerBit;

    /// <summary>The absolute value.</summary>
    public Float80 Magnitude => new((ushort)BiasedExponent, Significand);

    /// <inheritdoc />
    public NumberClass Class
    {
        get
        {
            int exponent = BiasedExponent;
            bool integer = (Significand & Unpacked.IntegerBit) != 0;
            if (exponent == 0)
            {
                // With its integer bit set this is a pseudo-denormal: never produced, but accepted as a denormal.
                return Significand == 0 ? NumberClass.Zero : NumberClass.Denormal;
            }

            if (!integer)
            {
                return NumberClass.Unsupported;
            }

            if (exponent != ExponentMask)
            {
                return NumberClass.Normal;
            }

            return Significand == Unpacked.IntegerBit ? NumberClass.Infinity
                : (Significand & QuietBit) != 0 ? NumberClass.QuietNan
                : NumberClass.SignalingNan;
        }
    }

    /// <summary>A zero with a sign.</summary>
    public static Float80 SignedZero(bool negative) => new(negative ? SignBit : (ushort)0, 0);

    /// <summary>An infinity with a sign.</summary>
    public static Float80 SignedInfinity(bool negative) =>
        new((ushort)(ExponentMask | (negative ? SignBit : 0)), Unpacked.IntegerBit);

    /// <inheritdoc />
    public static int RoundingPrecision(in FloatingPointContext context) => context.Precision;

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float80 Pack(bool negative, int exponent, ulong significand)
    {
        int biased = exponent + Bias & (int)((long)significand >> 63);
        return new Float80((ushort)(biased | (negative ? SignBit : 0)), significand);
    }

    /// <summary>
    /// The x87's choice (SDM 1, table 4-7): unsupported encodings give the indefinite; a quiet NaN wins over a
    /// signaling one; of two of a kind the larger significand wins, and of equal ones the positive.
    /// </summary>
    public static Float80 PropagateNan(Float80 first, Float80 second, ref FloatingPointContext context)
    {
        NumberClass firstClass = first.Class;
        NumberClass secondClass = second.Class;
        if (firstClass == NumberClass.Unsupported || secondClass == NumberClass.Unsupported)
        {
            context.Raise(FloatingPointExceptions.Invalid);
            return Indefinite;
        }

        if (firstClass == NumberClass.SignalingNan || secondClass == NumberClass.SignalingNan)
        {
            context.Raise(FloatingPointExceptions.Invalid);
        }

        if (secondClass < NumberClass.QuietNan)
        {
            return first.Quiet();
        }

        if (firstClass < NumberClass.QuietNan)
        {
            return second.Quiet();
        }

        if (firstClass != secondClass)
        {
            return firstClass == NumberClass.QuietNan ? first : second;
        }

        if (first.Significand != second.Significand)
        {
            return first.Significand > second.Significand ? first.Quiet() : second.Quiet();
        }

        return first.IsNegative ? second.Quiet() : first.Quiet();
    }

    /// <summary>A NaN made quiet.</summary>
    public Float80 Quiet() => new(SignExponent, Significand | QuietBit);

    /// <summary>The same with the other sign.</summary>
    public Float80 Negate() => new((ushort)(SignExponent ^ SignBit), Significand);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Unpacked Unpack() => (long)Significand < 0 && BiasedExponent != 0
        ? new Unpacked(IsNegative, BiasedExponent - Bias, Significand)
        : Unpacked.Normalize(IsNegative, MinExponent, Significand);

    /// <inheritdoc />
    public bool Equals(Float80 other) => Significand == other.Significand && SignExponent == other.SignExponent;

    /// <inheritdoc />
    public override bool Equals(object? obj) => obj is Float80 other && Equals(other);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(Significand, SignExponent);

    /// <summary>Sign and exponent, then the significand, in hexadecimal.</summary>
    public override string ToString() =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{SignExponent:x4}:{Significand:x16}");
}
