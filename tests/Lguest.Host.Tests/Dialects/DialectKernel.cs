using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>
/// A whole kernel of one dialect: it starts as its loader starts it, makes its first call, moves to its own address and its own page tables, and
/// goes on with what a test has written for it.
/// </summary>
public sealed class DialectKernel
{
    private readonly List<Action> _userPrograms = [];
    private uint _nextUserProgram = DialectGuest.User;

    public DialectKernel(Dialect dialect, DialectGuest guest)
    {
        Dialect = dialect;
        Guest = guest;
        Handlers = TrapHandlers.Assemble(guest, dialect, Notes);
        Code = new GuestCode(dialect, Notes, KernelAddress);
        AssembleStart();
    }

    public Dialect Dialect { get; }

    public DialectGuest Guest { get; }

    public WalkNotes Notes { get; } = new();

    public TrapHandlers Handlers { get; }

    /// <summary>The kernel's main program.</summary>
    public GuestCode Code { get; }

    /// <summary>Where its labels are, once it has run.</summary>
    public AssemblerResult Labels { get; private set; }

    /// <summary>Assembles the kernel and runs it to its end.</summary>
    public GuestOutcome Run(ulong instructions = 10_000_000)
    {
        Labels = Code.Assemble(Guest, Text);
        foreach (Action assemble in _userPrograms)
        {
            assemble();
        }

        Notes.Clear(Guest);
        Guest.Start();
        return Guest.Guest.Run(new RunLimits(instructions));
    }

    /// <summary>Runs it, and compares what it noted.</summary>
    public void RunAndVerify(GuestOutcome expected) => Notes.Verify(Guest, expected, Run());

    /// <summary>Where a label of the main program is, once it has run.</summary>
    public Func<uint> AddressOf(Label label) => () => (uint)Labels.GetLabelRIP(label);

    /// <summary>Gives every vector a handler: interrupt gates, but for those of traps that user programs may raise.</summary>
    public void LoadGates()
    {
        for (uint vector = 0; vector < 48; vector++)
        {
            bool isForUsers = vector is 3 or 4;
            if (vector is not (2 or 8 or 15 or GuestCode.HypercallVector))
            {
                Code.SetGate(
                    vector,
                    TrapHandlers.HandlerOf(vector),
                    isForUsers || vector == 0 ? GuestCode.TrapGate : GuestCode.InterruptGate,
                    isForUsers ? 3u : 0);
            }
        }

        Code.SetGate(
            TrapHandlers.SystemCall,
            TrapHandlers.HandlerOf(TrapHandlers.SystemCall),
            Dialect.SystemCallsMaskInterrupts ? GuestCode.InterruptGate : GuestCode.TrapGate,
            privilege: 3);
    }

    /// <summary>Tells the host of the GDT: as a whole, or entry by entry.</summary>
    public void LoadGdt()
    {
        if (Dialect.Has(HypercallNumber.LoadGdt))
        {
            Code.Call(HypercallNumber.LoadGdt, Gdt, 32);
            return;
        }

        for (uint entry = 0; entry < 32; entry++)
        {
            LoadGdtEntry(entry);
        }
    }

    /// <summary>Tells the host of one entry of the GDT.</summary>
    public void LoadGdtEntry(uint entry) =>
        Code.Call(HypercallNumber.LoadGdtEntry, entry, Guest.Read(Gdt + (entry * 8)), Guest.Read(Gdt + (entry * 8) + 4));

    /// <summary>Segments, gates and a stack for whatever comes from user programs: what every kernel loads before it does anything else.</summary>
    public void Prepare()
    {
        LoadGdt();
        LoadGates();
        Code.Call(HypercallNumber.SetStack, KernelData, Linear(KernelStackTop), 2);
    }

    /// <summary>Has the kernel raise a trap, and notes what its handler saw.</summary>
    /// <param name="what">What raises it.</param>
    /// <param name="vector">Its number.</param>
    /// <param name="errorCode">The error code; null for a trap that has none.</param>
    /// <param name="cause">The instruction that does.</param>
    /// <param name="isBehind">Whether the frame shows the next instruction.</param>
    /// <param name="before">What is to be done first.</param>
    public void Trap(
        string what, uint vector, uint? errorCode, Action<Assembler> cause, bool isBehind = false, Action<Assembler>? before = null)
    {
        Code.Step(what);
        before?.Invoke(Code.A);
        Label eip = default;
        ResumeBehind(a =>
        {
            eip = a.CreateLabel();
            if (!isBehind)
            {
                a.Label(ref eip);
            }

            cause(a);
            if (isBehind)
            {
                a.Label(ref eip);
                a.nop();
            }
        });
        NoteTrap(vector, errorCode);
        Code.A.mov(eax, Code.Dword(TrapHandlers.FrameEip));
        Code.Note("EIP", eax, AddressOf(eip));
        Code.Note("CS", Code.Dword(TrapHandlers.FrameCs), KernelCode);
    }

    /// <summary>Does something that mustn't trap, and notes that it didn't.</summary>
    public void NoTrap(string what, Action<Assembler> cause)
    {
        Code.Step(what);
        ResumeBehind(cause);
        Code.Note("no trap", Code.Dword(TrapHandlers.Vector), NoTrapYet);
    }

    /// <summary>Has a user program raise a trap, and notes what its handler saw.</summary>
    public void UserTrap(string what, uint vector, uint? errorCode, Action<Assembler> program, bool isBehind = false)
    {
        Code.Step(what);
        uint entry = AddUserProgram(program, out Func<uint> end);
        ResumeBehind(_ => EnterUser(entry));
        NoteTrap(vector, errorCode);
        Code.Note("CS", Code.Dword(TrapHandlers.FrameCs), UserCodeSelector);
        if (isBehind)
        {
            Code.A.mov(eax, Code.Dword(TrapHandlers.FrameEip));
            Code.Note("EIP", eax, end);
        }

        // Below what the handler has pushed, the processor has pushed the program's stack, from the top that SET_STACK gave.
        Code.A.mov(eax, Code.Dword(TrapHandlers.FrameStack));
        Code.Note("the handler's stack", eax, Linear(KernelStackTop) - 32);
        Code.A.mov(eax, Code.Dword(KernelStackTop - 8));
        Code.NoteRange("ESP", eax, DialectGuest.User + 0x1f00, DialectGuest.User + 0x2000);
        Code.Note("SS", Code.Dword(KernelStackTop - 4), UserDataSelector);
    }

    /// <summary>A program at CPL 3; its address.</summary>
    public uint AddUserProgram(Action<Assembler> program, out Func<uint> end)
    {
        const uint Room = 64;
        uint address = _nextUserProgram;
        _nextUserProgram += Room;
        AssemblerResult result = default;
        Label last = default;
        _userPrograms.Add(() =>
        {
            var a = new Assembler(32);
            program(a);
            last = a.CreateLabel();
            a.Label(ref last);
            a.nop();
            result = GuestCode.Assemble(a, Guest, UserCode + (address - DialectGuest.User), address);
        });
        end = () => (uint)result.GetLabelRIP(last);
        return address;
    }

    /// <summary>
    /// Returns to a user program as if it had been interrupted. The kernel's own data segment wouldn't survive that, so from here on it uses the
    /// user's, as Linux does.
    /// </summary>
    public void EnterUser(uint entry, uint eflags = 0x202)
    {
        Assembler a = Code.A;
        a.mov(eax, (uint)UserDataSelector);
        a.mov(ds, eax);
        a.mov(es, eax);
        a.push(UserDataSelector);
        a.push((int)(DialectGuest.User + 0x2000));
        a.push((int)eflags);
        a.push(UserCodeSelector);
        a.push((int)entry);
        a.jmp(Linear(ReturnPath));
    }

    /// <summary>Does something; a trap in it leads behind it, and so does one of a user program that it enters.</summary>
    public void ResumeBehind(Action<Assembler> cause)
    {
        Assembler a = Code.A;
        Label begin = a.CreateLabel();
        Label behind = a.CreateLabel();
        a.mov(Code.Dword(TrapHandlers.Vector), NoTrapYet);
        a.mov(Code.Dword(TrapHandlers.KernelStack), esp);

        // The address of the jump is on the stack then.
        a.call(begin);
        a.jmp(behind);
        a.Label(ref begin);
        a.pop(Code.Dword(TrapHandlers.Resume));
        cause(a);
        a.Label(ref behind);
        a.mov(Code.Dword(TrapHandlers.Resume), 0);
    }

    private const uint NoTrapYet = 0x100;

    private void NoteTrap(uint vector, uint? errorCode)
    {
        Code.Note("the vector", Code.Dword(TrapHandlers.Vector), vector);
        Code.Note("the error code", Code.Dword(TrapHandlers.ErrorCode), errorCode ?? TrapHandlers.NoErrorCode);
    }

    /// <summary>From the loader's entry to the main program: lguest_entry.</summary>
    private void AssembleStart()
    {
        uint offset = Dialect.FirstTables == FirstTables.Linear ? KernelAddress : 0;
        var start = new GuestCode(Dialect, Notes, offset);
        NoteEntryState(start);
        NoteFirstCall(start);
        Assembler a = start.A;
        switch (Dialect.FirstTables)
        {
            case FirstTables.Identity:
                a.mov(esi, start.Field(Dialect.Structure.PageDirectory!.Value));
                a.lea(edi, __[esi + (int)((KernelAddress >> 22) * 4)]);
                a.mov(ecx, 32);
                a.rep.movsd();
                break;
            case FirstTables.None:
                start.Call(HypercallNumber.NewPageTable, FirstDirectory);
                break;
            default:
                break;
        }

        a.mov(esp, Linear(BootStackTop));
        a.mov(eax, Linear(Text));
        a.jmp(eax);
        start.Assemble(Guest, Entry);

        // The main program's first act: tables of its own, without what the loader had mapped.
        Code.Step("the kernel's own page tables");
        Code.Call(HypercallNumber.NewPageTable, DialectGuest.Directory);
    }

    private void NoteEntryState(GuestCode start)
    {
        start.Step("entry");
        start.Note("ESI", esi, 0);
        start.Note("EBX", ebx, 0);
        start.Note("ESP", esp, 0);
        foreach ((string name, AssemblerRegisterSegment segment, uint expected) in (ReadOnlySpan<(string, AssemblerRegisterSegment, uint)>)[
            ("CS", cs, KernelCode), ("DS", ds, KernelData), ("ES", es, KernelData), ("SS", ss, KernelData), ("FS", fs, 0), ("GS", gs, 0)])
        {
            start.A.mov(eax, segment);
            start.Note(name, eax, expected);
        }

        start.A.mov(esp, start.At(BootStackTop));
        start.A.pushfd();
        start.A.pop(eax);
        start.Note("EFLAGS", eax, 0x202);
        if (Dialect.IsPrivilegedEarly)
        {
            NoteEarlyPrivilege(start);
        }
    }

    /// <summary>Startup code looks for microcode before it knows that it is a guest.</summary>
    private static void NoteEarlyPrivilege(GuestCode start)
    {
        start.Step("before the first call");
        Assembler a = start.A;
        a.mov(ecx, 0x8b);
        a.mov(eax, uint.MaxValue);
        a.mov(edx, uint.MaxValue);
        a.wrmsr();
        a.rdmsr();
        start.Note("RDMSR", eax, 0);
        start.Note("RDMSR, high", edx, 0);
    }

    /// <summary>LGUEST_INIT, and what the host fills in.</summary>
    private void NoteFirstCall(GuestCode start)
    {
        StructureLayout layout = Dialect.Structure;
        start.Step("LGUEST_INIT");
        start.A.mov(edi, 0x1111);
        start.A.mov(ebp, 0x2222);
        start.Call(HypercallNumber.Init, Data);
        start.Note("EDI", edi, 0x1111);
        start.Note("EBP", ebp, 0x2222);
        start.Note("argument 1's register", Dialect.Arguments[0], Data);
        start.Note("irq_enabled", start.Field(layout.IrqEnabled), 0);
        start.Note("blocked_interrupts", start.Field(layout.BlockedInterrupts), 1);
        start.Note("cr2", start.Field(layout.FaultAddress), 0);
        start.Note("time.sec", start.Field(layout.Seconds), (uint)Date.ToUnixTimeSeconds());
        start.A.mov(eax, start.Field(layout.Nanoseconds));
        start.NoteRange("time.nsec", eax, 0, 10_000_000);
        start.Note("the ring's status", start.Field(layout.RingStatus), uint.MaxValue);
        start.Note("reserve_mem", start.Field(layout.ReservedMemory), (Dialect.HasPae ? 2u : 4) << 20);
        start.A.mov(eax, start.Field(layout.TscKilohertz));
        start.NoteRange("tsc_khz", eax, 1000, uint.MaxValue / 1000);
        if (layout.IrqPending is uint irqPending)
        {
            start.Note("irq_pending", start.Field(irqPending), 0);
        }

        if (layout.PageDirectory is uint directory)
        {
            start.Note("pgdir", start.Field(directory), FirstDirectory);
        }

        if (layout.GuestId is uint guestId)
        {
            start.NoteBits("guestid", start.Field(guestId), 0xffff, 0x1234);
        }

        // What is the kernel's stays.
        start.Note("noirq", start.Field(layout.NoInterrupts), Handlers.NoInterrupts.Start);
        if (layout.KernelAddress is uint address && layout.SystemCallVector is uint vector)
        {
            start.Note("kernel_address", start.Field(address), KernelAddress);
            start.Note("syscall_vec", start.Field(vector), 0x80);
        }

        start.Note("what follows the structure", start.Field(layout.Size), Behind);
    }
}
