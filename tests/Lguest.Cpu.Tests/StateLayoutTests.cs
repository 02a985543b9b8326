using Lguest.Cpu.Memory;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests;

/// <summary>Where the parts of the state lie: operations and translated code know it by heart.</summary>
public sealed unsafe class StateLayoutTests : IDisposable
{
    private readonly Machine _machine = new();
    private readonly ProcessorState* _state;

    public StateLayoutTests() => _state = _machine.Cpu.StatePointer;

    [Fact]
    public void The_registers_come_first()
    {
        for (int i = 0; i < 8; i++)
        {
            _state->SetGeneral(i, (uint)i + 1);
            Assert.Equal((uint)i + 1, ((uint*)_state)[i]);
        }

        Assert.Equal(32, Offset(&_state->Zero));
        Assert.Equal(36, Offset(&_state->Eip));
        Assert.Equal(40, Offset(&_state->FlagsResult));
        Assert.Equal(44, Offset(&_state->FlagsCarries));
        Assert.Equal(48, Offset(&_state->SystemFlags));
    }

    [Fact]
    public void What_every_step_touches_is_within_a_signed_byte()
    {
        Assert.Equal(52, Offset(&_state->Exit));
        Assert.Equal(56, Offset(&_state->Countdown));
        Assert.Equal(64, Offset(&_state->Tlb));
        Assert.Equal(72, Offset(&_state->Block));
        Assert.Equal(80, Offset(&_state->BlockEip));
        Assert.Equal(84, Offset(&_state->Mode));
        Assert.Equal(88, Offset(&_state->JumpCache));
        Assert.Equal(96, Offset(&_state->JumpKey));
        Assert.Equal(104, Offset(&_state->LinkFrom));
        Assert.Equal(112, Offset(&_state->HostFlags));
        Assert.Equal(120, Offset(&_state->Owner));
    }

    /// <summary>SDM 1, table 10-2.</summary>
    [Fact]
    public void Floating_point_state_has_the_shape_of_FXSAVE()
    {
        byte* area = (byte*)&_state->X87;
        Assert.Equal(128, Offset(area));
        Assert.Equal(0, (nint)area & 63);
        Assert.Equal(0, (byte*)&_state->X87.Control - area);
        Assert.Equal(2, (byte*)&_state->X87.Status - area);
        Assert.Equal(4, (byte*)&_state->X87.Valid - area);
        Assert.Equal(6, (byte*)&_state->X87.LastOpcode - area);
        Assert.Equal(8, (byte*)&_state->X87.InstructionPointer - area);
        Assert.Equal(16, (byte*)&_state->X87.DataPointer - area);
        Assert.Equal(24, (byte*)&_state->X87.Mxcsr - area);
        Assert.Equal(32, (byte*)&_state->X87.Registers - area);
        Assert.Equal(160, (byte*)&_state->Sse.Registers - area);
        Assert.Equal(512, (byte*)&_state->Es - area);
    }

    [Fact]
    public void The_segment_registers_follow()
    {
        Assert.Equal(640, Offset(&_state->Es));
        Assert.Equal(640 + (4 * 16), Offset(&_state->Fs));
        Assert.Equal(640 + (5 * 16), Offset(&_state->Gs));
        Assert.Equal(4, (byte*)&_state->Gs.Base - (byte*)&_state->Gs);
        Assert.Equal(8, (byte*)&_state->Gs.Limit - (byte*)&_state->Gs);
        Assert.Equal(12, (byte*)&_state->Gs.Access - (byte*)&_state->Gs);
    }

    [Fact]
    public void What_decides_about_floating_point_is_known_to_translated_code()
    {
        Assert.Equal(784, Offset(&_state->Cr0));
        Assert.Equal(796, Offset(&_state->Cr4));
        Assert.Equal(984, Offset(&_state->MissingUnits));
        Assert.Equal(988, Offset(&_state->HostMxcsr));
        Assert.Equal(992, Offset(&_state->X87Call.First));
        Assert.Equal(1008, Offset(&_state->X87Call.Second));
        Assert.Equal(1024, Offset(&_state->X87Call.Result));
        Assert.Equal(1040, Offset(&_state->X87Call.Rest));
    }

    [Fact]
    public void What_decides_about_interrupts_is_known_to_translated_code()
    {
        Assert.Equal(880, Offset(&_state->RetiredLimit));
        Assert.Equal(888, Offset(&_state->ShadowUntil));
        Assert.Equal(1132, Offset(&_state->InterruptLine));
        Assert.Equal(1136, Offset(&_state->WindowWanted));
    }

    [Fact]
    public void The_translations_lie_behind_the_state()
    {
        Assert.True(sizeof(ProcessorState) <= TranslationBuffer.StateOffset);
        Assert.Equal(16, sizeof(TlbEntry));
        Assert.Equal(TranslationBuffer.StateOffset, Offset(_state->SupervisorTlb));
        Assert.Equal(TranslationBuffer.StateOffset + (3 * TranslationBuffer.Entries * 16), Offset(_state->UserTlb));
        Assert.Equal(0, (nint)_state->SupervisorTlb & 63);
    }

    public void Dispose() => _machine.Dispose();

    private long Offset(void* field) => (byte*)field - (byte*)_state;
}
