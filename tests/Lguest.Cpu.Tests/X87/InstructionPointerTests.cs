using Iced.Intel;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Integers;

namespace Lguest.Cpu.Tests.X87;

/// <summary>
/// Where the last x87 instruction was (SDM 1, 8.1.8), after every x87 encoding: FIP always, unless it is one that controls; FDP and FOP
/// only after an unmasked exception; FCS and FDS never. CPUID says so.
/// </summary>
[ResultsUnchecked]
public sealed class InstructionPointerTests : IDisposable
{
    private const byte AtEsi = 0x06;
    private const uint Environment = Machine.DataBase + 0x800;
    private const uint Missing = 0x10_0000;
    private const int FirstEscape = 0xd8;
    private const int Escapes = 8;

    // FNINIT, FLDZ, FLD1.
    private static readonly byte[] Before = [0xdb, 0xe3, 0xd9, 0xee, 0xd9, 0xe8];
    private static readonly byte[] StoreEnvironment = [0xd9, 0x33];

    private readonly PagedMachine _machine = new();

    private ref ProcessorState State => ref _machine.Cpu.State;

    /// <summary>Every x87 encoding there is: an escape and ModRM.</summary>
    public static TheoryData<string> Encodings()
    {
        var encodings = new TheoryData<string>();
        for (int escape = FirstEscape; escape < FirstEscape + Escapes; escape++)
        {
            for (int modrm = 0; modrm <= byte.MaxValue; modrm++)
            {
                byte[] code = [(byte)escape, (byte)modrm];
                if ((modrm >= 0xc0 || (modrm & 0xc7) == AtEsi) && !Decode(code).IsInvalid)
                {
                    encodings.Add(Convert.ToHexString(code));
                }
            }
        }

        return encodings;
    }

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Encodings))]
    public void It_is_that_of_the_last_instruction_that_does_not_control(string encoding)
    {
        byte[] code = Convert.FromHexString(encoding);
        uint address = Machine.CodeBase + (uint)Before.Length;
        uint expected = Decode(code).Mnemonic switch
        {
            Mnemonic.Fninit or Mnemonic.Fnsave => 0,
            Mnemonic.Fldenv or Mnemonic.Frstor => 0x1234_5678,
            Mnemonic.Fldcw or Mnemonic.Fnstcw or Mnemonic.Fnstsw or Mnemonic.Fnclex or Mnemonic.Fnstenv
                or Mnemonic.Fneni or Mnemonic.Fndisi or Mnemonic.Fnsetpm => address - 2,
            _ => address,
        };
        foreach (byte[] prefix in (byte[][])[[], [0x3e]])
        {
            Run([.. Before, .. prefix, .. code, .. StoreEnvironment], 5);
            Assert.Empty(_machine.Machine.Exceptions);
            Assert.True(expected == Read(3), $"{Decode(code)}: {Read(3):X}, not {expected:X}");
            uint opcode = Decode(code).Mnemonic is Mnemonic.Fldenv or Mnemonic.Frstor ? 0x123u : 0;
            Assert.Equal((opcode << 16, 0u, 0xffff_0000), (Read(4), Read(5), Read(6)));
        }
    }

    [Theory]
    [MemberData(nameof(Encodings))]
    public void An_instruction_that_faults_leaves_it(string encoding)
    {
        byte[] code = Convert.FromHexString(encoding);
        if (code[1] != (code[1] & 0x3f))
        {
            return;
        }

        _machine.Unmap(Missing);
        Prepare([.. Before, .. code, .. StoreEnvironment]);
        State.Esi = Missing;
        _machine.Cpu.Run(4);
        Assert.Equal(ExceptionVector.PageFault, _machine.SingleException().Vector);
        Assert.Equal(Machine.CodeBase + (uint)Before.Length - 2, State.X87.InstructionPointer);
    }

    [Fact]
    public void An_unmasked_exception_records_the_operand_and_the_opcode_until_the_next()
    {
        // FLDCW [EBX + 32], FDIV dword [ESI] by zero, and FNCLEX, FLD1 without one.
        byte[] code = [.. Before, 0xd9, 0x6b, 0x20, 0xd8, 0x36, 0xdb, 0xe2, 0xd9, 0xe8, .. StoreEnvironment];
        Prepare(code);
        _machine.Machine.WriteUInt32(Environment + 0x20, 0x33b);
        _machine.Machine.WriteUInt32(Machine.DataBase, 0);
        State.Cs.Selector = 0x60;
        State.Ds.Selector = 0x68;
        _machine.Cpu.Run(8);
        Assert.Empty(_machine.Machine.Exceptions);
        Assert.Equal(Machine.CodeBase + (uint)Before.Length + 7, Read(3));
        Assert.Equal((0x0036_0000u, Machine.DataBase, 0xffff_0000), (Read(4), Read(5), Read(6)));
    }

    [Fact]
    public void Code_finds_itself_by_it()
    {
        // fldz; fnstenv [esp - 12]; pop eax: the address of the fldz.
        Prepare([0xd9, 0xee, 0xd9, 0x74, 0x24, 0xf4, 0x58]);
        _machine.Cpu.Run(3);
        Assert.Equal(Machine.CodeBase, State.Eax);
    }

    [Fact]
    public void FXSAVE_has_it_too()
    {
        Prepare([.. Before, 0x0f, 0xae, 0x03]);
        _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);
        _machine.Cpu.Run(4);
        Assert.Equal((Machine.CodeBase + 4, 0u, 0u, 0u), (Read(2), Read(3), Read(4), Read(5)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void CPUID_says_so(bool isRingZero)
    {
        CpuidModel model = isRingZero ? CpuidModel.RingZero : CpuidModel.Default;
        Assert.Equal(7u, model.Answer(0, 0).Eax);
        Assert.Equal(new CpuidLeaf(0, (1 << 6) | (1 << 13), 0, 0), model.Answer(7, 0));
        Assert.Equal(default, model.Answer(7, 1));
        Assert.Equal(default, model.Answer(7, 99));
        Assert.Equal(default, model.Answer(5, 0));
        Assert.Equal(default, model.Answer(6, 0));
    }

    private static Instruction Decode(byte[] code) => Decoder.Create(32, code).Decode();

    private void Run(byte[] code, ulong instructions)
    {
        Prepare(code);
        _machine.Cpu.Run(instructions);
    }

    /// <summary>What FLDENV and FRSTOR find is masked, with a pointer, an opcode and selectors.</summary>
    private void Prepare(byte[] code)
    {
        _machine.Machine.Exceptions.Clear();
        _machine.Machine.Memory.Write(Machine.CodeBase, code);
        uint[] environment = [0x37f, 0, 0xffff, 0x1234_5678, 0x0123_0061, 0, 0x69];
        for (uint i = 0; i < environment.Length; i++)
        {
            _machine.Machine.WriteUInt32(Machine.DataBase + (4 * i), environment[i]);
        }

        (State.Eip, State.Esi, State.Ebx) = (Machine.CodeBase, Machine.DataBase, Environment);
    }

    private uint Read(uint field) => _machine.Machine.ReadUInt32(Environment + (4 * field));
}
