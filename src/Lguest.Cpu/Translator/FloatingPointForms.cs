using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Lguest.Cpu.Translator;

/// <summary>What of the list (<see cref="TranslatedForms"/>) is SSE, MMX or x87.</summary>
/// <remarks>
/// Their results are the same on every processor. What isn't, is missing here: the approximations of RCPPS and RSQRTPS, and
/// FPREM, which may stop where it likes. Of the transcendental functions only the result is loaded: we compute it.
/// </remarks>
internal static class FloatingPointForms
{
    private const int AlignedSize = 16;

    /// <summary>Moves and integers in XMM and MMX registers: neither MXCSR nor an exception of its own.</summary>
    private static readonly MnemonicSet Packed = new(
    [
        Mnemonic.Movaps, Mnemonic.Movups, Mnemonic.Movapd, Mnemonic.Movupd, Mnemonic.Movdqa, Mnemonic.Movdqu, Mnemonic.Lddqu,
        Mnemonic.Movss, Mnemonic.Movsd, Mnemonic.Movlps, Mnemonic.Movlpd, Mnemonic.Movhps, Mnemonic.Movhpd, Mnemonic.Movlhps,
        Mnemonic.Movhlps, Mnemonic.Movq, Mnemonic.Movd, Mnemonic.Movddup, Mnemonic.Movsldup, Mnemonic.Movshdup, Mnemonic.Movmskps,
        Mnemonic.Movmskpd, Mnemonic.Pmovmskb, Mnemonic.Pextrw, Mnemonic.Pinsrw, Mnemonic.Movntps, Mnemonic.Movntpd, Mnemonic.Movntdq,
        Mnemonic.Movntq, Mnemonic.Movdq2q, Mnemonic.Movq2dq,
        Mnemonic.Paddb, Mnemonic.Paddw, Mnemonic.Paddd, Mnemonic.Paddq, Mnemonic.Paddsb, Mnemonic.Paddsw, Mnemonic.Paddusb,
        Mnemonic.Paddusw, Mnemonic.Psubb, Mnemonic.Psubw, Mnemonic.Psubd, Mnemonic.Psubq, Mnemonic.Psubsb, Mnemonic.Psubsw,
        Mnemonic.Psubusb, Mnemonic.Psubusw, Mnemonic.Pavgb, Mnemonic.Pavgw, Mnemonic.Pminub, Mnemonic.Pminsw, Mnemonic.Pmaxub,
        Mnemonic.Pmaxsw, Mnemonic.Pcmpeqb, Mnemonic.Pcmpeqw, Mnemonic.Pcmpeqd, Mnemonic.Pcmpgtb, Mnemonic.Pcmpgtw, Mnemonic.Pcmpgtd,
        Mnemonic.Pmullw, Mnemonic.Pmulhw, Mnemonic.Pmulhuw, Mnemonic.Pmuludq, Mnemonic.Pmaddwd, Mnemonic.Psadbw,
        Mnemonic.Pand, Mnemonic.Pandn, Mnemonic.Por, Mnemonic.Pxor, Mnemonic.Andps, Mnemonic.Andpd, Mnemonic.Andnps, Mnemonic.Andnpd,
        Mnemonic.Orps, Mnemonic.Orpd, Mnemonic.Xorps, Mnemonic.Xorpd,
        Mnemonic.Psllw, Mnemonic.Pslld, Mnemonic.Psllq, Mnemonic.Psrlw, Mnemonic.Psrld, Mnemonic.Psrlq, Mnemonic.Psraw, Mnemonic.Psrad,
        Mnemonic.Pslldq, Mnemonic.Psrldq,
        Mnemonic.Packsswb, Mnemonic.Packssdw, Mnemonic.Packuswb, Mnemonic.Punpcklbw, Mnemonic.Punpcklwd, Mnemonic.Punpckldq,
        Mnemonic.Punpckhbw, Mnemonic.Punpckhwd, Mnemonic.Punpckhdq, Mnemonic.Punpcklqdq, Mnemonic.Punpckhqdq, Mnemonic.Unpcklps,
        Mnemonic.Unpckhps, Mnemonic.Unpcklpd, Mnemonic.Unpckhpd, Mnemonic.Pshufw, Mnemonic.Pshuflw, Mnemonic.Pshufhw, Mnemonic.Pshufd,
        Mnemonic.Shufps, Mnemonic.Shufpd,
    ]);

    /// <summary>The same, of SSSE3.</summary>
    private static readonly MnemonicSet PackedOfSsse3 = new(
    [
        Mnemonic.Pabsb, Mnemonic.Pabsw, Mnemonic.Pabsd, Mnemonic.Psignb, Mnemonic.Psignw, Mnemonic.Psignd, Mnemonic.Pshufb,
        Mnemonic.Palignr, Mnemonic.Pmulhrsw, Mnemonic.Pmaddubsw, Mnemonic.Phaddw, Mnemonic.Phaddd, Mnemonic.Phaddsw, Mnemonic.Phsubw,
        Mnemonic.Phsubd, Mnemonic.Phsubsw,
    ]);

    /// <summary>Floating point in XMM registers.</summary>
    private static readonly MnemonicSet Arithmetic = new(
    [
        Mnemonic.Addps, Mnemonic.Addpd, Mnemonic.Addss, Mnemonic.Addsd, Mnemonic.Subps, Mnemonic.Subpd, Mnemonic.Subss, Mnemonic.Subsd,
        Mnemonic.Mulps, Mnemonic.Mulpd, Mnemonic.Mulss, Mnemonic.Mulsd, Mnemonic.Divps, Mnemonic.Divpd, Mnemonic.Divss, Mnemonic.Divsd,
        Mnemonic.Minps, Mnemonic.Minpd, Mnemonic.Minss, Mnemonic.Minsd, Mnemonic.Maxps, Mnemonic.Maxpd, Mnemonic.Maxss, Mnemonic.Maxsd,
        Mnemonic.Sqrtps, Mnemonic.Sqrtpd, Mnemonic.Sqrtss, Mnemonic.Sqrtsd,
        Mnemonic.Addsubps, Mnemonic.Addsubpd, Mnemonic.Haddps, Mnemonic.Haddpd, Mnemonic.Hsubps, Mnemonic.Hsubpd,
        Mnemonic.Cmpps, Mnemonic.Cmppd, Mnemonic.Cmpss, Mnemonic.Cmpsd, Mnemonic.Comiss, Mnemonic.Comisd, Mnemonic.Ucomiss,
        Mnemonic.Ucomisd,
        Mnemonic.Cvtps2pd, Mnemonic.Cvtpd2ps, Mnemonic.Cvtss2sd, Mnemonic.Cvtsd2ss, Mnemonic.Cvtdq2ps, Mnemonic.Cvtdq2pd,
        Mnemonic.Cvtps2dq, Mnemonic.Cvttps2dq, Mnemonic.Cvtpd2dq, Mnemonic.Cvttpd2dq, Mnemonic.Cvtsi2ss, Mnemonic.Cvtsi2sd,
        Mnemonic.Cvtss2si, Mnemonic.Cvttss2si, Mnemonic.Cvtsd2si, Mnemonic.Cvttsd2si,
    ]);

    /// <summary>x87 instructions whose address the x87 remembers: all but those that only control it (SDM 1, 8.1.8).</summary>
    private static readonly MnemonicSet X87 = new(
    [
        Mnemonic.Fld, Mnemonic.Fild, Mnemonic.Fld1, Mnemonic.Fldl2t, Mnemonic.Fldl2e, Mnemonic.Fldpi, Mnemonic.Fldlg2, Mnemonic.Fldln2,
        Mnemonic.Fldz, Mnemonic.Fst, Mnemonic.Fstp, Mnemonic.Fist, Mnemonic.Fistp, Mnemonic.Fisttp, Mnemonic.Fxch,
        Mnemonic.Fcmovb, Mnemonic.Fcmovnb, Mnemonic.Fcmove, Mnemonic.Fcmovne, Mnemonic.Fcmovbe, Mnemonic.Fcmovnbe, Mnemonic.Fcmovu,
        Mnemonic.Fcmovnu,
        Mnemonic.Fadd, Mnemonic.Faddp, Mnemonic.Fiadd, Mnemonic.Fmul, Mnemonic.Fmulp, Mnemonic.Fimul, Mnemonic.Fsub, Mnemonic.Fsubp,
        Mnemonic.Fisub, Mnemonic.Fsubr, Mnemonic.Fsubrp, Mnemonic.Fisubr, Mnemonic.Fdiv, Mnemonic.Fdivp, Mnemonic.Fidiv,
        Mnemonic.Fdivr, Mnemonic.Fdivrp, Mnemonic.Fidivr,
        Mnemonic.Fcom, Mnemonic.Fcomp, Mnemonic.Fcompp, Mnemonic.Ficom, Mnemonic.Ficomp, Mnemonic.Fucom, Mnemonic.Fucomp,
        Mnemonic.Fucompp, Mnemonic.Fcomi, Mnemonic.Fcomip, Mnemonic.Fucomi, Mnemonic.Fucomip, Mnemonic.Ftst, Mnemonic.Fxam,
        Mnemonic.Fchs, Mnemonic.Fabs, Mnemonic.Fsqrt, Mnemonic.Frndint, Mnemonic.Fscale, Mnemonic.Fxtract,
        Mnemonic.Fnop, Mnemonic.Fincstp, Mnemonic.Fdecstp, Mnemonic.Ffree,
    ]);

    /// <summary>Instructions that only control the x87, and need nothing but to be copied.</summary>
    private static readonly MnemonicSet X87Control = new(
        [Mnemonic.Fnstcw, Mnemonic.Fnstsw, Mnemonic.Fnclex, Mnemonic.Emms]);

    /// <summary>How an instruction is translated: not at all if it isn't one of these, or the host doesn't have it.</summary>
    public static TranslatedForm Of(in Instruction instruction)
    {
        Mnemonic mnemonic = instruction.Mnemonic;

        // Some are string instructions by name.
        bool isVector = NamesVector(instruction)
            && (Packed.Contains(mnemonic) || Arithmetic.Contains(mnemonic) || PackedOfSsse3.Contains(mnemonic));
        TranslatedForm form = mnemonic switch
        {
            Mnemonic.Fldcw => TranslatedForm.LoadX87Control,
            Mnemonic.Fninit => TranslatedForm.ResetX87,
            Mnemonic.Ldmxcsr => TranslatedForm.LoadMxcsr,

            // Nothing can wait while all exceptions are masked.
            Mnemonic.Wait => TranslatedForm.Nothing,
            Mnemonic.Stmxcsr => TranslatedForm.AsIs,
            _ when isVector || X87Control.Contains(mnemonic) => TranslatedForm.AsIs,
            _ when FunctionOf(mnemonic) != X87Function.None => TranslatedForm.X87Function,
            _ when X87.Contains(mnemonic) && !IsAlias(instruction.Code) => TranslatedForm.X87,
            _ => TranslatedForm.None,
        };
        return form == TranslatedForm.None || !IsInBoth(instruction) ? TranslatedForm.None : form;
    }

    /// <summary>What has to be loaded for it.</summary>
    public static HostUnits UnitsOf(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Fldcw or Mnemonic.Fninit or Mnemonic.Wait:
            case var mnemonic when X87.Contains(mnemonic) || X87Control.Contains(mnemonic) || FunctionOf(mnemonic) != X87Function.None:
                return HostUnits.X87;
            case Mnemonic.Ldmxcsr or Mnemonic.Stmxcsr:
                return HostUnits.Mxcsr;
            default:
                break;
        }

        var units = HostUnits.None;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register)
            {
                Register register = instruction.GetOpRegister(i);
                units |= register.IsXMM() ? HostUnits.Xmm : register.IsMM() ? HostUnits.X87 : HostUnits.None;
            }
        }

        return (units & HostUnits.Xmm) != 0 && Arithmetic.Contains(instruction.Mnemonic) ? units | HostUnits.Mxcsr : units;
    }

    /// <summary>Whether its operand in memory must be aligned (SDM 1, 10.4.1.1).</summary>
    public static bool MustBeAligned(in Instruction instruction) =>
        instruction.MemorySize.GetSize() == AlignedSize
        && instruction.Mnemonic is not (Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu);

    /// <summary>Whether a register is one of theirs.</summary>
    public static bool IsRegister(Register register) => register.IsXMM() || register.IsMM() || register.IsST();

    /// <summary>Whether an instruction only reads its first operand, which is in memory.</summary>
    public static bool OnlyReadsMemory(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Fst or Mnemonic.Fstp or Mnemonic.Fist or Mnemonic.Fistp or Mnemonic.Fisttp => false,
        Mnemonic.Fldcw or Mnemonic.Ldmxcsr => true,
        _ => X87.Contains(mnemonic),
    };

    /// <summary>What an instruction has us compute.</summary>
    public static X87Function FunctionOf(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Fsin => X87Function.Sine,
        Mnemonic.Fcos => X87Function.Cosine,
        Mnemonic.F2xm1 => X87Function.TwoToXMinusOne,
        Mnemonic.Fyl2x => X87Function.YLog2X,
        Mnemonic.Fyl2xp1 => X87Function.YLog2XPlus1,
        Mnemonic.Fpatan => X87Function.InverseTangent,
        _ => X87Function.None,
    };

    /// <summary>Whether an instruction is one of the x87's, translated or not.</summary>
    public static bool IsX87(in Instruction instruction)
    {
        foreach (CpuidFeature feature in instruction.CpuidFeatures)
        {
            if (feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387)
            {
                return true;
            }
        }

        return false;
    }

    private static bool NamesVector(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            Register register = instruction.GetOpRegister(i);
            if (instruction.GetOpKind(i) == OpKind.Register && (register.IsXMM() || register.IsMM()))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Opcodes that no manual has any more, and that do what others do.</summary>
    private static bool IsAlias(Code code) => code
        is Code.Fcom_st0_sti_DCD0 or Code.Fcomp_st0_sti_DCD8 or Code.Fcomp_st0_sti_DED0
        or Code.Fxch_st0_sti_DDC8 or Code.Fxch_st0_sti_DFC8 or Code.Fstp_sti_DFD0 or Code.Fstp_sti_DFD8;

    /// <summary>
    /// Whether host and guest both have an instruction. A host of 64 bits has SSE2, and we ask it for what came next. Later ones, under names of old,
    /// our processor doesn't know.
    /// </summary>
    private static bool IsInBoth(in Instruction instruction)
    {
        foreach (CpuidFeature feature in instruction.CpuidFeatures)
        {
            bool isIn = feature switch
            {
                CpuidFeature.SSE3 => Sse3.IsSupported,
                CpuidFeature.SSSE3 => Ssse3.IsSupported,
                CpuidFeature.INTEL8086 or CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387 or CpuidFeature.CMOV
                    or CpuidFeature.MMX or CpuidFeature.SSE or CpuidFeature.SSE2 => true,
                _ => false,
            };
            if (!isIn)
            {
                return false;
            }
        }

        return true;
    }
}
