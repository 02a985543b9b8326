using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>Moves without memory.</summary>
internal static unsafe class MoveForms<TSize>
    where TSize : struct, IOperandSize
{
    public static Operation* RegisterRegister(ProcessorState* s, Operation* op)
    {
        TSize.Store(Operands.Register(s, op->Register), TSize.Load(Operands.Register(s, op->Register2)));
        return Operation.Next(s, op);
    }

    public static Operation* RegisterImmediate(ProcessorState* s, Operation* op)
    {
        TSize.Store(Operands.Register(s, op->Register), op->Immediate);
        return Operation.Next(s, op);
    }
}

/// <summary>Moves from and to memory.</summary>
internal static unsafe class MoveForms<TSize, TAddressing>
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

        TSize.Store(Operands.Register(s, op->Register), TSize.Load(source));
        return Operation.Next(s, op);
    }

    public static Operation* MemoryRegister(ProcessorState* s, Operation* op)
    {
        byte* destination = TAddressing.Write(s, op, TSize.Bytes);
        if (destination == null)
        {
            return null;
        }

        TSize.Store(destination, TSize.Load(Operands.Register(s, op->Register)));
        MemoryAccess.Complete(s, destination);
        return Operation.Next(s, op);
    }

    public static Operation* MemoryImmediate(ProcessorState* s, Operation* op)
    {
        byte* destination = TAddressing.Write(s, op, TSize.Bytes);
        if (destination == null)
        {
            return null;
        }

        TSize.Store(destination, op->Immediate);
        MemoryAccess.Complete(s, destination);
        return Operation.Next(s, op);
    }
}

/// <summary>Moves that widen: MOVZX and MOVSX.</summary>
internal static unsafe class WidenForms<TExtension, TFrom, TTo>
    where TExtension : struct, IExtension
    where TFrom : struct, IOperandSize
    where TTo : struct, IOperandSize
{
    public static Operation* Register(ProcessorState* s, Operation* op)
    {
        uint value = TExtension.Extend<TFrom>(TFrom.Load(Operands.Register(s, op->Register2)));
        TTo.Store(Operands.Register(s, op->Register), value);
        return Operation.Next(s, op);
    }

    public static Operation* Memory<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        byte* source = TAddressing.Read(s, op, TFrom.Bytes);
        if (source == null)
        {
            return null;
        }

        TTo.Store(Operands.Register(s, op->Register), TExtension.Extend<TFrom>(TFrom.Load(source)));
        return Operation.Next(s, op);
    }
}

/// <summary>With zeros or with the sign.</summary>
internal interface IExtension
{
    /// <summary>The value at 32 bits.</summary>
    static abstract uint Extend<TSize>(uint value)
        where TSize : struct, IOperandSize;
}

internal readonly struct ZeroExtension : IExtension
{
    public static uint Extend<TSize>(uint value)
        where TSize : struct, IOperandSize => value;
}

internal readonly struct SignExtension : IExtension
{
    public static uint Extend<TSize>(uint value)
        where TSize : struct, IOperandSize => TSize.SignExtend(value);
}
