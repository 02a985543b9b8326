using Lguest.Cpu.Memory;

namespace Lguest.Host.Tests.Components;

public sealed class GuestMemoryTests : IDisposable
{
    private readonly PhysicalMemory _physical = new();
    private readonly GuestMemory _memory;

    public GuestMemoryTests()
    {
        // Two regions side by side, a hole, and a third one.
        _physical.AddRam(0, 0x2000);
        _physical.AddRam(0x2000, 0x1000);
        _physical.AddRam(0x8000, 0x1000);
        _memory = new GuestMemory(_physical);
    }

    public void Dispose() => _physical.Dispose();

    [Theory]
    [InlineData(0u, 0x3000u, true)]
    [InlineData(0x1ffeu, 4u, true)]
    [InlineData(0x2ffcu, 4u, true)]
    [InlineData(0x2ffdu, 4u, false)]
    [InlineData(0x2000u, 0x6001u, false)]
    [InlineData(0x8000u, 0x1000u, true)]
    [InlineData(0x9000u, 1u, false)]
    [InlineData(0xffff_fffcu, 4u, false)]
    [InlineData(0xffff_fffcu, 8u, false)]
    [InlineData(0xffff_ffffu, 0xffff_ffffu, false)]
    [InlineData(0x7000_0000u, 0u, true)]
    public void A_range_is_memory_when_every_byte_of_it_is(uint address, uint length, bool expected) =>
        Assert.Equal(expected, _memory.Contains(address, length));

    [Fact]
    public void Reads_and_writes_cross_from_one_region_into_the_next()
    {
        _memory.WriteUInt32(0x1ffe, 0x1234_5678, "a word");

        Assert.Equal(0x1234_5678u, _memory.ReadUInt32(0x1ffe, "a word"));
        Assert.Equal(0x5678u, _memory.ReadUInt32(0x1ffe, "a word") & 0xffff);
        Assert.Equal(0x34, _memory.ReadByte(0x2000, "a byte"));
    }

    [Fact]
    public void A_bad_address_is_one_sentence_with_what_and_where()
    {
        GuestFaultException fault = Assert.Throws<GuestFaultException>(() => _memory.ReadUInt32(0x2ffe, "the thing"));

        Assert.Equal("the thing at 0x00002ffe, 4 bytes, is outside guest memory", fault.Message);
    }

    [Fact]
    public void A_write_that_does_not_fit_writes_nothing()
    {
        Assert.Throws<GuestFaultException>(() => _memory.Write(0x2ffe, [1, 2, 3, 4], "the thing"));

        Assert.Equal(0, _memory.ReadByte(0x2fff, "a byte"));
    }
}
