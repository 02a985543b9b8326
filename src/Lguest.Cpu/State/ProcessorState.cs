using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.Protection;
using Lguest.Cpu.Translator;

namespace Lguest.Cpu.State;

/// <summary>
/// Everything an instruction can see or change, in one unmanaged block that both engines address by
/// pointer. It lives in native memory, so the garbage collector never moves it.
/// </summary>
/// <remarks>
/// The general registers come first, so that a byte offset names any of them, in any size: AL is 0,
/// AH is 1, CL is 4. <see cref="Zero"/> stands after them and is always 0: an address without a base
/// or an index adds that instead of taking a branch. <c>StateLayoutTests</c> pins every offset that translated code relies on.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
public unsafe partial struct ProcessorState
{
    // --- Architectural state: what is saved. --------------------------------------------------

    private fixed uint _general[8];

    /// <summary>Always 0: the "no register" of address computations.</summary>
    internal uint Zero;

    /// <summary>
    /// Offset in CS of the next instruction. Only true between blocks: within one, the engine knows
    /// it as the block's start plus the operation's offset.
    /// </summary>
    public uint Eip;

    /// <summary>The arithmetic flags, unevaluated: the last result, sign-extended to 32 bits.</summary>
    internal uint FlagsResult;

    /// <summary>The arithmetic flags, unevaluated: the carries out of each bit of interest.</summary>
    internal uint FlagsCarries;

    /// <summary>EFLAGS without its arithmetic flags (CF, PF, AF, ZF, SF, OF), which are lazy.</summary>
    internal uint SystemFlags;

    // --- The engine's own: never saved, made anew from the rest. What both engines touch at every step comes
    // first, within a signed byte of the registers, so that translated code names it in short. -----------------

    /// <summary>Why the engine returned to its loop.</summary>
    internal ExitReason Exit;

    /// <summary>
    /// Instructions left in this run, already less those of the block that is executing. This is the
    /// only clock in the processor: see <see cref="RetiredLimit"/>.
    /// </summary>
    internal long Countdown;

    /// <summary>Translations for the current privilege: one of the three below.</summary>
    internal TlbEntry* Tlb;

    /// <summary>The block that is executing.</summary>
    internal CodeBlock* Block;

    /// <summary>EIP at its first instruction.</summary>
    internal uint BlockEip;

    /// <summary>What a block must have been built for to be entered now.</summary>
    internal ExecutionMode Mode;

    /// <summary>Blocks of flat code by EIP, valid for one <see cref="JumpKey"/>.</summary>
    internal JumpCacheEntry* JumpCache;

    /// <summary>The generation of the translations and the mode, as <see cref="JumpCache"/> tags them.</summary>
    internal uint JumpKey;

    /// <summary>What DR7 enables.</summary>
    internal Breakpoints Breakpoints;

    /// <summary>The direct jump to patch once its target is known, or null.</summary>
    internal Operation* LinkFrom;

    /// <summary>Translated code's own: the arithmetic flags as LAHF and SETO give them, and above them how else to get them.</summary>
    internal ulong HostFlags;

    /// <summary>The managed half, as a GCHandle: slow paths only.</summary>
    internal nint Owner;

    // --- Architectural state again. --------------------------------------------------------------------------

    /// <summary>The x87 registers, which MMX shares, and MXCSR: the first part of what FXSAVE saves, on a line of its own.</summary>
    internal X87State X87;

    /// <summary>The SSE registers: the rest of it.</summary>
    internal SseState Sse;

    /// <summary>The segment registers in Intel's order of encoding.</summary>
    public SegmentRegister Es, Cs, Ss, Ds, Fs, Gs;

    /// <summary>The local descriptor table's register.</summary>
    public SegmentRegister Ldtr;

    /// <summary>The task register.</summary>
    public SegmentRegister Tr;

    /// <summary>The global descriptor table's register.</summary>
    public DescriptorTableRegister Gdtr;

    /// <summary>The interrupt descriptor table's register.</summary>
    public DescriptorTableRegister Idtr;

    /// <summary>Control register 0; written through <see cref="Processor.WriteControlRegister"/>.</summary>
    internal uint Cr0;

    /// <summary>The address of the last page fault delivered through the IDT.</summary>
    public uint Cr2;

    internal uint Cr3;
    internal uint Cr4;
    private fixed uint _debug[8];

    /// <summary>The model-specific registers that keep what is written to them.</summary>
    internal ModelSpecificRegisters Msrs;

    /// <summary>The retired-instruction count at which <see cref="Countdown"/> is 0.</summary>
    internal ulong RetiredLimit;

    /// <summary>
    /// Interrupts are held off while the count of retired instructions is below this: the shadow of
    /// STI, MOV SS and POP SS (SDM 3A, 6.8.3), which lasts one instruction.
    /// </summary>
    internal ulong ShadowUntil;

    /// <summary>The same for debug traps: only MOV SS and POP SS hold them off.</summary>
    internal ulong DebugShadowUntil;

    /// <summary>
    /// The retired-instruction count after a step of a REP that has more to do, 0 for none; and for a comparison the arithmetic
    /// flags before the first of its steps.
    /// </summary>
    internal ulong RepetitionGoesOnAt;
    internal uint RepetitionFlags;

    /// <summary>Bits of DR6 for the debug trap that follows the instruction that is executing.</summary>
    internal uint PendingDebug;

    /// <summary>Not zero after HLT, until an interrupt is delivered.</summary>
    internal uint Halted;

    /// <summary>The page-directory-pointer-table entries, as they were when the processor last loaded them (SDM 3A, 4.4.1).</summary>
    internal PageDirectoryPointers PageDirectoryPointers;

    // --- The engine's own again: what is seldom touched. -------------------------------------------------------

    /// <summary>The translations for CPL 0 to 2, and for CPL 3.</summary>
    internal TlbEntry* SupervisorTlb;
    internal TlbEntry* UserTlb;

    /// <summary>Never has an entry, so that every access takes the slow path: while alignment is checked or data watched.</summary>
    internal TlbEntry* EmptyTlb;

    /// <summary>Translated code's own: what of the host's doesn't have the guest's state. Outside of it nothing has.</summary>
    internal HostUnits MissingUnits;

    /// <summary>Translated code's own: the host's MXCSR while the guest's is loaded.</summary>
    internal uint HostMxcsr;

    /// <summary>Translated code's own: ST(0) and ST(1) for a function that is called, its result, and what rounds that.</summary>
    internal X87Call X87Call;

    /// <summary>The exception to deliver when <see cref="Exit"/> says so.</summary>
    internal ExceptionInfo Exception;

    /// <summary>An access in two pieces, or to a device, passes through <see cref="Scratch"/>.</summary>
    internal PendingWrite Split;
    internal ScratchBuffer Scratch;

    /// <summary>Not zero when the run should end at the next block: set by hooks and port handlers.</summary>
    internal uint StopRequested;

    /// <summary>Not zero while the machine asserts the interrupt line; enabling IF then ends the run.</summary>
    internal uint InterruptLine;

    /// <summary>Not zero from the moment IF becomes 1 with the line asserted until the run has ended over it.</summary>
    internal uint WindowWanted;

    /// <summary>Not zero while the machine's debugger watches bytes (<see cref="Debugging.DebugStops"/>).</summary>
    internal uint Watching;

    /// <summary>Not zero once an instruction has accessed some of them: the run ends after it.</summary>
    internal uint StopsAfter;

    /// <summary>SSE's control and status.</summary>
    [UnscopedRef]
    internal ref uint Mxcsr => ref X87.Mxcsr;

    /// <summary>Register EAX.</summary>
    public uint Eax { readonly get => _general[0]; set => _general[0] = value; }

    /// <summary>Register ECX.</summary>
    public uint Ecx { readonly get => _general[1]; set => _general[1] = value; }

    /// <summary>Register EDX.</summary>
    public uint Edx { readonly get => _general[2]; set => _general[2] = value; }

    /// <summary>Register EBX.</summary>
    public uint Ebx { readonly get => _general[3]; set => _general[3] = value; }

    /// <summary>Register ESP.</summary>
    public uint Esp { readonly get => _general[4]; set => _general[4] = value; }

    /// <summary>Register EBP.</summary>
    public uint Ebp { readonly get => _general[5]; set => _general[5] = value; }

    /// <summary>Register ESI.</summary>
    public uint Esi { readonly get => _general[6]; set => _general[6] = value; }

    /// <summary>Register EDI.</summary>
    public uint Edi { readonly get => _general[7]; set => _general[7] = value; }

    /// <summary>Current privilege level, 0 to 3.</summary>
    public readonly int Cpl => Cs.Selector & 3;

    /// <summary>Whether data that isn't aligned raises #AC (SDM 3A, 6.15, interrupt 17).</summary>
    internal readonly bool ChecksAlignment =>
        Cpl == 3 && (SystemFlags & Cpu.State.Eflags.Ac) != 0 && (Cr0 & Cpu.State.Cr0.Am) != 0;

    /// <summary>I/O privilege level, 0 to 3.</summary>
    internal readonly int Iopl => (int)(SystemFlags >> 12) & 3;

    /// <summary>A general register by Intel's number (EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI).</summary>
    public uint GetGeneral(int number) => _general[number & 7];

    /// <summary>Sets a general register by Intel's number.</summary>
    public void SetGeneral(int number, uint value) => _general[number & 7] = value;

    /// <summary>A debug register.</summary>
    internal uint GetDebug(int number) => _debug[number & 7];

    internal void SetDebug(int number, uint value)
    {
        _debug[number & 7] = value;
        Breakpoints = Debug.KindsOf(_debug[7]);
    }

    /// <summary>A segment register by Intel's number (ES, CS, SS, DS, FS, GS).</summary>
    [UnscopedRef]
    internal ref SegmentRegister Segment(int number) => ref Unsafe.Add(ref Es, number);
}

/// <summary>The registers that hold the page-directory-pointer-table entries: one for each GiB of linear addresses.</summary>
[InlineArray(Count)]
internal struct PageDirectoryPointers
{
    public const int Count = 4;
    private ulong _first;
}

/// <summary>Room for the largest operand that can be split between two pages.</summary>
[InlineArray(Size)]
internal struct ScratchBuffer
{
    public const int Size = 16;
    private byte _first;
}

/// <summary>Where the two pieces of a write in <see cref="ProcessorState.Scratch"/> go.</summary>
internal unsafe struct PendingWrite
{
    /// <summary>Host address of the first piece, or <see cref="MemoryAccess.NoMemory"/>.</summary>
    public byte* First;

    /// <summary>The same of the second piece; null when there is none.</summary>
    public byte* Second;

    /// <summary>Physical address of the first piece.</summary>
    public ulong FirstPhysical;

    /// <summary>Physical address of the second piece.</summary>
    public ulong SecondPhysical;

    /// <summary>Bytes in the first piece.</summary>
    public int FirstLength;

    /// <summary>Bytes in all.</summary>
    public int Length;
}
