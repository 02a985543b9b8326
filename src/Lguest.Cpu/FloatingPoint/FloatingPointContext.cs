using System.Runtime.CompilerServices;

namespace Lguest.Cpu.FloatingPoint;

/// <summary>Rounding control as the x87 control word and MXCSR encode it (SDM 1, table 4-8).</summary>
internal enum RoundingMode : byte
{
    /// <summary>To the nearest representable value; of two equally near, the one with an even significand.</summary>
    NearestEven = 0,

    /// <summary>Towards minus infinity.</summary>
    Down = 1,

    /// <summary>Towards plus infinity.</summary>
    Up = 2,

    /// <summary>Towards zero: truncation.</summary>
    TowardZero = 3,
}

/// <summary>
/// The six numeric exceptions, in the bit order that the x87 status and control words and MXCSR share.
/// </summary>
[Flags]
internal enum FloatingPointExceptions : byte
{
    /// <summary>No exception.</summary>
    None = 0,

    /// <summary>IE: the operation has no answer for these operands.</summary>
    Invalid = 1 << 0,

    /// <summary>DE: an operand is denormal.</summary>
    Denormal = 1 << 1,

    /// <summary>ZE: a finite number was divided by zero, or something as infinite happened.</summary>
    ZeroDivide = 1 << 2,

    /// <summary>OE: the result is too large for its format.</summary>
    Overflow = 1 << 3,

    /// <summary>UE: the result is tiny, and inexact or not masked.</summary>
    Underflow = 1 << 4,

    /// <summary>PE: the result was rounded.</summary>
    Precision = 1 << 5,

    /// <summary>What is found before anything is computed: unmasked, these leave the destination alone.</summary>
    PreComputation = Invalid | Denormal | ZeroDivide,

    /// <summary>All six.</summary>
    All = PreComputation | Overflow | Underflow | Precision,
}

/// <summary>
/// What an operation must know of the control word or MXCSR, and what it has to report. One is made for each
/// instruction; exceptions accumulate in <see cref="Raised"/> over all its operations.
/// </summary>
/// <remarks>
/// An operation always returns what the instruction delivers when the exceptions in <see cref="Masked"/> are
/// masked and the others aren't. Where an unmasked exception leaves the destination unchanged, the returned
/// value means nothing, and the instruction must look at <see cref="Unmasked"/> before it writes.
/// </remarks>
internal struct FloatingPointContext
{
    /// <summary>Rounding control.</summary>
    public RoundingMode Rounding;

    /// <summary>Exceptions with the masked response.</summary>
    public FloatingPointExceptions Masked;

    /// <summary>Exceptions raised so far.</summary>
    public FloatingPointExceptions Raised;

    /// <summary>Whether the last rounding made the magnitude larger: C1 of the x87.</summary>
    public bool RoundedUp;

    /// <summary>
    /// Significand bits of an 80-bit result of add, subtract, multiply, divide and square root: 24, 53 or 64.
    /// </summary>
    public byte Precision;

    /// <summary>Denormal operands count as zero (MXCSR.DAZ).</summary>
    public bool DenormalsAreZero;

    /// <summary>Tiny results become zero while underflow is masked (MXCSR.FTZ).</summary>
    public bool FlushToZero;

    private const int X87RoundingShift = 10;
    private const int X87PrecisionShift = 8;
    private const int MxcsrRoundingShift = 13;
    private const int MxcsrMaskShift = 7;
    private const uint MxcsrDenormalsAreZero = 1u << 6;
    private const uint MxcsrFlushToZero = 1u << 15;

    /// <summary>Exceptions raised that are not masked.</summary>
    public readonly FloatingPointExceptions Unmasked => Raised & ~Masked;

    // Indexed by the PC field. Its value 1 is reserved; processors treat it as the full precision.
    private static ReadOnlySpan<byte> PrecisionControl => [24, 64, 53, 64];

    /// <summary>The context of an x87 instruction.</summary>
    /// <param name="control">The x87 control word.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FloatingPointContext FromX87(ushort control) => new()
    {
        Rounding = (RoundingMode)((control >> X87RoundingShift) & 3),
        Precision = PrecisionControl[(control >> X87PrecisionShift) & 3],
        Masked = (FloatingPointExceptions)control & FloatingPointExceptions.All,
    };

    /// <summary>The context of an SSE instruction.</summary>
    /// <param name="mxcsr">MXCSR.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FloatingPointContext FromMxcsr(uint mxcsr) => new()
    {
        Rounding = (RoundingMode)((mxcsr >> MxcsrRoundingShift) & 3),
        Precision = Float80.SignificandBits,
        Masked = (FloatingPointExceptions)(mxcsr >> MxcsrMaskShift) & FloatingPointExceptions.All,
        DenormalsAreZero = (mxcsr & MxcsrDenormalsAreZero) != 0,
        FlushToZero = (mxcsr & MxcsrFlushToZero) != 0,
    };

    /// <summary>
    /// What the instruction adds to the status word or MXCSR once all its operations are done: an unmasked
    /// exception found before computation keeps those of the computation from being seen (SDM 1, 8.5 and 11.5.3).
    /// </summary>
    public readonly FloatingPointExceptions Reported =>
        StopsComputation ? Raised & FloatingPointExceptions.PreComputation : Raised;

    /// <summary>Whether an unmasked exception found before computation leaves the destination unchanged.</summary>
    public readonly bool StopsComputation => (Unmasked & FloatingPointExceptions.PreComputation) != 0;

    /// <summary>What the x87 puts into C1: whether the last rounding was upwards.</summary>
    public readonly bool ReportedRoundedUp => RoundedUp && !StopsComputation;

    /// <summary>Notes an exception.</summary>
    public void Raise(FloatingPointExceptions exceptions) => Raised |= exceptions;

    /// <summary>
    /// Notes that an operand was denormal, after the operation: unless something of higher priority came up, or a
    /// NaN (SDM 1, 4.9.2). Operations see to that themselves; this is for an operand that an x87 instruction widened
    /// before, so that the operation could not know.
    /// </summary>
    /// <param name="anyNan">Whether an operand was a NaN.</param>
    public void RaiseWidenedDenormal(bool anyNan)
    {
        if (!anyNan && (Raised & (FloatingPointExceptions.Invalid | FloatingPointExceptions.ZeroDivide)) == 0)
        {
            Raise(FloatingPointExceptions.Denormal);
        }
    }
}
