using Lguest.Cpu.Memory;
using Lguest.Host.Bus;

namespace Lguest.Host.Tests.Components;

public sealed class MemoryLayoutTests
{
    private const ulong Gibibyte = 1UL << 30;

    [Theory]
    [InlineData(0x1000)]
    [InlineData(64 << 20)]
    [InlineData(MemoryLayout.MostLowRam)]
    public void What_fits_below_the_devices_has_no_hole(ulong bytes)
    {
        var layout = MemoryLayout.Of(bytes);

        Assert.Equal((new MemoryRange(0, bytes), bytes), (layout.LowRam, layout.Devices));
        Assert.Empty(layout.HighRam);
    }

    [Theory]
    [InlineData(MemoryLayout.MostLowRam + 0x1000)]
    [InlineData(6 * Gibibyte)]
    [InlineData(MemoryLayout.MostRam)]
    public void More_goes_on_at_4_GiB(ulong bytes)
    {
        var layout = MemoryLayout.Of(bytes);

        MemoryRange high = Assert.Single(layout.HighRam);
        Assert.Equal((0ul, MemoryLayout.Hole, 4 * Gibibyte), (layout.LowRam.Start, layout.LowRam.End, high.Start));
        Assert.Equal(bytes, layout.LowRam.Length + high.Length);
        Assert.True(high.End <= 64 * Gibibyte, $"{high.End:x}");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4095)]
    [InlineData(MemoryLayout.MostRam + 0x1000)]
    public void Anything_else_is_no_memory(ulong bytes) => Assert.Throws<ArgumentException>(() => MemoryLayout.Of(bytes));

    [Fact]
    public void A_guest_has_its_descriptor_page_in_the_hole()
    {
        using var guest = new Guest(new GuestConfiguration { MemoryBytes = 5 * Gibibyte });

        Assert.True(guest.PhysicalMemory.Contains(MemoryLayout.Hole, PhysicalMemory.PageSize));
        Assert.False(guest.PhysicalMemory.Contains(MemoryLayout.Hole + PhysicalMemory.PageSize, PhysicalMemory.PageSize));
        Assert.True(guest.PhysicalMemory.Contains(4 * Gibibyte, Gibibyte));
        Assert.Equal(5 * Gibibyte + (4 * Gibibyte - MemoryLayout.Hole), guest.PhysicalMemory.Top);
    }
}
