using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>Every SSE instruction that computes with floating-point numbers, against the host's processor.</summary>
public sealed unsafe class SseFloatTests : IDisposable
{
    private const int Seed = 19990226;

    private static readonly int Rounds = TestSize.Choose(ordinary: 1000, @long: 20_000);

    private readonly SimdComparison _comparison = new();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_with_masked_exceptions_does_what_the_real_processor_does(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        CompareAll(code, masked: true, Rounds);
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_instruction_with_unmasked_exceptions_does_what_the_real_processor_does(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor are only caught on Linux.");
        CompareAll(code, masked: false, Rounds / 2);
    }

    public static TheoryData<Code> Instructions() => [.. SimdForm.FloatingPointCodes];

    public void Dispose() => _comparison.Dispose();

    private void CompareAll(Code code, bool masked, int rounds)
    {
        var values = new SimdValues(Seed + (int)code);
        bool withDoubles = code.ToOpCode().MemorySize is MemorySize.Float64 or MemorySize.Packed128_Float64;
        bool withIntegers = code.ToOpCode().MemorySize is MemorySize.Int32
            or MemorySize.Packed64_Int32 or MemorySize.Packed128_Int32;
        foreach (SimdForm form in SimdForm.Of(code))
        {
            _comparison.Load(form);
            for (int round = 0; round < rounds; round++)
            {
                if (form.HasImmediate)
                {
                    _comparison.Load(form.WithImmediate((byte)round));
                }

                _comparison.Reset();
                for (int i = 0; i < 8; i++)
                {
                    _comparison.SetXmm(i, NextOperand());
                    _comparison.State->Fx.St(i) = _comparison.State->Fx.St(i) with { Significand = values.NextUInt64() };
                    _comparison.State->General[i] = values.NextUInt32();
                }

                _comparison.State->Fx.Status = (ushort)(values.Next(8) << 11);
                _comparison.State->Fx.Valid = (byte)values.Next(256);
                _comparison.State->Fx.Mxcsr = values.NextMxcsr(masked);
                _comparison.State->Flags |= values.NextUInt32() & SimdComparison.ArithmeticFlags;
                NextOperand().CopyTo(_comparison.Memory);
                _comparison.Compare();
            }

            string name = $"{form.Decoded}{(masked ? "" : ", exceptions unmasked")}";
            ComparisonCounts.Note(name, rounds, masked ? ComparisonCounts.DelicateMinimum : ComparisonCounts.Minimum);
        }

        Vector128<byte> NextOperand() =>
            withDoubles ? values.NextDoubles() : withIntegers ? values.NextIntegers() : values.NextSingles();
    }
}
