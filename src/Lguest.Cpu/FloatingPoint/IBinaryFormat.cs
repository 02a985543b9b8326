namespace Lguest.Cpu.FloatingPoint;

/// <summary>Kinds of operands, ordered so that everything from <see cref="QuietNan"/> up needs the NaN rules.</summary>
internal enum NumberClass : byte
{
    /// <summary>Plus or minus zero.</summary>
    Zero,

    /// <summary>Less than the smallest normal number, but not zero.</summary>
    Denormal,

    /// <summary>A number with the integer bit set.</summary>
    Normal,

    /// <summary>Plus or minus infinity.</summary>
    Infinity,

    /// <summary>A NaN that passes through most operations.</summary>
    QuietNan,

    /// <summary>A NaN that raises the invalid exception.</summary>
    SignalingNan,

    /// <summary>An 80-bit encoding that no processor since the 80387 produces or accepts (SDM 1, table 8-3).</summary>
    Unsupported,
}

/// <summary>
/// One of the three formats. Operations are written once over this; what differs between the x87 and SSE, such
/// as the choice between two NaNs, goes with the format, since 80-bit arithmetic is always the x87's
/// and 32-bit and 64-bit arithmetic always SSE's.
/// </summary>
/// <typeparam name="TSelf">The format itself.</typeparam>
internal interface IBinaryFormat<TSelf>
    where TSelf : struct, IBinaryFormat<TSelf>
{
    /// <summary>Bits of the significand, the integer bit included.</summary>
    static abstract int SignificandBits { get; }

    /// <summary>Exponent of the smallest normal number.</summary>
    static abstract int MinExponent { get; }

    /// <summary>Exponent of the largest finite number.</summary>
    static abstract int MaxExponent { get; }

    /// <summary>The real indefinite: the quiet NaN that the masked response to an invalid operation delivers.</summary>
    static abstract TSelf Indefinite { get; }

    /// <summary>The sign bit.</summary>
    bool IsNegative { get; }

    /// <summary>Whether <see cref="Class"/> is normal: the common case, found cheaply.</summary>
    bool IsNormal { get; }

    /// <summary>What kind of operand this is.</summary>
    NumberClass Class { get; }

    /// <summary>Bits to which arithmetic rounds a result of this format.</summary>
    static abstract int RoundingPrecision(in FloatingPointContext context);

    /// <summary>
    /// The result of an operation with at least one operand that is a NaN or unsupported; raises invalid
    /// where due.
    /// </summary>
    static abstract TSelf PropagateNan(TSelf first, TSelf second, ref FloatingPointContext context);

    /// <summary>
    /// Puts a rounded number together. A significand without its integer bit makes a denormal or a zero, and has
    /// <see cref="MinExponent"/>; <see cref="MaxExponent"/> + 1 with only the integer bit makes an infinity.
    /// </summary>
    static abstract TSelf Pack(bool negative, int exponent, ulong significand);

    /// <summary>Takes a normal or denormal number apart.</summary>
    Unpacked Unpack();
}
