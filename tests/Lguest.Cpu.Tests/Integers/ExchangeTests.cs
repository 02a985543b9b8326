using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Exchanges: what the comparison with a real processor leaves open.</summary>
public sealed class ExchangeTests : IDisposable
{
    private const uint Page = 0x10_0000;

    private readonly PagedMachine _machine = new();

    [Theory]
    [InlineData("0FB01E")]
    [InlineData("0FB11E")]
    [InlineData("660FB11E")]
    [InlineData("0FC70E")]
    public void A_compare_and_exchange_that_finds_another_value_still_needs_to_write(string code)
    {
        _machine.Machine.WriteUInt32(Page, 1);
        _machine.MapReadOnly(Page);
        _machine.Cpu.State.Esi = Page;
        _machine.Cpu.State.Eax = 2;
        _machine.Execute(Convert.FromHexString(code));
        ExceptionInfo fault = _machine.SingleException();
        Assert.Equal(
            (ExceptionVector.PageFault, PageFaultError.Write | PageFaultError.Protection), (fault.Vector, fault.ErrorCode));
        Assert.Equal(2u, _machine.Cpu.State.Eax);
    }

    [Theory]
    [InlineData("93", 0x2222_2222, 0x1111_1111)]
    [InlineData("6693", 0x1111_2222, 0x2222_1111)]
    [InlineData("86C3", 0x1111_1122, 0x2222_2211)]
    [InlineData("86E3", 0x1111_2211, 0x2222_2211)]
    public void XCHG_swaps_registers(string code, uint eax, uint ebx)
    {
        _machine.Cpu.State.Eax = 0x1111_1111;
        _machine.Cpu.State.Ebx = 0x2222_2222;
        _machine.Execute(Convert.FromHexString(code));
        Assert.Equal((eax, ebx), (_machine.Cpu.State.Eax, _machine.Cpu.State.Ebx));
    }

    [Fact]
    public void XADD_of_a_register_to_itself_doubles_it()
    {
        _machine.Cpu.State.Ebx = 21;
        _machine.Execute([0x0F, 0xC1, 0xDB]);
        Assert.Equal(42u, _machine.Cpu.State.Ebx);
    }

    [Theory]
    [InlineData("F08706")]
    [InlineData("F00FC106")]
    [InlineData("F00FB106")]
    [InlineData("F00FC70E")]
    [InlineData("F0FF06")]
    [InlineData("F0F716")]
    [InlineData("F00FAB06")]
    [InlineData("F00106")]
    public void LOCK_is_allowed_where_memory_is_changed(string code)
    {
        _machine.Cpu.State.Esi = Page;
        _machine.Execute(Convert.FromHexString(code));
        Assert.Empty(_machine.Machine.Exceptions);
    }

    [Theory]
    [InlineData("F087C3")]
    [InlineData("F00FC1C3")]
    [InlineData("F00FB1C3")]
    [InlineData("0FC7C9")]
    [InlineData("F08B06")]
    [InlineData("F03906")]
    [InlineData("F0A5")]
    [InlineData("F0D106")]
    [InlineData("F0F7E0")]
    [InlineData("F090")]
    public void LOCK_elsewhere_is_undefined(string code)
    {
        _machine.Cpu.State.Esi = Page;
        _machine.Execute(Convert.FromHexString(code));
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.SingleException().Vector);
    }

    public void Dispose() => _machine.Dispose();
}
