using Iced.Intel;
using Lguest.Cpu.Instructions.Simd;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>
/// An encoding of an MMX or SSE instruction, the same in 32-bit and 64-bit mode. A memory operand is [ESI], where it
/// isn't [EDI] by nature; MASKMOVQ and MASKMOVDQU are that.
/// </summary>
/// <param name="Bytes">The instruction.</param>
/// <param name="Decoded">What Iced makes of it.</param>
public sealed record SimdForm(byte[] Bytes, Instruction Decoded)
{
    private static readonly CpuidFeature[] Features =
        [CpuidFeature.MMX, CpuidFeature.SSE, CpuidFeature.SSE2, CpuidFeature.SSE3, CpuidFeature.SSSE3];

    // Of SSE by CPUID only: these need no SIMD state.
    private static readonly Mnemonic[] Others =
    [
        Mnemonic.Prefetchnta, Mnemonic.Prefetcht0, Mnemonic.Prefetcht1, Mnemonic.Prefetcht2,
        Mnemonic.Lfence, Mnemonic.Mfence, Mnemonic.Sfence, Mnemonic.Movnti, Mnemonic.Fisttp,
    ];

    /// <summary>The instruction's identity, for choosing tests.</summary>
    public Code Code => Decoded.Code;

    /// <summary>Whether an operand is in memory.</summary>
    public bool HasMemory => IsMaskedMove || Decoded.Op0Kind == OpKind.Memory || Decoded.Op1Kind == OpKind.Memory;

    /// <summary>MASKMOVQ, MASKMOVDQU.</summary>
    public bool IsMaskedMove => Code is Code.Maskmovq_rDI_mm_mm or Code.Maskmovdqu_rDI_xmm_xmm;

    /// <summary>
    /// Whether it is of SSE to CR4: whether it can have an XMM register (Iced's names say it), or is about MXCSR.
    /// </summary>
    public bool UsesSse => Code.ToString().Contains("_xmm", StringComparison.Ordinal)
        || Code is Code.Ldmxcsr_m32 or Code.Stmxcsr_m32;

    /// <summary>Whether its memory operand is written.</summary>
    public bool IsStore => IsMaskedMove || (Decoded.Op0Kind == OpKind.Memory && Code != Code.Ldmxcsr_m32);

    /// <summary>Bytes of its memory operand.</summary>
    public uint MemoryBytes => (uint)Decoded.MemorySize.GetSize();

    /// <summary>Whether the memory operand must be aligned to its size.</summary>
    public bool MustBeAligned => MemoryBytes == 16 && !IsMaskedMove && Decoded.Mnemonic
        is not (Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu);

    /// <summary>Whether it ends in an immediate byte.</summary>
    public bool HasImmediate => Decoded.OpCount > 0 && Decoded.GetOpKind(Decoded.OpCount - 1) == OpKind.Immediate8;

    /// <summary>Floating-point computation, comparison and conversion.</summary>
    public static IEnumerable<Code> FloatingPointCodes => Codes.Where(IsFloatingPointCode);

    /// <summary>RCP and RSQRT, whose values are the implementation's.</summary>
    public static IEnumerable<Code> ApproximationCodes => Codes.Where(IsApproximationCode);

    /// <summary>What computes with integers, or only moves.</summary>
    public static IEnumerable<Code> IntegerCodes => Codes.Where(
        code => !IsFloatingPointCode(code) && !IsApproximationCode(code));

    /// <summary>Every instruction of the five feature sets.</summary>
    public static IEnumerable<Code> Codes => Enum.GetValues<Code>().Where(code =>
        code.ToOpCode() is { IsInstruction: true, Mode32: true }
        && code.CpuidFeatures().Any(Features.Contains)
        && !Others.Contains(code.Mnemonic()));

    /// <summary>
    /// The encodings of an instruction: between registers, of a register with itself, and with memory, as far as there
    /// are such.
    /// </summary>
    public static IEnumerable<SimdForm> Of(Code code)
    {
        const int memoryAtEsi = 0x06;
        const int betweenRegisters = 0xC0;
        OpCodeInfo opCode = code.ToOpCode();
        if (code == Code.Emms)
        {
            yield return Make([0x0F, 0x77]);
            yield break;
        }

        // ModRM.reg, then all the rest of ModRM.
        foreach ((int reg, int rest) in ((int, int)[])
            [(1, betweenRegisters | 2), (3, betweenRegisters | 3), (7, betweenRegisters), (2, memoryAtEsi)])
        {
            List<byte> bytes = [];
            switch (opCode.MandatoryPrefix)
            {
                case MandatoryPrefix.P66: bytes.Add(0x66); break;
                case MandatoryPrefix.PF2: bytes.Add(0xF2); break;
                case MandatoryPrefix.PF3: bytes.Add(0xF3); break;
            }

            bytes.Add(0x0F);
            switch (opCode.Table)
            {
                case OpCodeTableKind.T0F38: bytes.Add(0x38); break;
                case OpCodeTableKind.T0F3A: bytes.Add(0x3A); break;
            }

            bytes.Add((byte)opCode.OpCode);
            bytes.Add((byte)(rest | (opCode.IsGroup ? opCode.GroupIndex : reg) << 3));
            SimdForm form = Make([.. bytes, 0]);
            if (form.Code == code && !(form.IsMaskedMove && reg == 3))
            {
                yield return form.HasImmediate ? form : Make([.. bytes]);
            }
        }
    }

    /// <summary>The same instruction with another immediate.</summary>
    public SimdForm WithImmediate(byte immediate) => Make([.. Bytes[..^1], immediate]);

    /// <inheritdoc />
    public override string ToString() => $"{Convert.ToHexString(Bytes)} {Decoded}";

    private static bool IsApproximationCode(Code code) =>
        code.Mnemonic() is Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss;

    private static bool IsFloatingPointCode(Code code)
    {
        string name = code.Mnemonic().ToString();
        string[] families = ["Add", "Sub", "Mul", "Div", "Min", "Max", "Sqrt", "Hadd", "Hsub", "Cmp", "Comis", "Ucomis", "Cvt"];
        return families.Any(family => name.StartsWith(family, StringComparison.Ordinal));
    }

    private static SimdForm Make(byte[] bytes)
    {
        var decoder = Decoder.Create(32, bytes);
        return new SimdForm(bytes, decoder.Decode());
    }
}
