using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions;

/// <summary>The x87: the families in the order in which they are asked.</summary>
/// <remarks>
/// All begin alike: #NM if there is no x87 or its state is another task's, #MF if an earlier instruction left an
/// unmasked exception, then the memory operand's faults, then the stack's, then the operation's. All but the control
/// instructions, which don't wait.
/// </remarks>
internal static unsafe class X87
{
    private static readonly delegate*<in Instruction, in LoweringContext, Operation*, Lowered>[] Families =
    [
        &X87Load.Lower,
        &X87Store.Lower,
        &X87Arithmetic.Lower,
        &X87Comparison.Lower,
        &X87Registers.Lower,
        &X87Functions.Lower,
        &X87Control.Lower,
        &X87Environment.Lower,
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

    /// <summary>The number of a stack register.</summary>
    public static byte Index(Register register) => (byte)(register - Register.ST0);

    /// <summary>Fills in the memory operand; true if it can go without its segment.</summary>
    public static bool SetMemory(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        Operands.SetMemory(instruction, op);
        op->Immediate = X87Stack.HasMemoryOperand;
        return Operands.IsFlat(instruction, context);
    }
}
