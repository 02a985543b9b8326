using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Control;

/// <summary>BOUND: #BR unless an index lies between two bounds in memory, both included (SDM 2A).</summary>
internal static unsafe class Bounds
{
    /// <summary>Lowers the family's instruction.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        if (instruction.Mnemonic != Mnemonic.Bound)
        {
            return Lowered.Undefined;
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
        // Two operands rather than one of twice the size: that is how their alignment is checked.
        uint offset = EffectiveAddress.Of(s, op);
        byte* bound = TAddressing.ReadAt(s, op, op->Segment, offset, TSize.Bytes);
        if (bound == null)
        {
            return null;
        }

        int lower = (int)TSize.SignExtend(TSize.Load(bound));
        bound = TAddressing.ReadAt(s, op, op->Segment, offset + TSize.Bytes, TSize.Bytes);
        if (bound == null)
        {
            return null;
        }

        int upper = (int)TSize.SignExtend(TSize.Load(bound));
        int index = (int)TSize.SignExtend(TSize.Load(Operands.Register(s, op->Register)));
        return index >= lower && index <= upper
            ? Operation.Next(s, op)
            : Fault.Raise(s, op, ExceptionVector.BoundRange);
    }
}
