using System.Runtime.Intrinsics;
using Iced.Intel;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>What keeps MMX and SSE instructions from executing, and in which order it is looked at.</summary>
public sealed unsafe class SimdAvailabilityTests : IDisposable
{
    private const ushort ControlWithInvalidUnmasked = 0x37E;
    private const ushort StatusWithPendingInvalid = 0x8081;

    private readonly SimdComparison _comparison = new();

    public static TheoryData<Code> Instructions() => [.. SimdForm.Codes];

    public void Dispose() => _comparison.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void A_pending_x87_error_is_reported_where_the_real_processor_does(Code code)
    {
        NativeProcessor.SkipUnlessSupported();
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor are only caught on Linux.");
        foreach (SimdForm form in SimdForm.Of(code))
        {
            _comparison.Load(form);
            _comparison.Reset();
            _comparison.State->Fx.Control = ControlWithInvalidUnmasked;
            _comparison.State->Fx.Status = StatusWithPendingInvalid;
            _comparison.Compare();
        }
    }
}
