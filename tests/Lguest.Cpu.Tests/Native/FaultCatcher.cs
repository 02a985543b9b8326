using System.Runtime.InteropServices;
using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.CompatibilityMode;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Native;

/// <summary>
/// Turns a fault of an instruction under test into a result, on Linux: signal handlers in machine code that note
/// the exception in the <see cref="NativeState"/> and go on after the instruction, or that end 32-bit code (see
/// <see cref="CompatibilityEntry"/>). Faults from anywhere else go to the handlers that were there before, which are the .NET
/// runtime's.
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
    private const int ContextRsp = 40 + 15 * 8;
    private const int ContextRip = 40 + 16 * 8;
    private const int ContextFlags = 40 + 17 * 8;
    private const int ContextCs = 40 + 18 * 8;
    private const int ContextSs = ContextCs + 6;
    private const int ContextError = 40 + 19 * 8;
    private const int ContextTrap = 40 + 20 * 8;
    private const int ContextCr2 = 40 + 22 * 8;

    // RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI.
    private static readonly int[] ContextGeneral =
        [40 + 13 * 8, 40 + 14 * 8, 40 + 12 * 8, 40 + 11 * 8, ContextRsp, 40 + 10 * 8, 40 + 9 * 8, 40 + 8 * 8];

    /// <summary>Whether faults are caught here.</summary>
    public static bool IsInstalled { get; } = Install();

    /// <summary>Installs a handler of machine code for a signal that nobody else uses.</summary>
    /// <returns>Whether that could be done.</returns>
    public static bool TryHandle(int signal, nint handler)
    {
        var action = new SignalAction { Handler = handler, Flags = ActionInformation | ActionOnStack };
        return ChangeAction(signal, &action, null) == 0;
    }

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
        Label compatibility = a.CreateLabel();
        a.mov(rax, __qword_ptr[rdx + ContextRip]);
        a.cmp(__word_ptr[rdx + ContextCs], CompatibilityEntry.Code64);
        a.jne(compatibility);
        a.mov(rcx, CompatibilityEntry.Last);
        a.cmp(rax, rcx);
        a.je(compatibility);
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
        a.Label(ref compatibility);
        AssembleCompatibility(a, signal);
        return NativeProcessor.Encode(a, page);

        void Copy(int from, int to)
        {
            a.mov(rax, __qword_ptr[rdx + from]);
            a.mov(__qword_ptr[rcx + to], rax);
        }
    }

    /// <summary>Nothing else in the process is 32-bit code. Only what is aligned is touched: AC may be set.</summary>
    private static void AssembleCompatibility(Assembler a, int signal)
    {
        const int plainFlags = 0x202;
        a.mov(rcx, (nint)CompatibilityEntry.State);
        for (int i = 0; i < ContextGeneral.Length; i++)
        {
            Copy(ContextGeneral[i], CompatibilityState.GeneralOffset + i * sizeof(ulong));
        }

        Copy(ContextFlags, CompatibilityState.FlagsOffset);
        Copy(ContextRip, CompatibilityState.EipOffset);
        CopySelector(ContextCs, SegmentName.Cs);
        CopySelector(ContextSs, SegmentName.Ss);
        a.mov(__qword_ptr[rcx + CompatibilityState.SignalOffset], signal);
        Copy(ContextTrap, CompatibilityState.VectorOffset);
        Copy(ContextError, CompatibilityState.ErrorCodeOffset);
        Copy(ContextCr2, CompatibilityState.FaultAddressOffset);
        a.mov(__qword_ptr[rdx + ContextR15], rcx);
        a.mov(rax, __qword_ptr[rcx + CompatibilityState.HostStackOffset]);
        a.mov(__qword_ptr[rdx + ContextRsp], rax);
        a.mov(__qword_ptr[rdx + ContextFlags], plainFlags);
        a.mov(__word_ptr[rdx + ContextCs], CompatibilityEntry.Code64);
        a.mov(__word_ptr[rdx + ContextSs], CompatibilityEntry.FlatData);
        a.mov(rax, CompatibilityEntry.Return);
        a.mov(__qword_ptr[rdx + ContextRip], rax);
        a.ret();

        void Copy(int from, int to)
        {
            a.mov(rax, __qword_ptr[rdx + from]);
            a.mov(__qword_ptr[rcx + to], rax);
        }

        void CopySelector(int from, SegmentName name)
        {
            a.mov(ax, __word_ptr[rdx + from]);
            a.mov(__word_ptr[rcx + CompatibilityState.SelectorsOffset + (int)name * sizeof(ushort)], ax);
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
