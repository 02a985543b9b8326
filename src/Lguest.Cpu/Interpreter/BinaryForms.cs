using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>An operation on a destination and a source of the same size, with the flags it sets.</summary>
internal unsafe interface IBinaryOperation
{
    /// <summary>False for those that only set flags (CMP, TEST).</summary>
    static abstract bool WritesDestination { get; }

    /// <summary>The result, cut to the operand.</summary>
    static abstract uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
        where TSize : struct, IOperandSize;
}

/// <summary>Binary operations without memory.</summary>
internal static unsafe class BinaryForms<TOperation, TSize>
    where TOperation : struct, IBinaryOperation
    where TSize : struct, IOperandSize
{
    public static Operation* RegisterRegister(ProcessorState* s, Operation* op)
    {
        Execute(s, op, TSize.Load(Operands.Register(s, op->Register2)));
        return Operation.Next(s, op);
    }

    public static Operation* RegisterImmediate(ProcessorState* s, Operation* op)
    {
        Execute(s, op, op->Immediate);
        return Operation.Next(s, op);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Execute(ProcessorState* s, Operation* op, uint source)
    {
        byte* destination = Operands.Register(s, op->Register);
        uint result = TOperation.Execute<TSize>(s, TSize.Load(destination), source);
        if (TOperation.WritesDestination)
        {
            TSize.Store(destination, result);
        }
    }
}

/// <summary>Binary operations with an operand in memory.</summary>
internal static unsafe class BinaryForms<TOperation, TSize, TAddressing>
    where TOperation : struct, IBinaryOperation
    where TSize : struct, IOperandSize
    where TAddressing : struct, IAddressing
{
    public static Operation* RegisterMemory(ProcessorState* s, Operation* op)
    {
        byte* source = TAddressing.Read(s, op, TSize.Bytes);
        if (source == null)
        {
            return null;
        }

        byte* destination = Operands.Register(s, op->Register);
        uint result = TOperation.Execute<TSize>(s, TSize.Load(destination), TSize.Load(source));
        if (TOperation.WritesDestination)
        {
            TSize.Store(destination, result);
        }

        return Operation.Next(s, op);
    }

    public static Operation* MemoryRegister(ProcessorState* s, Operation* op) =>
        Memory(s, op, TSize.Load(Operands.Register(s, op->Register)));

    public static Operation* MemoryImmediate(ProcessorState* s, Operation* op) => Memory(s, op, op->Immediate);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Operation* Memory(ProcessorState* s, Operation* op, uint source)
    {
        byte* destination = TOperation.WritesDestination
            ? TAddressing.Modify(s, op, TSize.Bytes)
            : TAddressing.Read(s, op, TSize.Bytes);
        if (destination == null)
        {
            return null;
        }

        uint result = TOperation.Execute<TSize>(s, TSize.Load(destination), source);
        if (TOperation.WritesDestination)
        {
            TSize.Store(destination, result);
            MemoryAccess.Complete(s, destination);
        }

        return Operation.Next(s, op);
    }
}

/// <summary>Chooses the form of a binary operation by its operands.</summary>
internal static unsafe class BinaryLowering<TOperation>
    where TOperation : struct, IBinaryOperation
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
        if (Operands.IsMemory(instruction, 0) || Operands.IsMemory(instruction, 1))
        {
            Operands.SetMemory(instruction, op);
            return Operands.IsFlat(instruction, context)
                ? SelectMemory<TSize, FlatAddressing>(instruction, op)
                : SelectMemory<TSize, SegmentedAddressing>(instruction, op);
        }

        op->Register = Operands.RegisterOffset(instruction, 0);
        if (Operands.IsRegister(instruction, 1))
        {
            op->Register2 = Operands.RegisterOffset(instruction, 1);
            return &BinaryForms<TOperation, TSize>.RegisterRegister;
        }

        op->Immediate = (uint)instruction.GetImmediate(1) & TSize.Mask;
        return &BinaryForms<TOperation, TSize>.RegisterImmediate;
    }

    private static OperationHandler SelectMemory<TSize, TAddressing>(in Instruction instruction, Operation* op)
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        if (Operands.IsMemory(instruction, 1))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            return &BinaryForms<TOperation, TSize, TAddressing>.RegisterMemory;
        }

        if (Operands.IsRegister(instruction, 1))
        {
            op->Register = Operands.RegisterOffset(instruction, 1);
            return &BinaryForms<TOperation, TSize, TAddressing>.MemoryRegister;
        }

        op->Immediate = (uint)instruction.GetImmediate(1) & TSize.Mask;
        return &BinaryForms<TOperation, TSize, TAddressing>.MemoryImmediate;
    }
}
