using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Integers;

namespace Lguest.Cpu.Tests;

/// <summary>What a machine can ask of its processor between runs.</summary>
public sealed class HostInterfaceTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(-1)]
    public void There_are_four_control_registers(int number)
    {
        using var machine = new Machine();
        Assert.Throws<ArgumentOutOfRangeException>(() => machine.Cpu.ReadControlRegister(number));
        Assert.Throws<ArgumentOutOfRangeException>(() => machine.Cpu.WriteControlRegister(number, 0));
        machine.Cpu.WriteControlRegister(2, 0x1234);
        Assert.Equal(0x1234u, machine.Cpu.ReadControlRegister(2));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public void What_was_saved_with_another_size_is_not_loaded(int more)
    {
        using var machine = new Machine();
        byte[] saved = machine.Cpu.Save();
        Assert.Throws<ArgumentException>(() => machine.Cpu.Load(new byte[saved.Length + more]));
        machine.Cpu.Load(saved);
        Assert.Equal(Machine.CodeBase, machine.Cpu.State.Eip);
    }

    [Fact]
    public void Reading_goes_across_pages_and_where_no_memory_is()
    {
        using var machine = new PagedMachine();
        const uint page = 0x1_0000;
        machine.Map(page, 0x2_0000);
        machine.Map(page + PagedMachine.PageSize, 0x9000_0000);
        machine.Machine.Memory.Write(0x2_0ffe, [1, 2]);
        byte[] bytes = new byte[4];
        Assert.True(machine.Cpu.TryReadLinear(page + 0xffe, bytes, out _));
        Assert.Equal([1, 2, 0xff, 0xff], bytes);

        machine.Unmap(page + PagedMachine.PageSize);
        bytes.AsSpan().Clear();
        Assert.False(machine.Cpu.TryReadLinear(page + 0xffe, bytes, out ExceptionInfo fault));
        Assert.Equal((ExceptionVector.PageFault, page + PagedMachine.PageSize), (fault.Vector, fault.Address));
        Assert.Equal([1, 2, 0, 0], bytes);
    }
}
