using System.Runtime.InteropServices;
using Iced.Intel;
using Lguest.Cpu.Tests.Native;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.CompatibilityMode;

/// <summary>
/// The way from 64-bit code to 32-bit code and back. IRETQ leads there: it loads CS, EIP, EFLAGS, SS and ESP at once. Back leads
/// an exception, always: INT3 ends what has no other. Its signal handler (<see cref="FaultCatcher"/>) stores
/// what it interrupted into the <see cref="CompatibilityState"/>, and returns to <see cref="Exit"/>.
/// </summary>
internal static unsafe class CompatibilityEntry
{
    /// <summary>CS of 64-bit code on Linux.</summary>
    public const ushort Code64 = 0x33;

    /// <summary>SS of 64-bit code on Linux, which 32-bit code has for all its data.</summary>
    public const ushort FlatData = 0x2B;

    /// <summary>CS of 32-bit code on Linux.</summary>
    public const ushort FlatCode = 0x23;

    private const int Es = 0;
    private const int Cs = 1;
    private const int Ss = 2;
    private const int Ds = 3;
    private const int Fs = 4;
    private const int Gs = 5;

    static CompatibilityEntry()
    {
        State = (CompatibilityState*)NativeMemory.AlignedAlloc(CompatibilityState.Size, 64);
        State->Reset();
        Start = ExecutableArena.Rent();
        byte[] entry = AssembleEntry();
        Return = Start + entry.Length;
        const int interruptReturn = 2;
        Last = Return - interruptReturn;
        ExecutableArena.Write(Start, [.. entry, .. AssembleExit()]);
    }

    /// <summary>What is loaded and stored. There is one, as there is one LDT.</summary>
    public static CompatibilityState* State { get; }

    /// <summary>Address of the IRETQ, whose faults count as the 32-bit code's.</summary>
    public static nint Last { get; }

    /// <summary>Where the signal handler goes on, in 64-bit mode, with R15 at the state and RSP as it was.</summary>
    public static nint Return { get; }

    private static nint Start { get; }

    /// <summary>Executes 32-bit code from the state to its first exception. Faults have to be caught.</summary>
    public static void Execute() => ((delegate* unmanaged<CompatibilityState*, void>)Start)(State);

    private static byte[] AssembleEntry()
    {
        var a = new Assembler(64);
        a.push(rbx);
        a.push(rbp);
        a.push(r12);
        a.push(r13);
        a.push(r14);
        a.push(r15);
        a.mov(r15, rdi);
        HostSystemCalls.BlockSignals(
            a, __[r15 + CompatibilityState.BlockedSignalsOffset], __[r15 + CompatibilityState.SignalsBeforeOffset]);
        HostSystemCalls.SaveFsBase(a, __[r15 + CompatibilityState.HostFsBaseOffset]);
        a.mov(__qword_ptr[r15 + CompatibilityState.HostStackOffset], rsp);
        a.fxsave(__[r15 + CompatibilityState.HostFloatingPointOffset]);
        a.fxrstor(__[r15]);
        a.movzx(eax, __word_ptr[r15 + Selector(Ss)]);
        a.push(rax);
        a.push(__qword_ptr[r15 + General(4)]);
        a.push(__qword_ptr[r15 + CompatibilityState.FlagsOffset]);
        a.movzx(eax, __word_ptr[r15 + Selector(Cs)]);
        a.push(rax);
        a.push(__qword_ptr[r15 + CompatibilityState.EipOffset]);
        foreach ((AssemblerRegisterSegment register, int number) in Data)
        {
            a.mov(__word_ptr[r15 + CompatibilityState.HostSelectorsOffset + number * sizeof(ushort)], register);
            a.mov(register, __word_ptr[r15 + Selector(number)]);
        }

        a.mov(rax, __qword_ptr[r15 + General(0)]);
        a.mov(rcx, __qword_ptr[r15 + General(1)]);
        a.mov(rdx, __qword_ptr[r15 + General(2)]);
        a.mov(rbx, __qword_ptr[r15 + General(3)]);
        a.mov(rbp, __qword_ptr[r15 + General(5)]);
        a.mov(rsi, __qword_ptr[r15 + General(6)]);
        a.mov(rdi, __qword_ptr[r15 + General(7)]);
        a.iretq();
        return NativeProcessor.Encode(a, 0);
    }

    private static byte[] AssembleExit()
    {
        const int plainFlags = 0x202;
        var a = new Assembler(64);

        // The way back from a signal handler leaves NT, with which the next IRETQ would fault, and ID.
        a.push(plainFlags);
        a.popfq();
        a.fxsave(__[r15]);
        a.fxrstor(__[r15 + CompatibilityState.HostFloatingPointOffset]);
        foreach ((AssemblerRegisterSegment register, int number) in Data)
        {
            a.mov(__word_ptr[r15 + Selector(number)], register);
            a.mov(register, __word_ptr[r15 + CompatibilityState.HostSelectorsOffset + number * sizeof(ushort)]);
        }

        HostSystemCalls.RestoreFsBase(a, __qword_ptr[r15 + CompatibilityState.HostFsBaseOffset]);
        HostSystemCalls.RestoreSignals(a, __[r15 + CompatibilityState.SignalsBeforeOffset]);
        a.pop(r15);
        a.pop(r14);
        a.pop(r13);
        a.pop(r12);
        a.pop(rbp);
        a.pop(rbx);
        a.ret();
        return NativeProcessor.Encode(a, 0);
    }

    private static (AssemblerRegisterSegment Register, int Number)[] Data => [(ds, Ds), (es, Es), (fs, Fs), (gs, Gs)];

    private static int General(int number) => CompatibilityState.GeneralOffset + number * sizeof(ulong);

    private static int Selector(int number) => CompatibilityState.SelectorsOffset + number * sizeof(ushort);
}
