using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Native;

/// <summary>
/// Linux's system calls from assembled code, for what must hold from one instruction to another. They change RAX, RCX, RDX,
/// RSI, RDI, R10 and R11.
/// </summary>
internal static class HostSystemCalls
{
    /// <summary>
    /// Every signal but those that faults end in (SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV), as rt_sigprocmask wants it.
    /// </summary>
    /// <remarks>
    /// The .NET runtime stops a thread for the garbage collector by a signal. Its handler runs with the AC flag and the segment
    /// registers of whatever was interrupted, and dies of them.
    /// </remarks>
    public const ulong AllButFaults = ~(1ul << 3 | 1ul << 4 | 1ul << 6 | 1ul << 7 | 1ul << 10);

    private const int SignalMaskCall = 14;
    private const int ArchitectureCall = 158;
    private const int Block = 0;
    private const int Replace = 2;
    private const int SetFs = 0x1002;
    private const int GetFs = 0x1003;
    private const int MaskSize = sizeof(ulong);

    /// <summary>Blocks the signals of a mask, and keeps the mask that was there before.</summary>
    public static void BlockSignals(Assembler a, AssemblerMemoryOperand mask, AssemblerMemoryOperand before)
    {
        a.mov(eax, SignalMaskCall);
        a.mov(edi, Block);
        a.lea(rsi, mask);
        a.lea(rdx, before);
        a.mov(r10d, MaskSize);
        a.syscall();
    }

    /// <summary>Puts a mask back.</summary>
    public static void RestoreSignals(Assembler a, AssemblerMemoryOperand before)
    {
        a.mov(eax, SignalMaskCall);
        a.mov(edi, Replace);
        a.lea(rsi, before);
        a.xor(edx, edx);
        a.mov(r10d, MaskSize);
        a.syscall();
    }

    /// <summary>Reads the base of FS, where a thread's own data are.</summary>
    public static void SaveFsBase(Assembler a, AssemblerMemoryOperand place)
    {
        a.mov(eax, ArchitectureCall);
        a.mov(edi, GetFs);
        a.lea(rsi, place);
        a.syscall();
    }

    /// <summary>Makes FS what it was when its base was read.</summary>
    public static void RestoreFsBase(Assembler a, AssemblerMemoryOperand place)
    {
        a.mov(eax, ArchitectureCall);
        a.mov(edi, SetFs);
        a.mov(rsi, place);
        a.syscall();
    }
}
