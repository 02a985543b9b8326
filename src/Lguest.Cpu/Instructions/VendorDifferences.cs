using Iced.Intel;

namespace Lguest.Cpu.Instructions;

/// <summary>
/// Where processors of AMD and Intel were seen to differ, and what was chosen here: as a rule Intel's way, as CPUID says
/// GenuineIntel.
/// </summary>
/// <remarks>The documentation is made from it. What was seen is with the tests, for each maker with family and model.</remarks>
internal static class VendorDifferences
{
    private const string NotSeen = "nobody has recorded it";

    /// <summary>Every difference.</summary>
    public static IReadOnlyList<VendorDifference> All { get; } =
    [
        new(
            "LOOPcc",
            [Mnemonic.Loope, Mnemonic.Loopne],
            "REP or REPNE stands before it",
            "the condition",
            "that of the prefix: ZF set with REP, clear with REPNE",
            NotSeen,
            "the instruction's own"),
        new(
            "far return",
            [Mnemonic.Retf, Mnemonic.Iret, Mnemonic.Iretd],
            "the selector for CS has another RPL than CPL, and is refused",
            "what is read before",
            "all of the frame, with the stack pointer of an outer level",
            NotSeen,
            "no more than the selector"),
        new(
            "frame order",
            [Mnemonic.Retf, Mnemonic.Iret, Mnemonic.Iretd],
            "two pages of the frame are missing, or one that more than one part is in",
            "which address the page fault names",
            "that of the last part",
            NotSeen,
            "that of the first part"),
        new(
            "segment push",
            [Mnemonic.Push],
            "a segment register is pushed as 32 bits",
            "what happens to the upper 16 bits on the stack",
            "they become 0",
            "they stay, and nothing checks their alignment, limit or page",
            "Intel's"),
        new(
            "near call",
            [Mnemonic.Call],
            "it leads beyond CS's limit, and the return address can't be pushed either",
            "which fault it is",
            "that of the stack",
            NotSeen,
            "#GP"),
        new(
            "pops",
            [Mnemonic.Popa, Mnemonic.Popad],
            "a word after the first faults",
            "the registers that come before it",
            "they are loaded",
            NotSeen,
            "they stay"),
        new(
            "repeated comparison",
            [Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsd, Mnemonic.Scasb, Mnemonic.Scasw, Mnemonic.Scasd],
            "REPE or REPNE stands before it, and an element after the first faults",
            "CF, PF, AF, ZF, SF, OF",
            "those of the last element compared",
            "those before the instruction",
            "Intel's"),
    ];
}

/// <summary>Something in which processors differ by their makers.</summary>
/// <param name="Name">A name for it, in the files of what was recorded.</param>
/// <param name="Instructions">Of which instructions; none if it isn't about some.</param>
/// <param name="When">Under which condition.</param>
/// <param name="What">What differs.</param>
/// <param name="Amd">What AMD's processors do.</param>
/// <param name="Intel">What Intel's do.</param>
/// <param name="Here">What ours does.</param>
internal sealed record VendorDifference(
    string Name, IReadOnlyList<Mnemonic> Instructions, string When, string What, string Amd, string Intel, string Here);
