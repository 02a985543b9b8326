using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>Every MMX and SSE instruction on integers, and every move, against the host's processor.</summary>
public sealed unsafe class SimdIntegerTests : IDisposable
{
    private const int Seed = 20071009;

    private static readonly int Rounds = TestSize.Choose(ordinary: 300, @long: 20_000);

    private readonly SimdComparison _comparison = new();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_does_what_the_real_processor_does(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        var values = new SimdValues(Seed + (int)code);
        foreach (SimdForm form in SimdForm.Of(code))
        {
            if (form.HasMemory)
            {
                _comparison.LoadThroughFs(form);
                Fill(values);
                KeepMxcsrValid(code);
                _comparison.Compare();
            }

            _comparison.Load(form);
            for (int round = 0; round < Rounds; round++)
            {
                if (form.HasImmediate && round % 2 == 0)
                {
                    _comparison.Load(form.WithImmediate((byte)(round / 2)));
                }

                Fill(values);
                KeepMxcsrValid(code);
                _comparison.Compare();
            }

            ComparisonCounts.Note(form.Decoded.ToString(), Rounds, ComparisonCounts.DelicateMinimum);
        }
    }

    public static TheoryData<Code> Instructions() => [.. SimdForm.IntegerCodes];

    public void Dispose() => _comparison.Dispose();

    /// <summary>Which of LDMXCSR's high bits exist is different among processors.</summary>
    private void KeepMxcsrValid(Code code)
    {
        if (code == Code.Ldmxcsr_m32)
        {
            _comparison.Memory[sizeof(ushort)..sizeof(uint)].Clear();
        }
    }

    private void Fill(SimdValues values)
    {
        _comparison.Reset();
        for (int i = 0; i < 8; i++)
        {
            _comparison.SetXmm(i, values.NextIntegers());
            _comparison.State->Fx.St(i) = _comparison.State->Fx.St(i) with { Significand = values.NextIntegers().AsUInt64()[0] };
            _comparison.State->Fx.St(i) = _comparison.State->Fx.St(i) with { SignExponent = (ushort)values.Next(1 << 16) };
            _comparison.State->General[i] = values.NextIntegers().AsUInt32()[0];
        }

        _comparison.State->Fx.Status = (ushort)(values.Next(8) << 11);
        _comparison.State->Fx.Valid = (byte)values.Next(256);
        for (int i = 0; i < SimdComparison.MemorySize; i += 16)
        {
            values.NextIntegers().CopyTo(_comparison.Memory[i..]);
        }
    }
}
