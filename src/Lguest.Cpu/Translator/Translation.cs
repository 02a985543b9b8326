using Iced.Intel;
using Lguest.Cpu.Interpreter;

namespace Lguest.Cpu.Translator;

/// <summary>A block of guest code, translated for one EIP.</summary>
internal sealed unsafe class Translation(CodeBlock* block, uint eip, byte* entry, bool needsFlags)
{
    /// <summary>By instruction, up to the last that has one.</summary>
    private TranslatedReturn?[] _returnAt = [];

    /// <summary>The block.</summary>
    public CodeBlock* Block => block;

    /// <summary>EIP of its first instruction.</summary>
    public uint Eip => eip;

    /// <summary>Where it is entered, as it is written.</summary>
    public byte* Entry => entry;

    /// <summary>Whether the flags must be in their slot on entry: somebody could see them before the block has made its own.</summary>
    public bool NeedsFlags => needsFlags;

    /// <summary>The jumps that lead here.</summary>
    public List<TranslatedExit> Incoming { get; } = [];

    /// <summary>How often a group of accesses was left for a reason that comes again: it isn't on one page, or that can't be written.</summary>
    public int SplitGroups { get; set; }

    /// <summary>Where the interpreter comes back within the block, in the order of instructions.</summary>
    public IEnumerable<TranslatedReturn> Returns => _returnAt.OfType<TranslatedReturn>();

    /// <summary>Has the interpreter come back at an instruction.</summary>
    public void AddReturn(int index, byte* entry, bool needsFlags)
    {
        Operation* operation = CodeBlock.Operations(block) + index;
        Array.Resize(ref _returnAt, index + 1);
        _returnAt[index] = new TranslatedReturn(index, entry, needsFlags, operation->Handler);
        operation->Handler = &TranslationCache.Return;
    }

    /// <summary>The place where the interpreter comes back at an instruction, or null.</summary>
    public TranslatedReturn? FindReturn(int index) => index < _returnAt.Length ? _returnAt[index] : null;
}

/// <summary>A place in a block where the interpreter, when it has executed what isn't on the list, comes back to translated code.</summary>
internal sealed unsafe class TranslatedReturn(int index, byte* entry, bool needsFlags, OperationHandler handler)
{
    /// <summary>The number of the instruction in its block.</summary>
    public int Index => index;

    /// <summary>Where its translation is entered, as it is written.</summary>
    public byte* Entry => entry;

    /// <summary>Whether the flags must be in their slot.</summary>
    public bool NeedsFlags => needsFlags;

    /// <summary>What the interpreter does when it has to execute the instruction itself.</summary>
    public OperationHandler Handler => handler;
}

/// <summary>Where the flags are when translated code is left.</summary>
internal enum FlagSource
{
    /// <summary>In their slot, as LAHF and SETO have given them.</summary>
    Slot,

    /// <summary>Where those were that the block was entered with: in the slot, by the recipe that is named there, or in the state.</summary>
    Entry,

    /// <summary>They can be computed again.</summary>
    Recipe,
}

/// <summary>A place where translated code is left for the interpreter, which goes on with the instruction there.</summary>
internal sealed unsafe class TranslatedExit(Translation from, int index)
{
    /// <summary>In <see cref="Index"/>: none of the block has been executed.</summary>
    public const int Head = -1;

    /// <summary>The translation that is left.</summary>
    public Translation From => from;

    /// <summary>The number of the next instruction in its block; that of instructions for what follows the block.</summary>
    public int Index => index;

    /// <summary>Why, if it is for the instruction's sake rather than a TLB miss or an unknown target.</summary>
    public Mnemonic Reason { get; init; }

    /// <summary>Where the flags are.</summary>
    public FlagSource Source { get; init; }

    /// <summary>How they are computed again, if so.</summary>
    public FlagRecipe Recipe { get; init; }

    /// <summary>For a jump within its page: where its distance is, else null.</summary>
    public byte* Distance { get; init; }

    /// <summary>Where the jump leads as long as its target isn't translated.</summary>
    public byte* Unlinked { get; init; }

    /// <summary>EIP of its target.</summary>
    public uint Target { get; init; }

    /// <summary>Instructions of the block that the jump skips.</summary>
    public int Skipped { get; init; }

    /// <summary>Whether the flags are in the host's at the jump, to be kept on the way.</summary>
    public bool FlagsInHost { get; init; }

    /// <summary>What has to be corrected in them.</summary>
    public FlagCorrection Correction { get; init; }

    /// <summary>What wasn't found, if it was a group of accesses.</summary>
    public GroupAddress? Group { get; init; }

    /// <summary>How often it was left here.</summary>
    public ulong Count { get; set; }
}
