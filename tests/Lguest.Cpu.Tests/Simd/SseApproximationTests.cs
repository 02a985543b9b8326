using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>RCPPS, RCPSS, RSQRTPS and RSQRTSS: the manual gives bounds, and exact values only for special operands.</summary>
public sealed unsafe class SseApproximationTests : IDisposable
{
    private const int Seed = 12;
    private const int Rounds = 5000;
    private const double LargestError = 1.5 / 4096;
    private const uint SmallestNormal = 0x0080_0000;
    private const uint SignBit = 0x8000_0000;

    private readonly SimdComparison _comparison = new();
    private readonly SimdValues _values = new(Seed);

    private enum Function
    {
        Reciprocal,
        ReciprocalSquareRoot,
    }

    private Machine Machine => _comparison.Machine;

    public static TheoryData<Code> Instructions() => [.. SimdForm.ApproximationCodes];

    public void Dispose() => _comparison.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void Special_operands_give_what_the_real_processor_gives(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        foreach (SimdForm form in SimdForm.Of(code))
        {
            _comparison.Load(form);
            foreach (uint special in (uint[])
            [
                0, 1, 0x0040_0000, 0x007F_FFFF, 0x7F80_0000, 0x7F80_0001, 0x7FC0_0000, 0x7FD1_2345, 0x7FFF_FFFF,
            ])
            {
                foreach (uint sign in (uint[])[0, SignBit])
                {
                    _comparison.Reset();
                    _comparison.State->Fx.Mxcsr = _values.NextMxcsr(masked: false);
                    for (int i = 0; i < 8; i++)
                    {
                        _comparison.SetXmm(i, Vector128.Create(special | sign, 0, SignBit, special).AsByte());
                    }

                    Vector128.Create(special | sign).AsByte().CopyTo(_comparison.Memory);
                    _comparison.Compare();
                }
            }
        }
    }

    [Theory]
    [InlineData(Code.Rcpps_xmm_xmmm128)]
    [InlineData(Code.Rcpss_xmm_xmmm32)]
    public void A_reciprocal_is_as_near_as_the_manual_promises(Code code) => Check(code, Function.Reciprocal);

    [Theory]
    [InlineData(Code.Rsqrtps_xmm_xmmm128)]
    [InlineData(Code.Rsqrtss_xmm_xmmm32)]
    public void A_reciprocal_square_root_is_as_near_as_the_manual_promises(Code code) =>
        Check(code, Function.ReciprocalSquareRoot);

    [Fact]
    public void Powers_of_two_are_exact()
    {
        Assert.Equal(Single(0.25f), Execute(Code.Rcpps_xmm_xmmm128, Single(4f)));
        Assert.Equal(Single(-8f), Execute(Code.Rcpss_xmm_xmmm32, Single(-0.125f)));
        Assert.Equal(Single(0.5f), Execute(Code.Rsqrtps_xmm_xmmm128, Single(4f)));
        Assert.Equal(Single(16f), Execute(Code.Rsqrtss_xmm_xmmm32, Single(1f / 256)));
    }

    [Fact]
    public void A_negative_operand_has_no_reciprocal_square_root()
    {
        const uint indefinite = 0xFFC0_0000;
        Assert.Equal(indefinite, Execute(Code.Rsqrtps_xmm_xmmm128, Single(-1f)));
        Assert.Equal(indefinite, Execute(Code.Rsqrtss_xmm_xmmm32, 0xFF80_0000));
    }

    private void Check(Code code, Function function)
    {
        for (int round = 0; round < Rounds; round++)
        {
            // Each exponent of a normal number in turn.
            uint exponent = 1 + (uint)round % 254;
            uint value = exponent << 23 | _values.NextUInt32() & 0x7F_FFFF;
            double operand = BitConverter.UInt32BitsToSingle(value);
            double exact = function == Function.Reciprocal ? 1 / operand : 1 / Math.Sqrt(operand);
            uint result = Execute(code, value);
            if (exact < BitConverter.UInt32BitsToSingle(SmallestNormal))
            {
                Assert.True(result is 0 or SmallestNormal, $"{value:X8}: {result:X8}");
                continue;
            }

            double error = Math.Abs(BitConverter.UInt32BitsToSingle(result) / exact - 1);
            Assert.True(error <= LargestError, $"{value:X8}: {result:X8}, error {error}");
        }
    }

    private uint Execute(Code code, uint operand)
    {
        Machine.Cpu.State.Sse.Registers[2].Low = operand;
        Machine.Execute(SimdForm.Of(code).First().Bytes);
        return (uint)Machine.Cpu.State.Sse.Registers[1].Low;
    }

    private static uint Single(float value) => BitConverter.SingleToUInt32Bits(value);
}
