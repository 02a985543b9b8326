using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions;

/// <summary>MMX, SSE, SSE2, SSE3 and SSSE3: the families in the order in which they are asked.</summary>
internal static unsafe class Simd
{
    /// <summary>Lowers the families' instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        Lowered lowered = Lowered.NotMine;
        for (int family = 0; lowered == Lowered.NotMine; family++)
        {
            switch (family)
            {
                case 0: lowered = SimdTransfer.Lower(instruction, context, op); break;
                case 1: lowered = SimdArithmetic.Lower(instruction, context, op); break;
                case 2: lowered = SimdMultiplication.Lower(instruction, context, op); break;
                case 3: lowered = SimdShuffle.Lower(instruction, context, op); break;
                case 4: lowered = SimdShift.Lower(instruction, context, op); break;
                default: return Lowered.NotMine;
            }
        }

        return lowered;
    }
}
