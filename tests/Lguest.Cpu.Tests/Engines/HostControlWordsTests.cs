using System.Runtime.InteropServices;
using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Engines;

/// <summary>A guest's floating-point state is the host's only while translated code runs: nobody else in the process sees it.</summary>
public sealed unsafe class HostControlWordsTests
{
    private const int SpareSignal = 51;
    private const int Signals = 2_000;

    /// <summary>Rounding up, denormals and tiny results zero, all exceptions masked.</summary>
    private const uint GuestMxcsr = 0xDFC0;

    /// <summary>Rounding down, to 24 bits.</summary>
    private const ushort GuestControl = 0x047F;
    private const uint DefaultMxcsr = 0x1F80;
    private const ushort DefaultControl = 0x037F;
    private const uint StatusOfMxcsr = 0x3F;
    private const ushort AllEmpty = 0xFFFF;

    // Of struct ucontext of x86-64 Linux: where the interrupted floating-point state is, as FXSAVE has it.
    private const int ContextFloatingPoint = 40 + (23 * 8);
    private const int MxcsrInArea = 24;

    [Fact]
    public void The_host_has_its_own_again_after_a_run()
    {
        TestEngine.SkipUnlessTranslating();
        NativeProcessor.SkipUnlessSupported();
        nint page = ExecutableArena.Rent();
        ExecutableArena.Write(page, AssembleReader(page));
        uint* seen = stackalloc uint[9];
        using Machine machine = MakeGuest();
        ulong translated = machine.Cpu.TranslatedInstructions;

        machine.Cpu.Run(10_000);
        ((delegate* unmanaged<uint*, void>)page)(seen);

        Assert.True(machine.Cpu.TranslatedInstructions > translated + 9_000);
        Assert.Equal(GuestMxcsr, machine.Cpu.State.Mxcsr & ~StatusOfMxcsr);
        Assert.Equal(GuestControl, machine.Cpu.State.X87.Control);
        Assert.NotEqual(0, machine.Cpu.State.X87.Valid);
        Assert.Equal(DefaultMxcsr, seen[0] & ~StatusOfMxcsr);
        Assert.Equal(DefaultControl, (ushort)seen[1]);
        Assert.Equal(AllEmpty, (ushort)seen[4]);
    }

    /// <summary>Linux gives a handler the floating-point state that a process starts with, and the interrupted one back.</summary>
    [Fact]
    public void A_signal_that_comes_meanwhile_finds_what_it_expects()
    {
        TestEngine.SkipUnlessTranslating();
        NativeProcessor.SkipUnlessSupported();
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor are only caught on Linux.");
        long* counts = (long*)NativeMemory.AllocZeroed(3, sizeof(long));
        nint page = ExecutableArena.Rent();
        ExecutableArena.Write(page, AssembleHandler(page, counts));
        Assert.True(FaultCatcher.TryHandle(SpareSignal, page));
        uint mxcsr = 0;

        // One at a time: a handler that interrupts another sees nothing of the guest.
        int sent = SignalledThread.Run(SpareSignal, Signals, Work, count => SpinWait.SpinUntil(() => Volatile.Read(ref counts[2]) == count));

        Assert.Equal(Signals, sent);
        Assert.True(counts[0] > 0, "No signal came while the guest's state was loaded.");
        Assert.True(counts[1] == 0, $"{counts[1]} handlers, with {counts[0]} that interrupted the guest, found control words of its.");
        Assert.Equal(GuestMxcsr, mxcsr & ~StatusOfMxcsr);

        void Work(Func<bool> goesOn)
        {
            using Machine machine = MakeGuest();
            do
            {
                machine.Cpu.Run(100_000);
            }
            while (goesOn());
            mxcsr = machine.Cpu.State.Mxcsr;
        }
    }

    /// <summary>Translated code calls ours for FSIN, with the guest's numbers in the host's registers.</summary>
    [Fact]
    public void A_garbage_collection_changes_nothing()
    {
        const ulong instructions = 2_000_000;
        TestEngine.SkipUnlessTranslating();
        using Machine interpreter = MakeSines();
        using Machine translator = MakeSines();
        translator.Cpu.TryTranslate(threshold: 0);
        bool isOver = false;
        int collections = 0;
        var collector = new Thread(() =>
        {
            while (!Volatile.Read(ref isOver))
            {
                GC.Collect();
                collections++;
            }
        });
        collector.Start();

        translator.Cpu.Run(instructions);
        Volatile.Write(ref isOver, true);
        collector.Join();
        interpreter.Cpu.Run(instructions);

        Assert.True(collections > 3, $"There were only {collections} collections.");
        Assert.True(translator.Cpu.TranslatedInstructions > instructions / 2);
        Assert.Equal(interpreter.Cpu.Save(), translator.Cpu.Save());
    }

    private static Machine MakeSines()
    {
        var machine = new Machine();
        machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);
        machine.WriteUInt32(Machine.DataBase, GuestMxcsr);
        machine.Memory.Write(Machine.DataBase + 8, BitConverter.GetBytes(BitConverter.DoubleToUInt64Bits(0.7)));
        machine.Assemble(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ebx, Machine.DataBase);
            a.ldmxcsr(__dword_ptr[ebx]);
            a.fninit();
            a.fld1();
            a.Label(ref again);
            a.fsin();
            a.fadd(__qword_ptr[ebx + 8]);
            a.divsd(xmm0, __qword_ptr[ebx + 8]);
            a.addsd(xmm0, __qword_ptr[ebx + 8]);
            a.add(eax, ecx);
            a.inc(ecx);
            a.lea(esi, __[eax + ecx * 2]);
            a.jmp(again);
        });
        return machine;
    }

    /// <summary>A guest in an endless loop of SSE and x87 instructions, with control words that no host has.</summary>
    private static Machine MakeGuest()
    {
        var machine = new Machine();
        machine.Cpu.TryTranslate(threshold: 0);
        machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);
        machine.WriteUInt32(Machine.DataBase, GuestMxcsr);
        machine.WriteUInt32(Machine.DataBase + 4, GuestControl);
        machine.Assemble(a =>
        {
            Label again = a.CreateLabel();
            a.mov(ebx, Machine.DataBase);
            a.ldmxcsr(__dword_ptr[ebx]);
            a.fldcw(__word_ptr[ebx + 4]);
            a.fldpi();
            a.Label(ref again);
            a.fld1();
            a.fdiv(st0, st1);
            a.fstp(__qword_ptr[ebx + 8]);
            a.divsd(xmm0, __qword_ptr[ebx + 8]);
            a.jmp(again);
        });
        return machine;
    }

    /// <summary>MXCSR, the x87's control word, and from the third word on its environment.</summary>
    private static byte[] AssembleReader(nint page)
    {
        var a = new Assembler(64);
        a.stmxcsr(__dword_ptr[rdi]);
        a.fnstcw(__word_ptr[rdi + 4]);
        a.fnstenv(__[rdi + 8]);
        a.fldenv(__[rdi + 8]);
        a.ret();
        return NativeProcessor.Encode(a, page);
    }

    /// <summary>Counts its calls that interrupted the guest, those that found any but the default control words, and all.</summary>
    private static byte[] AssembleHandler(nint page, long* counts)
    {
        var a = new Assembler(64);
        Label isDefault = a.CreateLabel();
        Label isStrange = a.CreateLabel();
        Label isHost = a.CreateLabel();
        a.mov(rcx, (nint)counts);
        a.mov(rax, __qword_ptr[rdx + ContextFloatingPoint]);
        a.mov(eax, __dword_ptr[rax + MxcsrInArea]);
        a.and(eax, ~(int)StatusOfMxcsr);
        a.cmp(eax, (int)GuestMxcsr);
        a.jne(isHost);
        a.inc(__qword_ptr[rcx]);
        a.Label(ref isHost);
        a.stmxcsr(__dword_ptr[rsp - 8]);
        a.cmp(__dword_ptr[rsp - 8], (int)DefaultMxcsr);
        a.jne(isStrange);
        a.fnstcw(__word_ptr[rsp - 8]);
        a.cmp(__word_ptr[rsp - 8], DefaultControl);
        a.je(isDefault);
        a.Label(ref isStrange);
        a.inc(__qword_ptr[rcx + sizeof(long)]);
        a.Label(ref isDefault);
        a.inc(__qword_ptr[rcx + (2 * sizeof(long))]);
        a.ret();
        return NativeProcessor.Encode(a, page);
    }
}
