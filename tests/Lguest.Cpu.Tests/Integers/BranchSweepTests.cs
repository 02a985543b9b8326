using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Conditional jumps and loops, and the addresses that LEA computes, against the host's processor.</summary>
public sealed unsafe class BranchSweepTests : IDisposable
{
    private const byte AddressSize = 0x67;
    private const int Conditions = 16;
    private const int Ecx = 1;
    private const int Ebx = 3;
    private const int Esp = 4;
    private const int Ebp = 5;
    private const int SibFollows = 4;

    // MOV BL, 1: what a jump that is taken jumps over.
    private static readonly byte[] Skipped = [0xB3, 0x01];

    private static readonly int Rounds = TestSize.Choose(ordinary: 200, @long: ComparisonCounts.Minimum);

    private readonly NativeProcessor _native = new();
    private readonly Machine _machine = new();
    private readonly IntegerComparison _comparison = new();

    /// <summary>Opcodes with a displacement of 8 bits, and of 32.</summary>
    public static TheoryData<string> Jumps() =>
    [
        .. Enumerable.Range(0x70, Conditions).Select(opcode => $"{opcode:X2}02"),
        .. Enumerable.Range(0x80, Conditions).Select(opcode => $"0F{opcode:X2}02000000"),
        .. Enumerable.Range(0xE0, 4).Select(opcode => $"{opcode:X2}02"),
    ];

    [Theory]
    [MemberData(nameof(Jumps))]
    public void A_conditional_jump_goes_where_the_real_processor_goes(string hexadecimal)
    {
        NativeProcessor.SkipUnlessSupported();
        byte[] code = Convert.FromHexString(hexadecimal);
        Instruction jump = Decoder.Create(32, code).Decode();
        Random random = TestSize.SeededRandom(hexadecimal);

        // LOOP counts RCX there unless told to use ECX.
        bool counts = jump.IsLoop || jump.IsLoopcc || jump.IsJcxShort;
        byte[] program = counts ? [AddressSize, .. code, .. Skipped] : [.. code, .. Skipped];
        for (int round = 0; round < Rounds; round++)
        {
            uint ecx = random.Next(2) == 0 ? (uint)random.Next(3) : IntegerValues.Next(random);
            uint flags = (uint)random.Next() & Eflags.Arithmetic;
            _native.State->Reset();
            _native.State->Flags |= flags;
            _native.State->General[Ecx] = ecx;
            _native.State->General[Ebx] = 0;
            _native.Execute(program);

            _machine.Cpu.Eflags = flags;
            _machine.Cpu.State.Ecx = ecx;
            _machine.Execute(code);
            bool isTaken = _native.State->General[Ebx] == 0;
            uint target = Machine.CodeBase + (uint)code.Length + (isTaken ? (uint)Skipped.Length : 0);
            string where = $"{hexadecimal} {jump} with flags {flags:X3} ECX {ecx:X8}";
            Assert.True(target == _machine.Cpu.State.Eip, $"{where}: EIP {_machine.Cpu.State.Eip:X}, expected {target:X}");
            Assert.True(
                (uint)_native.State->General[Ecx] == _machine.Cpu.State.Ecx,
                $"{where}: ECX {_machine.Cpu.State.Ecx:X8}, expected {_native.State->General[Ecx]:X8}");
            Assert.Equal(flags | Eflags.Fixed, _machine.Cpu.Eflags);
        }

        ComparisonCounts.Note(jump.Code.ToString(), Rounds, ComparisonCounts.Minimum);
    }

    [Fact]
    public void Every_form_of_address_is_computed_as_the_real_processor_does()
    {
        NativeProcessor.SkipUnlessSupported();
        Random random = TestSize.SeededRandom("lea");
        int count = 0;
        foreach (byte[] operand in Addresses(random))
        {
            byte[] code = [0x8D, .. operand];
            _comparison.Load(new IntegerForm(code, Decoder.Create(32, code).Decode()));
            for (int round = TestSize.Choose(ordinary: 2, @long: 20); round > 0; round--)
            {
                _comparison.Fill(random);
                _comparison.Compare();
                count++;
            }
        }

        ComparisonCounts.Note(nameof(Code.Lea_r32_m), count, ComparisonCounts.Minimum);
    }

    public void Dispose()
    {
        _native.Dispose();
        _machine.Dispose();
        _comparison.Dispose();
    }

    /// <summary>ModRM and what belongs to it; never ESP, nor what is relative to RIP there.</summary>
    private static IEnumerable<byte[]> Addresses(Random random)
    {
        for (int modrm = 0; modrm < 0xC0; modrm++)
        {
            (int mode, int reg, int rm) = (modrm >> 6, (modrm >> 3) & 7, modrm & 7);
            if (reg == Esp || (mode == 0 && rm == Ebp))
            {
                continue;
            }

            for (int sib = 0; sib < (rm == SibFollows ? 256 : 1); sib++)
            {
                int @base = rm == SibFollows ? sib & 7 : rm;
                if (rm == SibFollows && @base == Esp)
                {
                    continue;
                }

                byte[] displacement = new byte[mode switch { 0 => @base == Ebp ? 4 : 0, 1 => 1, _ => 4 }];
                random.NextBytes(displacement);
                yield return rm == SibFollows ? [(byte)modrm, (byte)sib, .. displacement] : [(byte)modrm, .. displacement];
            }
        }
    }
}
