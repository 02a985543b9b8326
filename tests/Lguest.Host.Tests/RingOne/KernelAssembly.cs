using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Host.Tests.RingOne;

/// <summary>What the test kernels do again and again.</summary>
public static class KernelAssembly
{
    public const uint FlushAsync = 0;
    public const uint Init = 1;
    public const uint Crash = 2;
    public const uint LoadGdt = 3;
    public const uint NewPageTable = 4;
    public const uint FlushTlb = 5;
    public const uint LoadIdtEntry = 6;
    public const uint SetStack = 7;
    public const uint TaskSwitched = 8;
    public const uint SetClockEvent = 9;
    public const uint Halt = 10;
    public const uint BindDma = 12;
    public const uint SendDma = 13;
    public const uint SetPte = 14;
    public const uint SetPmd = 15;
    public const uint LoadTls = 16;

    public const uint InterruptGate = 0xe;
    public const uint TrapGate = 0xf;

    private const byte HypercallVector = 0x1f;

    public static void Hypercall(this Assembler a, uint number, uint first = 0, uint second = 0, uint third = 0)
    {
        a.mov(eax, number);
        a.mov(edx, first);
        a.mov(ebx, second);
        a.mov(ecx, third);
        a.@int(HypercallVector);
    }

    public static void InitHypercall(this Assembler a) => a.Hypercall(Init, RingOneGuest.Data);

    /// <summary>Ends the guest normally.</summary>
    public static void PowerOff(this Assembler a, uint words = RingOneGuest.Strings) => a.Hypercall(Crash, words);

    public static void SetGate(this Assembler a, uint vector, uint handler, uint type = InterruptGate, uint privilege = 0) =>
        a.Hypercall(
            LoadIdtEntry,
            vector,
            ((uint)RingOneGuest.KernelCode << 16) | (handler & 0xffff),
            (handler & 0xffff_0000) | 0x8000 | (privilege << 13) | (type << 8));

    /// <summary>Loads the GDT and the kernel's stack: what a kernel needs before it can have user programs.</summary>
    public static void PrepareUser(this Assembler a)
    {
        a.Hypercall(LoadGdt, RingOneGuest.Gdt, 32);
        a.Hypercall(SetStack, RingOneGuest.KernelData, RingOneGuest.Linear(RingOneGuest.KernelStackTop), 2);
    }

    /// <summary>
    /// Returns to the user program as if it had been interrupted at its start. The kernel's own data segment wouldn't
    /// survive that, so from here on it uses the user's, as Linux does.
    /// </summary>
    public static void EnterUser(this Assembler a, uint eflags = 0x202)
    {
        a.mov(eax, (uint)RingOneGuest.UserDataSelector);
        a.mov(ds, eax);
        a.mov(es, eax);
        a.push(RingOneGuest.UserDataSelector);
        a.push(RingOneGuest.UserStackTop);
        a.push(eflags);
        a.push(RingOneGuest.UserCodeSelector);
        a.push(RingOneGuest.UserCodeLinear);
        a.iretd();
    }

    /// <summary>Stores a register for the test to read.</summary>
    public static void Note(this Assembler a, AssemblerRegister32 register, int slot = 0) =>
        a.mov(__dword_ptr[RingOneGuest.Linear(RingOneGuest.Scratch) + (uint)(slot * 4)], register);

    /// <summary>A handler that notes where its frame is and ends the guest.</summary>
    public static void NoteFrameAndPowerOff(this Assembler a)
    {
        a.Note(esp);
        a.PowerOff();
    }

    public static void EnableInterrupts(this Assembler a) =>
        a.mov(__dword_ptr[RingOneGuest.Linear(RingOneGuest.IrqEnabled)], 0x200);

    public static void DisableInterrupts(this Assembler a) =>
        a.mov(__dword_ptr[RingOneGuest.Linear(RingOneGuest.IrqEnabled)], 0);
}
