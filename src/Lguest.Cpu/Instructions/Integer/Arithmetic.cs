using System.Runtime.CompilerServices;
using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions.Integer;

/// <summary>Sums, differences, comparisons and logic: what most instructions are (SDM 1, 7.3.2 and 7.3.4).</summary>
internal static unsafe class Arithmetic
{
    /// <summary>Lowers the family's instructions.</summary>
    public static Lowered Lower(in Instruction instruction, in LoweringContext context, Operation* op) =>
        instruction.Mnemonic switch
        {
            Mnemonic.Add => BinaryLowering<Add>.Lower(instruction, context, op),
            Mnemonic.Adc => BinaryLowering<Adc>.Lower(instruction, context, op),
            Mnemonic.Sub => BinaryLowering<Sub>.Lower(instruction, context, op),
            Mnemonic.Sbb => BinaryLowering<Sbb>.Lower(instruction, context, op),
            Mnemonic.Cmp => BinaryLowering<Cmp>.Lower(instruction, context, op),
            Mnemonic.And => BinaryLowering<And>.Lower(instruction, context, op),
            Mnemonic.Or => BinaryLowering<Or>.Lower(instruction, context, op),
            Mnemonic.Xor => BinaryLowering<Xor>.Lower(instruction, context, op),
            Mnemonic.Test => BinaryLowering<Test>.Lower(instruction, context, op),
            Mnemonic.Inc => UnaryLowering<Inc>.Lower(instruction, context, op),
            Mnemonic.Dec => UnaryLowering<Dec>.Lower(instruction, context, op),
            Mnemonic.Neg => UnaryLowering<Neg>.Lower(instruction, context, op),
            Mnemonic.Not => UnaryLowering<Not>.Lower(instruction, context, op),
            _ => Lowered.Undefined,
        };

    internal readonly struct Add : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            uint result = (destination + source) & TSize.Mask;
            s->SetAddFlags<TSize>(destination, source, result);
            return result;
        }
    }

    internal readonly struct Adc : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            uint result = (destination + source + s->Carry) & TSize.Mask;
            s->SetAddFlags<TSize>(destination, source, result);
            return result;
        }
    }

    internal readonly struct Sub : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            uint result = (destination - source) & TSize.Mask;
            s->SetSubtractFlags<TSize>(destination, source, result);
            return result;
        }
    }

    internal readonly struct Sbb : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            uint result = (destination - source - s->Carry) & TSize.Mask;
            s->SetSubtractFlags<TSize>(destination, source, result);
            return result;
        }
    }

    internal readonly struct Cmp : IBinaryOperation
    {
        public static bool WritesDestination => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize =>
            Sub.Execute<TSize>(s, destination, source);
    }

    internal readonly struct And : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            uint result = destination & source;
            s->SetLogicFlags<TSize>(result);
            return result;
        }
    }

    internal readonly struct Or : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            uint result = destination | source;
            s->SetLogicFlags<TSize>(result);
            return result;
        }
    }

    internal readonly struct Xor : IBinaryOperation
    {
        public static bool WritesDestination => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize
        {
            uint result = destination ^ source;
            s->SetLogicFlags<TSize>(result);
            return result;
        }
    }

    internal readonly struct Test : IBinaryOperation
    {
        public static bool WritesDestination => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint destination, uint source)
            where TSize : struct, IOperandSize =>
            And.Execute<TSize>(s, destination, source);
    }

    /// <summary>Adds one; CF keeps its value.</summary>
    internal readonly struct Inc : IUnaryOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint operand)
            where TSize : struct, IOperandSize
        {
            uint carries = s->FlagsCarries;
            uint result = Add.Execute<TSize>(s, operand, 1);
            s->SetCarry(carries);
            return result;
        }
    }

    /// <summary>Subtracts one; CF keeps its value.</summary>
    internal readonly struct Dec : IUnaryOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint operand)
            where TSize : struct, IOperandSize
        {
            uint carries = s->FlagsCarries;
            uint result = Sub.Execute<TSize>(s, operand, 1);
            s->SetCarry(carries);
            return result;
        }
    }

    internal readonly struct Neg : IUnaryOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint operand)
            where TSize : struct, IOperandSize =>
            Sub.Execute<TSize>(s, 0, operand);
    }

    /// <summary>Inverts every bit; no flag changes.</summary>
    internal readonly struct Not : IUnaryOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint Execute<TSize>(ProcessorState* s, uint operand)
            where TSize : struct, IOperandSize => ~operand & TSize.Mask;
    }
}
