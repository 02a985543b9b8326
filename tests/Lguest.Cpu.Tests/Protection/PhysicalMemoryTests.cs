using Lguest.Cpu.Memory;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>The list of regions that physical memory is.</summary>
public sealed class PhysicalMemoryTests
{
    [Theory]
    [InlineData(0x1000u)]
    [InlineData(0x4000u)]
    public void Regions_may_touch(uint address)
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0x2000, 0x2000);
        memory.AddRam(address, 0x1000);
        Assert.True(memory.Contains(address, 0x1000));
    }
}
