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
    /// <summary>It doesn't exist here.</summary>
    Undefined,

    /// <summary>The operation is filled in, and the block goes on.</summary>
    Continues,

    /// <summary>The operation is filled in, and nothing follows it in its block.</summary>
    EndsBlock,
}

/// <summary>Which family each instruction belongs to, by Iced's codes.</summary>
/// <remarks>
/// A family is named with its mnemonics. Where families share one, its codes decide. Handlers are made (and compiled) only for
/// what a guest really executes, as a family's lowering is a switch.
/// </remarks>
internal static unsafe class InstructionTable
{
    private static readonly Family[] Families =
    [
        new(&DataTransfer.Lower, [Mnemonic.Lea, Mnemonic.Mov, Mnemonic.Movnti, Mnemonic.Movsx, Mnemonic.Movzx]),
        new(&Arithmetic.Lower,
        [
            Mnemonic.Adc, Mnemonic.Add, Mnemonic.And, Mnemonic.Cmp, Mnemonic.Dec, Mnemonic.Inc, Mnemonic.Neg, Mnemonic.Not,
            Mnemonic.Or, Mnemonic.Sbb, Mnemonic.Sub, Mnemonic.Test, Mnemonic.Xor,
        ]),
        new(&StackTransfer.Lower, [Mnemonic.Pop, Mnemonic.Push]),
        new(&ControlTransfer.Lower,
        [
            Mnemonic.Call, Mnemonic.Jmp, Mnemonic.Ret, Mnemonic.Ja, Mnemonic.Jae, Mnemonic.Jb, Mnemonic.Jbe, Mnemonic.Je,
            Mnemonic.Jg, Mnemonic.Jge, Mnemonic.Jl, Mnemonic.Jle, Mnemonic.Jne, Mnemonic.Jno, Mnemonic.Jnp, Mnemonic.Jns,
            Mnemonic.Jo, Mnemonic.Jp, Mnemonic.Js, Mnemonic.Jcxz, Mnemonic.Jecxz, Mnemonic.Loop, Mnemonic.Loope,
            Mnemonic.Loopne,
        ]),
        new(&Shifts.Lower, [Mnemonic.Sal, Mnemonic.Sar, Mnemonic.Shl, Mnemonic.Shr]),
        new(&Rotates.Lower, [Mnemonic.Rcl, Mnemonic.Rcr, Mnemonic.Rol, Mnemonic.Ror]),
        new(&DoubleShifts.Lower, [Mnemonic.Shld, Mnemonic.Shrd]),
        new(&ConditionalMoves.Lower,
        [
            Mnemonic.Cmova, Mnemonic.Cmovae, Mnemonic.Cmovb, Mnemonic.Cmovbe, Mnemonic.Cmove, Mnemonic.Cmovg,
            Mnemonic.Cmovge, Mnemonic.Cmovl, Mnemonic.Cmovle, Mnemonic.Cmovne, Mnemonic.Cmovno, Mnemonic.Cmovnp,
            Mnemonic.Cmovns, Mnemonic.Cmovo, Mnemonic.Cmovp, Mnemonic.Cmovs, Mnemonic.Seta, Mnemonic.Setae, Mnemonic.Setb,
            Mnemonic.Setbe, Mnemonic.Sete, Mnemonic.Setg, Mnemonic.Setge, Mnemonic.Setl, Mnemonic.Setle, Mnemonic.Setne,
            Mnemonic.Setno, Mnemonic.Setnp, Mnemonic.Setns, Mnemonic.Seto, Mnemonic.Setp, Mnemonic.Sets,
        ]),
        new(&Strings.Lower,
        [
            Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Lodsb, Mnemonic.Lodsd, Mnemonic.Lodsw, Mnemonic.Movsb, Mnemonic.Movsw,
            Mnemonic.Scasb, Mnemonic.Scasd, Mnemonic.Scasw, Mnemonic.Stosb, Mnemonic.Stosd, Mnemonic.Stosw,
        ]),
        new(&BitManipulation.Lower,
        [
            Mnemonic.Bsf, Mnemonic.Bsr, Mnemonic.Bswap, Mnemonic.Bt, Mnemonic.Btc, Mnemonic.Btr, Mnemonic.Bts,
            Mnemonic.Lzcnt, Mnemonic.Tzcnt,
        ]),
        new(&MultiplyDivide.Lower, [Mnemonic.Div, Mnemonic.Idiv, Mnemonic.Imul, Mnemonic.Mul]),
        new(&Exchange.Lower, [Mnemonic.Cmpxchg, Mnemonic.Cmpxchg8b, Mnemonic.Xadd, Mnemonic.Xchg]),
        new(&Conversions.Lower,
        [
            Mnemonic.Cbw, Mnemonic.Cdq, Mnemonic.Clc, Mnemonic.Cld, Mnemonic.Cmc, Mnemonic.Cwd, Mnemonic.Cwde,
            Mnemonic.Lahf, Mnemonic.Sahf, Mnemonic.Salc, Mnemonic.Stc, Mnemonic.Std, Mnemonic.Xlatb,
        ]),
        new(&NoOperations.Lower,
        [
            Mnemonic.Cldemote, Mnemonic.Clflush, Mnemonic.Endbr32, Mnemonic.Endbr64, Mnemonic.Lfence, Mnemonic.Mfence,
            Mnemonic.Nop, Mnemonic.Pause, Mnemonic.Prefetch, Mnemonic.Prefetchit0, Mnemonic.Prefetchit1,
            Mnemonic.Prefetchnta, Mnemonic.Prefetcht0, Mnemonic.Prefetcht1, Mnemonic.Prefetcht2, Mnemonic.Prefetchw,
            Mnemonic.Prefetchwt1, Mnemonic.Rdsspd, Mnemonic.Reservednop, Mnemonic.Sfence,
        ]),
        new(&Bcd.Lower, [Mnemonic.Aaa, Mnemonic.Aad, Mnemonic.Aam, Mnemonic.Aas, Mnemonic.Daa, Mnemonic.Das]),
        new(&EflagsTransfer.Lower,
        [
            Mnemonic.Cli, Mnemonic.Popf, Mnemonic.Popfd, Mnemonic.Pushf, Mnemonic.Pushfd, Mnemonic.Sti,
        ]),
        new(&ProcedureFrames.Lower,
        [
            Mnemonic.Enter, Mnemonic.Leave, Mnemonic.Popa, Mnemonic.Popad, Mnemonic.Pusha, Mnemonic.Pushad,
        ]),
        new(&Bounds.Lower, [Mnemonic.Bound]),
        new(&SoftwareInterrupts.Lower, [Mnemonic.Int, Mnemonic.Int1, Mnemonic.Int3, Mnemonic.Into]),
        new(&InterruptReturn.Lower, [Mnemonic.Iret, Mnemonic.Iretd]),
        new(&FarTransfers.Lower, [Mnemonic.Retf]),
        new(&Segmentation.Lower, [Mnemonic.Lds, Mnemonic.Les, Mnemonic.Lfs, Mnemonic.Lgs, Mnemonic.Lss]),
        new(&SelectorAdjustment.Lower, [Mnemonic.Arpl]),
        new(&SelectorQueries.Lower, [Mnemonic.Lar, Mnemonic.Lsl, Mnemonic.Verr, Mnemonic.Verw]),
        new(&DescriptorTableRegisters.Lower,
        [
            Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Lldt, Mnemonic.Ltr, Mnemonic.Sgdt, Mnemonic.Sidt, Mnemonic.Sldt,
            Mnemonic.Str,
        ]),
        new(&ControlRegisterTransfer.Lower, [Mnemonic.Clts, Mnemonic.Lmsw, Mnemonic.Smsw]),
        new(&ModelSpecific.Lower, [Mnemonic.Rdmsr, Mnemonic.Rdpmc, Mnemonic.Rdtsc, Mnemonic.Wrmsr]),
        new(&SystemInstructions.Lower,
        [
            Mnemonic.Cpuid, Mnemonic.Hlt, Mnemonic.Invd, Mnemonic.Invlpg, Mnemonic.Wbinvd, Mnemonic.Wbnoinvd,
        ]),
        new(&FastSystemCalls.Lower, [Mnemonic.Sysenter, Mnemonic.Sysexit]),
        new(&Ports.Lower,
        [
            Mnemonic.In, Mnemonic.Insb, Mnemonic.Insd, Mnemonic.Insw, Mnemonic.Out, Mnemonic.Outsb, Mnemonic.Outsd,
            Mnemonic.Outsw,
        ]),
        new(&X87Load.Lower,
        [
            Mnemonic.Fbld, Mnemonic.Fild, Mnemonic.Fld, Mnemonic.Fld1, Mnemonic.Fldl2e, Mnemonic.Fldl2t, Mnemonic.Fldlg2,
            Mnemonic.Fldln2, Mnemonic.Fldpi, Mnemonic.Fldz,
        ]),
        new(&X87Store.Lower, [Mnemonic.Fbstp, Mnemonic.Fist, Mnemonic.Fistp, Mnemonic.Fisttp]),
        new(&X87Arithmetic.Lower,
        [
            Mnemonic.Fadd, Mnemonic.Faddp, Mnemonic.Fdiv, Mnemonic.Fdivp, Mnemonic.Fdivr, Mnemonic.Fdivrp, Mnemonic.Fiadd,
            Mnemonic.Fidiv, Mnemonic.Fidivr, Mnemonic.Fimul, Mnemonic.Fisub, Mnemonic.Fisubr, Mnemonic.Fmul,
            Mnemonic.Fmulp, Mnemonic.Fsub, Mnemonic.Fsubp, Mnemonic.Fsubr, Mnemonic.Fsubrp,
        ]),
        new(&X87Comparison.Lower,
        [
            Mnemonic.Fcom, Mnemonic.Fcomi, Mnemonic.Fcomip, Mnemonic.Fcomp, Mnemonic.Fcompp, Mnemonic.Ficom,
            Mnemonic.Ficomp, Mnemonic.Ftst, Mnemonic.Fucom, Mnemonic.Fucomi, Mnemonic.Fucomip, Mnemonic.Fucomp,
            Mnemonic.Fucompp, Mnemonic.Fxam,
        ]),
        new(&X87Registers.Lower,
        [
            Mnemonic.Fcmovb, Mnemonic.Fcmovbe, Mnemonic.Fcmove, Mnemonic.Fcmovnb, Mnemonic.Fcmovnbe, Mnemonic.Fcmovne,
            Mnemonic.Fcmovnu, Mnemonic.Fcmovu, Mnemonic.Fst, Mnemonic.Fstp, Mnemonic.Fstpnce, Mnemonic.Fxch,
        ]),
        new(&X87Functions.Lower,
        [
            Mnemonic.F2xm1, Mnemonic.Fabs, Mnemonic.Fchs, Mnemonic.Fcos, Mnemonic.Fpatan, Mnemonic.Fprem, Mnemonic.Fprem1,
            Mnemonic.Fptan, Mnemonic.Frndint, Mnemonic.Fscale, Mnemonic.Fsin, Mnemonic.Fsincos, Mnemonic.Fsqrt,
            Mnemonic.Fxtract, Mnemonic.Fyl2x, Mnemonic.Fyl2xp1,
        ]),
        new(&X87Control.Lower,
        [
            Mnemonic.Fdecstp, Mnemonic.Ffree, Mnemonic.Ffreep, Mnemonic.Fincstp, Mnemonic.Fldcw, Mnemonic.Fnclex,
            Mnemonic.Fndisi, Mnemonic.Fneni, Mnemonic.Fninit, Mnemonic.Fnop, Mnemonic.Fnsetpm, Mnemonic.Fnstcw,
            Mnemonic.Fnstsw, Mnemonic.Wait,
        ]),
        new(&X87Environment.Lower, [Mnemonic.Fldenv, Mnemonic.Fnsave, Mnemonic.Fnstenv, Mnemonic.Frstor]),
        new(&SimdTransfer.Lower,
        [
            Mnemonic.Lddqu, Mnemonic.Movapd, Mnemonic.Movaps, Mnemonic.Movd, Mnemonic.Movddup, Mnemonic.Movdq2q,
            Mnemonic.Movdqa, Mnemonic.Movdqu, Mnemonic.Movhlps, Mnemonic.Movhpd, Mnemonic.Movhps, Mnemonic.Movlhps,
            Mnemonic.Movlpd, Mnemonic.Movlps, Mnemonic.Movmskpd, Mnemonic.Movmskps, Mnemonic.Movntdq, Mnemonic.Movntpd,
            Mnemonic.Movntps, Mnemonic.Movntq, Mnemonic.Movq, Mnemonic.Movq2dq, Mnemonic.Movsd, Mnemonic.Movshdup,
            Mnemonic.Movsldup, Mnemonic.Movss, Mnemonic.Movupd, Mnemonic.Movups, Mnemonic.Pextrw, Mnemonic.Pinsrw,
            Mnemonic.Pmovmskb,
        ]),
        new(&SimdArithmetic.Lower,
        [
            Mnemonic.Andnpd, Mnemonic.Andnps, Mnemonic.Andpd, Mnemonic.Andps, Mnemonic.Orpd, Mnemonic.Orps, Mnemonic.Pabsb,
            Mnemonic.Pabsd, Mnemonic.Pabsw, Mnemonic.Paddb, Mnemonic.Paddd, Mnemonic.Paddq, Mnemonic.Paddsb,
            Mnemonic.Paddsw, Mnemonic.Paddusb, Mnemonic.Paddusw, Mnemonic.Paddw, Mnemonic.Pand, Mnemonic.Pandn,
            Mnemonic.Pavgb, Mnemonic.Pavgw, Mnemonic.Pcmpeqb, Mnemonic.Pcmpeqd, Mnemonic.Pcmpeqw, Mnemonic.Pcmpgtb,
            Mnemonic.Pcmpgtd, Mnemonic.Pcmpgtw, Mnemonic.Pmaxsw, Mnemonic.Pmaxub, Mnemonic.Pminsw, Mnemonic.Pminub,
            Mnemonic.Por, Mnemonic.Psignb, Mnemonic.Psignd, Mnemonic.Psignw, Mnemonic.Psubb, Mnemonic.Psubd,
            Mnemonic.Psubq, Mnemonic.Psubsb, Mnemonic.Psubsw, Mnemonic.Psubusb, Mnemonic.Psubusw, Mnemonic.Psubw,
            Mnemonic.Pxor, Mnemonic.Xorpd, Mnemonic.Xorps,
        ]),
        new(&SimdShuffle.Lower,
        [
            Mnemonic.Packssdw, Mnemonic.Packsswb, Mnemonic.Packuswb, Mnemonic.Palignr, Mnemonic.Pshufb, Mnemonic.Pshufd,
            Mnemonic.Pshufhw, Mnemonic.Pshuflw, Mnemonic.Pshufw, Mnemonic.Punpckhbw, Mnemonic.Punpckhdq,
            Mnemonic.Punpckhqdq, Mnemonic.Punpckhwd, Mnemonic.Punpcklbw, Mnemonic.Punpckldq, Mnemonic.Punpcklqdq,
            Mnemonic.Punpcklwd, Mnemonic.Shufpd, Mnemonic.Shufps, Mnemonic.Unpckhpd, Mnemonic.Unpckhps, Mnemonic.Unpcklpd,
            Mnemonic.Unpcklps,
        ]),
        new(&SimdShift.Lower,
        [
            Mnemonic.Pslld, Mnemonic.Pslldq, Mnemonic.Psllq, Mnemonic.Psllw, Mnemonic.Psrad, Mnemonic.Psraw,
            Mnemonic.Psrld, Mnemonic.Psrldq, Mnemonic.Psrlq, Mnemonic.Psrlw,
        ]),
        new(&SimdMultiplication.Lower,
        [
            Mnemonic.Phaddd, Mnemonic.Phaddsw, Mnemonic.Phaddw, Mnemonic.Phsubd, Mnemonic.Phsubsw, Mnemonic.Phsubw,
            Mnemonic.Pmaddubsw, Mnemonic.Pmaddwd, Mnemonic.Pmulhrsw, Mnemonic.Pmulhuw, Mnemonic.Pmulhw, Mnemonic.Pmullw,
            Mnemonic.Pmuludq, Mnemonic.Psadbw,
        ]),
        new(&SseArithmetic.Lower,
        [
            Mnemonic.Addpd, Mnemonic.Addps, Mnemonic.Addsd, Mnemonic.Addss, Mnemonic.Addsubpd, Mnemonic.Addsubps,
            Mnemonic.Divpd, Mnemonic.Divps, Mnemonic.Divsd, Mnemonic.Divss, Mnemonic.Haddpd, Mnemonic.Haddps,
            Mnemonic.Hsubpd, Mnemonic.Hsubps, Mnemonic.Maxpd, Mnemonic.Maxps, Mnemonic.Maxsd, Mnemonic.Maxss,
            Mnemonic.Minpd, Mnemonic.Minps, Mnemonic.Minsd, Mnemonic.Minss, Mnemonic.Mulpd, Mnemonic.Mulps, Mnemonic.Mulsd,
            Mnemonic.Mulss, Mnemonic.Sqrtpd, Mnemonic.Sqrtps, Mnemonic.Sqrtsd, Mnemonic.Sqrtss, Mnemonic.Subpd,
            Mnemonic.Subps, Mnemonic.Subsd, Mnemonic.Subss,
        ]),
        new(&SseConversion.Lower,
        [
            Mnemonic.Cvtdq2pd, Mnemonic.Cvtdq2ps, Mnemonic.Cvtpd2dq, Mnemonic.Cvtpd2pi, Mnemonic.Cvtpd2ps,
            Mnemonic.Cvtpi2pd, Mnemonic.Cvtpi2ps, Mnemonic.Cvtps2dq, Mnemonic.Cvtps2pd, Mnemonic.Cvtps2pi,
            Mnemonic.Cvtsd2si, Mnemonic.Cvtsd2ss, Mnemonic.Cvtsi2sd, Mnemonic.Cvtsi2ss, Mnemonic.Cvtss2sd,
            Mnemonic.Cvtss2si, Mnemonic.Cvttpd2dq, Mnemonic.Cvttpd2pi, Mnemonic.Cvttps2dq, Mnemonic.Cvttps2pi,
            Mnemonic.Cvttsd2si, Mnemonic.Cvttss2si,
        ]),
        new(&SseComparison.Lower,
        [
            Mnemonic.Cmppd, Mnemonic.Cmpps, Mnemonic.Cmpsd, Mnemonic.Cmpss, Mnemonic.Comisd, Mnemonic.Comiss,
            Mnemonic.Ucomisd, Mnemonic.Ucomiss,
        ]),
        new(&SseApproximation.Lower, [Mnemonic.Rcpps, Mnemonic.Rcpss, Mnemonic.Rsqrtps, Mnemonic.Rsqrtss]),
        new(&SseControl.Lower, [Mnemonic.Ldmxcsr, Mnemonic.Stmxcsr]),
        new(&SimdSave.Lower, [Mnemonic.Fxrstor, Mnemonic.Fxsave]),
        new(&SimdMaskedMove.Lower, [Mnemonic.Maskmovdqu, Mnemonic.Maskmovq]),
        new(&MmxControl.Lower, [Mnemonic.Emms]),
    ];

    /// <summary>The codes that go to another family than their mnemonic's.</summary>
    private static readonly Family[] Exceptions =
    [
        new(&Segmentation.Lower,
        [
            Code.Mov_rm16_Sreg, Code.Mov_r32m16_Sreg, Code.Mov_Sreg_rm16, Code.Mov_Sreg_r32m16, Code.Pushw_ES,
            Code.Pushd_ES, Code.Pushw_CS, Code.Pushd_CS, Code.Pushw_SS, Code.Pushd_SS, Code.Pushw_DS, Code.Pushd_DS,
            Code.Pushw_FS, Code.Pushd_FS, Code.Pushw_GS, Code.Pushd_GS, Code.Popw_ES, Code.Popd_ES, Code.Popw_SS,
            Code.Popd_SS, Code.Popw_DS, Code.Popd_DS, Code.Popw_FS, Code.Popd_FS, Code.Popw_GS, Code.Popd_GS,
        ]),
        new(&ControlRegisterTransfer.Lower, [Code.Mov_r32_cr, Code.Mov_cr_r32]),
        new(&DebugRegisterTransfer.Lower, [Code.Mov_r32_dr, Code.Mov_dr_r32]),
        new(&Strings.Lower, [Code.Cmpsd_m32_m32, Code.Movsd_m32_m32]),
        new(&X87Store.Lower, [Code.Fst_m32fp, Code.Fst_m64fp, Code.Fstp_m32fp, Code.Fstp_m64fp, Code.Fstp_m80fp]),
        new(&FarTransfers.Lower,
        [
            Code.Call_m1616, Code.Call_m1632, Code.Call_ptr1616, Code.Call_ptr1632, Code.Jmp_m1616, Code.Jmp_m1632,
            Code.Jmp_ptr1616, Code.Jmp_ptr1632,
        ]),
    ];

    private static readonly byte[] ByMnemonic = IndexMnemonics();

    private static readonly byte[] ByCode = IndexCodes();

    /// <summary>Fills in the operation; true when nothing can follow it in its block.</summary>
    public static bool Lower(in Instruction instruction, in LoweringContext context, Operation* op)
    {
        delegate*<in Instruction, in LoweringContext, Operation*, Lowered> family = Find(instruction.Code);
        Lowered lowered = family == null ? Lowered.Undefined : family(instruction, context, op);
        if (lowered == Lowered.Undefined)
        {
            op->Handler = &Undefined.InvalidOpcode;
        }

        return lowered != Lowered.Continues;
    }

    private static delegate*<in Instruction, in LoweringContext, Operation*, Lowered> Find(Code code)
    {
        int exception = Number(ByCode, (int)code);
        if (exception != 0)
        {
            return Exceptions[exception - 1].Lower;
        }

        int family = Number(ByMnemonic, (int)code.Mnemonic());
        return family != 0 ? Families[family - 1].Lower : null;
    }

    private static int Number(byte[] index, int key) => key < index.Length ? index[key] : 0;

    private static byte[] IndexMnemonics()
    {
        byte[] index = [];
        for (int number = 0; number < Families.Length; number++)
        {
            foreach (Mnemonic mnemonic in Families[number].Mnemonics)
            {
                Enter(ref index, (int)mnemonic, number);
            }
        }

        return index;
    }

    private static byte[] IndexCodes()
    {
        byte[] index = [];
        for (int number = 0; number < Exceptions.Length; number++)
        {
            foreach (Code code in Exceptions[number].Codes)
            {
                Enter(ref index, (int)code, number);
            }
        }

        return index;
    }

    /// <summary>Notes a row's number, counted from 1, under a key.</summary>
    private static void Enter(ref byte[] index, int key, int number)
    {
        const int Step = 1024;
        if (key >= index.Length)
        {
            Array.Resize(ref index, ((key / Step) + 1) * Step);
        }

        index[key] = (byte)(number + 1);
    }

    private readonly struct Family(
        delegate*<in Instruction, in LoweringContext, Operation*, Lowered> lower, Mnemonic[] mnemonics, Code[] codes)
    {
        public Family(delegate*<in Instruction, in LoweringContext, Operation*, Lowered> lower, Mnemonic[] mnemonics)
            : this(lower, mnemonics, [])
        {
        }

        public Family(delegate*<in Instruction, in LoweringContext, Operation*, Lowered> lower, Code[] codes)
            : this(lower, [], codes)
        {
        }

        public readonly delegate*<in Instruction, in LoweringContext, Operation*, Lowered> Lower = lower;

        public Mnemonic[] Mnemonics { get; } = mnemonics;

        public Code[] Codes { get; } = codes;
    }
}
