using Iced.Intel;
using Lguest.Cpu.Instructions;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Applies the table of what the manual leaves undefined to one execution of one instruction.</summary>
internal static class UndefinedFlags
{
    private const uint CountMask = 31;

    /// <summary>The flags that a real processor may leave as it likes.</summary>
    /// <param name="instruction">The instruction.</param>
    /// <param name="ecx">ECX before it.</param>
    public static uint Of(in Instruction instruction, uint ecx)
    {
        uint flags = 0;
        foreach (UndefinedResult result in UndefinedResults.All)
        {
            if (result.Instructions.Contains(instruction.Mnemonic) && Applies(result.When, instruction, ecx))
            {
                flags |= result.Flags;
            }
        }

        return flags;
    }

    /// <summary>Whether a result other than flags is undefined for this execution.</summary>
    public static bool IsResultUndefined(in Instruction instruction, uint ecx)
    {
        foreach (UndefinedResult result in UndefinedResults.All)
        {
            if (result.Other is not null && result.When != UndefinedWhen.SourceIsZero
                && result.Instructions.Contains(instruction.Mnemonic) && Applies(result.When, instruction, ecx))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The count of a shift or rotate, cut to five bits.</summary>
    public static uint Count(in Instruction instruction, uint ecx) =>
        (instruction.GetOpKind(instruction.OpCount - 1) == OpKind.Register
            ? ecx
            : (uint)instruction.GetImmediate(instruction.OpCount - 1)) & CountMask;

    private static bool Applies(UndefinedWhen when, in Instruction instruction, uint ecx) => when switch
    {
        UndefinedWhen.CountIsNotZero => Count(instruction, ecx) != 0,
        UndefinedWhen.CountIsAboveOne => Count(instruction, ecx) > 1,
        UndefinedWhen.CountReachesSize => Count(instruction, ecx) >= Size(instruction),
        UndefinedWhen.CountExceedsSize => Count(instruction, ecx) > Size(instruction),
        UndefinedWhen.OperandIs16Bits => Size(instruction) == 16,

        // Processors of all makers keep the destination: compared like everything else.
        UndefinedWhen.SourceIsZero => false,
        _ => true,
    };

    private static uint Size(in Instruction instruction) => 8 * (uint)(instruction.Op0Kind == OpKind.Register
        ? instruction.Op0Register.GetSize()
        : instruction.MemorySize.GetSize());
}
