using Iced.Intel;
using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>
/// Decimal adjustments against the manual's pseudo-code, over every AL, CF and AF; and against what they are for.
/// </summary>
public sealed class BcdTests : IDisposable
{
    private readonly Machine _machine = new();

    [Theory]
    [InlineData(Mnemonic.Aaa, 0x37)]
    [InlineData(Mnemonic.Aas, 0x3F)]
    [InlineData(Mnemonic.Daa, 0x27)]
    [InlineData(Mnemonic.Das, 0x2F)]
    public void An_adjustment_does_what_the_pseudo_code_says(Mnemonic mnemonic, byte opcode)
    {
        for (uint i = 0; i < 1 << 12; i++)
        {
            // AH matters only as far as it is added to.
            uint ax = (i & 0xFF) | (i * 0x3700 & 0xFF00);
            bool carry = (i & (1 << 8)) != 0;
            bool auxiliary = (i & (1 << 9)) != 0;
            uint others = i * 0x9E37 & Eflags.Arithmetic & ~(uint)(Eflags.Cf | Eflags.Af);
            uint flags = others | (carry ? Eflags.Cf : 0u) | (auxiliary ? Eflags.Af : 0u);
            (uint result, uint expected) = Model(mnemonic, ax, carry, auxiliary);
            Execute([opcode], 0xABCD_0000 | ax, flags);
            Expect(0xABCD_0000 | result, expected, $"{mnemonic} of {ax:X4}, flags {flags:X3}");
        }
    }

    [Fact]
    public void AAM_divides_by_any_base_but_zero()
    {
        for (uint numberBase = 1; numberBase < 256; numberBase++)
        {
            for (uint al = numberBase & 3; al < 256; al += 3)
            {
                uint expected = (al / numberBase << 8) | (al % numberBase);
                Execute([0xD4, (byte)numberBase], 0x1234_5600 | al, Eflags.Arithmetic);
                Expect(0x1234_0000 | expected, FlagModel.OfResult(expected & 0xFF, 8), $"AAM {numberBase} of {al:X2}");
            }
        }
    }

    [Fact]
    public void AAM_by_zero_is_a_divide_error_and_changes_nothing()
    {
        Execute([0xD4, 0], 0x1234_5678, Eflags.Cf);
        Assert.Equal(ExceptionVector.DivideError, _machine.SingleException().Vector);
        Expect(0x1234_5678, Eflags.Cf, "AAM 0");
    }

    [Fact]
    public void AAD_multiplies_by_any_base()
    {
        for (uint ax = 0; ax < 0x1_0000; ax += 61)
        {
            for (uint numberBase = 0; numberBase < 256; numberBase += numberBase == 9 ? 1u : 3u)
            {
                uint expected = ((ax >> 8) * numberBase + ax) & 0xFF;
                Execute([0xD5, (byte)numberBase], 0x1234_0000 | ax, Eflags.Arithmetic);
                Expect(0x1234_0000 | expected, FlagModel.OfResult(expected, 8), $"AAD {numberBase} of {ax:X4}");
            }
        }
    }

    [Fact]
    public void DAA_and_DAS_correct_sums_and_differences_of_packed_decimals()
    {
        for (uint a = 0; a < 100; a++)
        {
            for (uint b = a % 3; b < 100; b += 3)
            {
                // ADD AL, BL; DAA - and SUB AL, BL; DAS.
                _machine.Cpu.State.Ebx = ToDecimal(b);
                Execute([0x00, 0xD8, 0x27], ToDecimal(a), 0, 2);
                Assert.Equal(ToDecimal((a + b) % 100), _machine.Cpu.State.Eax);
                Assert.Equal(a + b >= 100, (_machine.Cpu.Eflags & Eflags.Cf) != 0);
                Execute([0x28, 0xD8, 0x2F], ToDecimal(a), 0, 2);
                Assert.Equal(ToDecimal((100 + a - b) % 100), _machine.Cpu.State.Eax);
                Assert.Equal(a < b, (_machine.Cpu.Eflags & Eflags.Cf) != 0);
            }
        }
    }

    public void Dispose() => _machine.Dispose();

    private static uint ToDecimal(uint value) => (value / 10 << 4) | (value % 10);

    /// <summary>SDM 2A, "Operation", as literally as C# allows, and the values chosen for what it leaves undefined.</summary>
    private static (uint Ax, uint Flags) Model(Mnemonic mnemonic, uint ax, bool cf, bool af)
    {
        byte al = (byte)ax;
        byte oldAl = al;
        bool oldCf = cf;
        cf = false;
        switch (mnemonic)
        {
            case Mnemonic.Aaa:
            case Mnemonic.Aas:
                if ((al & 0x0F) > 9 || af)
                {
                    ax = (ushort)(mnemonic == Mnemonic.Aaa ? ax + 0x106 : ax - 6 - 0x100);
                    af = cf = true;
                }

                ax &= 0xFF0F;
                break;
            case Mnemonic.Daa:
                if ((al & 0x0F) > 9 || af)
                {
                    cf = oldCf || al + 6 > 0xFF;
                    al += 6;
                    af = true;
                }

                cf = oldAl > 0x99 || oldCf;
                al = cf ? (byte)(al + 0x60) : al;
                ax = (ax & 0xFF00) | al;
                break;
            default:
                if ((al & 0x0F) > 9 || af)
                {
                    cf = oldCf || al < 6;
                    al -= 6;
                    af = true;
                }

                if (oldAl > 0x99 || oldCf)
                {
                    al -= 0x60;
                    cf = true;
                }

                ax = (ax & 0xFF00) | al;
                break;
        }

        return (ax, FlagModel.OfResult(ax & 0xFF, 8) | (cf ? Eflags.Cf : 0u) | (af ? Eflags.Af : 0u));
    }

    private void Execute(ReadOnlySpan<byte> code, uint eax, uint flags, ulong instructions = 1)
    {
        _machine.Cpu.State.Eax = eax;
        _machine.Cpu.Eflags = flags;
        _machine.Execute(code, instructions);
    }

    private void Expect(uint eax, uint flags, string what)
    {
        uint actual = _machine.Cpu.Eflags & Eflags.Arithmetic;
        if (_machine.Cpu.State.Eax != eax || actual != flags)
        {
            Assert.Fail($"{what}: {_machine.Cpu.State.Eax:X8} flags {actual:X3}, expected {eax:X8} flags {flags:X3}");
        }
    }
}
