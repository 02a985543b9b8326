using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Host.Tests.Dialects.DialectGuest;

namespace Lguest.Host.Tests.Dialects;

/// <summary>A piece of a kernel in one dialect: what kernels do again and again, and notes of what came of it.</summary>
/// <param name="dialect">What it speaks.</param>
/// <param name="notes">Where it notes what it sees.</param>
/// <param name="offset">How far its addresses are from physical ones.</param>
public sealed class GuestCode(Dialect dialect, WalkNotes notes, uint offset)
{
    public const byte HypercallVector = 0x1f;
    public const uint InterruptFlag = 0x200;
    public const uint InterruptGate = 0xe;
    public const uint TrapGate = 0xf;

    private const int RingSlots = 64;

    private int _slot;

    public Assembler A { get; } = new(32);

    public Dialect Dialect => dialect;

    public WalkNotes Notes => notes;

    /// <summary>The code's address of something in memory.</summary>
    public uint At(uint physical) => offset + physical;

    public AssemblerMemoryOperand Dword(uint physical) => __dword_ptr[At(physical)];

    public AssemblerMemoryOperand Word(uint physical) => __word_ptr[At(physical)];

    public AssemblerMemoryOperand Byte(uint physical) => __byte_ptr[At(physical)];

    /// <summary>A field of lguest_data.</summary>
    public AssemblerMemoryOperand Field(uint field) => Dword(Data + field);

    public void Step(string what) => notes.Step = what;

    /// <summary>A hypercall at once.</summary>
    public void Call(uint number, params ReadOnlySpan<uint> arguments)
    {
        A.mov(eax, number);
        for (int i = 0; i < dialect.Arguments.Count; i++)
        {
            A.mov(dialect.Arguments[i], i < arguments.Length ? arguments[i] : 0);
        }

        Trap(number);
    }

    /// <summary>A hypercall whose first argument is in memory.</summary>
    public void CallWith(uint number, uint variable)
    {
        A.mov(eax, number);
        A.mov(dialect.Arguments[0], Dword(variable));
        Trap(number);
    }

    /// <summary>Puts a call into the ring, for the host to make with the next real one.</summary>
    public void Queue(uint number, params ReadOnlySpan<uint> arguments)
    {
        uint slot = Data + dialect.Structure.RingCalls + ((uint)(_slot * dialect.RingSlot.Count) * 4);
        for (int i = 0; i < dialect.RingSlot.Count; i++)
        {
            int argument = dialect.RingSlot[i] - 1;
            A.mov(Dword(slot + ((uint)i * 4)), argument < 0 ? number : argument < arguments.Length ? arguments[argument] : 0);
        }

        A.mov(Byte(Data + dialect.Structure.RingStatus + (uint)_slot), 0);
        _slot = (_slot + 1) % RingSlots;
    }

    /// <summary>Has everything in the ring done, and notes that no slot is left.</summary>
    public void Flush()
    {
        Call(HypercallNumber.FlushAsync);
        A.mov(eax, uint.MaxValue);
        for (uint i = 0; i < RingSlots; i += sizeof(uint))
        {
            A.and(eax, Field(dialect.Structure.RingStatus + i));
        }

        Note("the ring's status", eax, uint.MaxValue);
    }

    public void SetGate(uint vector, uint handler, uint type = InterruptGate, uint privilege = 0) => Call(
        HypercallNumber.LoadIdtEntry,
        vector,
        ((uint)KernelCode << 16) | (handler & 0xffff),
        (handler & 0xffff_0000) | 0x8000 | (privilege << 13) | (type << 8));

    public void SetInterrupts(bool isEnabled) => A.mov(Field(dialect.Structure.IrqEnabled), isEnabled ? InterruptFlag : 0);

    public void Block(uint lines) => A.mov(Field(dialect.Structure.BlockedInterrupts), lines);

    /// <summary>Does nothing, for longer than a host may be late.</summary>
    public void Spin(uint times = 20_000)
    {
        Label again = A.CreateLabel();
        A.mov(ecx, times);
        A.Label(ref again);
        A.loop(again);
    }

    /// <summary>Notes a value that a register has.</summary>
    public void Note(string what, AssemblerRegister32 register, uint expected) => Note(what, register, () => expected);

    /// <summary>Notes a value that is known once the code is assembled.</summary>
    public void Note(string what, AssemblerRegister32 register, Func<uint> expected) =>
        Keep(register, notes.Add(what, value => value == expected() ? null : $"0x{expected():x8}"));

    /// <summary>Notes a value between two.</summary>
    public void NoteRange(string what, AssemblerRegister32 register, uint least, uint most) =>
        Keep(register, notes.Add(what, value => value >= least && value <= most ? null : $"from 0x{least:x8} to 0x{most:x8}"));

    /// <summary>Notes what is in memory.</summary>
    public void Note(string what, AssemblerMemoryOperand memory, uint expected)
    {
        A.mov(eax, memory);
        Note(what, eax, expected);
    }

    /// <summary>Notes some bits of what is in memory.</summary>
    public void NoteBits(string what, AssemblerMemoryOperand memory, uint bits, uint expected)
    {
        A.mov(eax, memory);
        A.and(eax, bits);
        Note(what, eax, expected);
    }

    /// <summary>Notes whether two places in memory have the same bytes.</summary>
    public void NoteSame(uint first, uint second, int bytes)
    {
        A.mov(esi, At(first));
        A.mov(edi, At(second));
        A.mov(ecx, bytes);
        A.repe.cmpsb();
        A.setz(al);
        A.movzx(eax, al);
        Note("whether the data are the same", eax, 1);
    }

    /// <summary>Ends the guest well.</summary>
    public void PowerOff() => Call(HypercallNumber.Shutdown, Strings, 1);

    /// <summary>Puts the code into memory. What the notes wait for is known then.</summary>
    public AssemblerResult Assemble(DialectGuest guest, uint physical) => Assemble(A, guest, physical, At(physical));

    public static AssemblerResult Assemble(Assembler assembler, DialectGuest guest, uint physical, uint address)
    {
        using var stream = new MemoryStream();
        AssemblerResult result = assembler.Assemble(new StreamCodeWriter(stream), address, BlockEncoderOptions.ReturnNewInstructionOffsets);
        guest.Write(physical, stream.ToArray());
        return result;
    }

    private void Keep(AssemblerRegister32 register, uint where) => A.mov(Dword(where), register);

    private void Trap(uint number)
    {
        if (dialect.CallsByVmcall || (dialect.AsksForInterruptsByVmcall && number == HypercallNumber.SendInterrupts))
        {
            A.vmcall();
        }
        else
        {
            A.@int(HypercallVector);
        }
    }
}
