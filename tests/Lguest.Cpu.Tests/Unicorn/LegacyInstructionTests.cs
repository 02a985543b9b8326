using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Integers;
using Lguest.Cpu.Tests.Protection;

namespace Lguest.Cpu.Tests.Unicorn;

/// <summary>What 64-bit mode has no encoding for, against a second emulator.</summary>
public sealed class LegacyInstructionTests : IDisposable
{
    private const uint Stack = 0x7000;
    private const uint Data = Machine.DataBase;
    private const int PageSize = 4096;
    private const int Esp = 4;
    private const int Esi = 6;
    private const byte OperandSize = 0x66;
    private const byte AddressSize = 0x67;
    private const uint ComparedFlags = Eflags.Arithmetic | Eflags.Df | Eflags.If | Eflags.Iopl | Eflags.Nt | Eflags.Ac | Eflags.Id;

    private static readonly ushort[] Selectors =
    [
        0, 3, ProtectedMachine.Code0, ProtectedMachine.Data0, ProtectedMachine.Code3, ProtectedMachine.Data3,
        ProtectedMachine.Conforming0, ProtectedMachine.ExecuteOnly0, ProtectedMachine.ReadOnly3,
        ProtectedMachine.AbsentData0, ProtectedMachine.AbsentCode0, ProtectedMachine.Data1, ProtectedMachine.Code1,
        ProtectedMachine.Beyond, ProtectedMachine.Data0 | 3, ProtectedMachine.Code0 | 1,
    ];

    private readonly ProtectedMachine _machine = new();
    private readonly byte[] _codePage = new byte[PageSize];
    private readonly byte[] _memory = new byte[UnicornProcessor.MemorySize];

    public LegacyInstructionTests()
    {
        // Unicorn sets accessed bits while the test loads its segments.
        const ulong accessed = 1ul << 40;
        const ulong codeOrData = 1ul << 44;
        for (ushort selector = 8; selector < ProtectedMachine.Beyond; selector += 8)
        {
            ulong descriptor = _machine.GetDescriptor(selector);
            _machine.SetDescriptor(selector, (descriptor & codeOrData) != 0 ? descriptor | accessed : descriptor);
        }
    }

    /// <summary>Instructions in hexadecimal; each also with an operand-size prefix.</summary>
    public static TheoryData<string> Instructions() =>
    [
        "27", "2F", "37", "3F", "D40A", "D407", "D400", "D50A", "D5FF",
        "60", "61", "6206", "621E", "CE",
        "C406", "C51E", "0FB206", "0FB40E", "0FB516",
        "06", "0E", "16", "1E", "0FA0", "0FA8", "07", "17", "1F", "0FA1", "0FA9",
        "63C8", "6306", "6316",
        "C3", "C20800", "CB", "CA0800", "CF", "FF2E", "FF1E",
        "9C", "9D", "C8100000", "C8100003", "C9",
    ];

    public static TheoryData<string> FarPointers() => ["EA", "9A"];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_without_a_64_bit_form_does_what_another_emulator_does(string hexadecimal)
    {
        byte[] code = Convert.FromHexString(hexadecimal);
        Sweep(hexadecimal, random => random.Next(3) == 0 ? [OperandSize, .. code] : code);
    }

    [Theory]
    [MemberData(nameof(FarPointers))]
    public void A_far_transfer_to_a_pointer_in_the_instruction_does_what_another_emulator_does(string opcode)
    {
        byte[] code = Convert.FromHexString(opcode);
        Sweep(opcode, random =>
            [.. code, .. BitConverter.GetBytes(NextTarget(random)), .. BitConverter.GetBytes(NextSelector(random))]);
    }

    [Fact]
    public void Every_16_bit_address_is_what_another_emulator_says()
    {
        const byte load = 0x8B;
        const byte store = 0x89;
        const byte lea = 0x8D;
        Sweep("67", random =>
        {
            byte opcode = random.Next(4) switch { 0 => store, 1 => lea, _ => load };

            // Neither ESP nor a register for the operand.
            int modrm = random.Next(0xC0) & ~0x20;
            return [AddressSize, opcode, (byte)modrm, (byte)random.Next(256), (byte)random.Next(256)];
        });
    }

    private void Sweep(string name, Func<Random, byte[]> next)
    {
        UnicornProcessor.SkipUnlessInstalled();
        using var other = new UnicornProcessor();
        Random random = TestSize.SeededRandom(name);
        for (int round = TestSize.Choose(ordinary: 150, @long: 5_000); round > 0; round--)
        {
            Compare(other, next(random), random);
        }
    }

    private void Compare(UnicornProcessor other, byte[] code, Random random)
    {
        Fill(other, random);
        _machine.Memory.Write(Machine.CodeBase, code);
        _machine.Memory.Span(Machine.CodeBase, PageSize).CopyTo(_codePage);
        other.WriteCode(Machine.CodeBase, code);
        _machine.State.Eip = Machine.CodeBase;
        Instruction instruction = Decoder.Create(32, code).Decode();
        uint ecx = _machine.State.Ecx;
        string what = $"{Convert.ToHexString(code)} {instruction}\nbefore: {Describe()}\n"
            + $"  [ESI] {Convert.ToHexString(_machine.Memory.Span(Data, 12))} [ESP] {Convert.ToHexString(_machine.Memory.Span(Stack, 20))}";
        _machine.Cpu.Run(1);
        bool done = other.Step(Machine.CodeBase);
        Assert.True(done, $"Unicorn gives up on {what}");
        string? difference = FindDifference(other, instruction, ecx);
        if (difference is not null)
        {
            Assert.Fail($"{difference}\n{what}\nours: {Describe()}\nUnicorn: {Describe(other)}");
        }
    }

    private void Fill(UnicornProcessor other, Random random)
    {
        _machine.Exceptions.Clear();
        _machine.Machine.StopAtExceptions = true;
        _machine.EnterRing(0);
        Span<byte> ours = _machine.Memory.Span(0, UnicornProcessor.MemorySize);
        IntegerValues.Fill(_machine.Memory.Span(Data, 0x40), random);
        FillPointers(_machine.Memory.Span(Data, 8), random);
        FillPointers(_machine.Memory.Span(Stack, 0x40), random);
        ours.CopyTo(other.Memory);
        other.Reset();
        other.WriteSelector(SegmentName.Cs, ProtectedMachine.Code0);
        foreach (SegmentName name in (SegmentName[])[SegmentName.Ss, SegmentName.Ds, SegmentName.Es, SegmentName.Fs, SegmentName.Gs])
        {
            other.WriteSelector(name, ProtectedMachine.Data0);
        }

        for (int i = 0; i < 8; i++)
        {
            uint value = i switch { Esp => Stack, Esi => Data, _ => IntegerValues.Next(random) };
            _machine.State.SetGeneral(i, value);
            other.WriteGeneral(i, value);
        }

        // LEAVE and ENTER go by EBP.
        _machine.State.Ebp = Stack + (uint)random.Next(0x20);
        other.WriteGeneral(5, _machine.State.Ebp);
        uint flags = ((uint)random.Next() & Eflags.Arithmetic) | Eflags.Fixed;
        _machine.Cpu.Eflags = flags;
        other.WriteEflags(flags);
    }

    /// <summary>Offset, selector, EFLAGS, ESP, SS, as far pointers and IRET want them, or POPs.</summary>
    private static void FillPointers(Span<byte> memory, Random random)
    {
        ushort code = NextSelector(random);
        ushort stack = random.Next(2) == 0 ? ProtectedMachine.Data3 : NextSelector(random);
        uint flags = (uint)random.Next() & (ComparedFlags & ~Eflags.Nt);
        uint[] frame = random.Next(2) == 0
            ? [NextTarget(random), code, flags | Eflags.Fixed, Stack + (uint)random.Next(0x100), stack]
            : [code, NextTarget(random), Stack, stack, flags];
        for (int i = 0; i < frame.Length && 4 * i + 4 <= memory.Length; i++)
        {
            BitConverter.TryWriteBytes(memory[(4 * i)..], frame[i]);
        }
    }

    private static uint NextTarget(Random random) => 0x2000 + (uint)random.Next(0x1000);

    private static ushort NextSelector(Random random) =>
        random.Next(3) == 0 ? ProtectedMachine.Code3 : Selectors[random.Next(Selectors.Length)];

    private string? FindDifference(UnicornProcessor other, in Instruction instruction, uint ecx)
    {
        int vector = _machine.Exceptions.Count == 0 ? -1 : _machine.Exceptions[0].Vector;
        if (vector != other.Vector)
        {
            return $"exception (-1 is none): {vector}, Unicorn {other.Vector}";
        }

        if (vector >= 0)
        {
            return null;
        }

        for (int i = 0; i < 8; i++)
        {
            if (_machine.State.GetGeneral(i) != other.ReadGeneral(i))
            {
                return $"general register {i}";
            }
        }

        for (SegmentName name = SegmentName.Es; name <= SegmentName.Gs; name++)
        {
            if (SelectorOf(name) != other.ReadSelector(name))
            {
                return $"{name}: {SelectorOf(name):X4}, Unicorn {other.ReadSelector(name):X4}";
            }
        }

        uint undefined = UndefinedFlags.Of(instruction, ecx);
        if (((_machine.Cpu.Eflags ^ other.ReadEflags()) & ComparedFlags & ~undefined) != 0)
        {
            return $"EFLAGS, of which {undefined:X} are undefined";
        }

        // Unicorn stops short of moving EIP, and at times of the store, when an instruction stores to the page that it lies on.
        if (!_machine.Memory.Span(Machine.CodeBase, PageSize).SequenceEqual(_codePage))
        {
            return null;
        }

        if (_machine.State.Eip != other.ReadEip())
        {
            return "EIP";
        }

        _machine.Memory.Span(0, UnicornProcessor.MemorySize).CopyTo(_memory);
        if (instruction.Mnemonic == Mnemonic.Push && instruction.StackPointerIncrement == -sizeof(uint))
        {
            // Unicorn pushes zeros above a selector.
            int upper = (int)_machine.State.Esp + sizeof(ushort);
            _memory.AsSpan(upper, sizeof(ushort)).CopyTo(other.Memory[upper..]);
        }

        int at = _memory.AsSpan().CommonPrefixLength(other.Memory);
        return at == _memory.Length ? null : $"memory at {at:X}: {_memory[at]:X2}, Unicorn {other.Memory[at]:X2}";
    }

    private ushort SelectorOf(SegmentName name) => name switch
    {
        SegmentName.Es => _machine.State.Es.Selector,
        SegmentName.Cs => _machine.State.Cs.Selector,
        SegmentName.Ss => _machine.State.Ss.Selector,
        SegmentName.Ds => _machine.State.Ds.Selector,
        SegmentName.Fs => _machine.State.Fs.Selector,
        _ => _machine.State.Gs.Selector,
    };

    private string Describe() => $"EIP {_machine.State.Eip:X} EFLAGS {_machine.Cpu.Eflags:X} "
        + string.Join(' ', Enumerable.Range(0, 8).Select(i => $"r{i} {_machine.State.GetGeneral(i):X8}"));

    private static string Describe(UnicornProcessor other) => $"EIP {other.ReadEip():X} EFLAGS {other.ReadEflags():X} "
        + string.Join(' ', Enumerable.Range(0, 8).Select(i => $"r{i} {other.ReadGeneral(i):X8}"));
}
