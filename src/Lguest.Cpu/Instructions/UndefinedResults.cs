using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Instructions;

/// <summary>What the manual leaves undefined about integer instructions, and the one value it has here.</summary>
/// <remarks>Tests mask by this table when they compare with a real processor; the documentation is made from it.</remarks>
internal static class UndefinedResults
{
    /// <summary>Every row.</summary>
    public static IReadOnlyList<UndefinedResult> All { get; } =
    [
        new(
            [Mnemonic.And, Mnemonic.Or, Mnemonic.Xor, Mnemonic.Test],
            UndefinedWhen.Always,
            Eflags.Af,
            "0"),
        new(
            [Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Shld, Mnemonic.Shrd],
            UndefinedWhen.CountIsNotZero,
            Eflags.Af,
            "0"),
        new(
            [
                Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Shld, Mnemonic.Shrd,
                Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr,
            ],
            UndefinedWhen.CountIsAboveOne,
            Eflags.Of,
            "as after the last of so many shifts by one"),
        new(
            [Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr],
            UndefinedWhen.CountReachesSize,
            Eflags.Cf,
            "the last bit that left the operand"),
        new(
            [Mnemonic.Shld, Mnemonic.Shrd],
            UndefinedWhen.CountExceedsSize,
            Eflags.Arithmetic,
            "the operand itself follows the 16 bits of the filler; flags as after the last of so many shifts by one",
            "the result"),
        new(
            [Mnemonic.Mul, Mnemonic.Imul],
            UndefinedWhen.Always,
            Eflags.Sf | Eflags.Zf | Eflags.Af | Eflags.Pf,
            "SF, ZF, PF of the product's low half; AF 0"),
        new(
            [Mnemonic.Div, Mnemonic.Idiv],
            UndefinedWhen.Always,
            Eflags.Arithmetic,
            "unchanged"),
        new(
            [Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc],
            UndefinedWhen.Always,
            Eflags.Of | Eflags.Sf | Eflags.Af | Eflags.Pf,
            "unchanged"),
        new(
            [Mnemonic.Bsf, Mnemonic.Bsr],
            UndefinedWhen.Always,
            Eflags.Cf | Eflags.Of | Eflags.Sf | Eflags.Af | Eflags.Pf,
            "SF and PF of the source; CF, OF, AF 0"),
        new(
            [Mnemonic.Bsf, Mnemonic.Bsr],
            UndefinedWhen.SourceIsZero,
            0,
            "unchanged",
            "the destination"),
        new(
            [Mnemonic.Bswap],
            UndefinedWhen.OperandIs16Bits,
            0,
            "0",
            "the register's low 16 bits"),
        new(
            [Mnemonic.Aaa, Mnemonic.Aas],
            UndefinedWhen.Always,
            Eflags.Of | Eflags.Sf | Eflags.Zf | Eflags.Pf,
            "SF, ZF, PF of AL; OF 0"),
        new(
            [Mnemonic.Aam, Mnemonic.Aad],
            UndefinedWhen.Always,
            Eflags.Of | Eflags.Af | Eflags.Cf,
            "0"),
        new(
            [Mnemonic.Daa, Mnemonic.Das],
            UndefinedWhen.Always,
            Eflags.Of,
            "0"),
    ];
}

/// <summary>When a result is undefined.</summary>
internal enum UndefinedWhen
{
    /// <summary>Whatever the operands.</summary>
    Always,

    /// <summary>The count, cut to five bits, isn't 0.</summary>
    CountIsNotZero,

    /// <summary>The count, cut to five bits, is 2 or more.</summary>
    CountIsAboveOne,

    /// <summary>The count is the operand's size in bits, or more.</summary>
    CountReachesSize,

    /// <summary>The count is more than the operand's size in bits.</summary>
    CountExceedsSize,

    /// <summary>The source is 0.</summary>
    SourceIsZero,

    /// <summary>The operand has 16 bits.</summary>
    OperandIs16Bits,
}

/// <summary>Something that the manual leaves undefined.</summary>
/// <param name="Instructions">Of which instructions.</param>
/// <param name="When">Under which condition.</param>
/// <param name="Flags">The flags concerned.</param>
/// <param name="Value">What they are here.</param>
/// <param name="Other">What else is concerned, if anything.</param>
internal sealed record UndefinedResult(
    IReadOnlyList<Mnemonic> Instructions,
    UndefinedWhen When,
    uint Flags,
    string Value,
    string? Other = null);
