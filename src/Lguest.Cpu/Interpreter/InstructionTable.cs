using Iced.Intel;
using Lguest.Cpu.Instructions;

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
    /// <summary>Fills in the operation; true when nothing can follow it in its block.</summary>
    public static bool Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        Lowered lowered = Lowered.NotMine;
        for (int family = 0; lowered == Lowered.NotMine; family++)
        {
            switch (family)
            {
                case 0: lowered = DataTransfer.Lower(instruction, context, op); break;
                case 1: lowered = Arithmetic.Lower(instruction, context, op); break;
                case 2: lowered = StackTransfer.Lower(instruction, context, op); break;
                case 3: lowered = ControlTransfer.Lower(instruction, context, op); break;
                case 4: lowered = Segmentation.Lower(instruction, context, op); break;
                case 5: lowered = EflagsTransfer.Lower(instruction, context, op); break;
                case 6: lowered = SoftwareInterrupts.Lower(instruction, context, op); break;
                case 7: lowered = InterruptReturn.Lower(instruction, context, op); break;
                case 8: lowered = SystemInstructions.Lower(instruction, context, op); break;
                case 9: lowered = ControlRegisterTransfer.Lower(instruction, context, op); break;
                case 10: lowered = DebugRegisterTransfer.Lower(instruction, context, op); break;
                case 11: lowered = ModelSpecific.Lower(instruction, context, op); break;
                default:
                    op->Handler = &Undefined.InvalidOpcode;
                    return true;
            }
        }

        return lowered == Lowered.EndsBlock;
    }
}
