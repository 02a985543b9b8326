using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions;

/// <summary>MMX, SSE, SSE2, SSE3 and SSSE3: the families in the order in which they are asked.</summary>
internal static unsafe class Simd
{
    private static readonly delegate*<in Instruction, in LoweringContext, Operation*, Lowered>[] Families =
    [
        &SimdTransfer.Lower,
        &SimdArithmetic.Lower,
        &SimdShuffle.Lower,
        &SimdShift.Lower,
        &SimdMultiplication.Lower,
        &SseArithmetic.Lower,
        &SseConversion.Lower,
        &SseComparison.Lower,
        &SseApproximation.Lower,
        &SimdSave.Lower,
        &SseControl.Lower,
        &MmxControl.Lower,
        &SimdMaskedMove.Lower,
    ];

    /// <summary>Lowers the families' instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        foreach (delegate*<in Instruction, in LoweringContext, Operation*, Lowered> family in Families)
        {
            Lowered lowered = family(instruction, context, op);
            if (lowered != Lowered.NotMine)
            {
                return lowered;
            }
        }

        return Lowered.NotMine;
    }
}
