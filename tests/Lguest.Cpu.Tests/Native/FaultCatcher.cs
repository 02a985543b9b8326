using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Native;

/// <summary>
/// Turns a fault of an instruction under test into a result, on Linux: signal handlers in machine code that note
/// the exception in the <see cref="NativeState"/> and go on after the instruction. Faults from anywhere
/// else go to the handlers that were there before, which are the .NET runtime's.
/// </summary>
internal static unsafe partial class FaultCatcher
{
    private const int SignalIllegalInstruction = 4;
    private const int SignalTrap = 5;
    private const int SignalBus = 7;
    private const int SignalFloatingPoint = 8;
    private const int SignalSegment = 11;
    private const int ActionInformation = 4;
    private const int ActionOnStack = 0x0800_0000;

    // Where struct ucontext of x86-64 Linux keeps the interrupted registers (asm/sigcontext.h).
    private const int ContextR15 = 40 + 7 * 8;
    private const int ContextRip = 40 + 16 * 8;
    private const int ContextError = 40 + 19 * 8;
    private const int ContextTrap = 40 + 20 * 8;
    private const int ContextCr2 = 40 + 22 * 8;

    /// <summary>Whether faults are caught here.</summary>
    public static bool IsInstalled { get; } = Install();

    private static bool Install()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return false;
        }

        foreach (int signal in (ReadOnlySpan<int>)
            [SignalIllegalInstruction, SignalTrap, SignalBus, SignalFloatingPoint, SignalSegment])
        {
            SignalAction previous;
            if (ChangeAction(signal, null, &previous) != 0 || previous.Handler is 0 or 1)
            {
                return false;
            }

            nint page = ExecutableArena.Rent();
            ExecutableArena.Write(page, AssembleHandler(page, signal, previous.Handler));
            SignalAction action = previous;
            action.Handler = page;
            action.Flags |= ActionInformation | ActionOnStack;
            if (ChangeAction(signal, &action, null) != 0)
            {
                return false;
            }
        }

        return true;
    }

    private static byte[] AssembleHandler(nint page, int signal, nint previous)
    {
        var a = new Assembler(64);
        Label chain = a.CreateLabel();
        a.mov(rax, __qword_ptr[rdx + ContextRip]);
        a.mov(rcx, ExecutableArena.Start);
        a.cmp(rax, rcx);
        a.jb(chain);
        a.mov(rcx, ExecutableArena.End);
        a.cmp(rax, rcx);
        a.jae(chain);

        // A page of NativeProcessor begins with the address at which it goes on.
        a.mov(rcx, rax);
        a.and(rcx, -ExecutableArena.PageSize);
        a.mov(rcx, __qword_ptr[rcx]);
        a.cmp(rax, rcx);
        a.jae(chain);
        a.mov(__qword_ptr[rdx + ContextRip], rcx);
        a.mov(rcx, __qword_ptr[rdx + ContextR15]);
        a.mov(__qword_ptr[rcx + NativeState.SignalOffset], signal);
        Copy(ContextTrap, NativeState.VectorOffset);
        Copy(ContextError, NativeState.ErrorCodeOffset);
        Copy(ContextCr2, NativeState.FaultAddressOffset);
        a.ret();
        a.Label(ref chain);
        a.mov(rax, previous);
        a.jmp(rax);
        return NativeProcessor.Encode(a, page);

        void Copy(int from, int to)
        {
            a.mov(rax, __qword_ptr[rdx + from]);
            a.mov(__qword_ptr[rcx + to], rax);
        }
    }

    [LibraryImport("libc", EntryPoint = "sigaction", SetLastError = true)]
    private static partial int ChangeAction(int signal, SignalAction* action, SignalAction* previous);

    // struct sigaction of the C libraries on x86-64.
    [StructLayout(LayoutKind.Sequential)]
    private struct SignalAction
    {
        public nint Handler;
        private fixed ulong _mask[16];
        public int Flags;
        private readonly nint _restorer;
    }
}
