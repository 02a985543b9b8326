using System.Buffers.Binary;
using Lguest.Cpu.Memory;
using Lguest.Host.Abi;
using Lguest.Host.Dma;
using Lguest.Host.Traps;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Host.Tests.Components;

public sealed class DmaRouterTests : IDisposable
{
    private const uint Array = 0x1000;
    private const uint Key = 0x4000;
    private const uint End = 0x1_0000;

    private readonly PhysicalMemory _physical = new();
    private readonly GuestMemory _memory;
    private readonly InterruptController _interrupts;
    private readonly DmaRouter _router;
    private readonly Receiver _receiver = new();

    public DmaRouterTests()
    {
        _physical.AddRam(0, End);
        _memory = new GuestMemory(_physical);
        _interrupts = new InterruptController(new LguestData(_memory, LguestDataLayout.Linux2623), new RealClock());
        _router = new DmaRouter(_memory, _interrupts, NullLogger.Instance);
        _router.AddReceiver(Key, 4, _receiver);
    }

    public void Dispose() => _physical.Dispose();

    [Fact]
    public void A_guest_has_32_bindings_and_no_more()
    {
        for (uint i = 0; i < 32; i++)
        {
            Assert.True(_router.Bind(i * 4, Array, 1, 1));
        }

        Assert.False(_router.Bind(1000, Array, 1, 1));
        Assert.True(_router.Unbind(0, Array));
        Assert.True(_router.Bind(1000, Array, 1, 1));
    }

    [Theory]
    [InlineData(31u, true)]
    [InlineData(32u, false)]
    [InlineData(255u, false)]
    public void A_binding_needs_an_irq_that_there_is(uint irq, bool expected) =>
        Assert.Equal(expected, _router.Bind(Key, Array, 1, irq));

    [Fact]
    public void Unbinding_needs_the_same_key_and_array()
    {
        _router.Bind(Key, Array, 1, 1);

        Assert.False(_router.Unbind(Key, Array + 4));
        Assert.False(_router.Unbind(Key + 4, Array));
        Assert.True(_router.Unbind(Key, Array));
        Assert.False(_router.Unbind(Key, Array));
        Assert.False(_router.IsBound(Key));
    }

    [Theory]
    [InlineData(1u)]
    [InlineData(0xffff_fffeu)]
    public void A_key_that_is_not_a_multiple_of_4_kills(uint key)
    {
        string expected = $"the key 0x{key:x8} isn't a multiple of 4";

        Assert.Equal(expected, Assert.Throws<GuestFaultException>(() => _router.Bind(key, Array, 1, 1)).Message);
        Assert.Equal(expected, Assert.Throws<GuestFaultException>(() => _router.Unbind(key, Array)).Message);
        Assert.Equal(expected, Assert.Throws<GuestFaultException>(() => _router.Send(key, Array)).Message);
    }

    [Fact]
    public void A_message_is_the_pieces_up_to_the_first_empty_one()
    {
        _physical.Write(0x2000, "abc"u8);
        _physical.Write(0x3000, "defg"u8);
        WriteList(Array, (0x2000, 3), (0x3000, 4), (0, 0), (0xffff_0000, 8));
        _receiver.Answer = 7;

        _router.Send(Key, Array);

        Assert.Equal("abcdefg"u8, _receiver.Received);
        Assert.Equal(7u, _memory.ReadUInt32(Array, "used_len"));
    }

    [Fact]
    public void A_message_may_have_16_pieces_of_up_to_65535_bytes()
    {
        WriteList(Array, [.. Enumerable.Repeat((0u, ushort.MaxValue), 16)]);

        _router.Send(Key, Array);

        Assert.Equal(16 * 65535, _receiver.Received.Length);
    }

    [Fact]
    public void What_is_sent_to_nobody_is_0_bytes_used()
    {
        WriteList(Array, (0x2000, 3));
        _memory.WriteUInt32(Array, 5, "used_len");

        _router.Send(Key + 4, Array);

        Assert.Equal(0u, _memory.ReadUInt32(Array, "used_len"));
    }

    [Theory]
    [InlineData(End - 99)]
    [InlineData(0xffff_ffc0u)]
    public void A_list_outside_memory_kills(uint address)
    {
        Assert.Equal(
            $"a dma list at 0x{address:x8}, 100 bytes, is outside guest memory",
            Assert.Throws<GuestFaultException>(() => _router.Send(Key, address)).Message);
    }

    [Theory]
    [InlineData(End - 1, 2)]
    [InlineData(0xffff_ffffu, 1)]
    [InlineData(0xffff_ffffu, 2)]
    [InlineData(1u, 65535)]
    public void A_piece_outside_memory_kills_and_nothing_is_sent(uint address, ushort length)
    {
        WriteList(Array, (0x2000, 1), (address, length));

        if (address == 1)
        {
            _router.Send(Key, Array);
            return;
        }

        Assert.Equal(
            $"a piece of a dma list at 0x{address:x8}, {length} bytes, is outside guest memory",
            Assert.Throws<GuestFaultException>(() => _router.Send(Key, Array)).Message);
        Assert.Empty(_receiver.Received);
    }

    [Fact]
    public void The_first_free_buffer_is_taken_in_order_of_binding_and_of_the_array()
    {
        _router.Bind(Key, Array, 2, 3);
        _router.Bind(Key + 4, Array + 400, 1, 4);
        _router.Bind(Key, Array + 500, 1, 5);
        _memory.WriteUInt32(Array, 1, "used_len");
        WriteList(Array + 100, (0x2000, 8));
        WriteList(Array + 500, (0x3000, 8));

        Assert.True(_router.TryFindFree(Key, out DmaBuffer second));
        second.Fill([1, 2, 3]);
        second.SetUsed(3);
        second.Interrupt();
        Assert.True(_router.TryFindFree(Key, out DmaBuffer third));
        third.SetUsed(1);
        third.Interrupt();

        Assert.False(_router.TryFindFree(Key, out _));
        Assert.Equal(3u, _memory.ReadUInt32(Array + 100, "used_len"));
        Assert.Equal(1u, _memory.ReadUInt32(Array + 500, "used_len"));
        Assert.Equal((1u << 3) | (1u << 5), _interrupts.Pending);
    }

    [Fact]
    public void A_buffer_takes_what_it_has_room_for()
    {
        WriteList(Array, (0x2000, 2), (0x3000, 3));
        _router.Bind(Key, Array, 1, 1);
        Assert.True(_router.TryFindFree(Key, out DmaBuffer buffer));

        Assert.Equal(5, buffer.Capacity);
        Assert.Equal(5, buffer.Fill("abcdefg"u8));
        Assert.Equal("ab\0"u8, _physical.Span(0x2000, 3));
        Assert.Equal("cde\0"u8, _physical.Span(0x3000, 4));
    }

    [Fact]
    public void A_bound_array_is_checked_when_it_is_used()
    {
        _memory.WriteUInt32(End - 100, 1, "used_len");
        Assert.True(_router.Bind(Key, End - 100, 2, 1));

        Assert.Equal(
            "a dma list at 0x00010000, 100 bytes, is outside guest memory",
            Assert.Throws<GuestFaultException>(() => _router.TryFindFree(Key, out _)).Message);
    }

    [Fact]
    public void A_bound_array_may_not_wrap_around()
    {
        Assert.True(_router.Bind(Key, 0xffff_ffc0, 0xff_ffff, 1));

        Assert.Throws<GuestFaultException>(() => _router.TryFindFree(Key, out _));
    }

    [Fact]
    public void A_look_for_a_buffer_ends_soon_however_many_there_are()
    {
        const uint Taken = 100;
        uint array = End - (Taken * DmaList.Size);
        for (uint i = 0; i < Taken; i++)
        {
            _memory.WriteUInt32(array + (i * DmaList.Size), 1, "used_len");
        }

        // One look isn't enough to get to the end of memory; the next goes on where it ended.
        _router.Bind(Key, array, 0xff_ffff, 1);
        Assert.False(_router.TryFindFree(Key, out _));
        Assert.Throws<GuestFaultException>(() => _router.TryFindFree(Key, out _));
    }

    [Fact]
    public void Its_state_can_be_saved_and_restored_with_whose_turn_it_is()
    {
        _router.Bind(Key, Array, 3, 3);
        WriteList(Array, (0x2000, 8));
        WriteList(Array + 100, (0x3000, 8));
        Fill(_router, 1);
        Fill(_router, 2);
        _memory.WriteUInt32(Array, 0, "used_len");
        var other = new DmaRouter(_memory, _interrupts, NullLogger.Instance) { State = _router.State };

        Assert.True(other.IsBound(Key));
        Assert.Equal(_router.State, other.State);
        Fill(other, 3);
        Assert.Equal(3u, _memory.ReadUInt32(Array + 200, "used_len"));
        Assert.False(other.TryFindFree(Key, out _));
        _memory.WriteUInt32(Array + 200, 0, "used_len");
        Fill(other, 4);
        Assert.Equal(4u, _memory.ReadUInt32(Array, "used_len"));
    }

    private static void Fill(DmaRouter router, uint used)
    {
        Assert.True(router.TryFindFree(Key, out DmaBuffer buffer));
        buffer.SetUsed(used);
    }

    private void WriteList(uint address, params (uint Address, ushort Length)[] pieces)
    {
        Span<byte> list = _physical.Span(address, DmaList.Size);
        list.Clear();
        for (int i = 0; i < pieces.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(list[(4 + (i * 4))..], pieces[i].Address);
            BinaryPrimitives.WriteUInt16LittleEndian(list[(68 + (i * 2))..], pieces[i].Length);
        }
    }

    private sealed class Receiver : IDmaReceiver
    {
        public byte[] Received { get; private set; } = [];

        public uint Answer { get; set; }

        public uint Send(uint key, DmaList message)
        {
            Received = new byte[message.Length];
            Assert.Equal(message.Length, message.CopyTo(Received));
            return Answer;
        }
    }
}
