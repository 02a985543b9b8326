using System.Numerics;
using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>Rotates, with and without the carry (SDM 1, 7.3.6). Only CF and OF change.</summary>
/// <remarks>
/// For counts other than 1 the manual leaves OF undefined; it follows the formula for 1 here. A count that is
/// a multiple of the size still sets both flags, unless it is 0; RCL and RCR leave them when the operand and CF come
/// back to where they were.
/// </remarks>
internal static unsafe class Rotates
{
    private const uint CountMask = 31;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op) =>
        instruction.Mnemonic switch
        {
            Mnemonic.Rol => BinaryLowering<Rol>.Lower(instruction, context, op),
            Mnemonic.Ror => BinaryLowering<Ror>.Lower(instruction, context, op),
            Mnemonic.Rcl => BinaryLowering<Rcl>.Lower(instruction, context, op),
            Mnemonic.Rcr => BinaryLowering<Rcr>.Lower(instruction, context, op),
            _ => Lowered.Undefined,
        };

    /// <summary>Count of a rotate through the carry: modulo 9, 17 or 33.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int CountThroughCarry<TSize>(uint source)
        where TSize : struct, IOperandSize
    {
        uint count = source & CountMask;
        return (int)(TSize.Bits == 32 ? count : count % (uint)(TSize.Bits + 1));
    }

    internal readonly struct Rol : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            if ((source & CountMask) == 0)
            {
                return destination;
            }

            int count = (int)source & (TSize.Bits - 1);
            uint result = TSize.Bits == 32
                ? BitOperations.RotateLeft(destination, count)
                : ((destination << count) | (destination >> (TSize.Bits - count))) & TSize.Mask;
            s->SetRotateFlags((result << 31) | ((result >> (TSize.Bits - 1)) << 30));
            return result;
        }
    }

    internal readonly struct Ror : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            if ((source & CountMask) == 0)
            {
                return destination;
            }

            int count = (int)source & (TSize.Bits - 1);
            uint result = TSize.Bits == 32
                ? BitOperations.RotateRight(destination, count)
                : ((destination >> count) | (destination << (TSize.Bits - count))) & TSize.Mask;
            s->SetRotateFlags(result << (32 - TSize.Bits));
            return result;
        }
    }

    internal readonly struct Rcl : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            int count = CountThroughCarry<TSize>(source);
            if (count == 0)
            {
                return destination;
            }

            ulong wide = ((ulong)s->Carry << TSize.Bits) | destination;
            wide = (wide << count) | (wide >> (TSize.Bits + 1 - count));
            s->SetRotateFlags((uint)((wide << (32 - TSize.Bits)) >> 1));
            return (uint)wide & TSize.Mask;
        }
    }

    internal readonly struct Rcr : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            int count = CountThroughCarry<TSize>(source);
            if (count == 0)
            {
                return destination;
            }

            ulong wide = ((ulong)s->Carry << TSize.Bits) | destination;
            wide = (wide >> count) | (wide << (TSize.Bits + 1 - count));
            uint result = (uint)wide & TSize.Mask;

            // OF is whether the two top bits of the result differ.
            uint carry = (uint)(wide >> TSize.Bits) << 31;
            uint top = result << (32 - TSize.Bits);
            s->SetRotateFlags(carry | (((carry ^ top ^ (top << 1)) & (1u << 31)) >> 1));
            return result;
        }
    }
}
