using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions;

/// <summary>BOUND: #BR unless an index lies between two bounds in memory, both included (SDM 2A).</summary>
internal static unsafe class Bounds
{
    /// <summary>Lowers the family's instruction.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        if (instruction.Mnemonic != Mnemonic.Bound)
        {
            return Lowered.NotMine;
        }

        op->Register = Operands.RegisterOffset(instruction, 0);
        Operands.SetMemory(instruction, op);
        bool isFlat = Operands.IsFlat(instruction, context);
        if (instruction.Code == Code.Bound_r16_m1616)
        {
            op->Handler = isFlat ? &Check<Size16, FlatAddressing> : &Check<Size16, SegmentedAddressing>;
        }
        else
        {
            op->Handler = isFlat ? &Check<Size32, FlatAddressing> : &Check<Size32, SegmentedAddressing>;
        }

        return Lowered.Continues;
    }

    private static Operation* Check<TSize, TAddressing>(ProcessorState* s, Operation* op)
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        byte* bounds = TAddressing.Read(s, op, 2 * TSize.Bytes);
        if (bounds == null)
        {
            return null;
        }

        int index = (int)TSize.SignExtend(TSize.Load(Operands.Register(s, op->Register)));
        int lower = (int)TSize.SignExtend(TSize.Load(bounds));
        int upper = (int)TSize.SignExtend(TSize.Load(bounds + TSize.Bytes));
        return index >= lower && index <= upper
            ? Operation.Next(s, op)
            : Fault.Raise(s, op, ExceptionVector.BoundRange);
    }
}
