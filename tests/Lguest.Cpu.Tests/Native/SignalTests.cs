using System.Runtime.InteropServices;
using Iced.Intel;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Native;

/// <summary>Signals for a thread that is executing an instruction on the host's processor.</summary>
public sealed unsafe class SignalTests
{
    // One of the real-time signals, of which the runtime uses the first.
    private const int SpareSignal = 50;
    private const int Signals = 2_000;
    private const int AlignmentCheckBit = 18;

    [Fact]
    public void One_that_comes_while_alignment_is_checked_waits()
    {
        NativeProcessor.SkipUnlessSupported();
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor are only caught on Linux.");
        long* counts = (long*)NativeMemory.AllocZeroed(2, sizeof(long));
        nint page = ExecutableArena.Rent();
        ExecutableArena.Write(page, AssembleHandler(page, counts));
        Assert.True(FaultCatcher.TryHandle(SpareSignal, page));
        int sent = SignalledThread.Run(SpareSignal, Signals, Work, _ => Thread.Yield());

        // A handler of the runtime's that finds AC set may end the process.
        Assert.Equal(Signals, sent);
        Assert.True(counts[0] > 0, "The handler has never run.");
        Assert.True(counts[1] == 0, $"Of {counts[0]} signals {counts[1]} came while AC was set.");
    }

    private static void Work(Func<bool> goesOn)
    {
        using var native = new NativeProcessor();
        while (goesOn())
        {
            // rep lodsb, of all the memory there is to read.
            native.State->Flags |= Eflags.Ac;
            native.State->General[1] = 512;
            native.State->General[6] = native.ScratchAddress;
            native.Execute([0xF3, 0xAC]);
        }
    }

    /// <summary>Counts its calls, and those that found AC set. The signal is never sent again, so nothing is given back.</summary>
    private static byte[] AssembleHandler(nint page, long* counts)
    {
        var a = new Assembler(64);
        a.pushfq();
        a.pop(rax);
        a.shr(eax, AlignmentCheckBit);
        a.and(eax, 1);
        a.mov(rcx, (nint)counts);
        a.inc(__qword_ptr[rcx]);
        a.add(__qword_ptr[rcx + sizeof(long)], rax);
        a.ret();
        return NativeProcessor.Encode(a, page);
    }
}
