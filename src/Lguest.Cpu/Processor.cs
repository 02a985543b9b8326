using System.Runtime.InteropServices;
using Lguest.Cpu.Debugging;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.Interpreter;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using Lguest.Cpu.Translator;

namespace Lguest.Cpu;

/// <summary>
/// One x86 processor over physical memory: 32-bit protected mode with all rings and paging. It knows
/// nothing of what it runs.
/// </summary>
/// <remarks>
/// Not thread-safe: one thread owns a processor, its memory and its state. <see cref="Run"/> is the only
/// way to execute anything.
/// </remarks>
public sealed unsafe partial class Processor : IDisposable
{
    private readonly ProcessorState* _state;
    private GCHandle _self;

    /// <summary>Makes a processor in its reset state (see <see cref="Reset"/>) over the given memory.</summary>
    /// <param name="memory">Physical memory; the caller keeps it and disposes it after the processor.</param>
    public Processor(PhysicalMemory memory)
    {
        Memory = memory;
        _state = (ProcessorState*)NativeMemory.AlignedAlloc(
            (nuint)(ExecutionMarks.StateOffset + ExecutionMarks.Bytes), PhysicalMemory.PageSize);
        NativeMemory.Clear(_state, TranslationBuffer.StateOffset);
        NativeMemory.Clear((byte*)_state + ExecutionMarks.StateOffset, ExecutionMarks.Bytes);
        _self = GCHandle.Alloc(this, GCHandleType.Weak);
        _state->Owner = GCHandle.ToIntPtr(_self);
        Translation = new TranslationBuffer(_state);
        Blocks = new BlockCache(this, _state);
        Stops = new DebugStops(this, _state);
        memory.Code.Add(Blocks);
        memory.Code.Watch(Translation);
        Reset();
    }

    /// <summary>Physical memory.</summary>
    public PhysicalMemory Memory { get; }

    /// <summary>The registers. The reference is good for the processor's life.</summary>
    public ref ProcessorState State => ref *_state;

    /// <summary>Instructions retired since reset. A faulting instruction doesn't count; a REP counts one per step.</summary>
    public ulong Retired => _state->RetiredLimit - (ulong)_state->Countdown;

    /// <summary>Sees exceptions before they are delivered; null delivers all through the IDT.</summary>
    public IExceptionHook? ExceptionHook { get; set; }

    /// <summary>Answers IN and OUT.</summary>
    public IPortHandler Ports { get; set; } = OpenBus.Instance;

    /// <summary>Answers RDTSC, before IA32_TIME_STAMP_COUNTER's own offset; null counts retired instructions.</summary>
    public ITimeStampClock? TimeStampClock { get; set; }

    /// <summary>
    /// The least privileged level at which IN and OUT (not INS and OUTS) are allowed whatever IOPL and
    /// the TSS say, for hosts that answer ports for a deprivileged kernel; 0 is the plain processor.
    /// </summary>
    public int PortPrivilege { get; set; }

    /// <summary>
    /// The least privileged level at which MOV from a debug register is allowed, for hosts whose deprivileged kernel reads
    /// DR6 in its debug trap; 0 is the plain processor. Writing takes CPL 0 always.
    /// </summary>
    public int DebugReadPrivilege { get; set; }

    /// <summary>What the processor says of itself through CPUID.</summary>
    public CpuidModel Cpuid { get; set; } = CpuidModel.Default;

    /// <summary>Which present entries of paging structures end the run instead of being used.</summary>
    public PageTablePolicy PageTablePolicy { get; set; }

    /// <summary>The entry that <see cref="PageTablePolicy"/> rejected, after <see cref="StopReason.PageTableViolation"/>.</summary>
    public PageTableViolation? PageTableViolation { get; internal set; }

    /// <summary>The last exception that began its way to the guest.</summary>
    public ExceptionInfo LastException { get; internal set; }

    /// <summary>Logs instructions before they execute while it is set; execution is slow then.</summary>
    public IInstructionTracer? Tracer { get; set; }

    /// <summary>
    /// True while an interrupt must wait for one more instruction, because the last one was STI, MOV SS or POP SS.
    /// </summary>
    public bool InterruptsShadowed => Retired < _state->ShadowUntil;

    /// <summary>Whether the last thing that retired is a step of a REP that has more to do.</summary>
    internal bool IsWithinRepetition => _state->RepetitionGoesOnAt == Retired && Retired != 0;

    /// <summary>
    /// The interrupt line. While it is set, a run ends soon after an instruction sets IF, so that the
    /// machine can deliver.
    /// </summary>
    public bool InterruptLine
    {
        get => _state->InterruptLine != 0;
        set => _state->InterruptLine = value ? 1u : 0;
    }

    /// <summary>Counts of events since reset.</summary>
    public ProcessorStatistics Statistics { get; } = new();

    /// <summary>Where the machine's debugger wants the processor to stop.</summary>
    public DebugStops Stops { get; }

    internal TranslationBuffer Translation { get; }

    internal BlockCache Blocks { get; }

    /// <summary>The translator, when it is used.</summary>
    internal TranslationCache? Translations { get; private set; }

    /// <summary>Whether translated code marks what it executes: see <see cref="ExecutionMarks"/>.</summary>
    internal bool MarksTranslated { get; init; }

    /// <summary>
    /// Whether translated code changes what the manual leaves open: see <see cref="HostEmitter.ScramblesOpen"/>. To be set before there
    /// is a translator.
    /// </summary>
    internal bool ScramblesOpen { get; set; }

    internal ProcessorState* StatePointer => _state;

    /// <summary>
    /// Has blocks translated for the host's processor once they have been entered so often. Nothing that a guest or a machine can
    /// see changes, but time. Call it before the first run.
    /// </summary>
    /// <param name="threshold">Entries before a block is translated; 0 translates each at its first.</param>
    /// <returns>False where that can't be: the host isn't x86-64 with Linux, or gives no executable memory.</returns>
    public bool TryTranslate(int threshold)
    {
        Translations ??= TranslationCache.TryCreate(this, threshold);
        return Translations is not null;
    }

    /// <summary>Instructions that translated code has executed.</summary>
    public ulong TranslatedInstructions => Translations?.Executed ?? 0;

    /// <summary>Blocks that were translated.</summary>
    public ulong TranslatedBlocks => Translations?.Translated ?? 0;

    /// <summary>How often translated code was left for an instruction's sake, by its mnemonic, the most frequent first.</summary>
    public IEnumerable<KeyValuePair<string, ulong>> TranslationLimits => Translations?.Reasons ?? [];

    /// <summary>Asks that the run in progress end after the current instruction: for hooks and handlers.</summary>
    public void RequestStop() => _state->StopRequested = 1;

    /// <summary>Ends a HLT: what the machine calls when it has an interrupt to deliver.</summary>
    public void Wake() => _state->Halted = 0;

    /// <inheritdoc />
    public void Dispose()
    {
        Memory.Code.Watch(null);
        Memory.Code.Remove(Blocks);
        Blocks.Dispose();
        Translations?.Dispose();
        Translation.Dispose();
        if (_self.IsAllocated)
        {
            _self.Free();
            NativeMemory.AlignedFree(_state);
        }
    }

    internal static Processor From(ProcessorState* s) => (Processor)GCHandle.FromIntPtr(s->Owner).Target!;
}
