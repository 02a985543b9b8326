namespace Lguest.Cpu.FloatingPoint;

/// <summary>
/// A finite number other than zero, of any format: (-1)^Negative * Significand / 2^63 * 2^Exponent, with the
/// significand's bit 63 set.
/// </summary>
internal readonly struct Unpacked
{
    /// <summary>The bit that normalised significands have set: the integer bit.</summary>
    public const ulong IntegerBit = 1ul << 63;

    /// <summary>Makes a number of normalised parts.</summary>
    public Unpacked(bool negative, int exponent, ulong significand)
    {
        Negative = negative;
        Exponent = exponent;
        Significand = significand;
    }

    /// <summary>The sign.</summary>
    public bool Negative { get; }

    /// <summary>The exponent without bias.</summary>
    public int Exponent { get; }

    /// <summary>The significand, from 2^63 up.</summary>
    public ulong Significand { get; }

    /// <summary>Makes a number of a significand that may have leading zeros, but isn't zero.</summary>
    public static Unpacked Normalize(bool negative, int exponent, ulong significand)
    {
        int shift = System.Numerics.BitOperations.LeadingZeroCount(significand);
        return new Unpacked(negative, exponent - shift, significand << shift);
    }
}

/// <summary>
/// A result before rounding: (-1)^Negative * (High + Low / 2^64) / 2^63 * 2^Exponent. High has its bit 63 set,
/// or is 0 with Low for a result of zero. Bit 0 of Low may stand for any bits below it (a sticky bit).
/// </summary>
internal readonly struct Unrounded
{
    /// <summary>Makes a result of its parts.</summary>
    public Unrounded(bool negative, int exponent, ulong high, ulong low)
    {
        Negative = negative;
        Exponent = exponent;
        High = high;
        Low = low;
    }

    /// <summary>Makes a result of an exact number.</summary>
    public Unrounded(in Unpacked exact)
        : this(exact.Negative, exact.Exponent, exact.Significand, 0)
    {
    }

    /// <summary>The sign; false when the result is zero.</summary>
    public bool Negative { get; }

    /// <summary>The exponent without bias.</summary>
    public int Exponent { get; }

    /// <summary>The significand's upper 64 bits.</summary>
    public ulong High { get; }

    /// <summary>The significand's lower 64 bits.</summary>
    public ulong Low { get; }

    /// <summary>Whether the result is exactly zero; its sign is then for the operation to choose.</summary>
    public bool IsZero => High == 0;
}
