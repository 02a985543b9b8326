using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.System;

/// <summary>ARPL: raises the privilege number in a selector to another's (SDM 2A). Only ZF changes.</summary>
/// <remarks>As on processors, it writes only what it changes: where nothing is to be raised the operand needn't be writable.</remarks>
internal static unsafe class SelectorAdjustment
{
    /// <summary>The requestor's privilege level in a selector.</summary>
    private const uint RplMask = 3;

    /// <summary>Lowers the family's instruction.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        if (instruction.Mnemonic != Mnemonic.Arpl)
        {
            return Lowered.Undefined;
        }

        op->Register2 = Operands.RegisterOffset(instruction, 1);
        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            op->Handler = &Register;
            return Lowered.Continues;
        }

        Operands.SetMemory(instruction, op);
        op->Handler = Operands.IsFlat(instruction, context) ? &Memory<FlatAddressing> : &Memory<SegmentedAddressing>;
        return Lowered.Continues;
    }

    private static Operation* Register(ProcessorState* s, Operation* op)
    {
        byte* selector = Operands.Register(s, op->Register);
        uint value = Size16.Load(selector);
        uint adjusted = Adjust(s, op, value);
        Size16.Store(selector, adjusted);
        s->SetZero(adjusted != value);
        return Operation.Next(s, op);
    }

    private static Operation* Memory<TAddressing>(ProcessorState* s, Operation* op)
        where TAddressing : struct, IAddressing
    {
        byte* selector = TAddressing.Read(s, op, Size16.Bytes);
        if (selector == null)
        {
            return null;
        }

        uint value = Size16.Load(selector);
        uint adjusted = Adjust(s, op, value);
        if (adjusted != value)
        {
            selector = TAddressing.Write(s, op, Size16.Bytes);
            if (selector == null)
            {
                return null;
            }

            Size16.Store(selector, adjusted);
            MemoryAccess.Complete(s, selector);
        }

        s->SetZero(adjusted != value);
        return Operation.Next(s, op);
    }

    private static uint Adjust(ProcessorState* s, Operation* op, uint selector)
    {
        uint level = Size16.Load(Operands.Register(s, op->Register2)) & RplMask;
        return Math.Max(selector & RplMask, level) | (selector & ~RplMask);
    }
}
