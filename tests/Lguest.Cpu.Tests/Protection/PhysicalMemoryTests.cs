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
        Assert.True(memory.HostPage(1) == null);
        Assert.True(memory.HostPage(4) == null);
        Assert.Equal(0x1000, memory.HostPage(3) - memory.HostPage(2));
    }

    /// <summary>Beside memory from 0x2000 up to 0x4000.</summary>
    [Theory]
    [InlineData(0x1800u, 0x1000u, "isn't made of whole pages")]
    [InlineData(0x1000u, 0x800u, "isn't made of whole pages")]
    [InlineData(0x1000u, 0u, "isn't made of whole pages")]
    [InlineData(0xf_ffff_f000u, 0x2000u, "ends past 64 GiB")]
    [InlineData(0x10_0000_0000u, 0x1000u, "ends past 64 GiB")]
    [InlineData(0x1000u, 0xffff_ffff_ffff_f000u, "ends past 64 GiB")]
    [InlineData(0x3000u, 0x1000u, "overlaps another")]
    [InlineData(0x1000u, 0x2000u, "overlaps another")]
    [InlineData(0x3000u, 0x2000u, "overlaps another")]
    public void A_region_that_cannot_be_is_refused_and_changes_nothing(ulong address, ulong length, string why)
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0x2000, 0x2000);
        ArgumentException refusal = Assert.Throws<ArgumentException>(() => memory.AddRam(address, length));
        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
        refusal = Assert.Throws<ArgumentException>(() => memory.AddShared(address, 0x1000, length));
        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
        refusal = Assert.Throws<ArgumentException>(() => memory.AddDevice(address, length, new RecordingDevice()));
        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
        Assert.Equal(0x4000ul, memory.Top);
    }

    [Theory]
    [InlineData(1ul << 32)]
    [InlineData((1ul << 36) - 0x2000)]
    public void Memory_may_lie_beyond_4_GiB(ulong address)
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0x2000, 0x2000);
        memory.AddRam(address, 0x2000);
        Assert.Equal(address + 0x2000, memory.Top);
        memory.Write(address + 0xfff, [1, 2]);
        Assert.Equal([1, 2], memory.Span(address + 0xfff, 2).ToArray());
        Assert.False(memory.Contains((uint)address, 1));
        Assert.True(memory.HostPage((uint)(address >> 12)) != null);
    }

    [Fact]
    public void The_last_page_below_4_GiB_can_be_memory()
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0xffff_f000, 0x1000);
        Assert.Equal(1ul << 32, memory.Top);
        Assert.Equal(0, memory.Span(0xffff_ffff, 1)[0]);
    }

    [Theory]
    [InlineData(0x2000u, 0x2000u, true)]
    [InlineData(0x3fffu, 1u, true)]
    [InlineData(0x2000u, 0x2001u, false)]
    [InlineData(0x3fffu, 2u, false)]
    [InlineData(0x1fffu, 1u, false)]
    [InlineData(0x4000u, 1u, false)]
    public void Only_a_range_within_one_region_can_be_seen(uint address, uint length, bool isMemory)
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0x2000, 0x2000);
        memory.AddRam(0x5000, 0x1000);
        Assert.Equal(isMemory, memory.Contains(address, length));
        if (isMemory)
        {
            Assert.Equal((int)length, memory.Span(address, length).Length);
        }
        else
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => memory.Span(address, length).Length);
        }
    }

    [Fact]
    public void Writing_nothing_drops_no_code()
    {
        using var machine = new Machine();
        machine.Execute(a => a.nop());
        machine.Memory.Write(0, []);
        machine.Memory.Write(Machine.CodeBase, []);
        Assert.Equal(0ul, machine.Cpu.Statistics.BlocksInvalidated);
    }

    [Fact]
    public void Memory_outlives_its_processor()
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0, 0x2000);
        using (Processor cpu = TestEngine.Create(memory))
        {
            memory.Write(0x1000, [0x90]);
            cpu.State.Eip = 0x1000;
            cpu.Run(1);
        }

        memory.Write(0x1000, [0x91]);
        Assert.Equal(0x91, memory.Span(0x1000, 1)[0]);
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
