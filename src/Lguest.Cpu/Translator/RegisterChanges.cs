using Iced.Intel;

namespace Lguest.Cpu.Translator;

/// <summary>Which general registers an instruction changes, as far as its form says: all of them where it doesn't.</summary>
internal static class RegisterChanges
{
    /// <summary>All eight, a bit each by Intel's number.</summary>
    private const int All = byte.MaxValue;

    private const int Eax = 1;
    private const int Edx = 1 << 2;
    private const int Esp = 1 << 4;
    private const int Ebp = 1 << 5;

    /// <summary>The bit of a general register, of whatever size.</summary>
    public static int Bit(Register register) => 1 << (register.GetFullRegister32() - Register.EAX);

    /// <summary>The registers that an instruction may change.</summary>
    public static int Of(in Instruction instruction, TranslatedForm form)
    {
        switch (form)
        {
            case TranslatedForm.AsIs or TranslatedForm.X87 or TranslatedForm.Shift or TranslatedForm.BitTest or TranslatedForm.BitScan
                or TranslatedForm.SelectorRead or TranslatedForm.Address:
                return Named(instruction) | Implied(instruction);
            case TranslatedForm.Pop:
                return Esp | Named(instruction);
            case TranslatedForm.Push or TranslatedForm.PushSelector or TranslatedForm.PushFlags or TranslatedForm.PushAll:
                return Esp;
            case TranslatedForm.Leave:
                return Esp | Ebp;
            case TranslatedForm.Divide:
                return Eax | Edx;
            case TranslatedForm.Lookup:
                return Eax;
            case TranslatedForm.Nothing or TranslatedForm.Direction or TranslatedForm.InterruptFlag or TranslatedForm.JumpIf or TranslatedForm.Jump:
                return 0;
            default:
                return All;
        }
    }

    private static int Named(in Instruction instruction)
    {
        int changed = 0;
        bool isRead = instruction.Mnemonic is Mnemonic.Cmp or Mnemonic.Test or Mnemonic.Bt;
        if (!isRead && instruction.Op0Kind == OpKind.Register && instruction.Op0Register.IsGPR())
        {
            changed |= Bit(instruction.Op0Register);
        }

        if (instruction.Mnemonic is Mnemonic.Xchg or Mnemonic.Xadd)
        {
            changed |= Bit(instruction.Op1Register);
        }

        return changed;
    }

    private static int Implied(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Mul or Mnemonic.Cmpxchg8b => Eax | Edx,
        Mnemonic.Imul when instruction.OpCount == 1 => Eax | Edx,
        Mnemonic.Cdq or Mnemonic.Cwd => Edx,
        Mnemonic.Cbw or Mnemonic.Cwde or Mnemonic.Lahf or Mnemonic.Cmpxchg => Eax,
        _ => 0,
    };
}
