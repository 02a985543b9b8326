using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Insight.Memory;

namespace Lguest.Insight.Tests.Memory;

public sealed class MemoryReaderTests
{
    private const uint PageOffset = 0xc000_0000;

    [Fact]
    public void A_guests_memory_is_read_by_its_page_tables_across_pages_without_leaving_a_trace()
    {
        using var memory = new PhysicalMemory();
        memory.AddRam(0, 0x10000);
        using var processor = new Processor(memory);
        processor.Reset();

        // Two pages that follow each other are mapped the other way round.
        memory.Write(0x1000 + (0x300 * 4), BitConverter.GetBytes(0x2000 | 1));
        memory.Write(0x2000, BitConverter.GetBytes(0x5000 | 1));
        memory.Write(0x2004, BitConverter.GetBytes(0x4000 | 1));
        memory.Write(0x5ffe, "ab"u8);
        memory.Write(0x4000, "cd"u8);
        processor.WriteControlRegister(3, 0x1000);
        processor.WriteControlRegister(0, 0x8000_0001);
        var reader = new ProcessorMemoryReader(processor, memory);
        byte[] bytes = new byte[4];

        Assert.True(reader.TryReadVirtual(PageOffset + 0xffe, bytes));
        Assert.Equal("abcd"u8.ToArray(), bytes);
        Assert.False(reader.TryReadVirtual(PageOffset + 0x1ffe, bytes));
        Assert.Equal(0x5001u, BitConverter.ToUInt32(memory.Span(0x2000, 4)));
        Assert.True(reader.TryReadPhysical(0x4000, bytes.AsSpan(0, 2)));
        Assert.False(reader.TryReadPhysical(0xfffe, bytes));
        Assert.False(reader.TryReadPhysical(0x1_0000_0000, bytes));
    }

    [Fact]
    public void Where_the_page_tables_are_no_more_the_kernel_is_found_all_the_same()
    {
        var memory = new FakeMemory();
        memory.Write(0xc010_0000, 42u);
        var reader = new DirectMapReader(memory, PageOffset);

        memory.IsMapped = false;

        Assert.True(reader.TryReadUInt32(0xc010_0000, out uint value));
        Assert.Equal(42u, value);
        Assert.False(reader.TryReadUInt32(0xc020_0000, out _));
        Assert.False(reader.TryReadUInt32(0x0010_0000, out _));
        Assert.False(memory.TryReadUInt32(0xc010_0000, out _));

        // Behind the direct map are vmalloc's addresses, whatever memory there is.
        memory.IsMapped = true;
        memory.Write(0xf7ff_f000, 1u);
        memory.Write(0xf800_0000, 2u);
        memory.IsMapped = false;
        Assert.True(reader.TryReadUInt32(0xf7ff_f000, out _));
        Assert.False(reader.TryReadUInt32(0xf800_0000, out _));
    }
}
