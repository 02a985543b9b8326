using Iced.Intel;

namespace Lguest.Cpu.Tests.Engines;

/// <summary>What may be emitted for SSE, MMX and the x87.</summary>
internal static class EmittedForUnits
{
    /// <summary>All of it.</summary>
    public static HashSet<Mnemonic> All { get; } =
    [
        Mnemonic.Movaps, Mnemonic.Movups, Mnemonic.Movapd, Mnemonic.Movupd, Mnemonic.Movdqa, Mnemonic.Movdqu, Mnemonic.Lddqu,
        Mnemonic.Movss, Mnemonic.Movsd, Mnemonic.Movlps, Mnemonic.Movlpd, Mnemonic.Movhps, Mnemonic.Movhpd, Mnemonic.Movlhps,
        Mnemonic.Movhlps, Mnemonic.Movq, Mnemonic.Movd, Mnemonic.Movddup, Mnemonic.Movsldup, Mnemonic.Movshdup,
        Mnemonic.Movmskps, Mnemonic.Movmskpd, Mnemonic.Pmovmskb, Mnemonic.Pextrw, Mnemonic.Pinsrw, Mnemonic.Movdq2q,
        Mnemonic.Movq2dq, Mnemonic.Paddb, Mnemonic.Paddw, Mnemonic.Paddd, Mnemonic.Paddq, Mnemonic.Paddsb, Mnemonic.Paddsw,
        Mnemonic.Paddusb, Mnemonic.Paddusw, Mnemonic.Psubb, Mnemonic.Psubw, Mnemonic.Psubd, Mnemonic.Psubq, Mnemonic.Psubsb,
        Mnemonic.Psubsw, Mnemonic.Psubusb, Mnemonic.Psubusw, Mnemonic.Pavgb, Mnemonic.Pavgw, Mnemonic.Pminub, Mnemonic.Pminsw,
        Mnemonic.Pmaxub, Mnemonic.Pmaxsw, Mnemonic.Pcmpeqb, Mnemonic.Pcmpeqw, Mnemonic.Pcmpeqd, Mnemonic.Pcmpgtb,
        Mnemonic.Pcmpgtw, Mnemonic.Pcmpgtd, Mnemonic.Pmullw, Mnemonic.Pmulhw, Mnemonic.Pmulhuw, Mnemonic.Pmuludq,
        Mnemonic.Pmaddwd, Mnemonic.Psadbw, Mnemonic.Pand, Mnemonic.Pandn, Mnemonic.Por, Mnemonic.Pxor, Mnemonic.Andps,
        Mnemonic.Andpd, Mnemonic.Andnps, Mnemonic.Andnpd, Mnemonic.Orps, Mnemonic.Orpd, Mnemonic.Xorps, Mnemonic.Xorpd,
        Mnemonic.Psllw, Mnemonic.Pslld, Mnemonic.Psllq, Mnemonic.Psrlw, Mnemonic.Psrld, Mnemonic.Psrlq, Mnemonic.Psraw,
        Mnemonic.Psrad, Mnemonic.Pslldq, Mnemonic.Psrldq, Mnemonic.Packsswb, Mnemonic.Packssdw, Mnemonic.Packuswb,
        Mnemonic.Punpcklbw, Mnemonic.Punpcklwd, Mnemonic.Punpckldq, Mnemonic.Punpckhbw, Mnemonic.Punpckhwd, Mnemonic.Punpckhdq,
        Mnemonic.Punpcklqdq, Mnemonic.Punpckhqdq, Mnemonic.Unpcklps, Mnemonic.Unpckhps, Mnemonic.Unpcklpd, Mnemonic.Unpckhpd,
        Mnemonic.Pshufw, Mnemonic.Pshuflw, Mnemonic.Pshufhw, Mnemonic.Pshufd, Mnemonic.Shufps, Mnemonic.Shufpd, Mnemonic.Pabsb,
        Mnemonic.Pabsw, Mnemonic.Pabsd, Mnemonic.Psignb, Mnemonic.Psignw, Mnemonic.Psignd, Mnemonic.Pshufb, Mnemonic.Palignr,
        Mnemonic.Pmulhrsw, Mnemonic.Pmaddubsw, Mnemonic.Phaddw, Mnemonic.Phaddd, Mnemonic.Phaddsw, Mnemonic.Phsubw,
        Mnemonic.Phsubd, Mnemonic.Phsubsw, Mnemonic.Addps, Mnemonic.Addpd, Mnemonic.Addss, Mnemonic.Addsd, Mnemonic.Subps,
        Mnemonic.Subpd, Mnemonic.Subss, Mnemonic.Subsd, Mnemonic.Mulps, Mnemonic.Mulpd, Mnemonic.Mulss, Mnemonic.Mulsd,
        Mnemonic.Divps, Mnemonic.Divpd, Mnemonic.Divss, Mnemonic.Divsd, Mnemonic.Minps, Mnemonic.Minpd, Mnemonic.Minss,
        Mnemonic.Minsd, Mnemonic.Maxps, Mnemonic.Maxpd, Mnemonic.Maxss, Mnemonic.Maxsd, Mnemonic.Sqrtps, Mnemonic.Sqrtpd,
        Mnemonic.Sqrtss, Mnemonic.Sqrtsd, Mnemonic.Addsubps, Mnemonic.Addsubpd, Mnemonic.Haddps, Mnemonic.Haddpd,
        Mnemonic.Hsubps, Mnemonic.Hsubpd, Mnemonic.Cmpps, Mnemonic.Cmppd, Mnemonic.Cmpss, Mnemonic.Cmpsd, Mnemonic.Comiss,
        Mnemonic.Comisd, Mnemonic.Ucomiss, Mnemonic.Ucomisd, Mnemonic.Cvtps2pd, Mnemonic.Cvtpd2ps, Mnemonic.Cvtss2sd,
        Mnemonic.Cvtsd2ss, Mnemonic.Cvtdq2ps, Mnemonic.Cvtdq2pd, Mnemonic.Cvtps2dq, Mnemonic.Cvttps2dq, Mnemonic.Cvtpd2dq,
        Mnemonic.Cvttpd2dq, Mnemonic.Cvtsi2ss, Mnemonic.Cvtsi2sd, Mnemonic.Cvtss2si, Mnemonic.Cvttss2si, Mnemonic.Cvtsd2si,
        Mnemonic.Cvttsd2si,
        Mnemonic.Ldmxcsr, Mnemonic.Stmxcsr,
        Mnemonic.Fld, Mnemonic.Fild, Mnemonic.Fld1, Mnemonic.Fldl2t, Mnemonic.Fldl2e, Mnemonic.Fldpi, Mnemonic.Fldlg2,
        Mnemonic.Fldln2, Mnemonic.Fldz, Mnemonic.Fst, Mnemonic.Fstp, Mnemonic.Fist, Mnemonic.Fistp, Mnemonic.Fisttp,
        Mnemonic.Fxch, Mnemonic.Fcmovb, Mnemonic.Fcmovnb, Mnemonic.Fcmove, Mnemonic.Fcmovne, Mnemonic.Fcmovbe,
        Mnemonic.Fcmovnbe, Mnemonic.Fcmovu, Mnemonic.Fcmovnu, Mnemonic.Fadd, Mnemonic.Faddp, Mnemonic.Fiadd, Mnemonic.Fmul,
        Mnemonic.Fmulp, Mnemonic.Fimul, Mnemonic.Fsub, Mnemonic.Fsubp, Mnemonic.Fisub, Mnemonic.Fsubr, Mnemonic.Fsubrp,
        Mnemonic.Fisubr, Mnemonic.Fdiv, Mnemonic.Fdivp, Mnemonic.Fidiv, Mnemonic.Fdivr, Mnemonic.Fdivrp, Mnemonic.Fidivr,
        Mnemonic.Fcom, Mnemonic.Fcomp, Mnemonic.Fcompp, Mnemonic.Ficom, Mnemonic.Ficomp, Mnemonic.Fucom, Mnemonic.Fucomp,
        Mnemonic.Fucompp, Mnemonic.Fcomi, Mnemonic.Fcomip, Mnemonic.Fucomi, Mnemonic.Fucomip, Mnemonic.Ftst, Mnemonic.Fxam,
        Mnemonic.Fchs, Mnemonic.Fabs, Mnemonic.Fsqrt, Mnemonic.Frndint, Mnemonic.Fscale, Mnemonic.Fxtract, Mnemonic.Fnop,
        Mnemonic.Fincstp, Mnemonic.Fdecstp, Mnemonic.Ffree, Mnemonic.Fnstcw, Mnemonic.Fnstsw, Mnemonic.Fnclex, Mnemonic.Emms,
        Mnemonic.Fldcw, Mnemonic.Fninit,
    ];
}
