using Iced.Intel;

namespace Lguest.Cpu.Instructions;

/// <summary>
/// Where processors of AMD and Intel were seen to differ, and what was chosen here: Intel's way wherever that is sane, as CPUID
/// says GenuineIntel.
/// </summary>
/// <remarks>
/// The documentation is made from it. What was seen, on which processor, is with the tests (Vendors/Recorded).
/// </remarks>
internal static class VendorDifferences
{
    /// <summary>What stands for a vendor of whose processors nobody has recorded a row.</summary>
    public const string NotRecorded = "nobody has recorded it";

    /// <summary>Every difference.</summary>
    public static IReadOnlyList<VendorDifference> All { get; } =
    [
        new("unaligned move", VendorChoice.Intel)
        {
            Instructions = [Mnemonic.Movups, Mnemonic.Movupd, Mnemonic.Movdqu, Mnemonic.Lddqu],
            When = "alignment is checked, and the address isn't a multiple of 16",
            What = "whether that is #AC",
            Amd = "it is",
            Intel = "it isn't",
        },
        new("undefined opcode", VendorChoice.Intel)
        {
            When = "the opcode is 0F 3F, 0F 7B or 0F A6, which mean nothing",
            What = "what is fetched before #UD, and may be a byte too many or on a missing page",
            Amd = "nothing more",
            Intel = "a ModRM and its address; for 0F 3F a third byte of opcode, a ModRM and its address, and one byte",
        },
        new("other undefined opcode", VendorChoice.Amd)
        {
            When = "the opcode is 0F 39, 0F 3B to 0F 3E, 0F 7A or 0F A7, which mean nothing",
            What = "what is fetched before #UD",
            Amd = "nothing more",
            Intel = NotRecorded,
        },
        new("denormal that stays", VendorChoice.Intel)
        {
            Instructions = [Mnemonic.Fscale, Mnemonic.Fprem, Mnemonic.Fprem1],
            When = "underflow is unmasked, and ST0 is a denormal that is scaled by 0, or divided by an infinity",
            What = "the result",
            Amd = "ST0 times 2^24576, with UE",
            Intel = "ST0 as it is, with DE alone",
        },
        new("sine of a denormal", VendorChoice.Intel)
        {
            Instructions = [Mnemonic.Fsin],
            When = "underflow is unmasked, and ST0 is the denormal next to 0",
            What = "the result",
            Amd = "the sine times 2^24576, with UE and PE",
            Intel = "ST0 as it is, with DE alone",
        },
        new("load of a denormal", VendorChoice.Own)
        {
            Instructions = [Mnemonic.Fld],
            When = "a denormal of 32 or 64 bits is loaded, and its exception isn't masked",
            What = "whether it is pushed",
            Amd = "it is",
            Intel = NotRecorded,
            Own = "it isn't, as the manual says (SDM 1, 8.5.2)",
        },
        new("prefetch of a register", VendorChoice.Own)
        {
            Instructions = [Mnemonic.Reservednop],
            When = "0F 0D has a register for an operand",
            What = "whether it is undefined",
            Amd = "it is",
            Intel = NotRecorded,
            Own = "it isn't: nothing happens, as the manual has it (SDM 2D, appendix A)",
        },
        new("prefixed LOOPE", VendorChoice.Own)
        {
            Instructions = [Mnemonic.Loope, Mnemonic.Loopne],
            When = "REP or REPNE stands before it",
            What = "the condition",
            Amd = "that of the prefix: ZF set after REP, clear after REPNE",
            Intel = NotRecorded,
            Own = "the instruction's",
        },
        new("refused return", VendorChoice.Own)
        {
            Instructions = [Mnemonic.Retf, Mnemonic.Iret, Mnemonic.Iretd],
            When = "the selector for CS has another RPL than CPL, and is refused",
            What = "what is read before, and may be on a missing page",
            Amd = "all of the frame, with an outer level's stack pointer",
            Intel = NotRecorded,
            Own = "no more than the selector",
        },
        new("return from a missing page", VendorChoice.Own)
        {
            Instructions = [Mnemonic.Retf, Mnemonic.Iret, Mnemonic.Iretd],
            When = "all of the frame is on a missing page",
            What = "which address the page fault names",
            Amd = "that of the last part",
            Intel = NotRecorded,
            Own = "that of the first part",
        },
        new("segment push", VendorChoice.Intel)
        {
            Instructions = [Mnemonic.Push, Mnemonic.Pop],
            When = "a segment register is pushed or popped as 32 bits",
            What = "the upper 16 bits on the stack",
            Amd = "they are accessed, and 0 after a push",
            Intel = "they aren't accessed",
        },
        new("refused call", VendorChoice.Own)
        {
            Instructions = [Mnemonic.Call],
            When = "the target is beyond the limit of CS, and the stack can't take the return address",
            What = "which fault comes first",
            Amd = "the stack's",
            Intel = NotRecorded,
            Own = "#GP(0), as the manual has it (SDM 2A, CALL)",
        },
        new("POPA that faults", VendorChoice.Own)
        {
            Instructions = [Mnemonic.Popa, Mnemonic.Popad],
            When = "a word after the first faults",
            What = "the registers that come before it",
            Amd = "they are loaded",
            Intel = NotRecorded,
            Own = "they stay",
        },
        new("repeated comparison", VendorChoice.Intel)
        {
            Instructions = [Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsd, Mnemonic.Scasb, Mnemonic.Scasw, Mnemonic.Scasd],
            When = "REPE or REPNE stands before it, and an element after the first faults",
            What = "CF, PF, AF, ZF, SF, OF",
            Amd = "those of the last element compared",
            Intel = "those before the instruction",
        },
    ];
}

/// <summary>Whose way is gone here.</summary>
internal enum VendorChoice
{
    /// <summary>Intel's.</summary>
    Intel,

    /// <summary>AMD's.</summary>
    Amd,

    /// <summary>One that the row states.</summary>
    Own,
}

/// <summary>Something in which processors of different vendors differ.</summary>
/// <param name="Name">What the files of recorded results call it.</param>
/// <param name="Choice">Whose way is gone here.</param>
internal sealed record VendorDifference(string Name, VendorChoice Choice)
{
    /// <summary>Of which instructions; none if it isn't about some.</summary>
    public IReadOnlyList<Mnemonic> Instructions { get; init; } = [];

    /// <summary>Under which condition.</summary>
    public required string When { get; init; }

    /// <summary>What differs.</summary>
    public required string What { get; init; }

    /// <summary>What AMD's processors do.</summary>
    public required string Amd { get; init; }

    /// <summary>What Intel's processors do.</summary>
    public required string Intel { get; init; }

    /// <summary>What ours does, if that is neither.</summary>
    public string? Own { get; init; }
}
