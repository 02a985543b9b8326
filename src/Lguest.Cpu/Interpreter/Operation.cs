using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Interpreter;

/// <summary>
/// One decoded instruction: a handler, and the operands it will want. Half a cache line.
/// </summary>
/// <remarks>
/// A handler does the instruction and answers with what to execute next. In the middle of a block that is
/// <see cref="Next"/>, whose call the JIT turns into a jump; at a block's end it is the first operation
/// of the next block, returned to the engine's loop (so that unoptimised code, where the calls nest, nests
/// no deeper than a block). Null means that the engine has to look: at <see cref="ProcessorState.Exit"/>.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal unsafe struct Operation
{
    /// <summary>What to do.</summary>
    public OperationHandler Handler;

    /// <summary>A jump's target block once known, or family-specific data.</summary>
    public CodeBlock* Link;

    /// <summary>Displacement of the memory operand, or a relative jump's target less the block's first EIP.</summary>
    public uint Displacement;

    /// <summary>Immediate operand, already extended to 32 bits.</summary>
    public uint Immediate;

    /// <summary>EIP of the instruction less EIP of the block's first.</summary>
    public ushort EipOffset;

    /// <summary>Byte offset in the state of the address's base register, or of <see cref="ProcessorState.Zero"/>.</summary>
    public byte Base;

    /// <summary>The same for its index register.</summary>
    public byte Index;

    /// <summary>Shift of the index: 0 to 3. Bit 7: the address is 16 bits wide.</summary>
    public byte Scale;

    /// <summary>Byte offset in the state of the register operand (of ModRM.reg, as a rule).</summary>
    public byte Register;

    /// <summary>Byte offset in the state of a second register operand (of ModRM.rm, as a rule).</summary>
    public byte Register2;

    /// <summary>Number of the memory operand's segment register (ES, CS, SS, DS, FS, GS).</summary>
    public byte Segment;

    /// <summary>In <see cref="Scale"/>: the effective address wraps at 64 KiB.</summary>
    public const byte Address16 = 0x80;

    /// <summary>Continues with the operation after <paramref name="op"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Operation* Next(ProcessorState* s, Operation* op) => (op + 1)->Handler(s, op + 1);

    /// <summary>EIP of the instruction that follows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint NextEip(ProcessorState* s, Operation* op) => s->BlockEip + (op + 1)->EipOffset;
}

/// <summary>A run of decoded instructions, followed in memory by its operations.</summary>
/// <remarks>
/// Entered only at its first operation; a conditional jump leaves it from the middle. It lies in one page of
/// code, except that an instruction across two pages is a block of its own. The last operation is not
/// an instruction: it goes on to what follows.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Size = 96)]
internal unsafe struct CodeBlock
{
    /// <summary>The cost of entering a block that must not be entered.</summary>
    public const int Dead = int.MaxValue;

    /// <summary>What entering takes from the countdown: all its instructions, or <see cref="Dead"/>.</summary>
    public int EntryCost;

    /// <summary>Instructions in the block.</summary>
    public int InstructionCount;

    /// <summary>Physical page of the first byte, and its offset there.</summary>
    public uint Page, Offset;

    /// <summary>Bytes of code.</summary>
    public uint Length;

    /// <summary>What the block was built for.</summary>
    public ExecutionMode Mode;

    /// <summary>Physical page of the bytes beyond the first page's end, or <see cref="NoPage"/>.</summary>
    public uint SecondPage;

    /// <summary>The number of its translation, or 0.</summary>
    public int Translation;

    /// <summary>Where it is entered: at its first operation, or at one before that counts, or leads to its translation.</summary>
    public Operation* Entry;

    /// <summary>The next block in the same bucket of the cache.</summary>
    public CodeBlock* NextInBucket;

    /// <summary>The next block on the same first page.</summary>
    public CodeBlock* NextInPage;

    /// <summary>The next block whose second page is the same.</summary>
    public CodeBlock* NextInSecondPage;

    /// <summary>Operations behind its instructions': the way on, and the one that may come before the first.</summary>
    public const int ExtraOperations = 2;

    /// <summary>In <see cref="SecondPage"/>: there is none.</summary>
    public const uint NoPage = uint.MaxValue;

    /// <summary>Whether the block may be executed.</summary>
    public readonly bool IsAlive => EntryCost != Dead;

    /// <summary>Bytes of code in the first page.</summary>
    public readonly uint LengthInPage => SecondPage == NoPage ? Length : PhysicalMemory.PageSize - Offset;

    /// <summary>The first operation.</summary>
    public static Operation* Operations(CodeBlock* block) => (Operation*)(block + 1);
}

/// <summary>A block by EIP.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal unsafe struct JumpCacheEntry
{
    /// <summary>Entries that the EIPs of one page share, so that they can be dropped together. Most pages with code have more than 64 targets.</summary>
    public const int EntriesPerPage = 256;

    /// <summary>Pages that have entries of their own.</summary>
    public const int Pages = 64;

    /// <summary>Entries in the cache.</summary>
    public const int Entries = Pages * EntriesPerPage;

    /// <summary>The mode takes the key's low bits; generations count above.</summary>
    public const uint GenerationStep = 16;

    public uint Eip;
    public uint Key;
    public CodeBlock* Block;

    /// <summary>Where the block's translation for this EIP executes, or null.</summary>
    public byte* Host;

    /// <summary>Bytes from the first entry to the one where <paramref name="eip"/> would be.</summary>
    public static int OffsetOf(uint eip) =>
        (int)((PageIndex(eip) * EntriesPerPage) + IndexInPage(eip)) * sizeof(JumpCacheEntry);

    /// <summary>The entry where <paramref name="eip"/> would be.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static JumpCacheEntry* Of(ProcessorState* s, uint eip) => PageOf(s, eip) + IndexInPage(eip);

    /// <summary>The first of the entries for the page of <paramref name="eip"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static JumpCacheEntry* PageOf(ProcessorState* s, uint eip) => s->JumpCache + (PageIndex(eip) * EntriesPerPage);

    // Translated code computes the same.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint PageIndex(uint eip) => ((eip >> 12) ^ (eip >> 18)) & (Pages - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint IndexInPage(uint eip) => (eip ^ (eip >> 8)) & (EntriesPerPage - 1);
}
