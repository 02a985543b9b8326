using Iced.Intel;
using Lguest.Cpu.Instructions.Control;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.Instructions.X87;

namespace Lguest.Cpu.Interpreter;

/// <summary>What a family says of an instruction.</summary>
internal enum Lowered
{
    /// <summary>It belongs to another family.</summary>
    NotMine,

    /// <summary>The operation is filled in, and the block goes on.</summary>
    Continues,

    /// <summary>The operation is filled in, and nothing follows it in its block.</summary>
    EndsBlock,
}

/// <summary>Finds the family that an instruction belongs to.</summary>
/// <remarks>
/// Families are asked in turn, the common ones first. Each is a switch over mnemonics, so that handlers
/// are made (and compiled) only for what a guest really executes.
/// </remarks>
internal static unsafe class InstructionTable
{
    private static readonly delegate*<in Instruction, in LoweringContext, Operation*, Lowered>[] Families =
    [
        &DataTransfer.Lower,
        &Arithmetic.Lower,
        &StackTransfer.Lower,
        &ControlTransfer.Lower,
        &Shifts.Lower,
        &ConditionalMoves.Lower,
        &Strings.Lower,
        &BitManipulation.Lower,
        &MultiplyDivide.Lower,
        &Exchange.Lower,
        &Conversions.Lower,
        &Rotates.Lower,
        &DoubleShifts.Lower,
        &NoOperations.Lower,
        &ProcedureFrames.Lower,
        &Bounds.Lower,
        &Bcd.Lower,
        &SelectorAdjustment.Lower,
        &X87Load.Lower,
        &X87Store.Lower,
        &X87Arithmetic.Lower,
        &X87Comparison.Lower,
        &X87Registers.Lower,
        &X87Functions.Lower,
        &X87Control.Lower,
        &X87Environment.Lower,
        &SimdTransfer.Lower,
        &SimdArithmetic.Lower,
        &SimdShuffle.Lower,
        &SimdShift.Lower,
        &SimdMultiplication.Lower,
        &SseArithmetic.Lower,
        &SseConversion.Lower,
        &SseComparison.Lower,
        &SseApproximation.Lower,
        &SimdSave.Lower,
        &SseControl.Lower,
        &MmxControl.Lower,
        &SimdMaskedMove.Lower,
        &Segmentation.Lower,
        &EflagsTransfer.Lower,
        &SoftwareInterrupts.Lower,
        &InterruptReturn.Lower,
        &SystemInstructions.Lower,
        &ControlRegisterTransfer.Lower,
        &DebugRegisterTransfer.Lower,
        &ModelSpecific.Lower,
        &Ports.Lower,
        &DescriptorTableRegisters.Lower,
        &SelectorQueries.Lower,
        &FarTransfers.Lower,
    ];

    /// <summary>Fills in the operation; true when nothing can follow it in its block.</summary>
    public static bool Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        foreach (delegate*<in Instruction, in LoweringContext, Operation*, Lowered> family in Families)
        {
            Lowered lowered = family(instruction, context, op);
            if (lowered != Lowered.NotMine)
            {
                return lowered == Lowered.EndsBlock;
            }
        }

        op->Handler = &Undefined.InvalidOpcode;
        return true;
    }
}
