using System.Runtime.InteropServices;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.FloatingPoint.Transcendental;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Translator;

/// <summary>A function of the x87 that isn't the host's: translated code calls ours.</summary>
internal enum X87Function
{
    /// <summary>None.</summary>
    None,

    /// <summary>FSIN.</summary>
    Sine,

    /// <summary>FCOS.</summary>
    Cosine,

    /// <summary>F2XM1.</summary>
    TwoToXMinusOne,

    /// <summary>FYL2X.</summary>
    YLog2X,

    /// <summary>FYL2XP1.</summary>
    YLog2XPlus1,

    /// <summary>FPATAN.</summary>
    InverseTangent,
}

/// <summary>
/// A call of a transcendental function from translated code, while the x87 is loaded. Operands come by FSTP. The result goes back as
/// a sum: of itself and something far too small to matter, but for how the host rounds it, and what it reports of that.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct X87Call
{
    /// <summary>ST(0).</summary>
    public Float80 First;

    /// <summary>ST(1), if the function has two operands.</summary>
    public Float80 Second;

    /// <summary>The result.</summary>
    public Float80 Result;

    /// <summary>What is added to it, as a double: on that side of it where the exact result lies; 0 if it is exact.</summary>
    public ulong Rest;

    /// <summary>How far from 0 a result's exponent may be, so that its rest is a normal double too.</summary>
    private const int LargestExponent = 900;

    /// <summary>By how much the rest is less than the result, as a power of two: below a quarter of its last bit.</summary>
    private const int RestExponent = -70;

    private const int DoubleBias = 1023;
    private const int DoubleFractionBits = 52;

    /// <summary>Whether a function pops one of two operands.</summary>
    public static bool HasTwoOperands(X87Function function) => function >= X87Function.YLog2X;

    /// <summary>Whether a function sets C2, to 0 as a rule.</summary>
    public static bool ClearsC2(X87Function function) => function is X87Function.Sine or X87Function.Cosine;

    /// <summary>Computes a function.</summary>
    /// <param name="s">The state, with the call's operands, and the control word.</param>
    /// <param name="function">The function.</param>
    /// <returns>0 if there is more to it than a normal result of normal operands: that is for the interpreter.</returns>
    [UnmanagedCallersOnly]
    public static int Execute(ProcessorState* s, X87Function function)
    {
        ref X87Call call = ref s->X87Call;
        Float80 first = call.First;
        Float80 second = call.Second;
        FloatingPointContext context = FloatingPointContext.FromX87(s->X87.Control);
        if (!first.IsNormal || (HasTwoOperands(function) && !second.IsNormal) || context.Precision != Float80.SignificandBits)
        {
            return 0;
        }

        bool inRange = true;
        Float80 result = function switch
        {
            X87Function.Sine => Trigonometry.Sine(first, out inRange, ref context),
            X87Function.Cosine => Trigonometry.Cosine(first, out inRange, ref context),
            X87Function.TwoToXMinusOne => Exponential.TwoToXMinusOne(first, ref context),
            X87Function.YLog2X => Logarithm.YLog2X(second, first, ref context),
            X87Function.YLog2XPlus1 => Logarithm.YLog2XPlus1(second, first, ref context),
            _ => ArcTangent.OfQuotient(second, first, ref context),
        };
        int exponent = result.BiasedExponent - Float80.Bias;
        if (!inRange || (context.Raised & ~FloatingPointExceptions.Precision) != 0
            || !result.IsNormal || Math.Abs(exponent) > LargestExponent)
        {
            return 0;
        }

        ulong rest = 0;
        if (context.Raised != FloatingPointExceptions.None)
        {
            bool isNegative = result.IsNegative ^ context.RoundedUp;
            rest = ((ulong)(exponent + RestExponent + DoubleBias) << DoubleFractionBits) | (isNegative ? 1ul << 63 : 0);
        }

        call.Result = result;
        call.Rest = rest;
        return 1;
    }
}
