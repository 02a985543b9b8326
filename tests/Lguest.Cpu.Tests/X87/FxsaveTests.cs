using System.Runtime.InteropServices;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.FloatingPoint;
using Lguest.Cpu.Tests.Native;
using Xunit;
using static System.FormattableString;

namespace Lguest.Cpu.Tests.X87;

/// <summary>FXSAVE and FXRSTOR against the real processor.</summary>
public sealed unsafe class FxsaveTests : IDisposable
{
    private const int Esi = 6;
    private const int XmmEnd = 288;
    private const int PointersStart = 6;
    private const int PointersEnd = 24;
    private static readonly byte[] SaveCode = [0x0F, 0xAE, 0x06];
    private static readonly byte[] RestoreCode = [0x0F, 0xAE, 0x0E];

    private readonly Machine _machine = new();

    public FxsaveTests() => _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);

    [Fact]
    public void FXRSTOR_loads_what_the_processor_loads()
    {
        NativeProcessor.SkipUnlessSupported();
        Random random = TestSize.SeededRandom("FXRSTOR");
        var mismatches = new Mismatches("FXRSTOR");
        using var native = new NativeProcessor();
        for (int count = TestSize.Choose(2000, 20_000); count > 0; count--)
        {
            NativeState* state = native.State;
            state->Reset();
            FxsaveImage image = NextImage(random);
            *(FxsaveImage*)state->Scratch = image;
            state->General[Esi] = native.ScratchAddress;
            native.Execute(RestoreCode);

            _machine.Memory.Write(Machine.DataBase, MemoryMarshal.AsBytes(new Span<FxsaveImage>(ref image)));
            Run(RestoreCode);
            X87State ours = _machine.Cpu.State.X87;
            string message = Invariant($"FCW {image.Control:x4} FSW {image.Status:x4}: ")
                + Invariant($"processor {state->Fx.Control:x4} {state->Fx.Status:x4}, ")
                + Invariant($"ours {ours.Control:x4} {ours.Status:x4}");
            mismatches.Note(IsSame(ref state->Fx), () => message);
        }

        mismatches.AssertNone();
    }

    [Fact]
    public void FXSAVE_stores_what_the_processor_stores()
    {
        NativeProcessor.SkipUnlessSupported();
        Random random = TestSize.SeededRandom("FXSAVE");
        using var native = new NativeProcessor();
        for (int count = TestSize.Choose(500, 5000); count > 0; count--)
        {
            NativeState* state = native.State;
            FxsaveImage image = NextImage(random);

            // Both start from what FXRSTOR makes of the image.
            state->Reset();
            *(FxsaveImage*)state->Scratch = image;
            state->General[Esi] = native.ScratchAddress;
            native.Execute(RestoreCode);
            native.Execute(SaveCode);

            _machine.Memory.Write(Machine.DataBase, MemoryMarshal.AsBytes(new Span<FxsaveImage>(ref image)));
            Run(RestoreCode);
            Run(SaveCode);
            Span<byte> theirs = new(state->Scratch, XmmEnd);
            Span<byte> ours = _machine.Memory.Span(Machine.DataBase, XmmEnd);

            // MXCSR_MASK tells what the processor has; the pointers are its own.
            theirs[PointersStart..PointersEnd].CopyTo(ours[PointersStart..]);
            theirs[28..32].CopyTo(ours[28..]);
            Assert.Equal(Convert.ToHexString(theirs), Convert.ToHexString(ours));
        }
    }

    public void Dispose() => _machine.Dispose();

    private void Run(byte[] code)
    {
        _machine.Cpu.State.Esi = Machine.DataBase;
        _machine.Execute(code);
        Assert.Empty(_machine.Exceptions);
    }

    private bool IsSame(ref FxsaveImage theirs)
    {
        ref ProcessorState ours = ref _machine.Cpu.State;
        bool same = ours.X87.Control == theirs.Control && ours.X87.Status == theirs.Status
            && ours.X87.Valid == theirs.Valid && ours.Mxcsr == theirs.Mxcsr;
        for (int i = 0; i < 8; i++)
        {
            Float80 our = ours.X87.Registers[(theirs.Top + i) & 7];
            Float80 their = theirs.St(i);
            same &= our.Significand == their.Significand && our.SignExponent == their.SignExponent;
            same &= ours.Sse.Registers[i].Low == theirs.Xmm(i).Low && ours.Sse.Registers[i].High == theirs.Xmm(i).High;
        }

        return same;
    }

    private static FxsaveImage NextImage(Random random)
    {
        FxsaveImage image = default;
        random.NextBytes(MemoryMarshal.AsBytes(new Span<FxsaveImage>(ref image)));
        image.Mxcsr = FloatSamples.NextMxcsr(random, unmasked: true);
        return image;
    }
}
