using Iced.Intel;

namespace Lguest.Cpu.Interpreter;

/// <summary>Chooses the form of a string instruction by its prefixes.</summary>
internal static unsafe class StringLowering<TOperation, TSize>
    where TOperation : struct, IStringOperation
    where TSize : struct, IOperandSize
{
    /// <summary>Fills in the operation.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        bool is16 = Operands.HasAddress16(instruction);
        op->Scale = is16 ? Operation.Address16 : (byte)0;
        op->Segment = StateOffset.OfSegment(instruction.MemorySegment);
        bool isFlat = context.IsFlat && !is16 && Operands.IsFlatSegment(instruction.MemorySegment);
        op->Handler = isFlat ? Select<FlatAddressing>(instruction) : Select<SegmentedAddressing>(instruction);
        return Lowered.Continues;
    }

    private static OperationHandler Select<TAddressing>(in Instruction instruction)
        where TAddressing : struct, IAddressing
    {
        // Without a comparison both prefixes mean REP. Where both are given, the last one wins, and Iced knows.
        if (instruction.HasRepnePrefix && TOperation.Compares)
        {
            return &StringForms<TOperation, TSize, TAddressing>.RepeatWhileNotEqual;
        }

        if (instruction.HasRepePrefix && TOperation.Compares)
        {
            return &StringForms<TOperation, TSize, TAddressing>.RepeatWhileEqual;
        }

        return instruction.HasRepePrefix || instruction.HasRepnePrefix
            ? &StringForms<TOperation, TSize, TAddressing>.Repeat
            : &StringForms<TOperation, TSize, TAddressing>.Once;
    }
}
