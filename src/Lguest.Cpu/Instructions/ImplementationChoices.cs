using Iced.Intel;

namespace Lguest.Cpu.Instructions;

/// <summary>
/// What the manual leaves to the implementation about everything but integer arithmetic, and what was chosen here.
/// </summary>
/// <remarks>The documentation is made from it, after <see cref="UndefinedResults"/>.</remarks>
internal static class ImplementationChoices
{
    private const string Always = "always";

    /// <summary>Every choice.</summary>
    public static IReadOnlyList<ImplementationChoice> All { get; } =
    [
        new(
            [
                Mnemonic.Fld, Mnemonic.Fld1, Mnemonic.Fldl2e, Mnemonic.Fldl2t, Mnemonic.Fldlg2, Mnemonic.Fldln2, Mnemonic.Fldpi,
                Mnemonic.Fldz, Mnemonic.Fild, Mnemonic.Fbld, Mnemonic.Fst, Mnemonic.Fstp, Mnemonic.Fstpnce, Mnemonic.Fist,
                Mnemonic.Fistp, Mnemonic.Fisttp, Mnemonic.Fbstp, Mnemonic.Fxch, Mnemonic.Fcmovb, Mnemonic.Fcmovbe,
                Mnemonic.Fcmove, Mnemonic.Fcmovnb, Mnemonic.Fcmovnbe, Mnemonic.Fcmovne, Mnemonic.Fcmovnu, Mnemonic.Fcmovu,
                Mnemonic.Fadd, Mnemonic.Faddp, Mnemonic.Fiadd, Mnemonic.Fsub, Mnemonic.Fsubp, Mnemonic.Fisub, Mnemonic.Fsubr,
                Mnemonic.Fsubrp, Mnemonic.Fisubr, Mnemonic.Fmul, Mnemonic.Fmulp, Mnemonic.Fimul, Mnemonic.Fdiv, Mnemonic.Fdivp,
                Mnemonic.Fidiv, Mnemonic.Fdivr, Mnemonic.Fdivrp, Mnemonic.Fidivr, Mnemonic.Fsqrt, Mnemonic.Fabs, Mnemonic.Fchs,
                Mnemonic.Frndint, Mnemonic.Fscale, Mnemonic.Fxtract, Mnemonic.F2xm1, Mnemonic.Fyl2x, Mnemonic.Fyl2xp1,
                Mnemonic.Fpatan, Mnemonic.Fincstp, Mnemonic.Fdecstp, Mnemonic.Ffree, Mnemonic.Ffreep,
            ],
            Always,
            "C0, C2, C3",
            "unchanged"),
        new(
            [Mnemonic.Fsin, Mnemonic.Fcos, Mnemonic.Fsincos, Mnemonic.Fptan],
            Always,
            "C0, C3",
            "unchanged"),
        new(
            [
                Mnemonic.Fnop, Mnemonic.Wait, Mnemonic.Fldcw, Mnemonic.Fnstcw, Mnemonic.Fnstsw, Mnemonic.Fnstenv, Mnemonic.Fnclex,
            ],
            Always,
            "C0, C1, C2, C3",
            "unchanged"),
        new(
            [
                Mnemonic.Fsin, Mnemonic.Fcos, Mnemonic.Fsincos, Mnemonic.Fptan, Mnemonic.Fpatan, Mnemonic.F2xm1, Mnemonic.Fyl2x,
                Mnemonic.Fyl2xp1,
            ],
            Always,
            "the last bit",
            "the exact result, computed to 100 bits and more, rounded once; with pi as it is, not cut to 66 bits"),
        new(
            [Mnemonic.F2xm1],
            "the operand is below -1 or above 1",
            "the result",
            "the operand"),
        new(
            [Mnemonic.Fyl2xp1],
            "the operand is beyond 1 - sqrt(1/2) either way",
            "the result",
            "y * log2(x + 1) still; invalid below -1"),
        new(
            [Mnemonic.Fprem, Mnemonic.Fprem1],
            "the exponents differ by 64 or more",
            "by how much the exponent is reduced",
            "32 and the difference modulo 32"),
        new(
            [Mnemonic.Fbld],
            "a digit is above 9",
            "the value",
            "the digit counts as 10 to 15"),
        new(
            [Mnemonic.Fnstenv, Mnemonic.Fnsave, Mnemonic.Fxsave],
            Always,
            "FCS, FDP, FDS, FOP",
            "FCS and FDS 0; FDP and FOP those of the last instruction that met an unmasked exception, else 0"),
        new(
            [Mnemonic.Rcpps, Mnemonic.Rcpss, Mnemonic.Rsqrtps, Mnemonic.Rsqrtss],
            Always,
            "the approximation",
            "the exact result rounded to nearest, at 12 bits after its leading one"),
        new(
            [Mnemonic.Maskmovq, Mnemonic.Maskmovdqu],
            "the mask names no byte of a page",
            "whether that page can fault",
            "it can"),
        new(
            [Mnemonic.Push],
            "a segment register is pushed as 32 bits",
            "the upper 16 bits on the stack",
            "unchanged: only a word is written"),
        new(
            [Mnemonic.Enter, Mnemonic.Pusha, Mnemonic.Pushad, Mnemonic.Call],
            "it faults",
            "what lies below the top of the stack",
            "as before"),
        new(
            [Mnemonic.Mov, Mnemonic.Sldt, Mnemonic.Str],
            "a segment selector goes to a register of 32 bits",
            "its upper 16 bits",
            "0"),
        new(
            [Mnemonic.Lar],
            "the destination is a register of 32 bits",
            "its bits 16 to 19",
            "those of the limit in the descriptor"),
        new(
            [Mnemonic.Smsw],
            "the destination is a register of 32 bits",
            "its upper 16 bits",
            "those of CR0"),
        new(
            [Mnemonic.Invd, Mnemonic.Wbinvd, Mnemonic.Wbnoinvd, Mnemonic.Clflush],
            Always,
            "what becomes of caches",
            "nothing: memory is always as the caches would have it"),
        new(
            [Mnemonic.Rdtsc],
            "the machine has no clock of its own",
            "how fast it counts",
            "one for each instruction retired"),
        new(
            [],
            "an operand reaches beyond the end of 4 GiB, in a segment as large as that",
            "whether it is a fault",
            "it isn't: the operand goes on at address 0"),
    ];
}

/// <summary>Something that the manual leaves to the implementation.</summary>
/// <param name="Instructions">Of which instructions; none for all.</param>
/// <param name="When">Under which condition.</param>
/// <param name="What">What is concerned.</param>
/// <param name="Value">What it is here.</param>
internal sealed record ImplementationChoice(IReadOnlyList<Mnemonic> Instructions, string When, string What, string Value);
