using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Protection;

namespace Lguest.Cpu.State;

/// <summary>Vectors of the processor's own exceptions (SDM 3A, table 6-1).</summary>
public static class ExceptionVector
{
    /// <summary>#DE, divide error.</summary>
    public const int DivideError = 0;

    /// <summary>#DB, debug.</summary>
    public const int Debug = 1;

    /// <summary>NMI.</summary>
    public const int Nmi = 2;

    /// <summary>#BP, breakpoint (INT3).</summary>
    public const int Breakpoint = 3;

    /// <summary>#OF, overflow (INTO).</summary>
    public const int Overflow = 4;

    /// <summary>#BR, BOUND range exceeded.</summary>
    public const int BoundRange = 5;

    /// <summary>#UD, invalid opcode.</summary>
    public const int InvalidOpcode = 6;

    /// <summary>#NM, no x87 or TS set.</summary>
    public const int DeviceNotAvailable = 7;

    /// <summary>#DF, double fault.</summary>
    public const int DoubleFault = 8;

    /// <summary>#TS, invalid TSS.</summary>
    public const int InvalidTss = 10;

    /// <summary>#NP, segment not present.</summary>
    public const int SegmentNotPresent = 11;

    /// <summary>#SS, stack-segment fault.</summary>
    public const int StackSegment = 12;

    /// <summary>#GP, general protection.</summary>
    public const int GeneralProtection = 13;

    /// <summary>#PF, page fault.</summary>
    public const int PageFault = 14;

    /// <summary>#MF, x87 floating-point error.</summary>
    public const int X87Error = 16;

    /// <summary>#AC, alignment check.</summary>
    public const int AlignmentCheck = 17;

    /// <summary>#MC, machine check.</summary>
    public const int MachineCheck = 18;

    /// <summary>#XM, SSE floating-point error.</summary>
    public const int SimdError = 19;

    /// <summary>Whether the processor pushes an error code for this exception.</summary>
    public static bool HasErrorCode(int vector) => vector is DoubleFault or (>= InvalidTss and <= PageFault) or AlignmentCheck;
}

/// <summary>Bits of a page fault's error code (SDM 3A, figure 4-12).</summary>
public static class PageFaultError
{
    /// <summary>The page was present: its protection was violated.</summary>
    public const uint Protection = 1;

    /// <summary>The access was a write.</summary>
    public const uint Write = 2;

    /// <summary>The access was made at CPL 3.</summary>
    public const uint User = 4;

    /// <summary>A reserved bit was set in a paging structure.</summary>
    public const uint ReservedBit = 8;

    /// <summary>The access was a fetch of code, and there are pages that forbid it.</summary>
    public const uint InstructionFetch = 16;
}

/// <summary>Where an interrupt or exception comes from, which decides privilege checks and what EIP is pushed.</summary>
public enum ExceptionOrigin
{
    /// <summary>A fault: EIP is the faulting instruction, which didn't retire.</summary>
    Fault,

    /// <summary>A trap of the processor's (single step): EIP is the next instruction.</summary>
    Trap,

    /// <summary>INT n, INT3 or INTO: EIP is the next instruction; the gate's DPL is checked.</summary>
    Software,

    /// <summary>An external interrupt.</summary>
    External,
}

/// <summary>An exception or interrupt on its way to the guest.</summary>
/// <param name="Vector">0 to 255.</param>
/// <param name="ErrorCode">What is pushed, for vectors that push one.</param>
/// <param name="Origin">Fault, trap, software or external.</param>
/// <param name="Address">For a page fault the linear address, else 0.</param>
/// <param name="InstructionEip">EIP of the instruction that raised it (of the INT itself, too).</param>
public record struct ExceptionInfo(
    int Vector,
    uint ErrorCode,
    ExceptionOrigin Origin,
    uint Address,
    uint InstructionEip)
{
    /// <summary>In place of a vector: the page walker met an entry that the policy rejects.</summary>
    internal const int PolicyViolation = -1;

    /// <summary>In place of a vector: a device is to answer, and the instruction has to be alone in its block for that.</summary>
    internal const int DeviceAccess = -2;

    /// <summary>How the engine's loop is told of it.</summary>
    internal readonly ExitReason Exit => Vector switch
    {
        PolicyViolation => ExitReason.PageTableViolation,
        DeviceAccess => ExitReason.Alone,
        _ => ExitReason.Exception,
    };

    /// <summary>A fault by vector and error code; who knows the instruction adds its EIP.</summary>
    internal static ExceptionInfo Of(int vector, uint errorCode) => new(vector, errorCode, ExceptionOrigin.Fault, 0, 0);
}

/// <summary>What becomes of an exception after a hook has seen it.</summary>
public enum ExceptionDisposition
{
    /// <summary>The processor delivers it through the guest's IDT.</summary>
    Deliver,

    /// <summary>The hook has dealt with it: execution goes on at EIP as the hook left it.</summary>
    Resume,

    /// <summary>The run ends with <see cref="StopReason.Requested"/>, the state as the hook left it.</summary>
    Stop,
}

/// <summary>Sees every exception and INT before the processor delivers it.</summary>
public interface IExceptionHook
{
    /// <summary>
    /// Decides what becomes of an exception. On entry EIP is what would be pushed: the faulting
    /// instruction for a fault, the next one for a trap or INT.
    /// </summary>
    ExceptionDisposition OnException(Processor processor, in ExceptionInfo exception);
}

/// <summary>Why <see cref="Processor.Run"/> returned.</summary>
public enum StopReason
{
    /// <summary>The stated number of instructions has retired.</summary>
    InstructionLimit,

    /// <summary>HLT was executed; EIP is after it.</summary>
    Halted,

    /// <summary>A hook or a handler asked for the end of the run, or exceptions came one after the other and no instruction retired.</summary>
    Requested,

    /// <summary>A fault while delivering a double fault: <see cref="Processor.DoubleFaultCause"/> says what led here.</summary>
    TripleFault,

    /// <summary>A page walk met an entry that <see cref="Processor.PageTablePolicy"/> rejects: see <see cref="Processor.PageTableViolation"/>.</summary>
    PageTableViolation,

    /// <summary>
    /// IF has become 1 while <see cref="Processor.InterruptLine"/> was set, and no shadow holds interrupts off any more.
    /// </summary>
    InterruptWindow,

    /// <summary>The machine's debugger wanted it: <see cref="Processor.Stops"/> says for what.</summary>
    Debug,
}

/// <summary>Why a chain of operations returned to the engine's loop.</summary>
internal enum ExitReason
{
    /// <summary>Go on at <see cref="ProcessorState.Eip"/>.</summary>
    Continue,

    /// <summary>Deliver <see cref="ProcessorState.Exception"/>.</summary>
    Exception,

    /// <summary>The page walker met what its policy rejects.</summary>
    PageTableViolation,

    /// <summary>The next instruction has a breakpoint of the machine's debugger.</summary>
    Debug,

    /// <summary>The next instruction has to be executed alone.</summary>
    Alone,
}

/// <summary>What a block of decoded code depends on besides its bytes.</summary>
[Flags]
internal enum ExecutionMode : uint
{
    /// <summary>16-bit code with segments that matter, at CPL 0 to 2.</summary>
    None = 0,

    /// <summary>CS.D is set: operands and addresses default to 32 bits.</summary>
    Code32 = 1,

    /// <summary>CS, SS, DS and ES are flat and SS.B is set: segmentation adds and checks nothing.</summary>
    Flat = 2,

    /// <summary>CPL 3.</summary>
    User = 4,

    /// <summary>The block is one instruction: something happens around each, a step, a breakpoint, a trace.</summary>
    Single = 8,
}
