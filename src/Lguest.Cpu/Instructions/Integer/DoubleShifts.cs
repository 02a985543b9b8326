using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>SHLD and SHRD: shifts that fill up from a second operand (SDM 2B).</summary>
/// <remarks>
/// The manual leaves the result undefined when the count exceeds a 16-bit operand; here the operand itself follows the
/// filler's 16 bits, as processors do. OF says, for every count, whether the last single shift changed the sign.
/// </remarks>
internal static unsafe class DoubleShifts
{
    private const uint CountMask = 31;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op) =>
        instruction.Mnemonic switch
        {
            Mnemonic.Shld => Select<Shld>(instruction, context, op),
            Mnemonic.Shrd => Select<Shrd>(instruction, context, op),
            _ => Lowered.Undefined,
        };

    private static Lowered Select<TShift>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TShift : struct, IDoubleShift
    {
        op->Handler = Operands.Bits(instruction, 1) == 16
            ? Select<TShift, Size16>(instruction, context, op)
            : Select<TShift, Size32>(instruction, context, op);
        return Lowered.Continues;
    }

    private static OperationHandler Select<TShift, TSize>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TShift : struct, IDoubleShift
        where TSize : struct, IOperandSize
    {
        op->Register2 = Operands.RegisterOffset(instruction, 1);
        return Operands.IsRegister(instruction, 2)
            ? SelectOperand<TShift, TSize, CountInCl>(instruction, context, op)
            : SelectOperand<TShift, TSize, CountImmediate>(instruction, context, op);
    }

    private static OperationHandler SelectOperand<TShift, TSize, TCount>(
        in Instruction instruction, in LoweringContext context, Operation* op)
        where TShift : struct, IDoubleShift
        where TSize : struct, IOperandSize
        where TCount : struct, ICount
    {
        op->Immediate = instruction.GetOpKind(2) == OpKind.Register ? 0 : (uint)instruction.GetImmediate(2);
        if (Operands.IsRegister(instruction, 0))
        {
            op->Register = Operands.RegisterOffset(instruction, 0);
            return &Forms<TShift, TSize, TCount>.Register;
        }

        Operands.SetMemory(instruction, op);
        return Operands.IsFlat(instruction, context)
            ? &Forms<TShift, TSize, TCount>.Memory<FlatAddressing>
            : &Forms<TShift, TSize, TCount>.Memory<SegmentedAddressing>;
    }

    /// <summary>A shift of an operand with bits of another coming in.</summary>
    private interface IDoubleShift
    {
        static abstract uint Execute<TSize>(ProcessorState* s, uint destination, uint filler, uint source)
            where TSize : struct, IOperandSize;
    }

    /// <summary>Where the count comes from.</summary>
    private interface ICount
    {
        static abstract uint Get(ProcessorState* s, Operation* op);
    }

    private readonly struct CountInCl : ICount
    {
        public static uint Get(ProcessorState* s, Operation* op) => s->Ecx;
    }

    private readonly struct CountImmediate : ICount
    {
        public static uint Get(ProcessorState* s, Operation* op) => op->Immediate;
    }

    private readonly struct Shld : IDoubleShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint filler, uint source)
            where TSize : struct, IOperandSize
        {
            int count = (int)(source & CountMask);
            if (count == 0)
            {
                return destination;
            }

            // Operand and filler on top of 64 bits; of 16-bit ones, the operand once more below.
            ulong wide = ((ulong)destination << (64 - TSize.Bits)) | ((ulong)filler << (64 - (2 * TSize.Bits)));
            if (TSize.Bits == 16)
            {
                wide |= (ulong)destination << 16;
            }

            ulong beforeLast = wide << (count - 1);
            uint result = (uint)(beforeLast << 1 >> (64 - TSize.Bits));
            s->SetShiftFlags<TSize>(result, (uint)(beforeLast >> 32));
            return result;
        }
    }

    private readonly struct Shrd : IDoubleShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint filler, uint source)
            where TSize : struct, IOperandSize
        {
            int count = (int)(source & CountMask);
            if (count == 0)
            {
                return destination;
            }

            ulong wide = ((ulong)filler << TSize.Bits) | destination;
            if (TSize.Bits == 16)
            {
                wide |= (ulong)destination << 32;
            }

            uint beforeLast = (uint)(wide >> (count - 1));
            uint result = (uint)(wide >> count) & TSize.Mask;
            uint carry = beforeLast << 31;
            uint overflow = ((beforeLast ^ result) << (32 - TSize.Bits)) & (1u << 31);
            s->SetShiftFlags<TSize>(result, carry | ((carry ^ overflow) >> 1));
            return result;
        }
    }

    private static class Forms<TShift, TSize, TCount>
        where TShift : struct, IDoubleShift
        where TSize : struct, IOperandSize
        where TCount : struct, ICount
    {
        public static Operation* Register(ProcessorState* s, Operation* op)
        {
            byte* destination = Operands.Register(s, op->Register);
            uint filler = TSize.Load(Operands.Register(s, op->Register2));
            TSize.Store(destination, TShift.Execute<TSize>(s, TSize.Load(destination), filler, TCount.Get(s, op)));
            return Operation.Next(s, op);
        }

        public static Operation* Memory<TAddressing>(ProcessorState* s, Operation* op)
            where TAddressing : struct, IAddressing
        {
            byte* destination = TAddressing.Modify(s, op, TSize.Bytes);
            if (destination == null)
            {
                return null;
            }

            uint filler = TSize.Load(Operands.Register(s, op->Register2));
            TSize.Store(destination, TShift.Execute<TSize>(s, TSize.Load(destination), filler, TCount.Get(s, op)));
            MemoryAccess.Complete(s, destination);
            return Operation.Next(s, op);
        }
    }
}
