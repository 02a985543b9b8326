using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Products and quotients: what the comparison with a real processor can't settle.</summary>
public sealed class MultiplyDivideTests : IDisposable
{
    private const uint Undefined = Eflags.Sf | Eflags.Zf | Eflags.Pf | Eflags.Af;

    private readonly Machine _machine = new();

    [Theory]
    [InlineData("F6E3", 8, 0)]
    [InlineData("66F7E3", 16, 0)]
    [InlineData("F7E3", 32, 0)]
    [InlineData("F6EB", 8, 0)]
    [InlineData("66F7EB", 16, 0)]
    [InlineData("F7EB", 32, 0)]
    [InlineData("660FAFD3", 16, 2)]
    [InlineData("0FAFD3", 32, 2)]
    [InlineData("666BD385", 16, 2)]
    [InlineData("69D385FF0080", 32, 2)]
    public void After_a_multiplication_the_undefined_flags_are_those_of_the_low_half(string code, int bits, int register)
    {
        Random random = TestSize.SeededRandom(code);
        _machine.Memory.Write(Machine.CodeBase, Convert.FromHexString(code));
        for (int i = 0; i < 2000; i++)
        {
            Load(random);
            _machine.Cpu.Run(1);
            uint product = _machine.Cpu.State.GetGeneral(register) & (uint)((1ul << bits) - 1);
            Assert.Equal(FlagModel.OfResult(product, bits), _machine.Cpu.Eflags & Undefined);
        }
    }

    [Theory]
    [InlineData("F6F3")]
    [InlineData("66F7F3")]
    [InlineData("F7F3")]
    [InlineData("F6FB")]
    [InlineData("66F7FB")]
    [InlineData("F7FB")]
    public void A_division_changes_no_flag(string code)
    {
        Random random = TestSize.SeededRandom(code);
        _machine.Memory.Write(Machine.CodeBase, Convert.FromHexString(code));
        int divided = 0;
        for (int i = 0; i < 2000; i++)
        {
            Load(random);
            _machine.Cpu.State.Edx &= 0xF;
            uint flags = _machine.Cpu.Eflags;
            _machine.Exceptions.Clear();
            _machine.Cpu.Run(1);
            Assert.Equal(flags, _machine.Cpu.Eflags);
            divided += _machine.Exceptions.Count == 0 ? 1 : 0;
        }

        Assert.InRange(divided, 100, 1900);
    }

    // DIV and IDIV of 8, 16 and 32 bits: EDX, EAX, divisor, and whether the quotient fits.
    [Theory]
    [InlineData("F6F3", 0, 0x0000_FEFF, 0xFF, true)]
    [InlineData("F6F3", 0, 0x0000_FF00, 0xFF, false)]
    [InlineData("F6F3", 0, 0x0000_0000, 0, false)]
    [InlineData("66F7F3", 0xFFFE, 0xFFFF, 0xFFFF, true)]
    [InlineData("66F7F3", 0xFFFF, 0x0000, 0xFFFF, false)]
    [InlineData("F7F3", 0xFFFF_FFFE, 0xFFFF_FFFF, 0xFFFF_FFFF, true)]
    [InlineData("F7F3", 0xFFFF_FFFF, 0, 0xFFFF_FFFF, false)]
    [InlineData("F7F3", 0, 1, 0, false)]
    [InlineData("F6FB", 0, 0xFF80, 1, true)]
    [InlineData("F6FB", 0, 0xFF80, 0xFF, false)]
    [InlineData("F6FB", 0, 0xFF7F, 1, false)]
    [InlineData("F6FB", 0, 0x0080, 1, false)]
    [InlineData("F6FB", 0, 0x8000, 0xFF, false)]
    [InlineData("66F7FB", 0xFFFF, 0x8000, 1, true)]
    [InlineData("66F7FB", 0xFFFF, 0x8000, 0xFFFF, false)]
    [InlineData("66F7FB", 0x8000, 0x0000, 0xFFFF, false)]
    [InlineData("F7FB", 0xFFFF_FFFF, 0x8000_0000, 1, true)]
    [InlineData("F7FB", 0xFFFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, false)]
    [InlineData("F7FB", 0x8000_0000, 0, 0xFFFF_FFFF, false)]
    [InlineData("F7FB", 0x8000_0000, 0, 1, false)]
    [InlineData("F7FB", 0x8000_0000, 0, 0, false)]
    public void A_quotient_that_does_not_fit_is_a_divide_error_and_changes_nothing(
        string code, uint edx, uint eax, uint divisor, bool fits)
    {
        _machine.Cpu.State.Edx = edx;
        _machine.Cpu.State.Eax = eax;
        _machine.Cpu.State.Ebx = divisor;
        _machine.Execute(Convert.FromHexString(code));
        if (fits)
        {
            Assert.Empty(_machine.Exceptions);
            return;
        }

        Assert.Equal(ExceptionVector.DivideError, _machine.SingleException().Vector);
        Assert.Equal(Machine.CodeBase, _machine.Cpu.State.Eip);
        Assert.Equal((edx, eax), (_machine.Cpu.State.Edx, _machine.Cpu.State.Eax));
        Assert.Equal(0ul, _machine.Cpu.Retired);
    }

    public void Dispose() => _machine.Dispose();

    private void Load(Random random)
    {
        ref ProcessorState state = ref _machine.Cpu.State;
        state.Eip = Machine.CodeBase;
        state.Eax = IntegerValues.Next(random);
        state.Ebx = IntegerValues.Next(random);
        state.Edx = IntegerValues.Next(random);
        _machine.Cpu.Eflags = ((uint)random.Next() & Eflags.Arithmetic) | Eflags.Fixed;
    }
}
