using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;
using static Lguest.Host.Tests.Dialects.TrapHandlers;

namespace Lguest.Host.Tests.Dialects;

/// <summary>What a kernel does with all of its dialect but the devices, in the order in which Linux gets there.</summary>
public sealed class KernelWalk(DialectKernel kernel)
{
    private const uint PageFault = 14;
    private const uint GeneralProtection = 13;
    private const uint AbsentPage = Window;
    private const uint ReadOnlyPage = Window + 0x1000;
    private const uint ChangingPage = Window + 0x2000;
    private const uint UserReadOnlyPage = User + 0x2000;
    private const uint UserKernelPage = User + 0x3000;
    private const uint UserAbsentPage = User + 0x4000;
    private const uint UserChangingPage = User + 0x5000;

    private readonly GuestCode _code = kernel.Code;
    private readonly Assembler _a = kernel.Code.A;
    private readonly Dialect _dialect = kernel.Dialect;
    private readonly DialectGuest _guest = kernel.Guest;

    /// <summary>The whole way.</summary>
    public void Walk()
    {
        LoadSegments();
        LoadGates();
        RaiseTraps();
        SwitchTasks();
        RunUserPrograms();
        ChangePageTables();
        QueueCalls();
        TakeInterrupts();
        TellTime();
    }

    /// <summary>LOAD_GDT or LOAD_GDT_ENTRY, and LOAD_TLS.</summary>
    private void LoadSegments()
    {
        _code.Step("the GDT");
        kernel.LoadGdt();

        // DPL 0 has become 1, and the descriptor accessed: LAR sees what the processor has.
        _a.mov(ecx, PlainEntry << 3);
        _a.lar(eax, ecx);
        _a.and(eax, 0xff00);
        _code.Note("the rights of a data segment", eax, 0xb300);
        foreach (int entry in (ReadOnlySpan<int>)[10, 11, 16, 31])
        {
            _a.mov(ecx, entry << 3);
            NoteZeroFlag($"whether entry {entry} has become the kernel's", a => a.lar(eax, ecx), 0);
        }

        // RPL 0 is legal: DPL and CPL are 1. What is loaded stays until it is loaded again.
        _code.Step("a segment for the processor's own data");
        NoteThrough("what is there", PercpuEntry << 3, isLoaded: true, 1);
        Write(Gdt + (PercpuEntry * 8), WithBase(Linear(PageTwo)));
        if (_dialect.Has(HypercallNumber.LoadGdt))
        {
            _code.Call(HypercallNumber.LoadGdt, Gdt, 32);
        }
        else
        {
            _code.Call(HypercallNumber.LoadGdtEntry, PercpuEntry, (uint)WithBase(Linear(PageTwo)), (uint)(WithBase(Linear(PageTwo)) >> 32));
        }

        NoteThrough("before it is loaded again", PercpuEntry << 3, isLoaded: false, 1);
        NoteThrough("once it is", PercpuEntry << 3, isLoaded: true, 2);

        _code.Step("LOAD_TLS");
        _a.xor(eax, eax);
        _a.mov(fs, eax);
        _code.Call(HypercallNumber.LoadTls, Tls, 0);
        NoteThrough("entry 6", (6 << 3) | 3, isLoaded: true, 2);
        NoteThrough("entry 8", (8 << 3) | 3, isLoaded: true, 1);
        _a.mov(ecx, 7 << 3);
        _a.lar(eax, ecx);
        _a.and(eax, 0xff00);
        _code.Note("the rights of entry 7", eax, 0xb300);
        _a.xor(eax, eax);
        _a.mov(fs, eax);
        _code.Call(HypercallNumber.SetStack, KernelData, Linear(KernelStackTop), 2);
    }

    /// <summary>LOAD_IDT_ENTRY: which vectors can have a gate.</summary>
    private void LoadGates()
    {
        _code.Step("gates");
        kernel.LoadGates();

        // These stay the host's: the next hypercall is one all the same.
        foreach (uint vector in (ReadOnlySpan<uint>)[2, 8, 15, GuestCode.HypercallVector])
        {
            _code.SetGate(vector, HandlerOf(vector), privilege: 3);
        }

        _code.SetGate(0x40, HandlerOf(0x40), GuestCode.TrapGate, privilege: 3);
        _code.SetGate(0x41, HandlerOf(0x41), GuestCode.TrapGate, privilege: 3);
        _code.Call(HypercallNumber.LoadIdtEntry, 0x41, 0, 0);
        if (!_dialect.RefusesGatesBeyond)
        {
            _code.SetGate(256, HandlerOf(0x40), privilege: 3);
        }

        kernel.UserTrap("INT 2", GeneralProtection, (2 * 8) + 2, a => a.@int(2));
        kernel.UserTrap("INT 0x1f at CPL 3", GeneralProtection, 0xfa, a => a.@int(GuestCode.HypercallVector));
        kernel.UserTrap("INT 0x20, an interrupt's", GeneralProtection, (0x20 * 8) + 2, a => a.@int(0x20));
        kernel.UserTrap("INT 0x41, whose gate was taken away", GeneralProtection, (0x41 * 8) + 2, a => a.@int(0x41));
        if (_dialect.LastGate >= 0x40)
        {
            kernel.UserTrap("INT 0x40", 0x40, null, a => a.@int(0x40), isBehind: true);
        }
        else
        {
            kernel.UserTrap("INT 0x40", GeneralProtection, (0x40 * 8) + 2, a => a.@int(0x40));
        }
    }

    /// <summary>Traps of the kernel itself: what their frames are, and what they do to irq_enabled.</summary>
    private void RaiseTraps()
    {
        _code.SetInterrupts(false);
        kernel.Trap("divide error", 0, null, a => a.div(ecx), before: a => a.xor(ecx, ecx));
        _code.NoteBits("IF in the frame, interrupts off", _code.Dword(FrameEflags), GuestCode.InterruptFlag, 0);
        _code.NoteBits("IF as PUSHF sees it", _code.Dword(EflagsInHandler), GuestCode.InterruptFlag, GuestCode.InterruptFlag);

        // The kernel's return path stores whole images of EFLAGS.
        _a.mov(_code.Field(_dialect.Structure.IrqEnabled), 0x246);
        kernel.Trap("divide error, interrupts on", 0, null, a => a.div(ecx), before: a => a.xor(ecx, ecx));
        _code.NoteBits("IF in the frame", _code.Dword(FrameEflags), GuestCode.InterruptFlag, GuestCode.InterruptFlag);
        _code.NoteBits("a trap gate leaves interrupts on", _code.Dword(IrqEnabledAtEntry), GuestCode.InterruptFlag, GuestCode.InterruptFlag);

        _a.mov(_code.Field(_dialect.Structure.IrqEnabled), 0x246);
        kernel.Trap("invalid opcode, interrupts on", 6, null, a => a.ud2());
        _code.NoteBits("IF in the frame", _code.Dword(FrameEflags), GuestCode.InterruptFlag, GuestCode.InterruptFlag);
        _code.NoteBits("an interrupt gate turns interrupts off", _code.Dword(IrqEnabledAtEntry), GuestCode.InterruptFlag, 0);
        _code.NoteBits("the return turns them on", _code.Field(_dialect.Structure.IrqEnabled), GuestCode.InterruptFlag, GuestCode.InterruptFlag);
        _code.SetInterrupts(false);

        kernel.Trap("INT3", 3, null, a => a.int3(), isBehind: true);
        kernel.Trap("INTO", 4, null, a => a.into(), isBehind: true, before: a =>
        {
            a.mov(eax, int.MaxValue);
            a.inc(eax);
        });
        kernel.Trap("INT 0x80 in the kernel", SystemCall, null, a => a.@int((byte)SystemCall), isBehind: true, before: a => a.mov(eax, Leave));
        kernel.Trap("an absent segment", 11, AbsentEntry << 3, a => a.mov(fs, eax), before: a => a.mov(eax, AbsentEntry << 3));
        kernel.Trap("an absent stack", 12, AbsentStackEntry << 3, a => a.mov(ss, eax), before: a => a.mov(eax, (AbsentStackEntry << 3) | 1));
        kernel.Trap("a selector of the LDT", GeneralProtection, 4, a => a.mov(fs, eax), before: a => a.mov(eax, 4));
        kernel.Trap("an INT without a gate", GeneralProtection, (0xf0 * 8) + 2, a => a.@int(0xf0));
        kernel.Trap("an INT whose gate is for CPL 0", GeneralProtection, (13 * 8) + 2, a => a.@int(13));
        kernel.Trap("RDMSR", GeneralProtection, 0, a => a.rdmsr(), before: a => a.mov(ecx, 0x8b));
        kernel.Trap("WRMSR", GeneralProtection, 0, a => a.wrmsr());
        kernel.Trap("MOV from CR4", GeneralProtection, 0, a => a.mov(eax, cr4));
        kernel.Trap("MOV to CR3", GeneralProtection, 0, a => a.mov(cr3, eax));
        kernel.Trap("LGDT", GeneralProtection, 0, a => a.lgdt(_code.Dword(Gdt)));
        kernel.Trap("LTR", GeneralProtection, 0, a => a.ltr(ax));
        kernel.Trap("INVLPG", GeneralProtection, 0, a => a.invlpg(_code.Byte(Gdt)));
        kernel.Trap("WBINVD", GeneralProtection, 0, a => a.wbinvd());
        kernel.Trap("CLTS", GeneralProtection, 0, a => a.clts());
        kernel.Trap("INSB", GeneralProtection, 0, a => a.insb(), before: a => a.mov(dx, 0x300));
        kernel.Trap("OUTSB", GeneralProtection, 0, a => a.outsb());
        kernel.Trap("SYSENTER", GeneralProtection, 0, a => a.sysenter());
        if (_dialect.PassesOverCli)
        {
            kernel.NoTrap("CLI and STI", a =>
            {
                a.cli();
                a.sti();
            });
        }
        else
        {
            kernel.Trap("CLI", GeneralProtection, 0, a => a.cli());
            kernel.Trap("STI", GeneralProtection, 0, a => a.sti());
            kernel.Trap("HLT", GeneralProtection, 0, a => a.hlt());
        }

        RaisePageFaults();
        NoteHarmlessInstructions();
    }

    /// <summary>Page faults of the kernel: cr2, and an error code that comes from the kernel's own tables.</summary>
    private void RaisePageFaults()
    {
        kernel.Trap("a read of an absent page", PageFault, 0, a => a.mov(eax, __dword_ptr[AbsentPage + 0x123]));
        _code.Note("cr2", _code.Dword(FaultAddress), AbsentPage + 0x123);
        kernel.Trap("a write to an absent page", PageFault, 2, a => a.mov(__dword_ptr[AbsentPage + 0x456], eax));
        _code.Note("cr2", _code.Dword(FaultAddress), AbsentPage + 0x456);
        kernel.Trap("a write to a page that is only to be read", PageFault, 3, a => a.mov(__dword_ptr[ReadOnlyPage], eax));
        _code.Note("cr2", _code.Dword(FaultAddress), ReadOnlyPage);
    }

    /// <summary>What isn't privileged, or does nothing.</summary>
    private void NoteHarmlessInstructions()
    {
        _code.Step("harmless instructions");
        _a.mov(dx, 0x300);
        _a.xor(eax, eax);
        _a.@in(eax, dx);
        _code.Note("IN of a dword", eax, uint.MaxValue);
        _a.xor(eax, eax);
        _a.@in(al, dx);
        _code.Note("IN of a byte", eax, 0xff);
        _a.@out(dx, eax);
        _a.xor(eax, eax);
        _a.@in(al, 0x64);
        _code.Note("the keyboard controller's status", eax, _dialect.Devices == DeviceKind.Pci ? 1u : 0xff);
        _a.pushfd();
        _a.push(0x2);
        _a.popfd();
        _a.pushfd();
        _a.pop(eax);
        _a.and(eax, (int)GuestCode.InterruptFlag);
        _code.Note("IF behind a POPF that clears it", eax, GuestCode.InterruptFlag);
        _a.popfd();

        _a.mov(eax, 0);
        _a.cpuid();
        _code.Note("the vendor", ebx, 0x756e_6547);
        _a.mov(eax, 1);
        _a.cpuid();
        _code.A.mov(esi, edx);
        _a.and(edx, 1 << 4);
        _code.Note("CPUID: TSC", edx, 1 << 4);
        _a.mov(edx, esi);
        _a.and(edx, (1 << 6) | (1 << 3) | (1 << 11));
        _code.Note("CPUID: PAE, not PSE, not SEP", edx, _dialect.HasPae ? 1u << 6 : 0);
    }

    /// <summary>TS, as long as there is such a call.</summary>
    private void SwitchTasks()
    {
        if (!_dialect.Has(HypercallNumber.TaskSwitched))
        {
            kernel.NoTrap("x87", a => a.fninit());
            return;
        }

        _code.Call(HypercallNumber.TaskSwitched, 1);
        kernel.Trap("x87 with TS set", 7, null, a => a.fninit());
        _code.Call(HypercallNumber.TaskSwitched, 0);
        kernel.NoTrap("x87 with TS cleared", a => a.fninit());
        _code.Queue(HypercallNumber.TaskSwitched, 5);
        _code.Flush();
        kernel.Trap("x87 with TS set by a queued call", 7, null, a => a.fninit());
        _code.Queue(HypercallNumber.TaskSwitched, 0);
        kernel.NoTrap("x87 with TS cleared by a call that is still queued", a => a.fninit());
        kernel.Trap("an x87 error", 16, null, a => a.wait(), before: a =>
        {
            // Division by zero unmasked.
            a.push(0x37b);
            a.fldcw(__word_ptr[esp]);
            a.add(esp, 4);
            a.fld1();
            a.fldz();
            a.fdivp(st1, st0);
        });
        _a.fninit();
    }

    /// <summary>Programs at CPL 3: the stack that SET_STACK gave, system calls, and all that they may not do.</summary>
    private void RunUserPrograms()
    {
        kernel.UserTrap("a system call", SystemCall, null, a =>
        {
            // The first one returns.
            a.mov(eax, 41);
            a.@int((byte)SystemCall);
            a.mov(ebx, eax);
            a.mov(eax, Leave);
            a.@int((byte)SystemCall);
        }, isBehind: true);
        _code.Note("what the first one returned", ebx, 42);

        // irq_enabled is what the frame on the way out said: on.
        _code.NoteBits(
            "whether interrupts are on in it",
            _code.Dword(IrqEnabledAtEntry),
            GuestCode.InterruptFlag,
            _dialect.SystemCallsMaskInterrupts ? 0 : GuestCode.InterruptFlag);
        _code.SetInterrupts(false);
        kernel.UserTrap("HLT at CPL 3", GeneralProtection, 0, a => a.hlt());
        kernel.UserTrap("IN at CPL 3", GeneralProtection, 0, a => a.@in(al, 0x64));
        kernel.UserTrap("CLI at CPL 3", GeneralProtection, 0, a => a.cli());
        kernel.UserTrap("VMCALL at CPL 3", 6, null, a => a.vmcall());
        kernel.UserTrap("INT3 at CPL 3", 3, null, a => a.int3(), isBehind: true);
        kernel.UserTrap("a kernel's segment", GeneralProtection, KernelData & ~3u, a =>
        {
            a.mov(eax, KernelData);
            a.mov(fs, eax);
        });
        kernel.UserTrap("an unaligned access", 17, 0, a =>
        {
            a.pushfd();
            a.or(__dword_ptr[esp], 1 << 18);
            a.popfd();
            a.mov(eax, __dword_ptr[esp - 2]);
        });
        kernel.UserTrap("a single step", 1, null, a =>
        {
            a.pushfd();
            a.or(__dword_ptr[esp], 1 << 8);
            a.popfd();
            a.nop();
        }, isBehind: true);
        _code.NoteBits("TF in the handler", _code.Dword(EflagsInHandler), 1 << 8, 0);
        UserPageFault("a read of an absent page", 4, UserAbsentPage, a => a.mov(eax, __dword_ptr[UserAbsentPage]));
        UserPageFault("a write to an absent page", 6, UserAbsentPage + 8, a => a.mov(__dword_ptr[UserAbsentPage + 8], eax));
        UserPageFault("a write to a page that is only to be read", 7, UserReadOnlyPage, a => a.mov(__dword_ptr[UserReadOnlyPage], eax));
        UserPageFault("a read of the kernel's page in its own half", 5, UserKernelPage, a => a.mov(eax, __dword_ptr[UserKernelPage]));
        UserPageFault("a read of the kernel", 5, Linear(Data), a => a.mov(eax, __dword_ptr[Linear(Data)]));
    }

    /// <summary>Everything that tells of a change in the page tables, at once.</summary>
    private void ChangePageTables()
    {
        _code.Step("A and D");
        uint entry = _guest.EntryOf(WindowTable, 1);
        _a.mov(eax, __dword_ptr[ReadOnlyPage]);
        _code.NoteBits("of a page that was read", _code.Dword(entry), 0x60, 0x20);
        _code.NoteBits("of a page that was written to", _code.Dword(_guest.EntryOf(LinearTable, Results >> 12)), 0x60, 0x60);

        _code.Step("SET_PTE");
        Remap(WindowTable, 2, PageTwo | PresentWritable, ChangingPage, () => _code.Call(HypercallNumber.SetPte, DialectGuest.Directory, ChangingPage, 0), 2);
        _code.NoteBits("the entry, which was the kernel's to write", _code.Dword(_guest.EntryOf(WindowTable, 2)), ~0xfffu, PageTwo);
        Remap(UserTable, 5, PageTwo | PresentWritableUser, UserChangingPage, () => _code.Call(HypercallNumber.SetPte, DialectGuest.Directory, UserChangingPage, PageTwo | PresentWritableUser), 2);

        _code.Step("SET_PTE of a page that isn't there");
        _a.mov(eax, __dword_ptr[ChangingPage]);
        _a.mov(_code.Dword(_guest.EntryOf(WindowTable, 2)), 0xffff_fffe);
        _code.Call(HypercallNumber.SetPte, DialectGuest.Directory, ChangingPage, 0xffff_fffe, uint.MaxValue);
        kernel.Trap("a page that was taken away", PageFault, 0, a => a.mov(eax, __dword_ptr[ChangingPage]));

        _code.Step("FLUSH_TLB 0");
        _a.mov(_code.Dword(_guest.EntryOf(WindowTable, 2)), PageOne | PresentWritable);
        Remap(UserTable, 5, PageOne | PresentWritableUser, UserChangingPage, () => _code.Call(HypercallNumber.FlushTlb, 0), 1);

        _code.Step("FLUSH_TLB 1");
        Remap(WindowTable, 2, PageTwo | PresentWritable, ChangingPage, () => _code.Call(HypercallNumber.FlushTlb, 1), 2);
        Remap(WindowTable, 2, PageOne | PresentWritable, ChangingPage, () => _code.Call(HypercallNumber.FlushTlb, 1), 1);

        ChangeDirectories();

        _code.Step("NEW_PGTABLE");
        _a.mov(eax, __dword_ptr[UserChangingPage]);
        _code.Call(HypercallNumber.NewPageTable, _guest.Second);
        NoteAt("the second space", UserChangingPage, 2);
        NoteAt("the kernel in it", ChangingPage, 1);
        _code.Call(HypercallNumber.NewPageTable, DialectGuest.Directory);
        NoteAt("the first space again", UserChangingPage, 1);

        // The same one again, with an entry that changed meanwhile and was never told of.
        Remap(UserTable, 5, PageTwo | PresentWritableUser, UserChangingPage, () => _code.Call(HypercallNumber.NewPageTable, DialectGuest.Directory), 2);
        Remap(UserTable, 5, PageOne | PresentWritableUser, UserChangingPage, () => _code.Call(HypercallNumber.NewPageTable, DialectGuest.Directory), 1);
    }

    /// <summary>SET_PMD; from 2.6.31 on SET_PGD, and with PAE both.</summary>
    private void ChangeDirectories()
    {
        if (!_dialect.HasPae)
        {
            _code.Step("SET_PMD or SET_PGD");
            uint index = _guest.TopIndexOf(Window);
            uint entry = _guest.TopEntryOf(DialectGuest.Directory, Window);
            ChangeDirectory(entry, SecondWindowTable | PresentWritable, () => _code.Call(HypercallNumber.SetDirectory, DialectGuest.Directory, index), 2);
            ChangeDirectory(entry, WindowTable | PresentWritable, () => _code.Call(HypercallNumber.SetDirectory, DialectGuest.Directory, index), 1);
            _code.Step("SET_PMD or SET_PGD of the last entry, which is the host's");
            _code.Call(HypercallNumber.SetDirectory, DialectGuest.Directory, 1023);
            return;
        }

        _code.Step("SET_PMD");
        uint lower = _guest.EntryOf(KernelDirectory, 2);
        ChangeDirectory(lower, SecondWindowTable | PresentWritable, () => _code.Call(HypercallNumber.SetPmd, KernelDirectory, 2), 2);
        ChangeDirectory(lower, WindowTable | PresentWritable, () => _code.Call(HypercallNumber.SetPmd, KernelDirectory, 2), 1);
        _code.Step("SET_PGD");
        uint pointer = _guest.TopEntryOf(DialectGuest.Directory, Window);
        ChangeDirectory(pointer, OtherKernelDirectory | 1, () => _code.Call(HypercallNumber.SetDirectory, DialectGuest.Directory, 3), 2);
        ChangeDirectory(pointer, KernelDirectory | 1, () => _code.Call(HypercallNumber.SetDirectory, DialectGuest.Directory, 3), 1);
    }

    /// <summary>The same and more through the ring: all that kernels queue.</summary>
    private void QueueCalls()
    {
        _code.Step("queued SET_PTE");
        Remap(WindowTable, 2, PageTwo | PresentWritable, ChangingPage, () => _code.Queue(HypercallNumber.SetPte, DialectGuest.Directory, ChangingPage, 0), 2);
        Remap(WindowTable, 2, PageOne | PresentWritable, ChangingPage, () => _code.Queue(HypercallNumber.FlushTlb, 1), 1);
        _code.Step("queued SET_PMD or SET_PGD");
        uint entry = _dialect.HasPae ? _guest.EntryOf(KernelDirectory, 2) : _guest.TopEntryOf(DialectGuest.Directory, Window);
        Action queue = _dialect.HasPae
            ? () => _code.Queue(HypercallNumber.SetPmd, KernelDirectory, 2)
            : () => _code.Queue(HypercallNumber.SetDirectory, DialectGuest.Directory, _guest.TopIndexOf(Window));
        ChangeDirectory(entry, SecondWindowTable | PresentWritable, queue, 2);
        ChangeDirectory(entry, WindowTable | PresentWritable, queue, 1);

        _code.Step("queued NEW_PGTABLE");
        _a.mov(eax, __dword_ptr[UserChangingPage]);
        _code.Queue(HypercallNumber.NewPageTable, _guest.Second);
        _code.Flush();
        NoteAt("the second space", UserChangingPage, 2);

        // The last of several counts, and the host goes on where it stopped: twice around the ring.
        _code.Step("a ring that wraps");
        for (int i = 0; i < 130; i++)
        {
            _code.Queue(HypercallNumber.NewPageTable, i % 3 == 0 ? DialectGuest.Directory : _guest.Second);
            if (i % 50 == 49)
            {
                _code.Flush();
            }
        }

        _code.Flush();
        NoteAt("the first space", UserChangingPage, 1);

        // The kernel believes that it has changed spaces as soon as the call is queued, so a fault looks there.
        kernel.Trap("a page that no space has", PageFault, 0, a => a.mov(eax, __dword_ptr[UserAbsentPage]));
        _a.mov(_code.Dword(_guest.EntryOf(SecondUserTable, 4)), PageTwo | PresentWritableUser);
        _code.Queue(HypercallNumber.NewPageTable, _guest.Second);
        kernel.NoTrap("a page that the space has whose call is still queued", a => a.mov(ebx, __dword_ptr[UserAbsentPage]));
        _code.Note("what is there", ebx, 2);
        _code.Call(HypercallNumber.NewPageTable, DialectGuest.Directory);

        _code.Step("queued LOAD_TLS");
        _a.xor(eax, eax);
        _a.mov(fs, eax);
        Write(Tls, WithBase(Linear(PageOne)) | (3ul << 45));
        _code.Queue(HypercallNumber.LoadTls, Tls, 0);
        _code.Flush();
        NoteThrough("entry 6", (6 << 3) | 3, isLoaded: true, 1);
        _a.xor(eax, eax);
        _a.mov(fs, eax);

        _code.Queue(HypercallNumber.SetStack, KernelData, Linear(KernelStackTop) - 0x800, 1);
        _code.Flush();
        uint entryOfUser = kernel.AddUserProgram(a => a.int3(), out _);
        _code.Step("queued SET_STACK");
        kernel.ResumeBehind(_ => kernel.EnterUser(entryOfUser));
        _a.mov(eax, _code.Dword(FrameStack));
        _code.Note("the handler's stack", eax, Linear(KernelStackTop) - 0x800 - 32);
        _code.SetInterrupts(false);
        _code.Call(HypercallNumber.SetStack, KernelData, Linear(KernelStackTop), 2);
    }

    /// <summary>SET_CLOCKEVENT and HALT; irq_enabled, blocked_interrupts, irq_pending, and where no interrupt may be.</summary>
    private void TakeInterrupts()
    {
        _code.Step("a timer that is blocked");
        _a.mov(_code.Dword(CountOf(Timer)), 0);
        _code.Block(uint.MaxValue);
        _code.SetInterrupts(true);
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        NoteTimers(0);
        NotePending("nothing that waits", 0);

        _code.Step("a timer while interrupts are off");
        _code.SetInterrupts(false);
        _code.Block(0);
        _code.Spin();
        _code.Call(HypercallNumber.FlushAsync);
        NoteTimers(0);
        NotePending("an interrupt that waits", GuestCode.InterruptFlag);

        _code.Step("interrupts on by a plain store");
        _code.SetInterrupts(true);
        _code.Spin();
        NoteTimers(1);
        NotePending("nothing that waits", 0);
        _code.NoteBits("IF in the frame", _code.Dword(FrameEflags), GuestCode.InterruptFlag, GuestCode.InterruptFlag);
        _code.NoteBits("irq_enabled in the handler", _code.Dword(IrqEnabledAtEntry), GuestCode.InterruptFlag, 0);
        _code.NoteBits("irq_enabled behind it", _code.Field(_dialect.Structure.IrqEnabled), GuestCode.InterruptFlag, GuestCode.InterruptFlag);

        AskForInterrupts();
        CancelTimers();
        Sleep();
        ReturnWithInterruptsOn();

        _code.Step("an interrupt of a user program");
        uint entry = kernel.AddUserProgram(
            a =>
            {
                Label forever = a.CreateLabel();
                a.Label(ref forever);
                a.jmp(forever);
            },
            out _);
        _code.SetInterrupts(false);
        _code.Call(HypercallNumber.SetClockEvent, 100_000);
        kernel.ResumeBehind(_ => kernel.EnterUser(entry));
        _code.Note("the vector", _code.Dword(Vector), Timer);
        _code.Note("CS", _code.Dword(FrameCs), UserCodeSelector);
        _code.Note("EIP", _code.Dword(FrameEip), entry);
        _code.SetInterrupts(false);
    }

    /// <summary>restore_fl: a store, and a call if something waits.</summary>
    private void AskForInterrupts()
    {
        if (_dialect.Structure.IrqPending is not uint irqPending)
        {
            return;
        }

        _code.Step("SEND_INTERRUPTS");
        _code.SetInterrupts(false);
        _a.mov(_code.Dword(CountOf(Timer)), 0);
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        Label nothing = _a.CreateLabel();
        _a.mov(eax, (int)GuestCode.InterruptFlag);
        _a.mov(_code.Field(_dialect.Structure.IrqEnabled), eax);
        _a.test(_code.Field(irqPending), eax);
        _a.je(nothing);
        _code.Call(HypercallNumber.SendInterrupts);
        _a.Label(ref nothing);
        NoteTimers(1);
    }

    private void CancelTimers()
    {
        _code.Step("a timer that is cancelled");
        _a.mov(_code.Dword(CountOf(Timer)), 0);
        _code.SetInterrupts(true);
        _code.Call(HypercallNumber.SetClockEvent, 5000);
        _code.Call(HypercallNumber.SetClockEvent, 0);
        _code.Spin();
        NoteTimers(0);

        _code.Step("a timer that is cancelled too late");
        _code.SetInterrupts(false);
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        _code.Call(HypercallNumber.SetClockEvent, 0);
        _code.SetInterrupts(true);
        _code.Spin();
        NoteTimers(1);

        _code.Step("a timer that replaces another");
        _code.Call(HypercallNumber.SetClockEvent, uint.MaxValue);
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        NoteTimers(2);

        _code.Step("a timer that is raised twice before it is taken");
        _code.SetInterrupts(false);
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        _code.SetInterrupts(true);
        _code.Spin();
        NoteTimers(3);
    }

    /// <summary>HALT, and HLT where that is one.</summary>
    private void Sleep()
    {
        Label behind = _a.CreateLabel();
        _code.Step("HALT with interrupts off");
        _a.mov(_code.Dword(CountOf(Timer)), 0);
        _code.SetInterrupts(false);
        _code.Call(HypercallNumber.SetClockEvent, 1_000_000);
        _code.Call(HypercallNumber.Halt);
        _a.Label(ref behind);
        NoteTimers(1);
        _a.mov(eax, _code.Dword(FrameEip));
        _code.Note("EIP", eax, kernel.AddressOf(behind));
        _code.NoteBits("IF in the frame", _code.Dword(FrameEflags), GuestCode.InterruptFlag, GuestCode.InterruptFlag);
        _code.NoteBits("irq_enabled in the handler", _code.Dword(IrqEnabledAtEntry), GuestCode.InterruptFlag, 0);

        _code.Step("HALT with an interrupt that waits");
        _code.SetInterrupts(false);
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        _code.Call(HypercallNumber.Halt);
        NoteTimers(2);
        if (_dialect.PassesOverCli)
        {
            _code.Step("HLT");
            _code.Call(HypercallNumber.SetClockEvent, 1_000_000);
            _a.hlt();
            NoteTimers(3);
        }
    }

    /// <summary>An interrupt that waits comes in behind the IRET of the return path, not before, though interrupts are on by then.</summary>
    private void ReturnWithInterruptsOn()
    {
        _code.Step("an interrupt that waits while a trap returns");
        Label target = _a.CreateLabel();
        Label begin = _a.CreateLabel();
        _a.mov(_code.Dword(CountOf(Timer)), 0);
        _code.SetInterrupts(false);
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();

        // A frame whose EIP is what the CALL pushes.
        _a.push(0x202);
        _a.push(KernelCode);
        _a.call(begin);
        _a.Label(ref target);
        _code.Spin();
        Label end = _a.CreateLabel();
        _a.jmp(end);
        _a.Label(ref begin);
        _a.jmp(_dialect.ReturnsByPop ? kernel.Handlers.ReturnBehindCall : Linear(ReturnPath));
        _a.Label(ref end);
        NoteTimers(1);
        NoteOutsideNoInterrupts();
        if (_dialect.ReturnsByPop)
        {
            return;
        }

        _code.Step("an interrupt that waits within noirq_start and noirq_end");
        _code.SetInterrupts(false);
        _code.Call(HypercallNumber.SetClockEvent, 1000);
        _code.Spin();
        _a.mov(ecx, 20_000);
        _a.call(kernel.Handlers.SpinWithoutInterrupts);
        _code.Spin();
        NoteTimers(2);
        NoteOutsideNoInterrupts();
    }

    /// <summary>tsc_khz, and the clock that the host keeps in lguest_data: the same time.</summary>
    private void TellTime()
    {
        const uint Seconds = 3;
        const uint NanosecondsInSecond = 1_000_000_000;
        _code.Step("time");
        uint before = Variables + 64;
        _a.mov(eax, _code.Field(_dialect.Structure.Seconds));
        _a.mov(_code.Dword(before), eax);
        _a.mov(eax, _code.Field(_dialect.Structure.Nanoseconds));
        _a.mov(_code.Dword(before + 4), eax);
        ReadMicroseconds(before + 8);
        _code.Call(HypercallNumber.SetClockEvent, Seconds * NanosecondsInSecond);
        _code.Call(HypercallNumber.Halt);
        ReadMicroseconds(before + 12);
        _a.mov(eax, _code.Dword(before + 12));
        _a.sub(eax, _code.Dword(before + 8));
        _code.NoteRange("microseconds by RDTSC and tsc_khz", eax, Seconds * 1_000_000, (Seconds * 1_000_000) + 10_000);

        // The host wrote its time before the handler ran; the last time before was an earlier interrupt's.
        _a.mov(eax, _code.Field(_dialect.Structure.Seconds));
        _a.sub(eax, _code.Dword(before));
        _a.mov(ecx, 1_000_000);
        _a.mul(ecx);
        _a.mov(ebx, eax);
        _a.mov(eax, _code.Field(_dialect.Structure.Nanoseconds));
        _a.sub(eax, _code.Dword(before + 4));
        _a.cdq();
        _a.mov(ecx, 1000);
        _a.idiv(ecx);
        _a.add(ebx, eax);
        _code.NoteRange("microseconds by lguest_data", ebx, Seconds * 1_000_000, (Seconds * 1_000_000) + 100_000);
        _code.SetInterrupts(false);
    }

    private const uint Timer = 32;

    private static uint CountOf(uint vector) => Counts + (vector * 4);

    private void NoteTimers(uint expected) => _code.Note("timer interrupts", _code.Dword(CountOf(Timer)), expected);

    private void NotePending(string what, uint expected)
    {
        if (_dialect.Structure.IrqPending is uint irqPending)
        {
            _code.Note("irq_pending: " + what, _code.Field(irqPending), expected);
        }
    }

    private void NoteOutsideNoInterrupts()
    {
        (uint start, uint end) = kernel.Handlers.NoInterrupts;
        _a.mov(eax, _code.Dword(FrameEip));
        _a.sub(eax, (int)start);
        _code.NoteRange("EIP, from where no interrupt may be", eax, end - start, uint.MaxValue);
    }

    private void ReadMicroseconds(uint variable)
    {
        _a.rdtsc();
        _a.mov(ecx, _code.Field(_dialect.Structure.TscKilohertz));
        _a.div(ecx);
        _a.mov(ecx, 1000);
        _a.mul(ecx);
        _a.mov(_code.Dword(variable), eax);
    }

    private void UserPageFault(string what, uint errorCode, uint address, Action<Assembler> program)
    {
        kernel.UserTrap(what + " at CPL 3", PageFault, errorCode, program);
        _code.Note("cr2", _code.Dword(FaultAddress), address);
    }

    /// <summary>Reads a page, has an entry name another, tells of it, and notes what the page is then.</summary>
    private void Remap(uint table, uint index, uint entry, uint page, Action tell, uint expected)
    {
        _a.mov(eax, __dword_ptr[page]);
        _a.mov(_code.Dword(_guest.EntryOf(table, index)), entry);
        tell();
        _code.Flush();
        NoteAt("what the page is then", page, expected);
    }

    private void ChangeDirectory(uint where, uint entry, Action tell, uint expected)
    {
        _a.mov(eax, __dword_ptr[ChangingPage]);
        _a.mov(_code.Dword(where), entry);
        tell();
        _code.Flush();
        NoteAt("what a page under it is then", ChangingPage, expected);
    }

    private void NoteAt(string what, uint address, uint expected) => _code.Note(what, __dword_ptr[address], expected);

    private void NoteThrough(string what, int selector, bool isLoaded, uint expected)
    {
        if (isLoaded)
        {
            _a.mov(eax, selector);
            _a.mov(fs, eax);
        }

        _code.Note(what, __dword_ptr.fs[0], expected);
    }

    private void NoteZeroFlag(string what, Action<Assembler> test, uint expected)
    {
        test(_a);
        _a.setz(al);
        _a.movzx(eax, al);
        _code.Note(what, eax, expected);
    }

    private void Write(uint physical, ulong value)
    {
        _a.mov(_code.Dword(physical), (uint)value);
        _a.mov(_code.Dword(physical + 4), (uint)(value >> 32));
    }
}
