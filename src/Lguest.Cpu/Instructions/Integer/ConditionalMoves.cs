using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>CMOVcc and SETcc (SDM 1, 7.3.1.1 and 7.3.7.3).</summary>
/// <remarks>CMOVcc reads its source, and may fault, even when the condition doesn't hold.</remarks>
internal static unsafe class ConditionalMoves
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case >= Mnemonic.Seta and <= Mnemonic.Sets:
                op->Handler = SelectCondition<SetForm>(instruction, context, op);
                return Lowered.Continues;
            case >= Mnemonic.Cmova and <= Mnemonic.Cmovs:
                op->Handler = Operands.Bits(instruction, 0) == 16
                    ? SelectCondition<MoveForm<Size16>>(instruction, context, op)
                    : SelectCondition<MoveForm<Size32>>(instruction, context, op);
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    private static OperationHandler SelectCondition<TForm>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TForm : struct, IForm => instruction.ConditionCode switch
        {
            ConditionCode.o => TForm.Select<IfOverflow>(instruction, context, op),
            ConditionCode.no => TForm.Select<Not<IfOverflow>>(instruction, context, op),
            ConditionCode.b => TForm.Select<IfBelow>(instruction, context, op),
            ConditionCode.ae => TForm.Select<Not<IfBelow>>(instruction, context, op),
            ConditionCode.e => TForm.Select<IfEqual>(instruction, context, op),
            ConditionCode.ne => TForm.Select<Not<IfEqual>>(instruction, context, op),
            ConditionCode.be => TForm.Select<IfBelowOrEqual>(instruction, context, op),
            ConditionCode.a => TForm.Select<Not<IfBelowOrEqual>>(instruction, context, op),
            ConditionCode.s => TForm.Select<IfSign>(instruction, context, op),
            ConditionCode.ns => TForm.Select<Not<IfSign>>(instruction, context, op),
            ConditionCode.p => TForm.Select<IfParity>(instruction, context, op),
            ConditionCode.np => TForm.Select<Not<IfParity>>(instruction, context, op),
            ConditionCode.l => TForm.Select<IfLess>(instruction, context, op),
            ConditionCode.ge => TForm.Select<Not<IfLess>>(instruction, context, op),
            ConditionCode.le => TForm.Select<IfLessOrEqual>(instruction, context, op),
            _ => TForm.Select<Not<IfLessOrEqual>>(instruction, context, op),
        };

    /// <summary>What is done under a condition.</summary>
    private interface IForm
    {
        static abstract OperationHandler Select<TCondition>(
            in Instruction instruction, in LoweringContext context, Operation* op)
            where TCondition : struct, ICondition;
    }

    private readonly struct SetForm : IForm
    {
        public static OperationHandler Select<TCondition>(
            in Instruction instruction, in LoweringContext context, Operation* op)
            where TCondition : struct, ICondition
        {
            if (Operands.IsRegister(instruction, 0))
            {
                op->Register = Operands.RegisterOffset(instruction, 0);
                return &Register<TCondition>;
            }

            Operands.SetMemory(instruction, op);
            return Operands.IsFlat(instruction, context)
                ? &Memory<TCondition, FlatAddressing>
                : &Memory<TCondition, SegmentedAddressing>;
        }

        private static Operation* Register<TCondition>(ProcessorState* s, Operation* op)
            where TCondition : struct, ICondition
        {
            Size8.Store(Operands.Register(s, op->Register), TCondition.IsTrue(s) ? 1u : 0);
            return Operation.Next(s, op);
        }

        private static Operation* Memory<TCondition, TAddressing>(ProcessorState* s, Operation* op)
            where TCondition : struct, ICondition
            where TAddressing : struct, IAddressing
        {
            byte* destination = TAddressing.Write(s, op, Size8.Bytes);
            if (destination == null)
            {
                return null;
            }

            Size8.Store(destination, TCondition.IsTrue(s) ? 1u : 0);
            MemoryAccess.Complete(s, destination);
            return Operation.Next(s, op);
        }
    }

    private readonly struct MoveForm<TSize> : IForm
        where TSize : struct, IOperandSize
    {
        public static OperationHandler Select<TCondition>(
            in Instruction instruction, in LoweringContext context, Operation* op)
            where TCondition : struct, ICondition
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            if (Operands.IsRegister(instruction, 1))
            {
                op->Register2 = Operands.RegisterOffset(instruction, 1);
                return &Register<TCondition>;
            }

            Operands.SetMemory(instruction, op);
            return Operands.IsFlat(instruction, context)
                ? &Memory<TCondition, FlatAddressing>
                : &Memory<TCondition, SegmentedAddressing>;
        }

        private static Operation* Register<TCondition>(ProcessorState* s, Operation* op)
            where TCondition : struct, ICondition
        {
            if (TCondition.IsTrue(s))
            {
                TSize.Store(Operands.Register(s, op->Register), TSize.Load(Operands.Register(s, op->Register2)));
            }

            return Operation.Next(s, op);
        }

        private static Operation* Memory<TCondition, TAddressing>(ProcessorState* s, Operation* op)
            where TCondition : struct, ICondition
            where TAddressing : struct, IAddressing
        {
            byte* source = TAddressing.Read(s, op, TSize.Bytes);
            if (source == null)
            {
                return null;
            }

            if (TCondition.IsTrue(s))
            {
                TSize.Store(Operands.Register(s, op->Register), TSize.Load(source));
            }

            return Operation.Next(s, op);
        }
    }
}
