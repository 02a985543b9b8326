using Lguest.Cpu.State;
using Lguest.Cpu.Tests.CompatibilityMode;

namespace Lguest.Cpu.Tests.Vendors;

/// <summary>Cases in 32-bit code.</summary>
internal static unsafe class LegacyCases
{
    private const uint Offset = 0x100;
    private const uint CodeLength = 8;
    private const uint Filler = 0xFFFF_FFFF;
    private const uint NullSelector = 0;
    private const byte Breakpoint = 0xCC;
    private const byte Halt = 0xF4;

    private static uint StackTop => LowMemory.Data + LowMemory.PageSize;

    private static uint Missing => LowMemory.Data + LowMemory.MissingPage * LowMemory.PageSize;

    /// <summary>All cases.</summary>
    public static IEnumerable<VendorCase> All =>
    [
        Make("prefixed LOOPE", "repne loope, ZF 1", [0xF2, 0xE1, 0x10], StackTop - 16, Eflags.Zf, WhereTo),
        Make("prefixed LOOPE", "repne loope, ZF 0", [0xF2, 0xE1, 0x10], StackTop - 16, 0, WhereTo),
        Make("prefixed LOOPE", "rep loopne, ZF 1", [0xF3, 0xE0, 0x10], StackTop - 16, Eflags.Zf, WhereTo),
        Make("prefixed LOOPE", "rep loopne, ZF 0", [0xF3, 0xE0, 0x10], StackTop - 16, 0, WhereTo),
        Make("refused return", "retf 3000h to a null selector", [0xCA, 0x00, 0x30], StackTop - 16, 0, Address, NullSelector),
        Make("refused return", "retf to a null selector", [0xCB], StackTop - 8, 0, Address, NullSelector),
        Make("refused return", "iretd to a null selector", [0xCF], LowMemory.DataEnd - 12, 0, Address, NullSelector),
        Make("return from a missing page", "retf", [0xCB], Missing + 16, 0, Address),
        Make("return from a missing page", "iretd", [0xCF], Missing + 16, 0, Address),
        Make("segment push", "push es", [0x06], StackTop - 16, 0, Pushed),
        Make("segment push", "push fs", [0x0F, 0xA0], StackTop - 16, 0, Pushed),
        Make("repeated comparison", "repe scasb, CF, the second element missing", [0xF3, 0xAE], StackTop - 16, Eflags.Cf, Flags),
        Make("refused call", "call beyond the limit", [0xE8, 0x00, 0x00, 0x10, 0x00], Missing + 16, 0, Address, code: LocalDescriptors.UsableCode[0]),
        Make("POPA that faults", "popad, the second half missing", [0x61], LowMemory.DataEnd - 16, 0, Destination),
        Make("segment push", "pop ds, misaligned", [0x1F], StackTop - 14, Eflags.Ac, Address, CompatibilityEntry.FlatData),
        Make("segment push", "push ds on two pages", [0x1E], LowMemory.Data + 2 * LowMemory.PageSize + 2, 0, Address),
    ];

    private static VendorCase Make(
        string row,
        string name,
        byte[] bytes,
        uint esp,
        uint flags,
        Func<Outcome, string> describe,
        uint selector = 0,
        ushort code = CompatibilityEntry.FlatCode) => new(
        row,
        name,
        () => CompatibilityProcessor.Obstacle is null ? describe(OnHost(bytes, esp, flags, selector, code)) : null,
        () => describe(OnOurs(bytes, esp, flags, selector, code)));

    private static Outcome OnHost(byte[] bytes, uint esp, uint flags, uint selector, ushort code)
    {
        using var processor = new CompatibilityProcessor();
        CompatibilityState* state = processor.State;
        for (int i = 0; i < 6; i++)
        {
            state->Selectors[i] = CompatibilityEntry.FlatData;
        }

        state->Selectors[(int)SegmentName.Cs] = code;
        state->General[0] = state->General[1] = Filler;
        state->General[7] = LowMemory.DataEnd - 1;
        state->General[4] = esp;
        state->Eip = Start(code);
        state->Flags = Eflags.Fixed | Eflags.If | flags;
        foreach (int page in LowMemory.WritablePages)
        {
            LowMemory.Page(page).Fill(byte.MaxValue);
        }

        if (StackPage(esp) is { } stack)
        {
            WriteSelector(LowMemory.Page(stack), esp, selector);
        }

        processor.Execute(Page(bytes));
        bool isRead = StackPage(state->General[4]) is not null;
        return new Outcome(
            (int)state->Vector, state->FaultAddress, (uint)state->Eip, (uint)state->General[4],
            isRead ? *(uint*)state->General[4] : 0, (uint)state->Flags, (uint)state->General[7]);
    }

    private static Outcome OnOurs(byte[] bytes, uint esp, uint flags, uint selector, ushort code)
    {
        using var machine = new CompatibilityMachine();
        for (int i = 0; i < 6; i++)
        {
            machine.Load((SegmentName)i, i == (int)SegmentName.Cs ? code : CompatibilityEntry.FlatData);
        }

        machine.Cpu.State.Eax = machine.Cpu.State.Ecx = Filler;
        machine.Cpu.State.Edi = LowMemory.DataEnd - 1;
        machine.Cpu.State.Esp = esp;
        machine.Cpu.State.Eip = Start(code);
        machine.Cpu.Eflags = Eflags.Fixed | Eflags.If | flags;
        foreach (int page in LowMemory.WritablePages)
        {
            machine.Page(page).Fill(byte.MaxValue);
        }

        if (StackPage(esp) is { } stack)
        {
            WriteSelector(machine.Page(stack), esp, selector);
        }

        machine.WriteCode(0, Page(bytes));
        machine.Cpu.Run(1000);
        ExceptionInfo exception = machine.Exception!.Value;
        uint top = machine.Cpu.State.Esp;
        int? after = StackPage(top);
        return new Outcome(
            exception.Vector, exception.Address, machine.Cpu.State.Eip, top,
            after is { } number ? BitConverter.ToUInt32(machine.Page(number)[(int)(top % LowMemory.PageSize)..]) : 0,
            machine.Cpu.Eflags, machine.Cpu.State.Edi);
    }

    private static uint Start(ushort code) => code == CompatibilityEntry.FlatCode ? LowMemory.Code + Offset : Offset;

    private static byte[] Page(byte[] code)
    {
        byte[] page = new byte[LowMemory.PageSize];
        Array.Fill(page, Halt);
        code.CopyTo(page, Offset);
        page[Offset + code.Length] = Breakpoint;
        return page;
    }

    /// <summary>The page of a stack that can be read and has room for a doubleword, or null.</summary>
    private static int? StackPage(ulong esp)
    {
        int page = (int)((long)esp - LowMemory.Data) / (int)LowMemory.PageSize;
        return LowMemory.WritablePages.Contains(page) && esp % LowMemory.PageSize <= LowMemory.PageSize - sizeof(ulong) ? page : null;
    }

    /// <summary>For a far return and for a pop.</summary>
    private static void WriteSelector(Span<byte> page, uint esp, uint selector)
    {
        Span<byte> stack = page[(int)(esp % LowMemory.PageSize)..];
        BitConverter.TryWriteBytes(stack, selector);
        BitConverter.TryWriteBytes(stack[sizeof(uint)..], selector);
    }

    private static string WhereTo(Outcome outcome) =>
        outcome.Vector == ExceptionVector.Breakpoint && outcome.Eip < LowMemory.Code + Offset + CodeLength ? "goes on" : "jumps";

    private static string Address(Outcome outcome) => outcome.Vector switch
    {
        ExceptionVector.PageFault => $"#PF at ESP + {(int)(outcome.FaultAddress - outcome.Esp)}",
        ExceptionVector.Breakpoint => "executes",
        _ => $"exception {outcome.Vector}",
    };

    private static string Pushed(Outcome outcome) => $"{outcome.Top:X8}";

    private static string Destination(Outcome outcome) =>
        outcome.Edi == LowMemory.DataEnd - 1 ? $"{Address(outcome)}, EDI as before" : $"{Address(outcome)}, EDI {outcome.Edi:X8}";

    private static string Flags(Outcome outcome) =>
        outcome.Vector == ExceptionVector.PageFault ? $"#PF, flags {outcome.Eflags & State.Eflags.Arithmetic:X3}" : $"exception {outcome.Vector}";

    /// <summary>How it ended.</summary>
    private sealed record Outcome(int Vector, ulong FaultAddress, uint Eip, uint Esp, uint Top, uint Eflags, uint Edi);
}
