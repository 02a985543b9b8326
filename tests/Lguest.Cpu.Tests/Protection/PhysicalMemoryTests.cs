using System.Globalization;
using Lguest.Cpu.Memory;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>The list of regions that physical memory is.</summary>
public sealed unsafe class PhysicalMemoryTests
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

    [Fact]
    public void A_page_outside_every_region_is_no_memory()
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0x2000, 0x2000);
        Assert.True(memory.HostPage(0x1000) == null);
        Assert.True(memory.HostPage(0x4000) == null);
        Assert.Equal(0x1000, memory.HostPage(0x3000) - memory.HostPage(0x2000));
    }

    [Fact]
    public void Memory_is_given_back()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux tells what a process has mapped.");
        var memory = new PhysicalMemory();
        memory.AddRam(0, 0x2000);
        string start = ((nint)memory.HostPage(0)).ToString("x", CultureInfo.InvariantCulture) + "-";
        string mapping = Assert.Single(Mappings(), line => line.StartsWith(start, StringComparison.Ordinal));
        memory.Dispose();

        // Somebody else may have got the address meanwhile, but not the file.
        Assert.DoesNotContain(mapping, Mappings());
    }

    private static string[] Mappings() => File.ReadAllLines("/proc/self/maps");
}
