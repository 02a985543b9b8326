using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>
/// The kernel's ways in and out. Each vector has a stub that leads to one handler, which notes the frame, goes on where the kernel said, and returns as
/// kernels of the dialect do.
/// </summary>
public sealed class TrapHandlers
{
    // What the handler notes.
    public const uint Vector = Variables;
    public const uint ErrorCode = Variables + 4;
    public const uint FrameEip = Variables + 8;
    public const uint FrameCs = Variables + 12;
    public const uint FrameEflags = Variables + 16;
    public const uint FrameStack = Variables + 20;
    public const uint IrqEnabledAtEntry = Variables + 24;
    public const uint FaultAddress = Variables + 28;
    public const uint EflagsInHandler = Variables + 32;

    /// <summary>Vectors in the order in which they came, a byte each.</summary>
    public const uint Order = Variables + 36;

    /// <summary>Where a trap leads instead of back; 0: back.</summary>
    public const uint Resume = Variables + 40;

    /// <summary>The kernel's stack while a user program runs.</summary>
    public const uint KernelStack = Variables + 44;

    /// <summary>How often each vector came.</summary>
    public const uint Counts = Variables + 0x400;

    /// <summary>What stands for the error code of a trap that has none.</summary>
    public const uint NoErrorCode = 0xeeee_eeee;

    /// <summary>What the system call that leaves the user program has in EAX; another one returns with one more than it was given.</summary>
    public const uint Leave = 99;

    public const uint SystemCall = 0x80;

    private const uint StubBytes = 16;
    private const uint LastStub = 0x41;
    private const uint CommonHandler = Handlers + 0x2000;
    private const uint SystemCallHandler = Handlers + 0x3000;

    private readonly Dialect _dialect;
    private readonly WalkNotes _notes;

    private TrapHandlers(Dialect dialect, WalkNotes notes)
    {
        _dialect = dialect;
        _notes = notes;
    }

    /// <summary>Where no interrupt may be: from, and to before.</summary>
    public (uint Start, uint End) NoInterrupts { get; private set; }

    /// <summary>The way back that makes a call last of all, if where no interrupt may be is one instruction.</summary>
    public uint ReturnBehindCall { get; private set; }

    /// <summary>Code that turns interrupts on and spins where none may be, if that is more than one instruction.</summary>
    public uint SpinWithoutInterrupts { get; private set; }

    /// <summary>Puts all handlers into memory.</summary>
    public static TrapHandlers Assemble(DialectGuest guest, Dialect dialect, WalkNotes notes)
    {
        var handlers = new TrapHandlers(dialect, notes);
        handlers.AssembleReturnPath(guest);
        for (uint vector = 0; vector <= LastStub; vector++)
        {
            handlers.AssembleStub(guest, vector);
        }

        handlers.AssembleCommonHandler(guest);
        handlers.AssembleSystemCall(guest);
        return handlers;
    }

    public static uint HandlerOf(uint vector) => Linear(vector == SystemCall ? SystemCallHandler : Handlers + (vector * StubBytes));

    public static bool HasErrorCode(uint vector) => vector is 8 or (>= 10 and <= 14) or 17;

    /// <summary>IRET behind a store of the frame's EFLAGS into irq_enabled. Interrupts are on in between, but for the range that says otherwise.</summary>
    private void AssembleReturnPath(DialectGuest guest)
    {
        var code = new GuestCode(_dialect, _notes, KernelAddress);
        Assembler a = code.A;
        AssemblerMemoryOperand enabled = __dword_ptr.ss[Linear(Data + _dialect.Structure.IrqEnabled)];
        Label start = a.CreateLabel();
        Label spin = a.CreateLabel();
        Label again = a.CreateLabel();
        Label iret = a.CreateLabel();
        Label call = a.CreateLabel();
        Label end = a.CreateLabel();
        if (_dialect.ReturnsByPop)
        {
            a.push(__dword_ptr[esp + 8]);
            a.pop(enabled);
            a.jmp(iret);

            // The host looks for interrupts after any call: here the IRET is next.
            a.Label(ref call);
            a.push(__dword_ptr[esp + 8]);
            a.pop(enabled);
            code.Call(HypercallNumber.SendInterrupts);
            a.Label(ref iret);
            a.iretd();
        }
        else
        {
            a.push(eax);
            a.mov(eax, __dword_ptr[esp + 12]);
            a.Label(ref start);
            a.mov(enabled, eax);
            a.pop(eax);
            a.iretd();
            a.Label(ref spin);
            a.mov(enabled, GuestCode.InterruptFlag);
            a.Label(ref again);
            a.loop(again);
            a.Label(ref end);
            a.ret();
        }

        AssemblerResult result = code.Assemble(guest, ReturnPath);
        uint noInterrupts = Data + _dialect.Structure.NoInterrupts;
        if (_dialect.ReturnsByPop)
        {
            NoInterrupts = ((uint)result.GetLabelRIP(iret), (uint)result.GetLabelRIP(iret) + 1);
            ReturnBehindCall = (uint)result.GetLabelRIP(call);
            guest.Write(noInterrupts, NoInterrupts.Start);
        }
        else
        {
            NoInterrupts = ((uint)result.GetLabelRIP(start), (uint)result.GetLabelRIP(end));
            SpinWithoutInterrupts = (uint)result.GetLabelRIP(spin);
            guest.Write(noInterrupts, NoInterrupts.Start);
            guest.Write(noInterrupts + 4, NoInterrupts.End);
        }
    }

    private void AssembleStub(DialectGuest guest, uint vector)
    {
        var code = new GuestCode(_dialect, _notes, KernelAddress);
        if (!HasErrorCode(vector))
        {
            code.A.push(unchecked((int)NoErrorCode));
        }

        code.A.push((int)vector);
        code.A.jmp(Linear(CommonHandler));
        code.Assemble(guest, Handlers + (vector * StubBytes));
    }

    private void AssembleCommonHandler(DialectGuest guest)
    {
        const int CsInFrame = 16;
        var code = new GuestCode(_dialect, _notes, KernelAddress);
        Assembler a = code.A;
        Label fromKernel = a.CreateLabel();
        Label back = a.CreateLabel();
        a.push(eax);
        a.pushfd();
        a.pop(code.Dword(EflagsInHandler));
        foreach ((int inFrame, uint note) in (ReadOnlySpan<(int, uint)>)[(4, Vector), (8, ErrorCode), (12, FrameEip), (CsInFrame, FrameCs), (20, FrameEflags)])
        {
            a.mov(eax, __dword_ptr[esp + inFrame]);
            a.mov(code.Dword(note), eax);
        }

        a.mov(eax, code.Field(_dialect.Structure.IrqEnabled));
        a.mov(code.Dword(IrqEnabledAtEntry), eax);
        a.mov(eax, code.Field(_dialect.Structure.FaultAddress));
        a.mov(code.Dword(FaultAddress), eax);
        a.mov(eax, code.Dword(Vector));
        a.inc(__dword_ptr[(eax * 4) + Linear(Counts)]);
        a.shl(code.Dword(Order), 8);
        a.or(code.Dword(Order), eax);
        a.mov(code.Dword(FrameStack), esp);
        a.test(__byte_ptr[esp + CsInFrame], 2);
        a.je(fromKernel);
        a.mov(esp, code.Dword(KernelStack));
        a.jmp(code.Dword(Resume));
        a.Label(ref fromKernel);
        a.mov(eax, code.Dword(Resume));
        a.test(eax, eax);
        a.je(back);
        a.mov(__dword_ptr[esp + 12], eax);
        a.Label(ref back);
        a.pop(eax);
        a.add(esp, 8);
        a.jmp(Linear(ReturnPath));
        code.Assemble(guest, CommonHandler);
    }

    private void AssembleSystemCall(DialectGuest guest)
    {
        var code = new GuestCode(_dialect, _notes, KernelAddress);
        Assembler a = code.A;
        Label leave = a.CreateLabel();
        a.cmp(eax, (int)Leave);
        a.je(leave);
        a.inc(eax);
        a.jmp(Linear(ReturnPath));
        a.Label(ref leave);
        a.push(unchecked((int)NoErrorCode));
        a.push((int)SystemCall);
        a.jmp(Linear(CommonHandler));
        code.Assemble(guest, SystemCallHandler);
    }
}
