using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>BOUND, INTO, ARPL, SALC, XLAT, SAHF, no-operations and undefined opcodes: a line for each case.</summary>
public sealed class SmallFamilyTests : IDisposable
{
    private readonly Machine _machine = new();

    [Theory]
    [InlineData("621E", 5u, 1u, 10u, true)]
    [InlineData("621E", 1u, 1u, 10u, true)]
    [InlineData("621E", 10u, 1u, 10u, true)]
    [InlineData("621E", 0u, 1u, 10u, false)]
    [InlineData("621E", 11u, 1u, 10u, false)]
    [InlineData("621E", 0xFFFF_FFFFu, 0xFFFF_FFF0u, 3u, true)]
    [InlineData("621E", 0x8000_0000u, 0u, 0x7FFF_FFFFu, false)]
    [InlineData("66621E", 0xABCD_FFFFu, 0x0003_FFF0u, 0u, true)]
    [InlineData("66621E", 0xABCD_0004u, 0x0003_FFF0u, 0u, false)]
    public void BOUND_checks_an_index(string code, uint index, uint first, uint second, bool isInside)
    {
        _machine.WriteUInt32(Machine.DataBase, first);
        _machine.WriteUInt32(Machine.DataBase + 4, second);
        _machine.Cpu.State.Esi = Machine.DataBase;
        _machine.Cpu.State.Ebx = index;
        _machine.Execute(Convert.FromHexString(code));
        if (isInside)
        {
            Assert.Empty(_machine.Exceptions);
        }
        else
        {
            ExceptionInfo fault = _machine.SingleException();
            Assert.Equal((ExceptionVector.BoundRange, ExceptionOrigin.Fault), (fault.Vector, fault.Origin));
            Assert.Equal(Machine.CodeBase, _machine.Cpu.State.Eip);
        }
    }

    [Theory]
    [InlineData("621E", 4u, false)]
    [InlineData("621E", 2u, true)]
    [InlineData("66621E", 2u, false)]
    [InlineData("66621E", 1u, true)]
    public void The_bounds_are_aligned_one_by_one(string code, uint misalignment, bool faults)
    {
        using var machine = new PagedMachine();
        machine.EnterUserMode();
        machine.Cpu.WriteControlRegister(0, machine.Cpu.ReadControlRegister(0) | Cr0.Am);
        machine.Cpu.Eflags = Eflags.Ac;
        machine.Cpu.State.Esi = Machine.DataBase + misalignment;
        machine.Execute(Convert.FromHexString(code));
        Assert.Equal(faults, machine.Machine.Exceptions.Exists(e => e.Vector == ExceptionVector.AlignmentCheck));
    }

    [Theory]
    [InlineData("CE", Eflags.Of, ExceptionVector.Overflow, ExceptionOrigin.Software, 1)]
    [InlineData("CC", 0, ExceptionVector.Breakpoint, ExceptionOrigin.Software, 1)]
    [InlineData("CD03", 0, ExceptionVector.Breakpoint, ExceptionOrigin.Software, 2)]
    [InlineData("CDFF", 0, 0xFF, ExceptionOrigin.Software, 2)]
    [InlineData("F1", 0, ExceptionVector.Debug, ExceptionOrigin.Trap, 1)]
    public void A_software_interrupt_retires_and_points_behind_itself(
        string code, int flags, int vector, ExceptionOrigin origin, uint length)
    {
        _machine.Cpu.Eflags = (uint)flags;
        _machine.Execute(Convert.FromHexString(code));
        ExceptionInfo exception = _machine.SingleException();
        Assert.Equal((vector, origin), (exception.Vector, exception.Origin));
        Assert.Equal(Machine.CodeBase + length, _machine.Cpu.State.Eip);
        Assert.Equal(1ul, _machine.Cpu.Retired);
    }

    [Theory]
    [InlineData("C3", 4u)]
    [InlineData("C20000", 4u)]
    [InlineData("C20800", 12u)]
    [InlineData("C2FCFF", 0x1_0000u)]
    [InlineData("66C3", 2u)]
    [InlineData("66C20800", 10u)]
    public void A_near_return_frees_what_it_says(string code, uint freed)
    {
        const uint target = 0x2345;
        const uint stack = 0x2_0000;
        _machine.WriteUInt32(stack, target);
        _machine.Cpu.State.Esp = stack;
        _machine.Execute(Convert.FromHexString(code));
        Assert.Equal((target, stack + freed), (_machine.Cpu.State.Eip, _machine.Cpu.State.Esp));
    }

    [Fact]
    public void INTO_without_overflow_does_nothing()
    {
        _machine.Cpu.Eflags = Eflags.Arithmetic & ~(uint)Eflags.Of;
        _machine.Execute([0xCE]);
        Assert.Empty(_machine.Exceptions);
    }

    [Theory]
    [InlineData(0x1230, 0x0003, 0x1233, true)]
    [InlineData(0x1231, 0x0002, 0x1232, true)]
    [InlineData(0x1233, 0x0003, 0x1233, false)]
    [InlineData(0x1233, 0xFFFC, 0x1233, false)]
    [InlineData(0x1230, 0xFFF0, 0x1230, false)]
    public void ARPL_raises_a_selectors_privilege_number(int selector, int other, int result, bool raised)
    {
        foreach (string code in (string[])["63D3", "631E", "6663D3", "66631E"])
        {
            foreach (uint flags in (uint[])[0, Eflags.Arithmetic])
            {
                bool inMemory = code.EndsWith("1E", StringComparison.Ordinal);
                _machine.WriteUInt32(Machine.DataBase, 0x5555_0000 | (uint)selector);
                _machine.Cpu.State.Esi = Machine.DataBase;
                _machine.Cpu.State.Ebx = 0x5555_0000 | (uint)(inMemory ? other : selector);
                _machine.Cpu.State.Edx = (uint)other;
                _machine.Cpu.Eflags = flags;
                _machine.Execute(Convert.FromHexString(code));
                uint actual = inMemory ? _machine.ReadUInt32(Machine.DataBase) : _machine.Cpu.State.Ebx;
                Assert.Equal(0x5555_0000 | (uint)result, actual);
                uint expected = (flags & ~(uint)Eflags.Zf) | (raised ? Eflags.Zf : 0u);
                Assert.Equal(expected, _machine.Cpu.Eflags & Eflags.Arithmetic);
            }
        }
    }

    [Theory]
    [InlineData(0u, 0xABCD_1200u)]
    [InlineData(Eflags.Cf, 0xABCD_12FFu)]
    public void SALC_spreads_the_carry_and_changes_no_flag(uint flags, uint eax)
    {
        _machine.Cpu.State.Eax = 0xABCD_1234;
        _machine.Cpu.Eflags = flags | Eflags.Zf;
        _machine.Execute([0xD6]);
        Assert.Equal(eax, _machine.Cpu.State.Eax);
        Assert.Equal(flags | Eflags.Zf, _machine.Cpu.Eflags & Eflags.Arithmetic);
    }

    [Fact]
    public void SAHF_and_LAHF_move_every_combination_of_flags()
    {
        for (uint ah = 0; ah < 256; ah++)
        {
            foreach (uint overflow in (uint[])[0, Eflags.Of])
            {
                _machine.Cpu.State.Eax = ah << 8;
                _machine.Cpu.Eflags = overflow | (~ah & 0xD5);
                _machine.Execute([0x9E]);
                Assert.Equal((ah & 0xD5) | overflow | Eflags.Fixed, _machine.Cpu.Eflags);
                _machine.Cpu.State.Eax = 0x1234_5678;
                _machine.Execute([0x9F]);
                Assert.Equal(0x1234_0078 | (((ah & 0xD5) | Eflags.Fixed) << 8), _machine.Cpu.State.Eax);
            }
        }
    }

    [Theory]
    [InlineData("40", 0)]
    [InlineData("41", 1)]
    [InlineData("47", 7)]
    [InlineData("6643", 3)]
    [InlineData("48", 0)]
    [InlineData("4D", 5)]
    [InlineData("664E", 6)]
    public void The_short_INC_and_DEC_change_one_register_and_keep_the_carry(string code, int register)
    {
        foreach (uint carry in (uint[])[0, Eflags.Cf])
        {
            bool is16 = code.Length > 2;
            bool isInc = code[^2] == '4' && char.IsBetween(code[^1], '0', '7');
            uint start = isInc ? 0x8000_FFFF : 0x8000_0000;
            _machine.Cpu.State.SetGeneral(register, start);
            _machine.Cpu.Eflags = carry;
            _machine.Execute(Convert.FromHexString(code));
            uint changed = isInc ? start + 1 : start - 1;
            uint expected = is16 ? (start & 0xFFFF_0000) | (changed & 0xFFFF) : changed;
            Assert.Equal(expected, _machine.Cpu.State.GetGeneral(register));
            Assert.Equal(carry, _machine.Cpu.Eflags & Eflags.Cf);
        }
    }

    // Memory operands are at an address where there is nothing: these don't look.
    [Theory]
    [InlineData("90")]
    [InlineData("6690")]
    [InlineData("F390")]
    [InlineData("0F1F00")]
    [InlineData("660F1F840000000000")]
    [InlineData("0F1FC0")]
    [InlineData("0F1800")]
    [InlineData("0F1808")]
    [InlineData("0F1810")]
    [InlineData("0F1818")]
    [InlineData("0F1820")]
    [InlineData("0F18C0")]
    [InlineData("0F1900")]
    [InlineData("0F1A00")]
    [InlineData("0F1B00")]
    [InlineData("0F1C00")]
    [InlineData("0F1D00")]
    [InlineData("0F1E00")]
    [InlineData("F30F1EFB")]
    [InlineData("F30F1EFA")]
    [InlineData("F30F1EC8")]
    [InlineData("0F0D00")]
    [InlineData("0F0D08")]
    [InlineData("0F0D10")]
    [InlineData("0F0D18")]
    [InlineData("0F0D20")]
    [InlineData("0F0D28")]
    [InlineData("0F0D30")]
    [InlineData("0F0D38")]
    [InlineData("0F0DC1")]
    [InlineData("660F0DC1")]
    [InlineData("0F1830")]
    [InlineData("0F1838")]
    [InlineData("0F183500000000")]
    [InlineData("0F183D00000000")]
    [InlineData("0FAEE8")]
    [InlineData("0FAEF0")]
    [InlineData("0FAEF8")]
    public void A_no_operation_changes_nothing_but_EIP(string code)
    {
        using var machine = new PagedMachine();
        machine.ForbidEverythingBut(Machine.CodeBase);
        byte[] bytes = Convert.FromHexString(code);
        machine.Cpu.Eflags = Eflags.Arithmetic;
        machine.Cpu.State.Eax = 0x30_0000;
        machine.Execute(bytes);
        Assert.Empty(machine.Machine.Exceptions);
        Assert.Equal(Machine.CodeBase + (uint)bytes.Length, machine.Cpu.State.Eip);
        Assert.Equal(Eflags.Arithmetic | (uint)Eflags.Fixed, machine.Cpu.Eflags);
        Assert.Equal(0x30_0000u, machine.Cpu.State.Eax);
    }

    [Fact]
    public void CLFLUSH_faults_like_a_load()
    {
        using var machine = new PagedMachine();
        machine.Unmap(Machine.DataBase);
        machine.Cpu.State.Eax = Machine.DataBase + 0x123;
        machine.Execute([0x0F, 0xAE, 0x38]);
        ExceptionInfo fault = machine.SingleException();
        Assert.Equal((ExceptionVector.PageFault, 0u, Machine.DataBase + 0x123), (fault.Vector, fault.ErrorCode, fault.Address));
        machine.MapReadOnly(Machine.DataBase);
        machine.Machine.Exceptions.Clear();
        machine.Execute([0x0F, 0xAE, 0x38]);
        Assert.Empty(machine.Machine.Exceptions);
    }

    [Theory]
    [InlineData("0F0B")]
    [InlineData("0FB900")]
    [InlineData("0FFF00")]
    [InlineData("62C0")]
    [InlineData("0FC3C0")]
    [InlineData("660FAE38")]
    [InlineData("0FB8C0")]
    [InlineData("FEF8")]
    [InlineData("FFF8")]
    [InlineData("C6C800")]
    [InlineData("C6F800")]
    [InlineData("8DC0")]
    [InlineData("F0CE")]
    [InlineData("F09F")]
    public void An_undefined_opcode_is_undefined(string code)
    {
        _machine.Execute(Convert.FromHexString(code));
        ExceptionInfo fault = _machine.SingleException();
        Assert.Equal((ExceptionVector.InvalidOpcode, ExceptionOrigin.Fault), (fault.Vector, fault.Origin));
        Assert.Equal(Machine.CodeBase, _machine.Cpu.State.Eip);
    }

    public void Dispose() => _machine.Dispose();
}
