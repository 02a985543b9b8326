using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Instructions;

/// <summary>
/// Instructions made to raise something: INT n, INT3, INT1, INTO, BOUND, and those that are undefined by definition
/// (SDM 1, 7.3.8.4). What becomes of it is the business of <see cref="InterruptDelivery"/>.
/// </summary>
internal static unsafe class SoftwareInterrupts
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Int:
                op->Immediate = instruction.Immediate8;
                op->Handler = &Int;
                return Lowered.EndsBlock;
            case Mnemonic.Int3:
                op->Immediate = ExceptionVector.Breakpoint;
                op->Handler = &Int;
                return Lowered.EndsBlock;
            case Mnemonic.Int1:
                op->Handler = &Int1;
                return Lowered.EndsBlock;
            case Mnemonic.Into:
                op->Handler = &Into;
                return Lowered.Continues;
            case Mnemonic.Bound:
                LowerBound(instruction, context, op);
                return Lowered.Continues;
            case Mnemonic.Ud0:
            case Mnemonic.Ud1:
            case Mnemonic.Ud2:
                op->Handler = &Undefined.InvalidOpcode;
                return Lowered.EndsBlock;
            default:
                return Lowered.NotMine;
        }
    }

    private static void LowerBound(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        op->Register = Operands.RegisterOffset(instruction, 0);
        Operands.SetMemory(instruction, op);
        bool isFlat = Operands.IsFlat(instruction, context);
        if (instruction.Code == Code.Bound_r16_m1616)
        {
            op->Handler = isFlat ? &Bound<Size16, FlatAddressing> : &Bound<Size16, SegmentedAddressing>;
        }
        else
        {
            op->Handler = isFlat ? &Bound<Size32, FlatAddressing> : &Bound<Size32, SegmentedAddressing>;
        }
    }

    private static Operation* Int(ProcessorState* s, Operation* op) =>
        Fault.RaiseSoftware(s, op, (int)op->Immediate, ExceptionOrigin.Software);

    /// <summary>#DB without the check of the gate's DPL, and without a word in DR6.</summary>
    private static Operation* Int1(ProcessorState* s, Operation* op) =>
        Fault.RaiseSoftware(s, op, ExceptionVector.Debug, ExceptionOrigin.Trap);

    private static Operation* Into(ProcessorState* s, Operation* op) =>
        s->OverflowFlag
            ? Fault.RaiseSoftware(s, op, ExceptionVector.Overflow, ExceptionOrigin.Software)
            : Operation.Next(s, op);

    private static Operation* Bound<TSize, TAddressing>(ProcessorState* s, Operation* op)
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
