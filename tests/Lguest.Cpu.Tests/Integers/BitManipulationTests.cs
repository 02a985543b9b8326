using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>Bit instructions: undefined results, and encodings of instructions that aren't claimed.</summary>
public sealed class BitManipulationTests : IDisposable
{
    private readonly Machine _machine = new();

    [Theory]
    [InlineData("0FA3D3")]
    [InlineData("0FABD3")]
    [InlineData("0FB3D3")]
    [InlineData("0FBBD3")]
    [InlineData("660FA3D3")]
    [InlineData("0FBAE311")]
    [InlineData("0FAB1500400000")]
    public void A_bit_test_changes_no_flag_but_the_carry(string code)
    {
        for (uint flags = 0; flags <= Eflags.Arithmetic; flags++)
        {
            if ((flags & ~Eflags.Arithmetic) == 0)
            {
                _machine.Cpu.State.Ebx = 0x5555_5555;
                _machine.Cpu.State.Edx = flags >> 4;
                _machine.Cpu.Eflags = flags;
                _machine.Execute(Convert.FromHexString(code));
                Assert.Equal(flags & ~(uint)Eflags.Cf, _machine.Cpu.Eflags & Eflags.Arithmetic & ~(uint)Eflags.Cf);
            }
        }
    }

    [Theory]
    [InlineData("0FBCC3", 32)]
    [InlineData("0FBDC3", 32)]
    [InlineData("660FBCC3", 16)]
    [InlineData("660FBDC3", 16)]
    public void A_bit_scan_sets_the_flags_of_its_source(string code, int bits)
    {
        Random random = TestSize.SeededRandom(code);
        for (int i = 0; i < 300; i++)
        {
            uint source = IntegerValues.Next(random);
            _machine.Cpu.State.Ebx = source;
            _machine.Cpu.Eflags = (uint)random.Next() & Eflags.Arithmetic;
            _machine.Execute(Convert.FromHexString(code));
            uint operand = bits == 32 ? source : (ushort)source;
            Assert.Equal(FlagModel.OfResult(operand, bits), _machine.Cpu.Eflags & Eflags.Arithmetic);
        }
    }

    [Theory]
    [InlineData("0FBCC3", 0xAAAA_AAAA)]
    [InlineData("0FBDC3", 0xAAAA_AAAA)]
    [InlineData("660FBCC3", 0xAAAA_AAAA)]
    [InlineData("660FBDC3", 0xAAAA_AAAA)]
    public void A_bit_scan_of_zero_keeps_the_destination(string code, uint destination)
    {
        _machine.Cpu.State.Eax = destination;
        _machine.Execute(Convert.FromHexString(code));
        Assert.Equal(destination, _machine.Cpu.State.Eax);
        Assert.Equal(Eflags.Zf, _machine.Cpu.Eflags & Eflags.Zf);
    }

    [Theory]
    [InlineData("F30FBCC3", 0x0010_0100, 8)]
    [InlineData("F30FBDC3", 0x0010_0100, 20)]
    [InlineData("66F30FBCC3", 0x0010_0100, 8)]
    [InlineData("66F30FBDC3", 0x0010_0100, 8)]
    public void The_prefix_of_counting_instructions_that_are_not_claimed_is_ignored(string code, uint source, uint result)
    {
        _machine.Cpu.State.Ebx = source;
        _machine.Execute(Convert.FromHexString(code));
        Assert.Equal(result, _machine.Cpu.State.Eax);
    }

    [Fact]
    public void Swapping_the_bytes_of_a_word_clears_it()
    {
        _machine.Cpu.State.Ebx = 0x1234_5678;
        _machine.Execute([0x66, 0x0F, 0xCB]);
        Assert.Equal(0x1234_0000u, _machine.Cpu.State.Ebx);
    }

    [Theory]
    [InlineData("F30FB8C3")]
    [InlineData("F00FA303")]
    [InlineData("F00FABD3")]
    [InlineData("0FBAC301")]
    public void An_encoding_that_is_no_instruction_is_undefined(string code)
    {
        _machine.Execute(Convert.FromHexString(code));
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.SingleException().Vector);
    }

    [Theory]
    [InlineData("0FA31D00400000", 0x8000_0000, 0xF000_4000)]
    [InlineData("0FA31D00400000", 0x7FFF_FFFF, 0x1000_3FFC)]
    [InlineData("660FA31D00400000", 0x8000, 0x3000)]
    [InlineData("67660FA31E0040", 0x7FF0, 0x4FFE)]
    [InlineData("67660FA31EF0FF", 0x0100, 0x0010)]
    [InlineData("670FA31EF0FF", 0x0100, 0x0010)]
    [InlineData("67660FA31E1000", 0x8000, 0xF010)]
    [InlineData("67660FAB1EF0FF", 0x0100, 0x0010)]
    public void A_bit_number_in_a_register_reaches_far_beyond_the_operand(string code, uint bit, uint address)
    {
        using var paged = new PagedMachine();
        paged.Cpu.State.Ebx = bit;
        paged.ForbidEverythingBut(Machine.CodeBase);
        paged.Execute(Convert.FromHexString(code));
        Assert.Equal(address, paged.SingleException().Address);
    }

    public void Dispose() => _machine.Dispose();
}
