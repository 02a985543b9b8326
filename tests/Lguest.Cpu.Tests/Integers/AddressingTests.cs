using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>
/// Every integer instruction with a memory operand does the same whichever way it gets there: flat, through a segment
/// with a base, through an override, with 16-bit addresses.
/// </summary>
public sealed class AddressingTests : IDisposable
{
    private const int Esi = 6;
    private const int Edi = 7;
    private const uint Base = 0x2_0000;
    private const uint Window = 0x400;
    private const byte OverrideFs = 0x64;

    private readonly Machine _flat = new();
    private readonly Machine _other = new();

    public AddressingTests()
    {
        // The operands lie at low addresses, where 16-bit addresses reach.
        SegmentRegister segment = _other.Cpu.State.Ds with { Base = Base };
        _other.Cpu.SetSegment(SegmentName.Fs, segment);
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_does_the_same_through_a_segment_with_a_base(Code code)
    {
        _other.Cpu.SetSegment(SegmentName.Ds, _other.Cpu.State.Fs);
        _other.Cpu.SetSegment(SegmentName.Es, _other.Cpu.State.Fs);
        Compare(code, address16: false, form => form, Base);
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_does_the_same_through_an_override(Code code)
    {
        _other.Cpu.SetSegment(SegmentName.Es, _other.Cpu.State.Fs);
        Compare(code, address16: false, form => form.WithPrefix(OverrideFs), Base);
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_does_the_same_with_16_bit_addresses(Code code) =>
        Compare(code, address16: true, form => form, 0);

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_does_the_same_in_16_bit_code(Code code)
    {
        SegmentRegister segment = _other.Cpu.State.Cs;
        segment.Access &= ~SegmentAccess.Default32;
        _other.Cpu.SetSegment(SegmentName.Cs, segment);
        Compare(code, address16: false, In16BitCode, 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LEA_adds_up_the_address_of_every_ModRM_and_SIB(bool address16)
    {
        var random = new Random(address16 ? 16 : 32);
        for (int modrm = 0; modrm < 0xC0; modrm++)
        {
            bool hasSib = !address16 && (modrm & 7) == 4;
            for (int sib = 0; sib < (hasSib ? 256 : 1); sib++)
            {
                byte[] tail = new byte[sizeof(uint)];
                random.NextBytes(tail);
                byte[] address = hasSib ? [(byte)modrm, (byte)sib, .. tail] : [(byte)modrm, .. tail];
                for (int i = 0; i < 8; i++)
                {
                    _flat.Cpu.State.SetGeneral(i, (uint)random.NextInt64());
                }

                int target = modrm >> 3 & 7;
                uint before = _flat.Cpu.State.GetGeneral(target);
                uint expected = EffectiveAddress(address, address16);
                bool operand16 = random.Next(2) == 0;
                byte[] code = [0x8D, .. address];
                code = operand16 ? [0x66, .. code] : code;
                _flat.Execute(address16 ? [0x67, .. code] : code);
                expected = operand16 ? (before & 0xFFFF_0000) | (expected & 0xFFFF) : expected;
                Assert.True(
                    expected == _flat.Cpu.State.GetGeneral(target),
                    $"{Convert.ToHexString(code)}: {_flat.Cpu.State.GetGeneral(target):X8}, expected {expected:X8}");
            }
        }
    }

    [Theory]
    [InlineData("A000400000", "A200400000", 1)]
    [InlineData("66A100400000", "66A300400000", 2)]
    [InlineData("A100400000", "A300400000", 4)]
    [InlineData("67A00040", "67A20040", 1)]
    [InlineData("6766A10040", "6766A30040", 2)]
    [InlineData("67A10040", "67A30040", 4)]
    public void MOV_between_the_accumulator_and_an_offset_moves_its_size(string load, string store, int size)
    {
        const uint accumulator = 0x1122_3344;
        const uint memory = 0x8899_AABB;
        uint mask = (uint)((1ul << (8 * size)) - 1);
        _flat.WriteUInt32(Machine.DataBase, memory);
        _flat.Cpu.State.Eax = accumulator;
        _flat.Execute(Convert.FromHexString(load));
        Assert.Equal((accumulator & ~mask) | (memory & mask), _flat.Cpu.State.Eax);
        _flat.Cpu.State.Eax = accumulator;
        _flat.Execute(Convert.FromHexString(store));
        Assert.Equal((memory & ~mask) | (accumulator & mask), _flat.ReadUInt32(Machine.DataBase));
        Assert.Empty(_flat.Exceptions);
    }

    public static TheoryData<Code> Instructions() =>
        [.. IntegerForm.Codes.Where(code => IntegerForm.TryMake(code, memory: true, new Random(1)) is not null)];

    public void Dispose()
    {
        _flat.Dispose();
        _other.Dispose();
    }

    /// <summary>SDM 2A, tables 2-1 to 2-3, from ModRM on.</summary>
    private uint EffectiveAddress(byte[] bytes, bool address16)
    {
        const int bx = 3, bp = 5, si = 6, di = 7;
        int mod = bytes[0] >> 6;
        int rm = bytes[0] & 7;
        ref ProcessorState state = ref _flat.Cpu.State;
        if (address16)
        {
            (int First, int Second)[] pairs = [(bx, si), (bx, di), (bp, si), (bp, di), (si, -1), (di, -1), (bp, -1), (bx, -1)];
            bool isPlain = mod == 0 && rm == 6;
            uint word = isPlain || mod == 2 ? BitConverter.ToUInt16(bytes, 1) : mod == 1 ? (uint)(sbyte)bytes[1] : 0;
            uint registers = isPlain ? 0 : state.GetGeneral(pairs[rm].First);
            registers += isPlain || pairs[rm].Second < 0 ? 0 : state.GetGeneral(pairs[rm].Second);
            return (registers + word) & ushort.MaxValue;
        }

        uint sum = 0;
        int at = 1;
        int @base = rm;
        if (rm == 4)
        {
            int index = bytes[1] >> 3 & 7;
            sum = index == 4 ? 0 : state.GetGeneral(index) << (bytes[1] >> 6);
            @base = bytes[1] & 7;
            at++;
        }

        bool hasNoBase = mod == 0 && @base == bp;
        sum += hasNoBase ? 0 : state.GetGeneral(@base);
        return sum + (hasNoBase || mod == 2 ? BitConverter.ToUInt32(bytes, at) : mod == 1 ? (uint)(sbyte)bytes[at] : 0);
    }

    /// <summary>The other operand size is the default there, and so is the other address size.</summary>
    private static IntegerForm In16BitCode(IntegerForm form)
    {
        const byte operandSize = 0x66;
        const byte addressSize = 0x67;
        byte[] bytes = form.Bytes[0] == operandSize
            ? [addressSize, .. form.Bytes.AsSpan(1)]
            : [addressSize, operandSize, .. form.Bytes];
        Instruction decoded = Decoder.Create(16, bytes).Decode();
        if (decoded.Code != form.Code)
        {
            bytes = [addressSize, .. form.Bytes];
        }

        return new IntegerForm(bytes, form.Decoded);
    }

    private void Compare(Code code, bool address16, Func<IntegerForm, IntegerForm> change, uint segmentBase)
    {
        for (int round = 0; round < TestSize.Choose(40, 1000); round++)
        {
            int seed = round + 1000 * (int)code;
            if (IntegerForm.TryMake(code, memory: true, new Random(seed)) is not { } form)
            {
                continue;
            }

            IntegerForm other = change(IntegerForm.TryMake(code, memory: true, new Random(seed), address16)!);
            Run(_flat, form, 0, 0, seed);
            Run(_other, other, address16 ? 0xABCD_0000 : 0, segmentBase, seed);
            string what = $"{form} and {other}";
            Assert.True(_flat.Exceptions.Select(e => e.Vector).SequenceEqual(_other.Exceptions.Select(e => e.Vector)), what);
            Assert.True(_flat.Cpu.Eflags == _other.Cpu.Eflags, what);
            for (int i = 0; i < 8; i++)
            {
                bool isPointer = address16 && (i is Esi || i == form.Pointer || (form.IsString && i == Edi));
                uint mask = isPointer ? ushort.MaxValue : uint.MaxValue;
                uint expected = _flat.Cpu.State.GetGeneral(i) & mask;
                uint actual = _other.Cpu.State.GetGeneral(i) & mask;
                Assert.True(expected == actual, $"{what}: register {i} is {actual:X8}, expected {expected:X8}");
            }

            Span<byte> memory = _flat.Memory.Span(Machine.DataBase, Window);
            Assert.True(_other.Memory.Span(segmentBase + Machine.DataBase, Window).SequenceEqual(memory), what);
        }
    }

    private static void Run(Machine machine, IntegerForm form, uint upper, uint segmentBase, int seed)
    {
        var random = new Random(seed);
        Span<byte> memory = machine.Memory.Span(segmentBase + Machine.DataBase, Window);
        IntegerValues.Fill(memory, random);
        for (int i = 0; i < 8; i++)
        {
            machine.Cpu.State.SetGeneral(i, IntegerValues.Next(random));
        }

        machine.Cpu.State.Esi = upper | (Machine.DataBase + Window / 2 + (uint)random.Next(4));
        machine.Cpu.State.Edi = (form.IsString ? upper : 0) | (Machine.DataBase + Window / 2 + (uint)random.Next(64));
        if (form.Decoded.Mnemonic == Mnemonic.Xlatb)
        {
            machine.Cpu.State.Ebx = upper | (Machine.DataBase + 16);
        }

        if (form.Decoded.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc)
        {
            int register = Math.Max(0, form.Decoded.Op1Register.GetFullRegister32() - Register.EAX);
            if (form.Decoded.Op1Kind == OpKind.Register)
            {
                machine.Cpu.State.SetGeneral(register, (uint)random.Next(-1000, 1000));
            }
        }

        machine.Cpu.Eflags = (uint)random.Next() & Eflags.Arithmetic;
        machine.Exceptions.Clear();
        machine.Execute(form.Bytes);
    }
}
