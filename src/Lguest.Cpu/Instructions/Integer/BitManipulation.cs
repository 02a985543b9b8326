using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>BT, BTS, BTR, BTC, BSF, BSR and BSWAP (SDM 1, 7.3.7).</summary>
/// <remarks>
/// The bit tests change CF and no other flag. BSF and BSR set all six flags as a logical operation on the source
/// would, of which the manual defines ZF; a source of 0 leaves the destination as it was. TZCNT and LZCNT aren't claimed,
/// so their prefix is ignored, as processors without them do.
/// </remarks>
internal static unsafe class BitManipulation
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Bt:
                return LowerTest<Bt>(instruction, context, op);
            case Mnemonic.Bts:
                return LowerTest<Bts>(instruction, context, op);
            case Mnemonic.Btr:
                return LowerTest<Btr>(instruction, context, op);
            case Mnemonic.Btc:
                return LowerTest<Btc>(instruction, context, op);
            case Mnemonic.Bsf or Mnemonic.Tzcnt:
                return BinaryLowering<Bsf>.Lower(instruction, context, op);
            case Mnemonic.Bsr or Mnemonic.Lzcnt:
                return BinaryLowering<Bsr>.Lower(instruction, context, op);
            case Mnemonic.Bswap:
                op->Register = Operands.RegisterOffset(instruction, 0);
                op->Handler = instruction.Code == Code.Bswap_r16 ? &SwapWord : &SwapDoubleword;
                return Lowered.Continues;
            default:
                return Lowered.Undefined;
        }
    }

    /// <summary>A bit number in a register counts from the operand in memory, both ways, without end.</summary>
    private static Lowered LowerTest<TOperation>(in Instruction instruction, in LoweringContext context, Operation* op)
        where TOperation : struct, IBinaryOperation
    {
        if (!Operands.IsMemory(instruction, 0) || !Operands.IsRegister(instruction, 1))
        {
            return BinaryLowering<TOperation>.Lower(instruction, context, op);
        }

        Operands.SetMemory(instruction, op);
        op->Register = Operands.RegisterOffset(instruction, 1);
        op->Handler = Operands.IsFlat(instruction, context)
            ? SelectString<TOperation, FlatAddressing>(instruction)
            : SelectString<TOperation, SegmentedAddressing>(instruction);
        return Lowered.Continues;
    }

    private static OperationHandler SelectString<TOperation, TAddressing>(in Instruction instruction)
        where TOperation : struct, IBinaryOperation
        where TAddressing : struct, IAddressing =>
        Operands.Bits(instruction, 1) == 16
            ? &BitStringForms<TOperation, Size16, TAddressing>.Memory
            : &BitStringForms<TOperation, Size32, TAddressing>.Memory;

    private static Operation* SwapDoubleword(ProcessorState* s, Operation* op)
    {
        byte* register = Operands.Register(s, op->Register);
        Size32.Store(register, BinaryPrimitives.ReverseEndianness(Size32.Load(register)));
        return Operation.Next(s, op);
    }

    /// <summary>Undefined in the manual; processors clear the register.</summary>
    private static Operation* SwapWord(ProcessorState* s, Operation* op)
    {
        Size16.Store(Operands.Register(s, op->Register), 0);
        return Operation.Next(s, op);
    }

    /// <summary>Copies a bit to CF.</summary>
    internal readonly struct Bt : IBinaryOperation
    {
        public static bool WritesDestination => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            s->SetCarry((destination >> (int)(source & (uint)(TSize.Bits - 1))) << 31);
            return destination;
        }
    }

    /// <summary>Copies a bit to CF and sets it.</summary>
    internal readonly struct Bts : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize =>
            Bt.Execute<TSize>(s, destination, source) | (1u << (int)(source & (uint)(TSize.Bits - 1)));
    }

    /// <summary>Copies a bit to CF and clears it.</summary>
    internal readonly struct Btr : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize =>
            Bt.Execute<TSize>(s, destination, source) & ~(1u << (int)(source & (uint)(TSize.Bits - 1)));
    }

    /// <summary>Copies a bit to CF and inverts it.</summary>
    internal readonly struct Btc : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize =>
            Bt.Execute<TSize>(s, destination, source) ^ (1u << (int)(source & (uint)(TSize.Bits - 1)));
    }

    /// <summary>Number of the lowest set bit.</summary>
    internal readonly struct Bsf : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            s->SetLogicFlags<TSize>(source);
            return source == 0 ? destination : (uint)BitOperations.TrailingZeroCount(source);
        }
    }

    /// <summary>Number of the highest set bit.</summary>
    internal readonly struct Bsr : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            s->SetLogicFlags<TSize>(source);
            return source == 0 ? destination : (uint)BitOperations.Log2(source);
        }
    }

    /// <summary>A bit of a string of bits in memory, numbered by a register.</summary>
    private static class BitStringForms<TOperation, TSize, TAddressing>
        where TOperation : struct, IBinaryOperation
        where TSize : struct, IOperandSize
        where TAddressing : struct, IAddressing
    {
        public static Operation* Memory(ProcessorState* s, Operation* op)
        {
            uint bit = TSize.SignExtend(TSize.Load(Operands.Register(s, op->Register)));
            uint distance = (uint)((int)bit >> (TSize.Bits == 16 ? 4 : 5)) * TSize.Bytes;
            uint offset = EffectiveAddress.Of(s, op) + distance;
            if ((op->Scale & Operation.Address16) != 0)
            {
                offset = (ushort)offset;
            }

            byte* destination = TOperation.WritesDestination
                ? TAddressing.ModifyAt(s, op, op->Segment, offset, TSize.Bytes)
                : TAddressing.ReadAt(s, op, op->Segment, offset, TSize.Bytes);
            if (destination == null)
            {
                return null;
            }

            uint result = TOperation.Execute<TSize>(s, TSize.Load(destination), bit);
            if (TOperation.WritesDestination)
            {
                TSize.Store(destination, result);
                MemoryAccess.Complete(s, destination);
            }

            return Operation.Next(s, op);
        }
    }
}
