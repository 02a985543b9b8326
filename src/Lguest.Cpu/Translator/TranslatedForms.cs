using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Translator;

/// <summary>How an instruction is translated.</summary>
internal enum TranslatedForm
{
    /// <summary>Not at all: the interpreter executes it.</summary>
    None,

    /// <summary>As it is, with the host's registers and, for an operand in memory, a host address.</summary>
    AsIs,

    /// <summary>LEA: the address itself is the result.</summary>
    Address,

    /// <summary>PUSH of a register, an immediate or memory.</summary>
    Push,

    /// <summary>POP to a register.</summary>
    Pop,

    /// <summary>LEAVE.</summary>
    Leave,

    /// <summary>A conditional jump.</summary>
    JumpIf,

    /// <summary>A jump to a fixed place.</summary>
    Jump,

    /// <summary>A jump to a place in a register or memory.</summary>
    JumpIndirect,

    /// <summary>A call of a fixed place.</summary>
    Call,

    /// <summary>A call of a place in a register or memory.</summary>
    CallIndirect,

    /// <summary>A near return.</summary>
    Return,

    /// <summary>Nothing happens.</summary>
    Nothing,

    /// <summary>As it is; and the x87 remembers where it was.</summary>
    X87,

    /// <summary>A transcendental function, which is called.</summary>
    X87Function,

    /// <summary>FLDCW.</summary>
    LoadX87Control,

    /// <summary>FNINIT.</summary>
    ResetX87,

    /// <summary>LDMXCSR.</summary>
    LoadMxcsr,

    /// <summary>A shift or rotate, as it is or, for its flags, in two steps.</summary>
    Shift,

    /// <summary>DIV or IDIV, behind a look at whether it can fault.</summary>
    Divide,

    /// <summary>BT, BTS, BTR or BTC.</summary>
    BitTest,

    /// <summary>BSF or BSR.</summary>
    BitScan,

    /// <summary>MOV from a segment register.</summary>
    SelectorRead,

    /// <summary>PUSH of a segment register.</summary>
    PushSelector,

    /// <summary>PUSHAD.</summary>
    PushAll,

    /// <summary>POPAD.</summary>
    PopAll,

    /// <summary>XLAT.</summary>
    Lookup,

    /// <summary>CLD or STD: the state's DF, not the host's.</summary>
    Direction,

    /// <summary>CLI or STI, at CPL 0.</summary>
    InterruptFlag,

    /// <summary>PUSHFD.</summary>
    PushFlags,

    /// <summary>MOVS, STOS, LODS, CMPS or SCAS once.</summary>
    String,

    /// <summary>REP MOVS or REP STOS.</summary>
    Repeat,
}

/// <summary>The string instructions.</summary>
internal enum StringKind
{
    /// <summary>Another instruction.</summary>
    None,

    /// <summary>MOVS.</summary>
    Move,

    /// <summary>STOS.</summary>
    Store,

    /// <summary>LODS.</summary>
    Load,

    /// <summary>CMPS.</summary>
    Compare,

    /// <summary>SCAS.</summary>
    Scan,
}

/// <summary>The list of what is ever translated. Nothing else is emitted.</summary>
internal static class TranslatedForms
{
    /// <summary>How an instruction of flat 32-bit code is translated, whatever becomes of its flags.</summary>
    public static TranslatedForm Of(in Instruction instruction)
    {
        TranslatedForm form = OfMnemonic(instruction);
        return form switch
        {
            TranslatedForm.None or TranslatedForm.Nothing => form,
            _ => HasPlainOperands(instruction) ? form : TranslatedForm.None,
        };
    }

    /// <summary>Whether its first operand is written, as a rule: one in memory has to be writable then.</summary>
    public static bool WritesFirst(in Instruction instruction) => instruction.Mnemonic is not (
        Mnemonic.Cmp or Mnemonic.Test or Mnemonic.Mul or Mnemonic.Imul or Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Bt
        or Mnemonic.Push or Mnemonic.Jmp or Mnemonic.Call) && !FloatingPointForms.OnlyReadsMemory(instruction.Mnemonic);

    /// <summary>Which string instruction it is.</summary>
    public static StringKind StringOf(in Instruction instruction) => instruction.Code switch
    {
        Code.Movsb_m8_m8 or Code.Movsw_m16_m16 or Code.Movsd_m32_m32 => StringKind.Move,
        Code.Stosb_m8_AL or Code.Stosw_m16_AX or Code.Stosd_m32_EAX => StringKind.Store,
        Code.Lodsb_AL_m8 or Code.Lodsw_AX_m16 or Code.Lodsd_EAX_m32 => StringKind.Load,
        Code.Cmpsb_m8_m8 or Code.Cmpsw_m16_m16 or Code.Cmpsd_m32_m32 => StringKind.Compare,
        Code.Scasb_AL_m8 or Code.Scasw_AX_m16 or Code.Scasd_EAX_m32 => StringKind.Scan,
        _ => StringKind.None,
    };

    /// <summary>Bytes of a string instruction's element.</summary>
    public static int ElementOf(in Instruction instruction) => instruction.MemorySize.GetSize();

    /// <summary>The same shift or rotate by an immediate instead of CL.</summary>
    public static Code ByImmediate(Code code) => code switch
    {
        Code.Rol_rm8_CL => Code.Rol_rm8_imm8,
        Code.Rol_rm16_CL => Code.Rol_rm16_imm8,
        Code.Rol_rm32_CL => Code.Rol_rm32_imm8,
        Code.Ror_rm8_CL => Code.Ror_rm8_imm8,
        Code.Ror_rm16_CL => Code.Ror_rm16_imm8,
        Code.Ror_rm32_CL => Code.Ror_rm32_imm8,
        Code.Rcl_rm32_CL => Code.Rcl_rm32_imm8,
        Code.Rcr_rm32_CL => Code.Rcr_rm32_imm8,
        Code.Shl_rm8_CL or Code.Sal_rm8_CL => Code.Shl_rm8_imm8,
        Code.Shl_rm16_CL or Code.Sal_rm16_CL => Code.Shl_rm16_imm8,
        Code.Shl_rm32_CL or Code.Sal_rm32_CL => Code.Shl_rm32_imm8,
        Code.Shr_rm8_CL => Code.Shr_rm8_imm8,
        Code.Shr_rm16_CL => Code.Shr_rm16_imm8,
        Code.Shr_rm32_CL => Code.Shr_rm32_imm8,
        Code.Sar_rm8_CL => Code.Sar_rm8_imm8,
        Code.Sar_rm16_CL => Code.Sar_rm16_imm8,
        Code.Sar_rm32_CL => Code.Sar_rm32_imm8,
        _ => throw new InvalidOperationException($"{code} isn't a shift by CL."),
    };

    /// <summary>The same instruction in a form that 64-bit mode has, its operands still the guest's.</summary>
    public static Code HostCode(Code code) => code switch
    {
        Code.Inc_r32 => Code.Inc_rm32,
        Code.Inc_r16 => Code.Inc_rm16,
        Code.Dec_r32 => Code.Dec_rm32,
        Code.Dec_r16 => Code.Dec_rm16,
        Code.Mov_AL_moffs8 => Code.Mov_r8_rm8,
        Code.Mov_AX_moffs16 => Code.Mov_r16_rm16,
        Code.Mov_EAX_moffs32 => Code.Mov_r32_rm32,
        Code.Mov_moffs8_AL => Code.Mov_rm8_r8,
        Code.Mov_moffs16_AX => Code.Mov_rm16_r16,
        Code.Mov_moffs32_EAX => Code.Mov_rm32_r32,
        Code.Add_rm8_imm8_82 => Code.Add_rm8_imm8,
        Code.Or_rm8_imm8_82 => Code.Or_rm8_imm8,
        Code.Adc_rm8_imm8_82 => Code.Adc_rm8_imm8,
        Code.Sbb_rm8_imm8_82 => Code.Sbb_rm8_imm8,
        Code.And_rm8_imm8_82 => Code.And_rm8_imm8,
        Code.Sub_rm8_imm8_82 => Code.Sub_rm8_imm8,
        Code.Xor_rm8_imm8_82 => Code.Xor_rm8_imm8,
        Code.Cmp_rm8_imm8_82 => Code.Cmp_rm8_imm8,

        // As others read memory without a lock, a store's place in the order matters.
        Code.Movntps_m128_xmm => Code.Movaps_xmmm128_xmm,
        Code.Movntpd_m128_xmm => Code.Movapd_xmmm128_xmm,
        Code.Movntdq_m128_xmm => Code.Movdqa_xmmm128_xmm,
        Code.Movntq_m64_mm => Code.Movq_mmm64_mm,
        Code.Movnti_m32_r32 => Code.Mov_rm32_r32,
        _ => code,
    };

    private static TranslatedForm OfMnemonic(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Add or Mnemonic.Or or Mnemonic.Adc or Mnemonic.Sbb or Mnemonic.And or Mnemonic.Sub or Mnemonic.Xor
                or Mnemonic.Cmp or Mnemonic.Test or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Neg or Mnemonic.Not
                or Mnemonic.Movzx or Mnemonic.Movsx or Mnemonic.Cwde or Mnemonic.Cbw or Mnemonic.Cdq or Mnemonic.Cwd
                or Mnemonic.Clc or Mnemonic.Stc or Mnemonic.Cmc or Mnemonic.Lahf or Mnemonic.Sahf or Mnemonic.Cmpxchg8b:
                return TranslatedForm.AsIs;
            case Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl
                or Mnemonic.Rcr or Mnemonic.Shld or Mnemonic.Shrd:
                return OfShift(instruction);
            case Mnemonic.Div or Mnemonic.Idiv:
                return TranslatedForm.Divide;
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc:
                return TranslatedForm.BitTest;
            case Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Tzcnt or Mnemonic.Lzcnt:
                return TranslatedForm.BitScan;
            case Mnemonic.Mov or Mnemonic.Movnti:
                return IsGeneral(instruction) ? TranslatedForm.AsIs
                    : instruction.Code is Code.Mov_rm16_Sreg or Code.Mov_r32m16_Sreg ? TranslatedForm.SelectorRead
                    : TranslatedForm.None;
            case Mnemonic.Imul or Mnemonic.Mul:
                return TranslatedForm.AsIs;
            case Mnemonic.Xchg or Mnemonic.Xadd or Mnemonic.Cmpxchg:
                return TranslatedForm.AsIs;
            case Mnemonic.Bswap:
                return instruction.Code == Code.Bswap_r32 ? TranslatedForm.AsIs : TranslatedForm.None;
            case Mnemonic.Lea:
                return TranslatedForm.Address;
            case Mnemonic.Push:
                return instruction.StackPointerIncrement != -4 ? TranslatedForm.None
                    : IsGeneral(instruction) ? TranslatedForm.Push
                    : TranslatedForm.PushSelector;
            case Mnemonic.Pushad:
                return TranslatedForm.PushAll;
            case Mnemonic.Popad:
                return TranslatedForm.PopAll;
            case Mnemonic.Xlatb:
                return instruction.MemoryBase == Register.EBX ? TranslatedForm.Lookup : TranslatedForm.None;
            case Mnemonic.Cld or Mnemonic.Std:
                return TranslatedForm.Direction;
            case Mnemonic.Cli or Mnemonic.Sti:
                return TranslatedForm.InterruptFlag;
            case Mnemonic.Pop:
                return instruction.StackPointerIncrement == 4 && instruction.Op0Kind == OpKind.Register && IsGeneral(instruction)
                    ? TranslatedForm.Pop
                    : TranslatedForm.None;
            case Mnemonic.Leave:
                return instruction.Code == Code.Leaved ? TranslatedForm.Leave : TranslatedForm.None;
            case Mnemonic.Ret:
                return instruction.Code is Code.Retnd or Code.Retnd_imm16 ? TranslatedForm.Return : TranslatedForm.None;
            case Mnemonic.Jmp:
                return instruction.Code switch
                {
                    Code.Jmp_rel8_32 or Code.Jmp_rel32_32 => TranslatedForm.Jump,
                    Code.Jmp_rm32 => TranslatedForm.JumpIndirect,
                    _ => TranslatedForm.None,
                };
            case Mnemonic.Call:
                return instruction.Code switch
                {
                    Code.Call_rel32_32 => TranslatedForm.Call,
                    Code.Call_rm32 => TranslatedForm.CallIndirect,
                    _ => TranslatedForm.None,
                };
            case Mnemonic.Nop or Mnemonic.Pause or Mnemonic.Lfence or Mnemonic.Mfence or Mnemonic.Sfence or Mnemonic.Prefetch
                or Mnemonic.Prefetchw or Mnemonic.Prefetchnta or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1
                or Mnemonic.Prefetcht2 or Mnemonic.Endbr32:
                return TranslatedForm.Nothing;
            case Mnemonic.Pushfd:
                return TranslatedForm.PushFlags;
            default:
                return StringOf(instruction) != StringKind.None ? OfString(instruction)
                    : instruction.ConditionCode == ConditionCode.None ? FloatingPointForms.Of(instruction)
                    : OfConditional(instruction);
        }
    }

    /// <summary>Repeated loads nobody needs; repeated comparisons are the interpreter's, which looks at many elements at once.</summary>
    private static TranslatedForm OfString(in Instruction instruction)
    {
        if (Operands.HasAddress16(instruction))
        {
            return TranslatedForm.None;
        }

        return !instruction.HasRepePrefix && !instruction.HasRepnePrefix ? TranslatedForm.String
            : StringOf(instruction) is StringKind.Move or StringKind.Store ? TranslatedForm.Repeat
            : TranslatedForm.None;
    }

    private static TranslatedForm OfConditional(in Instruction instruction)
    {
        if (instruction.IsJccShortOrNear)
        {
            return instruction.Op0Kind == OpKind.NearBranch32 ? TranslatedForm.JumpIf : TranslatedForm.None;
        }

        // What is left are SETcc and CMOVcc, and the loops and JECXZ, which Iced gives conditions too.
        return instruction.OpCount > 0 && instruction.Op0Kind is OpKind.Register or OpKind.Memory
            ? TranslatedForm.AsIs
            : TranslatedForm.None;
    }

    /// <summary>Those shifts of which the manual leaves more open than flags, or that CL both counts and is shifted by, aren't on the list.</summary>
    private static TranslatedForm OfShift(in Instruction instruction)
    {
        int operand = instruction.OpCount - 1;
        int bits = 8 * (instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize());
        bool isByRegister = instruction.GetOpKind(operand) == OpKind.Register;
        int count = isByRegister ? 0 : (int)instruction.GetImmediate(operand) & 31;
        bool isListed = instruction.Mnemonic switch
        {
            Mnemonic.Shld or Mnemonic.Shrd => bits == 32 || (!isByRegister && count <= bits),
            Mnemonic.Rcl or Mnemonic.Rcr => bits == 32 || (!isByRegister && (count == 0 || count % (bits + 1) != 0)),
            _ => true,
        };
        bool isCount = isByRegister && instruction.Op0Kind == OpKind.Register && instruction.Op0Register is Register.CL or Register.CH;
        return isListed && !isCount ? TranslatedForm.Shift : TranslatedForm.None;
    }

    /// <summary>Only registers for data, the selectors of segment registers, immediates, branches, and memory, but no store through CS.</summary>
    private static bool HasPlainOperands(in Instruction instruction)
    {
        bool hasHighByte = false;
        bool needsRex = false;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            switch (instruction.GetOpKind(i))
            {
                case OpKind.Memory:
                    if (Operands.HasAddress16(instruction)
                        || (instruction.MemorySegment == Register.CS && i == 0 && WritesFirst(instruction)))
                    {
                        return false;
                    }

                    break;
                case OpKind.Register:
                    Register register = instruction.GetOpRegister(i);
                    if (!register.IsGPR() && !register.IsSegmentRegister() && !FloatingPointForms.IsRegister(register))
                    {
                        return false;
                    }

                    hasHighByte |= HostRegisters.IsHighByte(register);
                    needsRex |= register is Register.ESP or Register.SP;
                    break;
                default:
                    break;
            }
        }

        return !(hasHighByte && needsRex);
    }

    private static bool IsGeneral(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register && !instruction.GetOpRegister(i).IsGPR())
            {
                return false;
            }
        }

        return true;
    }
}
