using Iced.Intel;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Translator;

/// <summary>What a guest instruction does with the arithmetic flags, from Iced's tables and ours of what the manual leaves open.</summary>
internal readonly struct FlagUse
{
    private const RflagsBits Arithmetic =
        RflagsBits.OF | RflagsBits.SF | RflagsBits.ZF | RflagsBits.AF | RflagsBits.CF | RflagsBits.PF;

    private FlagUse(RflagsBits read, RflagsBits modified, RflagsBits open)
    {
        Reads = (read & Arithmetic) != 0;
        Writes = (modified & Arithmetic) != 0;
        WritesAll = (modified & Arithmetic) == Arithmetic;
        Read = read & Arithmetic;
        Open = open & Arithmetic;
    }

    /// <summary>Whether it reads any.</summary>
    public bool Reads { get; }

    /// <summary>Whether it writes any.</summary>
    public bool Writes { get; }

    /// <summary>Whether none of those before it are left.</summary>
    public bool WritesAll { get; }

    /// <summary>Those that it reads.</summary>
    public RflagsBits Read { get; }

    /// <summary>Those that the manual leaves open.</summary>
    public RflagsBits Open { get; }

    /// <summary>Looks at an instruction.</summary>
    public static FlagUse Of(in Instruction instruction)
    {
        RflagsBits modified = instruction.RflagsModified;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Div or Mnemonic.Idiv:
                return default;
            case Mnemonic.Pushfd:
                return new FlagUse(Arithmetic, RflagsBits.None, RflagsBits.None);
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc:
                return new FlagUse(RflagsBits.None, RflagsBits.CF, RflagsBits.None);
            case Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Tzcnt or Mnemonic.Lzcnt:
                return new FlagUse(RflagsBits.None, Arithmetic, RflagsBits.AF);
            default:
                break;
        }

        if (IsShift(instruction.Mnemonic))
        {
            // A count of 0 leaves all flags; one in CL can be that.
            int count = instruction.OpCount - 1;
            if (instruction.GetOpKind(count) == OpKind.Register)
            {
                return new FlagUse(Arithmetic, modified, instruction.RflagsUndefined);
            }

            if ((instruction.GetImmediate(count) & 31) == 0)
            {
                return default;
            }
        }

        return new FlagUse(instruction.RflagsRead, modified, instruction.RflagsUndefined);
    }

    /// <summary>The arithmetic flags among some of Iced's, as they are in EFLAGS.</summary>
    public static uint ImageOf(RflagsBits flags) =>
        ((flags & RflagsBits.OF) != 0 ? Eflags.Of : 0)
        | ((flags & RflagsBits.SF) != 0 ? Eflags.Sf : 0)
        | ((flags & RflagsBits.ZF) != 0 ? Eflags.Zf : 0)
        | ((flags & RflagsBits.AF) != 0 ? Eflags.Af : 0)
        | ((flags & RflagsBits.CF) != 0 ? Eflags.Cf : 0)
        | ((flags & RflagsBits.PF) != 0 ? Eflags.Pf : 0);

    /// <summary>Whether it shifts or rotates.</summary>
    public static bool IsShift(Mnemonic mnemonic) =>
        IsRotate(mnemonic) || mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Shld or Mnemonic.Shrd;

    /// <summary>Whether it rotates: of the flags only CF and OF change.</summary>
    public static bool IsRotate(Mnemonic mnemonic) =>
        mnemonic is Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr;

    /// <summary>Whether it reads flags only to leave them as they are, should the count be 0.</summary>
    public static bool ReadsOnlyToKeep(Mnemonic mnemonic) =>
        IsShift(mnemonic) && mnemonic is not (Mnemonic.Rcl or Mnemonic.Rcr);

    /// <summary>The recipe for an instruction's flags, if registers and immediates are all that they come from.</summary>
    public static FlagRecipe RecipeOf(in Instruction instruction)
    {
        FlagRecipeKind kind = instruction.Mnemonic switch
        {
            Mnemonic.Add => FlagRecipeKind.Add,
            Mnemonic.Sub => FlagRecipeKind.Subtract,
            Mnemonic.Cmp => FlagRecipeKind.Compare,
            Mnemonic.And or Mnemonic.Or or Mnemonic.Xor => FlagRecipeKind.Logic,
            Mnemonic.Test => FlagRecipeKind.Test,
            _ => FlagRecipeKind.None,
        };
        if (kind == FlagRecipeKind.None || instruction.Op0Kind != OpKind.Register || instruction.Op1Kind == OpKind.Memory)
        {
            return default;
        }

        int size = instruction.Op0Register.GetSize();
        byte first = StateOffset.Of(instruction.Op0Register);
        if (kind == FlagRecipeKind.Logic)
        {
            return new FlagRecipe(kind, (byte)size, first, first, HasImmediate: false, 0);
        }

        if (instruction.Op1Kind == OpKind.Register)
        {
            // What is added to itself can't be told from the sum; what is subtracted from itself leaves the flags of 0 - 0.
            byte second = StateOffset.Of(instruction.Op1Register);
            bool isLost = kind == FlagRecipeKind.Add && first == second;
            return isLost ? default : new FlagRecipe(kind, (byte)size, first, second, HasImmediate: false, 0);
        }

        uint mask = size == 4 ? uint.MaxValue : (1u << (8 * size)) - 1;
        return new FlagRecipe(kind, (byte)size, first, first, HasImmediate: true, (uint)instruction.GetImmediate(1) & mask);
    }

    /// <summary>What of its flags has to be corrected; null where that isn't enough, if anyone looks.</summary>
    public static FlagCorrection? CorrectionOf(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Add or Mnemonic.Adc or Mnemonic.Sub or Mnemonic.Sbb or Mnemonic.Cmp or Mnemonic.Neg
                or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Xadd or Mnemonic.Cmpxchg or Mnemonic.Cmpxchg8b
                or Mnemonic.Clc or Mnemonic.Stc or Mnemonic.Cmc or Mnemonic.Sahf:
                return FlagCorrection.None;
            case Mnemonic.Comiss or Mnemonic.Comisd or Mnemonic.Ucomiss or Mnemonic.Ucomisd
                or Mnemonic.Fcomi or Mnemonic.Fcomip or Mnemonic.Fucomi or Mnemonic.Fucomip:
                return FlagCorrection.None;
            case Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Test:
                return FlagCorrection.Auxiliary;
            default:
                return IsShift(instruction.Mnemonic) ? CorrectionOfShift(instruction) : null;
        }
    }

    private static FlagCorrection? CorrectionOfShift(in Instruction instruction)
    {
        int operand = instruction.OpCount - 1;
        if (instruction.GetOpKind(operand) == OpKind.Register)
        {
            return null;
        }

        int count = (int)instruction.GetImmediate(operand) & 31;
        int bits = 8 * (instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize());
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Shl or Mnemonic.Sal:
                return count >= bits ? null : FlagCorrection.ShiftLeft;
            case Mnemonic.Shr or Mnemonic.Sar:
                return count >= bits ? null : count == 1 ? FlagCorrection.Auxiliary : FlagCorrection.ShiftRight;
            case Mnemonic.Shld:
                return FlagCorrection.ShiftLeft;
            case Mnemonic.Shrd:
                return count == 1 ? FlagCorrection.Auxiliary : null;
            default:
                return count == 1 ? FlagCorrection.None : null;
        }
    }
}
