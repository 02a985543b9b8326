using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.X87;

/// <summary>How far an unmasked underflow or overflow can bring its result back into range, against the real processor.</summary>
public sealed unsafe class ScaleLimitTests
{
    private const ushort AllUnmasked = 0x340;
    private const int Bias = 16383;

    [Theory]
    [InlineData(-40958)]
    [InlineData(40959)]
    public void FSCALE_beyond_the_adjusted_range_gives_zero_or_infinity(int limit)
    {
        NativeProcessor.SkipUnlessSupported();
        using var native = new NativeProcessor();
        using var machine = new Machine();
        for (int scale = limit - 3; scale <= limit + 3; scale++)
        {
            native.State->Reset();
            native.State->Fx.Control = AllUnmasked;
            native.State->Fx.Valid = 3;
            native.State->Fx.St(0) = new Float80 { Significand = 0xC000_0000_0000_0000, SignExponent = Bias };
            native.State->Fx.St(1) = Number(scale);
            machine.Cpu.State.X87.Control = AllUnmasked;
            machine.Cpu.State.X87.Status = 0;
            machine.Cpu.State.X87.Valid = 3;
            machine.Cpu.State.X87.Registers[0] = native.State->Fx.St(0);
            machine.Cpu.State.X87.Registers[1] = native.State->Fx.St(1);
            machine.Execute([0xD9, 0xFD]);
            native.Execute([0xD9, 0xFD]);
            Float80 expected = native.State->Fx.St(0);
            Float80 actual = machine.Cpu.State.X87.Registers[0];
            Assert.True(
                (actual.Significand, actual.SignExponent) == (expected.Significand, expected.SignExponent)
                    && machine.Cpu.State.X87.Status == native.State->Fx.Status,
                $"1.5 scaled by {scale}: {actual.SignExponent:X4} {actual.Significand:X16} status {machine.Cpu.State.X87.Status:X4}, "
                    + $"expected {expected.SignExponent:X4} {expected.Significand:X16} status {native.State->Fx.Status:X4}");
        }
    }

    private static Float80 Number(int value)
    {
        uint magnitude = (uint)Math.Abs(value);
        int top = 31 - int.LeadingZeroCount((int)magnitude);
        return new Float80
        {
            Significand = (ulong)magnitude << (63 - top),
            SignExponent = (ushort)((Bias + top) | (value < 0 ? 0x8000 : 0)),
        };
    }
}
