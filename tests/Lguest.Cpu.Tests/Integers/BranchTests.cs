using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Near jumps, calls, returns and loops: where each leads, in both sizes.</summary>
public sealed class BranchTests : IDisposable
{
    private const byte OperandSize = 0x66;
    private const byte AddressSize = 0x67;
    private const int Target = 0x30;
    private const uint Away = Machine.CodeBase + 0x9000;

    private readonly Machine _machine = new();

    private ref ProcessorState State => ref _machine.Cpu.State;

    /// <summary>The conditions in the order of their encodings, each pair being opposites (SDM 1, appendix B).</summary>
    private static readonly Func<uint, bool>[] Conditions =
    [
        flags => Has(flags, Eflags.Of),
        flags => Has(flags, Eflags.Cf),
        flags => Has(flags, Eflags.Zf),
        flags => Has(flags, Eflags.Cf) || Has(flags, Eflags.Zf),
        flags => Has(flags, Eflags.Sf),
        flags => Has(flags, Eflags.Pf),
        flags => Has(flags, Eflags.Sf) != Has(flags, Eflags.Of),
        flags => Has(flags, Eflags.Zf) || Has(flags, Eflags.Sf) != Has(flags, Eflags.Of),
    ];

    public static TheoryData<int> AllConditions => [.. Enumerable.Range(0, 16)];

    [Theory]
    [MemberData(nameof(AllConditions))]
    public void A_conditional_jump_is_taken_for_its_flags_only(int condition)
    {
        (byte[] Code, uint Mask)[] forms =
        [
            ([(byte)(0x70 | condition), Target], uint.MaxValue),
            ([OperandSize, (byte)(0x70 | condition), Target], ushort.MaxValue),
            ([0x0F, (byte)(0x80 | condition), Target, 0, 0, 0], uint.MaxValue),
            ([OperandSize, 0x0F, (byte)(0x80 | condition), Target, 0], ushort.MaxValue),
        ];
        foreach ((byte[] code, uint mask) in forms)
        {
            foreach (uint flags in AllFlags())
            {
                bool taken = Conditions[condition / 2](flags) != (condition % 2 == 1);
                foreach (uint start in (uint[])[Machine.CodeBase, 0x1_F000])
                {
                    _machine.Cpu.Eflags = flags;
                    uint next = start + (uint)code.Length;
                    Run(code, start);
                    uint expected = taken ? (next + Target) & mask : next;
                    Assert.True(expected == State.Eip, $"{Convert.ToHexString(code)}, flags {flags:X3}: {State.Eip:X}");
                    Assert.Equal(flags, _machine.Cpu.Eflags & Eflags.Arithmetic);
                }
            }
        }
    }

    [Theory]
    [InlineData("EB30", 0x32)]
    [InlineData("EBF0", -0x0E)]
    [InlineData("E930010000", 0x135)]
    [InlineData("E9F0FFFFFF", -0x0B)]
    [InlineData("66EB30", 0x33)]
    [InlineData("66E93001", 0x134)]
    [InlineData("66E9F0FF", -0x0C)]
    public void A_relative_jump_counts_from_the_next_instruction(string code, int distance)
    {
        bool is16 = code.StartsWith("66", StringComparison.Ordinal);
        foreach (uint start in (uint[])[Machine.CodeBase, 0x1_F000])
        {
            Run(Convert.FromHexString(code), start);
            Assert.Equal((uint)(start + distance) & (is16 ? ushort.MaxValue : uint.MaxValue), State.Eip);
            Assert.Equal(Machine.StackTop, State.Esp);
        }
    }

    [Theory]
    [InlineData("E830010000", 4)]
    [InlineData("66E83001", 2)]
    public void A_relative_call_pushes_the_address_of_the_next_instruction(string code, uint size)
    {
        byte[] bytes = Convert.FromHexString(code);
        uint next = 0x1_F000 + (uint)bytes.Length;
        Run(bytes, 0x1_F000);
        Assert.Equal((next + 0x130) & Mask(size), State.Eip);
        ExpectPushed(next, size);
    }

    /// <summary>Code, operand size, and whether it is a call.</summary>
    [Theory]
    [InlineData("FFE3", 4, false)]
    [InlineData("FF26", 4, false)]
    [InlineData("FFD3", 4, true)]
    [InlineData("FF16", 4, true)]
    [InlineData("66FFE3", 2, false)]
    [InlineData("66FF26", 2, false)]
    [InlineData("66FFD3", 2, true)]
    [InlineData("66FF16", 2, true)]
    public void An_indirect_jump_or_call_goes_where_its_operand_says(string code, uint size, bool isCall)
    {
        byte[] bytes = Convert.FromHexString(code);
        State.Ebx = Away;
        State.Esi = Machine.DataBase;
        _machine.WriteUInt32(Machine.DataBase, Away);
        Run(bytes, 0x1_F000);
        Assert.Equal(Away & Mask(size), State.Eip);
        if (isCall)
        {
            ExpectPushed(0x1_F000 + (uint)bytes.Length, size);
        }
        else
        {
            Assert.Equal(Machine.StackTop, State.Esp);
        }
    }

    [Fact]
    public void A_call_through_ESP_uses_its_value_from_before_the_push()
    {
        _machine.WriteUInt32(Machine.StackTop - 8, Away);
        State.Esp = Machine.StackTop - 8;
        Run([0xFF, 0x14, 0x24], Machine.CodeBase);
        Assert.Equal((Away, Machine.StackTop - 12), (State.Eip, State.Esp));
    }

    [Theory]
    [InlineData("C3", 4, 0)]
    [InlineData("C21000", 4, 0x10)]
    [InlineData("66C3", 2, 0)]
    [InlineData("66C20180", 2, 0x8001)]
    public void A_return_pops_where_it_goes_and_frees_the_arguments(string code, uint size, uint arguments)
    {
        _machine.WriteUInt32(Machine.StackTop - 8, 0x1234_5678);
        State.Esp = Machine.StackTop - 8;
        Run(Convert.FromHexString(code), Machine.CodeBase);
        Assert.Equal((0x1234_5678 & Mask(size), Machine.StackTop - 8 + size + arguments), (State.Eip, State.Esp));
        Assert.Empty(_machine.Exceptions);
    }

    /// <summary>Opcode; the value ZF must have for LOOPE and LOOPNE, else null; whether the count is changed.</summary>
    public static TheoryData<byte, bool?, bool> Loops => new()
    {
        { 0xE0, false, true },
        { 0xE1, true, true },
        { 0xE2, null, true },
        { 0xE3, null, false },
    };

    [Theory]
    [MemberData(nameof(Loops))]
    public void A_loop_counts_in_ECX_or_CX_and_jumps_in_the_operand_size(byte opcode, bool? wantedZero, bool counts)
    {
        foreach (bool addressIs16 in (bool[])[false, true])
        {
            foreach (bool operandIs16 in (bool[])[false, true])
            {
                foreach (uint count in (uint[])[0, 1, 2, 0x1_0000, 0x1_0001, uint.MaxValue])
                {
                    foreach (bool zero in (bool[])[false, true])
                    {
                        List<byte> code = [opcode, Target];
                        code.InsertRange(0, addressIs16 ? [AddressSize] : []);
                        code.InsertRange(0, operandIs16 ? [OperandSize] : []);
                        uint countMask = addressIs16 ? ushort.MaxValue : uint.MaxValue;
                        uint left = counts ? (count & ~countMask) | ((count - 1) & countMask) : count;
                        bool taken = counts
                            ? (left & countMask) != 0 && (wantedZero ?? zero) == zero
                            : (count & countMask) == 0;
                        State.Ecx = count;
                        _machine.Cpu.Eflags = zero ? Eflags.Zf : 0u;
                        Run([.. code], 0x1_F000);
                        uint next = 0x1_F000 + (uint)code.Count;
                        uint expected = taken ? (next + Target) & (operandIs16 ? ushort.MaxValue : uint.MaxValue) : next;
                        Assert.Equal((expected, left), (State.Eip, State.Ecx));
                        Assert.Equal(zero ? Eflags.Zf : 0u, _machine.Cpu.Eflags & Eflags.Arithmetic);
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData("7405")]
    [InlineData("667405")]
    [InlineData("0F8405000000")]
    [InlineData("660F840500")]
    [InlineData("E205")]
    [InlineData("66E205")]
    [InlineData("E105")]
    [InlineData("67E305")]
    [InlineData("E305")]
    public void What_a_branch_leaves_out_is_not_counted(string code)
    {
        const uint start = 0x4000;
        foreach (uint limit in (uint[])[uint.MaxValue, 0xFFFF])
        {
            _machine.Cpu.SetSegment(SegmentName.Cs, _machine.Cpu.State.Cs with { Limit = limit });
            byte[] branch = Convert.FromHexString(code);
            _machine.Memory.Write(start, [.. branch, 0x90, 0x90, 0x90, 0x90, 0x90, 0xF4]);
            State.Ecx = code.Contains("E3", StringComparison.Ordinal) ? 0u : 2;
            _machine.Cpu.Eflags = Eflags.Zf;
            State.Halted = 0;
            State.Eip = start;
            ulong before = _machine.Cpu.Retired;
            _machine.Cpu.Run(100);
            Assert.Equal((start + (uint)branch.Length + 6, 2ul), (State.Eip, _machine.Cpu.Retired - before));
        }
    }

    [Theory]
    [InlineData("EB30")]
    [InlineData("E930000000")]
    [InlineData("E830000000")]
    [InlineData("FFE3")]
    [InlineData("FFD3")]
    [InlineData("7430")]
    [InlineData("E230")]
    [InlineData("C3")]
    [InlineData("FF26")]
    [InlineData("FF16")]
    public void A_branch_behind_the_code_segments_limit_faults_and_changes_nothing(string code)
    {
        SegmentRegister segment = _machine.Cpu.State.Cs with { Limit = Machine.CodeBase + 0x20 };
        _machine.Cpu.SetSegment(SegmentName.Cs, segment);
        State.Ebx = Machine.CodeBase + 0x21;
        State.Ecx = 5;
        _machine.Cpu.Eflags = Eflags.Zf;
        State.Esi = Machine.StackTop;
        _machine.WriteUInt32(Machine.StackTop, Machine.CodeBase + 0x21);
        Run(Convert.FromHexString(code), Machine.CodeBase);
        ExceptionInfo fault = _machine.SingleException();
        Assert.Equal((ExceptionVector.GeneralProtection, 0u), (fault.Vector, fault.ErrorCode));
        Assert.Equal((Machine.CodeBase, Machine.StackTop, 5u), (State.Eip, State.Esp, State.Ecx));
    }

    public void Dispose() => _machine.Dispose();

    private static bool Has(uint flags, uint flag) => (flags & flag) != 0;

    private static uint Mask(uint size) => size == 2 ? ushort.MaxValue : uint.MaxValue;

    private static IEnumerable<uint> AllFlags()
    {
        uint[] flags = [Eflags.Cf, Eflags.Pf, Eflags.Af, Eflags.Zf, Eflags.Sf, Eflags.Of];
        for (int set = 0; set < 1 << flags.Length; set++)
        {
            yield return flags.Index().Aggregate(0u, (all, flag) => all | ((set >> flag.Index & 1) != 0 ? flag.Item : 0));
        }
    }

    private void Run(byte[] code, uint start)
    {
        _machine.Exceptions.Clear();
        _machine.Memory.Write(start, code);
        State.Eip = start;
        _machine.Cpu.Run(1);
    }

    private void ExpectPushed(uint value, uint size)
    {
        Assert.Equal(Machine.StackTop - size, State.Esp);
        Assert.Equal(value & Mask(size), _machine.ReadUInt32(State.Esp) & Mask(size));
    }
}
