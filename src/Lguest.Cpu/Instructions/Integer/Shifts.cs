using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>Shifts of one operand (SDM 1, 7.3.6). The count is the source, and only its low five bits count.</summary>
/// <remarks>
/// The flags' two carries are taken straight from the shifted value: CF is the last bit that left, OF whether it
/// differs from the other carry (see <see cref="ProcessorState.SetShiftFlags"/>). Where the manual leaves OF undefined,
/// because the count isn't 1, it follows the same formula.
/// </remarks>
internal static unsafe class Shifts
{
    /// <summary>What counts of a count.</summary>
    private const uint CountMask = 31;

    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op) =>
        instruction.Mnemonic switch
        {
            Mnemonic.Shl or Mnemonic.Sal => BinaryLowering<Shl>.Lower(instruction, context, op),
            Mnemonic.Shr => BinaryLowering<Shr>.Lower(instruction, context, op),
            Mnemonic.Sar => BinaryLowering<Sar>.Lower(instruction, context, op),
            _ => Lowered.Undefined,
        };

    internal readonly struct Shl : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            int count = (int)(source & CountMask);
            if (count == 0)
            {
                return destination;
            }

            // The bit above the operand is CF, the top bit of the result is "the other carry".
            ulong wide = (ulong)destination << count;
            uint result = (uint)wide & TSize.Mask;
            s->SetShiftFlags<TSize>(result, (uint)((wide << (32 - TSize.Bits)) >> 1));
            return result;
        }
    }

    internal readonly struct Shr : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            int count = (int)(source & CountMask);
            if (count == 0)
            {
                return destination;
            }

            // OF is whether the sign changed, which it does if the operand had one and the count is 1.
            uint result = destination >> count;
            uint carry = (destination >> (count - 1)) << 31;
            uint overflow = (result << (32 - TSize.Bits) << 1) & (1u << 31);
            s->SetShiftFlags<TSize>(result, carry | ((carry ^ overflow) >> 1));
            return result;
        }
    }

    internal readonly struct Sar : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            int count = (int)(source & CountMask);
            if (count == 0)
            {
                return destination;
            }

            int signed = (int)TSize.SignExtend(destination);
            uint result = (uint)(signed >> count) & TSize.Mask;
            uint carry = (uint)(signed >> (count - 1)) << 31;
            s->SetShiftFlags<TSize>(result, carry | (carry >> 1));
            return result;
        }
    }
}
