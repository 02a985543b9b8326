using Iced.Intel;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Simd;

/// <summary>EMMS (SDM 1, 9.4.7, and 3A, table 13-1): the x87 stack becomes empty; what is in its registers stays.</summary>
internal static unsafe class MmxControl
{
    /// <summary>Lowers the family's instruction.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        if (instruction.Mnemonic != Mnemonic.Emms)
        {
            return Lowered.Undefined;
        }

        op->Handler = &Empty;
        return Lowered.Continues;
    }

    private static Operation* Empty(ProcessorState* s, Operation* op)
    {
        if (!FloatingPointAccess.IsMmxAvailable(s))
        {
            return FloatingPointAccess.RaiseMmx(s, op);
        }

        MmxUnit.Enter(s);
        s->X87.Valid = 0;
        return Operation.Next(s, op);
    }
}
