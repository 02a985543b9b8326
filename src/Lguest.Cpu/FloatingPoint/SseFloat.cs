using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint;

/// <summary>
/// The single-precision and the double-precision format (SDM 1, 4.2.2), as they stand in memory: the same but for their widths.
/// Float32 and Float64 are their names elsewhere.
/// </summary>
/// <typeparam name="TBits">An unsigned integer as wide as the format: of 32 bits or 64. It has no constraint, so that what is made of it is compiled ahead of time.</typeparam>
internal readonly record struct SseFloat<TBits>(TBits Bits) : IBinaryFormat<SseFloat<TBits>>
{
    /// <inheritdoc />
    public static int SignificandBits => IsSingle ? 24 : 53;

    /// <summary>What is added to an exponent to store it.</summary>
    public static int Bias => IsSingle ? 127 : 1023;

    /// <inheritdoc />
    public static int MinExponent => 1 - Bias;

    /// <inheritdoc />
    public static int MaxExponent => Bias;

    /// <inheritdoc />
    public static SseFloat<TBits> Indefinite => From(SignBit | ExponentMask | QuietBit);

    /// <inheritdoc />
    public bool IsNegative => (Wide & SignBit) != 0;

    /// <inheritdoc />
    public bool IsNormal
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (Wide & ExponentMask) - SmallestNormal < ExponentMask - SmallestNormal;
    }

    /// <inheritdoc />
    public NumberClass Class
    {
        get
        {
            ulong fraction = Wide & FractionMask;
            ulong exponent = Wide & ExponentMask;
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

    /// <summary>The exponent of a normal number; of a NaN or an infinity the largest and 1, of others the smallest less 1.</summary>
    public int Exponent
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => BiasedExponent - Bias;
    }

    /// <summary>The fraction, and thereby the payload of a NaN, in the place where an unpacked number has it.</summary>
    public ulong UnpackedFraction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (Wide & FractionMask) << UnpackShift;
    }

    // Constants of the format: the JIT compiler knows the size of a type parameter's type, and leaves no question in the code.
    private static bool IsSingle => Unsafe.SizeOf<TBits>() == sizeof(uint);

    private static int FractionBits => SignificandBits - 1;

    private static ulong SignBit => IsSingle ? 1ul << 31 : 1ul << 63;

    private static ulong FractionMask => (1ul << FractionBits) - 1;

    // All ones for infinities and NaNs.
    private static ulong ExponentMask => SignBit - 1 - FractionMask;

    private static ulong QuietBit => 1ul << (FractionBits - 1);

    private static ulong SmallestNormal => 1ul << FractionBits;

    // From the place of the stored significand to the place of an unpacked one, whose integer bit is bit 63.
    private static int UnpackShift => 64 - SignificandBits;

    private ulong Wide
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => IsSingle ? Unsafe.BitCast<TBits, uint>(Bits) : Unsafe.BitCast<TBits, ulong>(Bits);
    }

    private int BiasedExponent
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (int)((Wide & ExponentMask) >> FractionBits);
    }

    /// <inheritdoc />
    public static int RoundingPrecision(in FloatingPointContext context) => SignificandBits;

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SseFloat<TBits> Pack(bool negative, int exponent, ulong significand)
    {
        // The integer bit, if set, adds the one that the exponent is short of here.
        ulong magnitude = ((ulong)(exponent - MinExponent) << FractionBits) + (significand >> UnpackShift);
        return From(magnitude | (negative ? SignBit : 0));
    }

    /// <summary>SSE's choice (SDM 1, table 4-7): the first operand if it is a NaN, else the second.</summary>
    public static SseFloat<TBits> PropagateNan(SseFloat<TBits> first, SseFloat<TBits> second, ref FloatingPointContext context)
    {
        NumberClass firstClass = first.Class;
        if (firstClass == NumberClass.SignalingNan || second.Class == NumberClass.SignalingNan)
        {
            context.Raise(FloatingPointExceptions.Invalid);
        }

        return firstClass >= NumberClass.QuietNan ? first.Quiet() : second.Quiet();
    }

    /// <summary>A NaN made quiet.</summary>
    public SseFloat<TBits> Quiet() => From(Wide | QuietBit);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Unpacked Unpack()
    {
        int biased = BiasedExponent;
        return biased != 0
            ? new Unpacked(IsNegative, biased - Bias, UnpackedFraction | Unpacked.IntegerBit)
            : Unpacked.Normalize(IsNegative, MinExponent, UnpackedFraction);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static SseFloat<TBits> From(ulong bits) =>
        new(IsSingle ? Unsafe.BitCast<uint, TBits>((uint)bits) : Unsafe.BitCast<ulong, TBits>(bits));
}
