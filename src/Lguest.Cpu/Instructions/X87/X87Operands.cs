using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions.X87;

/// <summary>From Iced's operands to an x87 operation's.</summary>
/// <remarks>
/// All x87 instructions begin alike: #NM if there is no x87 or its state is another task's, #MF if an earlier instruction
/// left an unmasked exception, then the memory operand's faults, then the stack's, then the operation's. All but the
/// control instructions, which don't wait.
/// </remarks>
internal static unsafe class X87Operands
{
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
