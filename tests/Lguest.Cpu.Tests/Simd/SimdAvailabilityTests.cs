using Iced.Intel;
using Lguest.Cpu.Instructions.Simd;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Native;

namespace Lguest.Cpu.Tests.Simd;

/// <summary>What keeps MMX and SSE instructions from executing, and in which order it is looked at.</summary>
[ResultsUnchecked]
public sealed unsafe class SimdAvailabilityTests : IDisposable
{
    private const int None = -1;

    private readonly SimdComparison _comparison = new();

    public static TheoryData<Code> Instructions() => [.. SimdForm.Codes];

    public void Dispose() => _comparison.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void Control_registers_decide_whether_an_instruction_executes(Code code)
    {
        foreach (SimdForm form in SimdForm.Of(code))
        {
            Expect(form, 0, Cr4.Osfxsr, None);
            Expect(form, 0, 0, form.UsesSse ? ExceptionVector.InvalidOpcode : None);
            Expect(form, Cr0.Em, Cr4.Osfxsr, ExceptionVector.InvalidOpcode);
            Expect(form, Cr0.Em | Cr0.Ts, Cr4.Osfxsr, ExceptionVector.InvalidOpcode);
            Expect(form, Cr0.Ts, Cr4.Osfxsr, ExceptionVector.DeviceNotAvailable);
            Expect(form, Cr0.Ts, 0, form.UsesSse ? ExceptionVector.InvalidOpcode : ExceptionVector.DeviceNotAvailable);
        }
    }

    [Theory]
    [InlineData(0u, None)]
    [InlineData(Cr0.Em, ExceptionVector.DeviceNotAvailable)]
    [InlineData(Cr0.Ts, ExceptionVector.DeviceNotAvailable)]
    public void FXSAVE_and_FXRSTOR_are_x87_instructions_to_control_registers(uint cr0, int vector)
    {
        foreach (byte[] instruction in (byte[][])[[0x0F, 0xAE, 0x06], [0x0F, 0xAE, 0x0E]])
        {
            Expect(instruction, cr0, 0, vector);
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void A_pending_x87_error_is_reported_where_the_real_processor_does(Code code)
    {
        const ushort invalidUnmasked = 0x37E;
        const ushort pendingInvalid = 0x8081;
        NativeProcessor.SkipUnlessSupported();
        Assert.SkipUnless(NativeProcessor.CatchesFaults, "Faults of the host's processor are only caught on Linux.");
        foreach (SimdForm form in SimdForm.Of(code))
        {
            _comparison.Load(form);
            _comparison.Reset();
            _comparison.State->Fx.Control = invalidUnmasked;
            _comparison.State->Fx.Status = pendingInvalid;
            _comparison.Compare();
        }
    }

    [Theory]
    [InlineData(Cr4.Osfxsr | Cr4.Osxmmexcpt, ExceptionVector.SimdError)]
    [InlineData(Cr4.Osfxsr, ExceptionVector.InvalidOpcode)]
    public void An_unmasked_SSE_exception_needs_OSXMMEXCPT(uint cr4, int vector)
    {
        const uint invalidUnmasked = 0x1F00;
        const uint invalid = 1;
        byte[] squareRootOfMinusOne = [0xF3, 0x0F, 0x51, 0xC1];
        Machine machine = _comparison.Machine;
        machine.Cpu.State.Sse.Registers[1].Low = 0xBF80_0000;
        machine.Cpu.State.Mxcsr = invalidUnmasked;
        Expect(squareRootOfMinusOne, 0, cr4, vector);
        Assert.Equal(invalidUnmasked | invalid, machine.Cpu.State.Mxcsr);
        Assert.Equal(0ul, machine.Cpu.State.Sse.Registers[0].Low);
    }

    [Theory]
    [InlineData(0x0001_0000u)]
    [InlineData(0x8000_1F80u)]
    public void LDMXCSR_of_reserved_bits_is_a_general_protection_fault(uint value)
    {
        byte[] load = [0x0F, 0xAE, 0x16];
        Machine machine = _comparison.Machine;
        machine.WriteUInt32(Machine.DataBase, value);
        Expect(load, 0, Cr4.Osfxsr, ExceptionVector.GeneralProtection);
        Assert.Equal(0x1F80u, machine.Cpu.State.Mxcsr);
    }

    private void Expect(SimdForm form, uint cr0, uint cr4, int vector) => Expect(form.Bytes, cr0, cr4, vector);

    private void Expect(byte[] instruction, uint cr0, uint cr4, int vector)
    {
        Machine machine = _comparison.Machine;
        machine.Cpu.WriteControlRegister(0, Cr0.Pe | cr0);
        machine.Cpu.WriteControlRegister(4, cr4);
        machine.Cpu.State.Esi = machine.Cpu.State.Edi = Machine.DataBase;
        machine.Exceptions.Clear();
        machine.Execute(instruction);
        Assert.Equal(vector, machine.Exceptions.Count == 0 ? None : machine.SingleException().Vector);
    }
}
