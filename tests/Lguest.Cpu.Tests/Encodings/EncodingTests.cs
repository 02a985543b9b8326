using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Integers;
using Lguest.Cpu.Tests.Native;
using Lguest.Cpu.Tests.Protection;

namespace Lguest.Cpu.Tests.Encodings;

/// <summary>Every encoding that a decoder knows of either executes, or raises the exception that CPUID's claims ask for.</summary>
[ResultsUnchecked]
public sealed class EncodingTests : IDisposable
{
    private const int FirstRegisterForm = 0xC0;
    private const int AtEsi = 0x06;

    private readonly ProtectedMachine _machine = new();

    /// <summary>SDM 2A, LOCK; XCHG may have its memory operand in either place.</summary>
    private static readonly HashSet<Mnemonic> Lockable =
    [
        Mnemonic.Add, Mnemonic.Adc, Mnemonic.And, Mnemonic.Btc, Mnemonic.Btr, Mnemonic.Bts, Mnemonic.Cmpxchg, Mnemonic.Cmpxchg8b,
        Mnemonic.Dec, Mnemonic.Inc, Mnemonic.Neg, Mnemonic.Not, Mnemonic.Or, Mnemonic.Sbb, Mnemonic.Sub, Mnemonic.Xor,
        Mnemonic.Xadd, Mnemonic.Xchg,
    ];

    private readonly NativeProcessor _native = new();

    public EncodingTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Ne);
        _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr | Cr4.Osxmmexcpt);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void Every_encoding_does_what_CPUID_claims(int ring)
    {
        List<string> wrong = [];
        foreach (EncodingSample sample in Samples)
        {
            Verdict verdict = ClaimedEncodings.Of(sample.Meaning, _machine.Cpu.Cpuid);
            ExceptionInfo? actual = Execute(sample.Bytes, ring);
            if (!Agrees(verdict, actual))
            {
                wrong.Add($"{sample}: {actual}, not {verdict}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public void An_encoding_without_its_feature_is_undefined()
    {
        // The claims are the test's, not the processor's: an instruction of each feature, on a processor without any.
        CpuidModel bare = CpuidModel.Create(CpuidFeatures.Fpu, CpuidExtendedFeatures.None);
        Assert.Equal(Verdict.InvalidOpcode, ClaimedEncodings.Of(Code.Emms, bare));
        Assert.Equal(Verdict.InvalidOpcode, ClaimedEncodings.Of(Code.Fisttp_m16int, bare));
        Assert.Equal(Verdict.InvalidOpcode, ClaimedEncodings.Of(Code.Pshufb_mm_mmm64, bare));
        Assert.Equal(Verdict.Executes, ClaimedEncodings.Of(Code.Fcos, bare));
    }

    [Fact]
    public void LOCK_is_for_some_instructions_that_write_memory()
    {
        List<string> wrong = [];
        foreach (EncodingSample sample in Samples)
        {
            if (ClaimedEncodings.Of(sample.Meaning, _machine.Cpu.Cpuid) != Verdict.Executes)
            {
                continue;
            }

            Instruction decoded = EncodingSample.Decode(sample.Bytes, DecoderOptions.None);
            bool allowed = Lockable.Contains(decoded.Mnemonic) && decoded.Op0Kind == OpKind.Memory;
            allowed |= decoded.Mnemonic == Mnemonic.Xchg && decoded.Op1Kind == OpKind.Memory;
            ExceptionInfo? actual = Execute([0xF0, .. sample.Bytes], 0);
            if (allowed ? actual is not null : actual is not { Vector: ExceptionVector.InvalidOpcode })
            {
                wrong.Add($"lock {sample}: {actual}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Theory]
    [InlineData(0x66)]
    [InlineData(0xF2)]
    [InlineData(0xF3)]
    [InlineData(0x67)]
    [InlineData(0x26)]
    public void An_encoding_with_a_prefix_does_what_CPUID_claims(int prefix)
    {
        List<string> wrong = [];
        foreach (EncodingSample one in Samples)
        {
            var sample = new EncodingSample(one.Code, [(byte)prefix, .. one.Bytes]);
            Verdict verdict = ClaimedEncodings.Of(sample.Meaning, _machine.Cpu.Cpuid);
            ExceptionInfo? actual = Execute(sample.Bytes, 0);
            if (!Agrees(verdict, actual))
            {
                wrong.Add($"{sample}: {actual}, not {verdict}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    /// <summary>The first byte of two, or 0F for all of that table.</summary>
    public static TheoryData<int> Tables =>
        [0x0F, 0x80, 0x81, 0x83, 0xC0, 0xC1, 0xC6, 0xC7, 0xD0, 0xD1, 0xD2, 0xD3, 0xF6, 0xF7, 0xFE,
            0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF];

    [Theory]
    [MemberData(nameof(Tables))]
    public void The_real_processor_agrees_on_what_is_undefined(int first)
    {
        NativeProcessor.SkipUnlessSupported();
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor are only caught on Linux.");
        List<string> wrong = [];
        foreach (byte[] prefixes in (byte[][])[[], [0x66], [0xF2], [0xF3]])
        {
            foreach (int second in Enumerable.Range(0, first == 0x0F ? 256 : 1))
            {
                foreach (byte modrm in Enumerable.Range(0, 256).Select(i => (byte)i))
                {
                    byte[] opcode = first == 0x0F ? [0x0F, (byte)second] : [(byte)first];
                    bool isMemory = modrm < FirstRegisterForm;
                    if (isMemory ? (modrm & ~(7 << 3)) != AtEsi : (modrm & 7) != 1 && !UsesAllOfModrm(opcode))
                    {
                        continue;
                    }

                    if (ToComparable([.. prefixes, .. opcode, modrm]) is { } code)
                    {
                        bool ours = Execute(code, 0) is { Vector: ExceptionVector.InvalidOpcode };
                        bool theirs = IsUndefinedOnHost(code);
                        if (ours != theirs)
                        {
                            wrong.Add($"{Convert.ToHexString(code)} {EncodingSample.Decode(code, DecoderOptions.None)}: "
                                + $"undefined {ours}, host's processor {theirs}");
                        }
                    }
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    public void Dispose()
    {
        _machine.Dispose();
        _native.Dispose();
    }

    private static IEnumerable<EncodingSample> Samples => EncodingSample.All.SelectMany(sample => EncodingSample.Of(sample.Code));

    private static bool Agrees(Verdict verdict, ExceptionInfo? actual) => verdict switch
    {
        Verdict.InvalidOpcode => actual is { Vector: ExceptionVector.InvalidOpcode, ErrorCode: 0 },
        Verdict.GeneralProtection => actual is { Vector: ExceptionVector.GeneralProtection, ErrorCode: 0 },
        _ => actual is not { Vector: ExceptionVector.InvalidOpcode },
    };

    private ExceptionInfo? Execute(byte[] code, int ring)
    {
        _machine.EnterRing(ring);
        _machine.Exceptions.Clear();
        _machine.Cpu.Eflags = Eflags.Fixed;
        for (int i = 0; i < 8; i++)
        {
            _machine.State.SetGeneral(i, Machine.DataBase);
        }

        _machine.State.Ecx = 1;
        _machine.State.Esp = Machine.StackTop;
        _machine.Memory.Write(Machine.CodeBase, code);
        _machine.State.Eip = Machine.CodeBase;
        _machine.Cpu.Wake();
        _machine.Cpu.Run(1);
        return _machine.Exceptions.Count == 0 ? null : _machine.Exceptions[^1];
    }

    /// <summary>
    /// The code, with an immediate, if both modes call it undefined or it is an instruction that can safely be tried:
    /// one without stack, privilege and branches, that the processor here claims.
    /// </summary>
    private byte[]? ToComparable(byte[] code)
    {
        byte[] padded = [.. code, 0, 0, 0, 0];
        Instruction ours = EncodingSample.Decode(padded, DecoderOptions.None);
        Instruction theirs = Decoder.Create(64, padded).Decode();
        if (ours.IsInvalid)
        {
            // Of 0F 01 the host may have more than both modes' decoders know: it is where makers put what has no operands.
            return theirs.IsInvalid && !code.AsSpan().EndsWith(new byte[] { 0x0F, 0x01, code[^1] }) ? padded : null;
        }

        bool isHarmless = !ours.IsPrivileged && ours.FlowControl == FlowControl.Next && !ours.IsStackInstruction
            && ours.Code == theirs.Code && !UsesHostsRegisters(ours) && !IsFarBit(ours)
            && ours.Mnemonic is not (Mnemonic.Cpuid or Mnemonic.Fxrstor) && !IntegerForm.IsVendorSpecific(ours.Code);
        return isHarmless && ClaimedEncodings.Of(ours.Code, _machine.Cpu.Cpuid) == Verdict.Executes
            ? padded[..ours.Length]
            : null;
    }

    private static bool UsesAllOfModrm(byte[] opcode) => opcode is [>= 0xD8 and <= 0xDF] or [0x0F, 0xAE or 0xC7];

    private static bool UsesHostsRegisters(in Instruction instruction)
    {
        foreach (UsedRegister used in new InstructionInfoFactory().GetInfo(instruction).GetUsedRegisters())
        {
            bool isWritten = used.Access is not (OpAccess.Read or OpAccess.CondRead);
            if (used.Register.GetFullRegister32() == Register.ESP || (used.Register.IsSegmentRegister() && isWritten))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Whether a bit string's offset is the register that holds its address: the bit would lie up to 256 MiB from there,
    /// in memory of someone else's.
    /// </summary>
    private static bool IsFarBit(in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc
        && instruction.Op0Kind == OpKind.Memory && instruction.Op1Kind == OpKind.Register
        && instruction.Op1Register.GetFullRegister() == instruction.MemoryBase.GetFullRegister();

    private unsafe bool IsUndefinedOnHost(byte[] code)
    {
        // Only what addresses memory holds an address; as a bit's offset, say, it would lead anywhere.
        _native.State->Reset();
        Instruction instruction = Decoder.Create(64, code).Decode();
        foreach (UsedMemory memory in new InstructionInfoFactory().GetInfo(instruction).GetUsedMemory())
        {
            if (memory.Base != Register.None)
            {
                _native.State->General[memory.Base.GetNumber()] = _native.ScratchAddress;
            }
        }

        _native.Execute(code);
        return _native.State->Signal != 0 && _native.State->Vector == ExceptionVector.InvalidOpcode;
    }
}
