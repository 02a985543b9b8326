using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>An operation that replaces its only operand.</summary>
internal unsafe interface IUnaryOperation
{
    /// <summary>The result, cut to the operand.</summary>
    static abstract uint Execute<TSize>(ProcessorState* s, uint operand)
        where TSize : struct, IOperandSize;
}

/// <summary>Unary operations on registers.</summary>
internal static unsafe class UnaryForms<TOperation, TSize>
    where TOperation : struct, IUnaryOperation
    where TSize : struct, IOperandSize
{
    public static Operation* Register(ProcessorState* s, Operation* op)
    {
        byte* operand = Operands.Register(s, op->Register);
        TSize.Store(operand, TOperation.Execute<TSize>(s, TSize.Load(operand)));
        return Operation.Next(s, op);
    }
}

/// <summary>Unary operations on memory.</summary>
internal static unsafe class UnaryForms<TOperation, TSize, TAddressing>
    where TOperation : struct, IUnaryOperation
    where TSize : struct, IOperandSize
    where TAddressing : struct, IAddressing
{
    public static Operation* Memory(ProcessorState* s, Operation* op)
    {
        byte* operand = TAddressing.Modify(s, op, TSize.Bytes);
        if (operand == null)
        {
            return null;
        }

        TSize.Store(operand, TOperation.Execute<TSize>(s, TSize.Load(operand)));
        MemoryAccess.Complete(s, operand);
        return Operation.Next(s, op);
    }
}

/// <summary>Chooses the form of a unary operation by its operand.</summary>
internal static unsafe class UnaryLowering<TOperation>
    where TOperation : struct, IUnaryOperation
{
    /// <summary>Fills in the operation.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        op->Handler = Operands.Bits(instruction, 0) switch
        {
            8 => Select<Size8>(instruction, context, op),
            16 => Select<Size16>(instruction, context, op),
            _ => Select<Size32>(instruction, context, op),
        };
        return Lowered.Continues;
    }

    private static OperationHandler Select<TSize>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TSize : struct, IOperandSize
    {
        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            return &UnaryForms<TOperation, TSize>.Register;
        }

        Operands.SetMemory(instruction, op);
        return Operands.IsFlat(instruction, context)
            ? &UnaryForms<TOperation, TSize, FlatAddressing>.Memory
            : &UnaryForms<TOperation, TSize, SegmentedAddressing>.Memory;
    }
}
