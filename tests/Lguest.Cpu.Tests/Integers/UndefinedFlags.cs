using Iced.Intel;
using Lguest.Cpu.Instructions;
using Lguest.Cpu.State;

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

    /// <summary>The arithmetic flags that an instruction looks at.</summary>
    public static uint Read(in Instruction instruction) => FromIced(instruction.RflagsRead);

    /// <summary>The arithmetic flags that an instruction changes for certain: one that may do nothing changes none.</summary>
    public static uint Modified(in Instruction instruction) => instruction.HasRepPrefix || instruction.HasRepnePrefix || IsShift(instruction.Mnemonic)
        ? 0
        : FromIced(instruction.RflagsModified);

    /// <summary>Iced's names of flags as bits of EFLAGS.</summary>
    public static uint FromIced(RflagsBits bits) =>
        ((bits & RflagsBits.CF) != 0 ? Eflags.Cf : 0u)
        | ((bits & RflagsBits.PF) != 0 ? Eflags.Pf : 0u)
        | ((bits & RflagsBits.AF) != 0 ? Eflags.Af : 0u)
        | ((bits & RflagsBits.ZF) != 0 ? Eflags.Zf : 0u)
        | ((bits & RflagsBits.SF) != 0 ? Eflags.Sf : 0u)
        | ((bits & RflagsBits.OF) != 0 ? Eflags.Of : 0u);

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

    private static bool IsShift(Mnemonic mnemonic) => mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar
        or Mnemonic.Shld or Mnemonic.Shrd or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr;

    private static uint Size(in Instruction instruction) => 8 * (uint)(instruction.Op0Kind == OpKind.Register
        ? instruction.Op0Register.GetSize()
        : instruction.MemorySize.GetSize());
}
