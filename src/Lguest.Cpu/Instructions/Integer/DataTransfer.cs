using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>MOV (MOVNTI too), MOVZX, MOVSX and LEA among general registers and memory (SDM 1, 7.3.1).</summary>
internal static unsafe class DataTransfer
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Mov:
            case Mnemonic.Movnti:
                return LowerMove(instruction, context, op);
            case Mnemonic.Movzx:
                return LowerWiden<ZeroExtension>(instruction, context, op);
            case Mnemonic.Movsx:
                return LowerWiden<SignExtension>(instruction, context, op);
            case Mnemonic.Lea:
                return LowerLea(instruction, op);
            default:
                return Lowered.Undefined;
        }
    }

    private static Lowered LowerMove(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        if (!IsGeneral(instruction, 0) || !IsGeneral(instruction, 1))
        {
            return Lowered.Undefined;
        }

        op->Handler = Operands.Bits(instruction, 0) switch
        {
            8 => SelectMove<Size8>(instruction, context, op),
            16 => SelectMove<Size16>(instruction, context, op),
            _ => SelectMove<Size32>(instruction, context, op),
        };
        return Lowered.Continues;
    }

    /// <summary>Whether an operand isn't a segment, control or debug register.</summary>
    private static bool IsGeneral(in Instruction instruction, int operand) =>
        !Operands.IsRegister(instruction, operand) || instruction.GetOpRegister(operand).IsGPR();

    private static OperationHandler SelectMove<TSize>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TSize : struct, IOperandSize
    {
        if (!Operands.IsMemory(instruction, 0) && !Operands.IsMemory(instruction, 1))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            if (Operands.IsRegister(instruction, 1))
            {
                op->Register2 = Operands.RegisterOffset(instruction, 1);
                return &MoveForms<TSize>.RegisterRegister;
            }

            op->Immediate = (uint)instruction.GetImmediate(1) & TSize.Mask;
            return &MoveForms<TSize>.RegisterImmediate;
        }

        Operands.SetMemory(instruction, op);
        return Operands.IsFlat(instruction, context)
            ? SelectMemoryMove<TSize, FlatAddressing>(instruction, op)
            : SelectMemoryMove<TSize, SegmentedAddressing>(instruction, op);
    }

    private static OperationHandler SelectMemoryMove<TSize, TAddressing>(in Instruction instruction, Operation* op)
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        if (Operands.IsMemory(instruction, 1))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            return &MoveForms<TSize, TAddressing>.RegisterMemory;
        }

        if (Operands.IsRegister(instruction, 1))
        {
            op->Register = Operands.RegisterOffset(instruction, 1);
            return &MoveForms<TSize, TAddressing>.MemoryRegister;
        }

        op->Immediate = (uint)instruction.GetImmediate(1) & TSize.Mask;
        return &MoveForms<TSize, TAddressing>.MemoryImmediate;
    }

    private static Lowered LowerWiden<TExtension>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TExtension : struct, IExtension
    {
        bool to16 = Operands.Bits(instruction, 0) == 16;
        bool from8 = Operands.Bits(instruction, 1) == 8;
        op->Handler = (from8, to16) switch
        {
            (true, true) => SelectWiden<TExtension, Size8, Size16>(instruction, context, op),
            (true, false) => SelectWiden<TExtension, Size8, Size32>(instruction, context, op),
            (false, true) => SelectWiden<TExtension, Size16, Size16>(instruction, context, op),
            (false, false) => SelectWiden<TExtension, Size16, Size32>(instruction, context, op),
        };
        return Lowered.Continues;
    }

    private static OperationHandler SelectWiden<TExtension, TFrom, TTo>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TExtension : struct, IExtension
        where TFrom : struct, IOperandSize
        where TTo : struct, IOperandSize
    {
        op->Register = Operands.RegisterOffset(instruction, 0);
        if (Operands.IsRegister(instruction, 1))
        {
            op->Register2 = Operands.RegisterOffset(instruction, 1);
            return &WidenForms<TExtension, TFrom, TTo>.Register;
        }

        Operands.SetMemory(instruction, op);
        return Operands.IsFlat(instruction, context)
            ? &WidenForms<TExtension, TFrom, TTo>.Memory<FlatAddressing>
            : &WidenForms<TExtension, TFrom, TTo>.Memory<SegmentedAddressing>;
    }

    private static Lowered LowerLea(in Instruction instruction, Operation* op)
    {
        op->Register = Operands.RegisterOffset(instruction, 0);
        Operands.SetMemory(instruction, op);
        op->Handler = (Operands.Bits(instruction, 0), op->Scale & Operation.Address16) switch
        {
            (16, _) => &Lea16,
            (_, 0) => &Lea32,
            _ => &Lea32Of16,
        };
        return Lowered.Continues;
    }

    private static Operation* Lea32(ProcessorState* s, Operation* op)
    {
        Size32.Store(Operands.Register(s, op->Register), EffectiveAddress.Of32(s, op));
        return Operation.Next(s, op);
    }

    private static Operation* Lea32Of16(ProcessorState* s, Operation* op)
    {
        Size32.Store(Operands.Register(s, op->Register), EffectiveAddress.Of(s, op));
        return Operation.Next(s, op);
    }

    private static Operation* Lea16(ProcessorState* s, Operation* op)
    {
        Size16.Store(Operands.Register(s, op->Register), EffectiveAddress.Of(s, op));
        return Operation.Next(s, op);
    }
}
