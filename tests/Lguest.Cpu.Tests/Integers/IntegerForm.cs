using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>
/// An encoding of an integer instruction. A memory operand is [ESI], or [ESI + disp8]; string instructions and XLAT have
/// their own registers.
/// </summary>
/// <param name="Bytes">The instruction, in 32-bit code.</param>
/// <param name="Decoded">What Iced makes of it.</param>
internal sealed record IntegerForm(byte[] Bytes, Instruction Decoded)
{
    private const int Esp = 4;
    private const int Esi = 6;
    private const int BetweenRegisters = 0xC0;
    private const int AtEsi = 0x06;
    private const int AtSi = 0x04;
    private const int AndByte = 0x40;

    private static readonly HashSet<Mnemonic> Mnemonics =
    [
        Mnemonic.Add, Mnemonic.Adc, Mnemonic.Sub, Mnemonic.Sbb, Mnemonic.Cmp, Mnemonic.And, Mnemonic.Or, Mnemonic.Xor,
        Mnemonic.Test, Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Neg, Mnemonic.Not,
        Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr,
        Mnemonic.Shld, Mnemonic.Shrd,
        Mnemonic.Mul, Mnemonic.Imul, Mnemonic.Div, Mnemonic.Idiv,
        Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc, Mnemonic.Bsf, Mnemonic.Bsr, Mnemonic.Bswap,
        Mnemonic.Xchg, Mnemonic.Xadd, Mnemonic.Cmpxchg, Mnemonic.Cmpxchg8b,
        Mnemonic.Mov, Mnemonic.Movzx, Mnemonic.Movsx, Mnemonic.Movnti,
        Mnemonic.Cbw, Mnemonic.Cwde, Mnemonic.Cwd, Mnemonic.Cdq, Mnemonic.Lahf, Mnemonic.Sahf, Mnemonic.Xlatb,
        Mnemonic.Clc, Mnemonic.Stc, Mnemonic.Cmc, Mnemonic.Cld, Mnemonic.Std,
        Mnemonic.Nop, Mnemonic.Reservednop, Mnemonic.Pause, Mnemonic.Lfence, Mnemonic.Mfence, Mnemonic.Sfence,
        Mnemonic.Prefetchnta, Mnemonic.Prefetcht0, Mnemonic.Prefetcht1, Mnemonic.Prefetcht2, Mnemonic.Clflush,
        Mnemonic.Movsb, Mnemonic.Movsw, Mnemonic.Movsd, Mnemonic.Stosb, Mnemonic.Stosw, Mnemonic.Stosd,
        Mnemonic.Lodsb, Mnemonic.Lodsw, Mnemonic.Lodsd, Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsd,
        Mnemonic.Scasb, Mnemonic.Scasw, Mnemonic.Scasd,
    ];

    /// <summary>Every integer instruction without stack, ports and privilege.</summary>
    public static IEnumerable<Code> Codes => Enum.GetValues<Code>().Where(code =>
        code.ToOpCode() is { IsInstruction: true, Mode32: true, Encoding: EncodingKind.Legacy } opCode
        && (Mnemonics.Contains(code.Mnemonic()) || IsConditional(code.Mnemonic()))
        && !IsVendorSpecific(code)
        && Enumerable.Range(0, opCode.OpCount).All(i => IsGeneral(opCode.GetOpKind(i)))
        && TryMake(code, memory: HasOnlyMemory(opCode), new Random(1)) is not null);

    /// <summary>Those of <see cref="Codes"/> whose encoding means the same in 64-bit mode.</summary>
    public static IEnumerable<Code> NativeCodes => Codes.Where(code => code.ToOpCode().Mode64);

    /// <summary>The instruction's identity.</summary>
    public Code Code => Decoded.Code;

    /// <summary>Whether it is a string instruction.</summary>
    public bool IsString => Decoded.IsStringInstruction;

    /// <summary>The memory operand's number, or -1.</summary>
    public int MemoryOperand =>
        Enumerable.Range(0, Decoded.OpCount).FirstOrDefault(i => Decoded.GetOpKind(i) == OpKind.Memory, -1);

    /// <summary>The register that an explicit memory operand is addressed by, as Intel numbers them.</summary>
    public int Pointer => Decoded.Mnemonic == Mnemonic.Xlatb ? 3 : Esi;

    /// <summary>Makes an encoding, with operands chosen at random.</summary>
    /// <param name="code">The instruction.</param>
    /// <param name="memory">Whether ModRM.rm is memory.</param>
    /// <param name="random">Chooses registers, displacement and immediate.</param>
    /// <param name="address16">Whether the address is 16 bits wide, with SI for ESI.</param>
    /// <returns>Null when there is no such form.</returns>
    public static IntegerForm? TryMake(Code code, bool memory, Random random, bool address16 = false)
    {
        OpCodeInfo opCode = code.ToOpCode();
        OpCodeOperandKind[] kinds = [.. Enumerable.Range(0, opCode.OpCount).Select(opCode.GetOpKind)];
        bool canBeMemory = kinds.Any(IsRegisterOrMemory) || kinds.Contains(OpCodeOperandKind.mem);
        if (memory && !canBeMemory && !kinds.Any(IsImplicitMemory))
        {
            return null;
        }

        List<byte> bytes = address16 ? [0x67] : [];
        if (opCode.OperandSize == 16)
        {
            bytes.Add(0x66);
        }

        switch (opCode.MandatoryPrefix)
        {
            case MandatoryPrefix.P66: bytes.Add(0x66); break;
            case MandatoryPrefix.PF3: bytes.Add(0xF3); break;
            case MandatoryPrefix.PF2: bytes.Add(0xF2); break;
        }

        if (opCode.Table == OpCodeTableKind.T0F)
        {
            bytes.Add(0x0F);
        }

        if (opCode.OpCodeLength == 2)
        {
            bytes.Add((byte)(opCode.OpCode >> 8));
        }

        bytes.Add((byte)(opCode.OpCode + (kinds.Any(IsInOpcode) ? (uint)ChooseRegister(kinds.First(IsInOpcode), false, random) : 0)));
        if (canBeMemory || kinds.Any(IsRegisterOnly))
        {
            int reg = opCode.IsGroup
                ? opCode.GroupIndex
                : ChooseRegister(kinds.FirstOrDefault(IsInReg, OpCodeOperandKind.r8_reg), memory, random);
            bool isByte = random.Next(2) == 0;
            int rest = memory
                ? (address16 ? AtSi : AtEsi) | (isByte ? AndByte : 0)
                : BetweenRegisters | ChooseRegister(kinds.FirstOrDefault(IsRegisterOrMemory, OpCodeOperandKind.r32_rm), false, random);
            bytes.Add((byte)(rest | (reg << 3)));
            if (memory && isByte)
            {
                bytes.Add((byte)random.Next(-32, 32));
            }
        }

        foreach (OpCodeOperandKind kind in kinds)
        {
            int length = ImmediateLength(kind);
            for (int i = 0; i < length; i++)
            {
                bytes.Add(IntegerValues.NextByte(random));
            }
        }

        var decoder = Decoder.Create(32, bytes.ToArray());
        Instruction decoded = decoder.Decode();
        return decoded.Code == code ? new IntegerForm([.. bytes], decoded) : null;
    }

    /// <summary>The same with a prefix before it.</summary>
    public IntegerForm WithPrefix(byte prefix)
    {
        byte[] bytes = [prefix, .. Bytes];
        return new IntegerForm(bytes, Decoder.Create(32, bytes).Decode());
    }

    /// <summary>Whether it is 0F 0D between registers: no operation for Intel, undefined for AMD.</summary>
    public static bool IsVendorSpecific(Code code) =>
        code is Code.Reservednop_rm16_r16_0F0D or Code.Reservednop_rm32_r32_0F0D;

    /// <inheritdoc />
    public override string ToString() => $"{Convert.ToHexString(Bytes)} {Decoded}";

    private static bool IsConditional(Mnemonic mnemonic) =>
        mnemonic is (>= Mnemonic.Cmova and <= Mnemonic.Cmovs) or (>= Mnemonic.Seta and <= Mnemonic.Sets);

    private static bool HasOnlyMemory(OpCodeInfo opCode) =>
        Enumerable.Range(0, opCode.OpCount).Any(i => opCode.GetOpKind(i) == OpCodeOperandKind.mem);

    private static bool IsGeneral(OpCodeOperandKind kind) =>
        IsRegisterOrMemory(kind) || IsInReg(kind) || IsInOpcode(kind) || IsImplicitMemory(kind) || ImmediateLength(kind) > 0
        || kind is OpCodeOperandKind.mem or OpCodeOperandKind.al or OpCodeOperandKind.cl or OpCodeOperandKind.ax
            or OpCodeOperandKind.eax or OpCodeOperandKind.imm8_const_1;

    private static bool IsImplicitMemory(OpCodeOperandKind kind) =>
        kind is OpCodeOperandKind.seg_rSI or OpCodeOperandKind.es_rDI or OpCodeOperandKind.seg_rBX_al;

    private static bool IsRegisterOrMemory(OpCodeOperandKind kind) =>
        kind is OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem;

    private static bool IsRegisterOnly(OpCodeOperandKind kind) =>
        kind is OpCodeOperandKind.r16_rm or OpCodeOperandKind.r32_rm;

    private static bool IsInReg(OpCodeOperandKind kind) =>
        kind is OpCodeOperandKind.r8_reg or OpCodeOperandKind.r16_reg or OpCodeOperandKind.r32_reg;

    private static bool IsInOpcode(OpCodeOperandKind kind) =>
        kind is OpCodeOperandKind.r8_opcode or OpCodeOperandKind.r16_opcode or OpCodeOperandKind.r32_opcode;

    private static int ImmediateLength(OpCodeOperandKind kind) => kind switch
    {
        OpCodeOperandKind.imm8 or OpCodeOperandKind.imm8sex16 or OpCodeOperandKind.imm8sex32 => 1,
        OpCodeOperandKind.imm16 => 2,
        OpCodeOperandKind.imm32 => 4,
        _ => 0,
    };

    /// <summary>Never ESP, which is the host's; nor ESI while that is the pointer.</summary>
    private static int ChooseRegister(OpCodeOperandKind kind, bool memory, Random random)
    {
        bool is8 = kind is OpCodeOperandKind.r8_reg or OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r8_opcode;
        while (true)
        {
            int register = random.Next(8);
            if (is8 || (register != Esp && !(memory && register == Esi)))
            {
                return register;
            }
        }
    }
}
