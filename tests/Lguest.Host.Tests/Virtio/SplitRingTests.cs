using System.Buffers.Binary;
using Lguest.Cpu.Memory;
using Lguest.Host.Virtio;

namespace Lguest.Host.Tests.Virtio;

/// <summary>
/// Virtqueues in the hands of a guest that writes whatever it likes there, beside a model that does what virtio 1.0, 2.4, says in the
/// plainest way: on a copy of memory, with no limits but its own.
/// </summary>
public sealed class SplitRingTests : IDisposable
{
    private const int Size = 8;
    private const int Steps = 12;
    private const uint End = 0x4000;
    private const uint Descriptors = 0x1000;
    private const uint Available = 0x1080;
    private const uint UsedRing = 0x2000;
    private const string Fault = "a fault";
    private const string Nothing = "nothing";

    private readonly PhysicalMemory _physical = new();
    private readonly SplitRing _ring;
    private readonly VirtioChain _chain;

    public SplitRingTests()
    {
        _physical.AddRam(0, End);
        var memory = new GuestMemory(_physical);
        _ring = new SplitRing(memory, Size);
        _ring.Place(Descriptors, Available, UsedRing);
        _chain = new VirtioChain(memory);
    }

    public void Dispose() => _physical.Dispose();

    [Fact]
    public void It_does_what_a_plain_model_does_whatever_the_guest_writes()
    {
        int faults = 0;
        int chains = 0;
        for (int seed = 0; seed < 20_000; seed++)
        {
            var random = new Random(seed);
            ushort next = (ushort)random.Next(1 << 16);
            Span<byte> memory = _physical.Span(0, End);
            random.NextBytes(memory);
            WriteQueue(memory, random, next);
            var model = new Model(memory.ToArray(), next);
            _ring.State = new SplitRingState(next, next, IsInUse: true);
            for (int step = 0; step < Steps; step++)
            {
                string expected = model.Step();
                string actual = Step();

                Assert.True(expected == actual, $"seed {seed}, step {step}: the model says {expected}, the ring {actual}");
                Assert.True(model.Memory.AsSpan().SequenceEqual(_physical.Span(0, End)), $"seed {seed}, step {step}: memory differs");
                if (expected is Fault or Nothing)
                {
                    faults += expected == Fault ? 1 : 0;
                    break;
                }

                chains++;
            }
        }

        // The cases are worth something only if they are of all kinds.
        Assert.InRange(faults, 4_000, 16_000);
        Assert.InRange(chains, 10_000, 200_000);
    }

    [Fact]
    public void It_is_in_use_also_when_the_guests_count_has_come_to_0_again()
    {
        Span<byte> index = _physical.Span(Available + 2, 2);
        index.Clear();
        Assert.False(_ring.IsInUse);

        index.Fill(0xff);
        Assert.True(_ring.IsInUse);

        index.Clear();
        Assert.True(_ring.IsInUse);
    }

    [Fact]
    public void A_chain_that_leads_into_itself_ends_the_guest()
    {
        Span<byte> memory = _physical.Span(0, End);
        memory.Clear();
        memory[(int)Descriptors + 12] = 1;
        memory[(int)Available + 2] = 1;

        var fault = Assert.Throws<GuestFaultException>(() => _ring.TryPeek(_chain));
        Assert.Contains("doesn't end", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pieces_that_are_all_of_memory_again_and_again_end_the_guest()
    {
        using var physical = new PhysicalMemory();
        physical.AddRam(0, 0x0200_0000);
        var memory = new GuestMemory(physical);
        var ring = new SplitRing(memory, Size);
        ring.Place(Descriptors, Available, UsedRing);
        Span<byte> bytes = physical.Span(0, End);
        for (int i = 0; i < Size; i++)
        {
            Span<byte> descriptor = bytes[((int)Descriptors + (i * 16))..];
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], 0x0200_0000);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[12..], (ushort)(i < Size - 1 ? 1 : 0));
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[14..], (ushort)(i + 1));
        }

        bytes[(int)Available + 2] = 1;

        var fault = Assert.Throws<GuestFaultException>(() => ring.TryPeek(new VirtioChain(memory)));
        Assert.Contains("more than", fault.Message, StringComparison.Ordinal);
    }

    /// <summary>Takes a chain, doubles each byte of it into its other part, from the second byte on, and gives it back.</summary>
    private string Step()
    {
        try
        {
            if (!_ring.TryPeek(_chain))
            {
                return Nothing;
            }
        }
        catch (GuestFaultException)
        {
            return Fault;
        }

        byte[] bytes = new byte[_chain.ReadableLength];
        Assert.Equal(bytes.Length, _chain.Read(0, bytes));
        int written = _chain.Write(1, [.. bytes.Select(each => (byte)(each * 2))]);
        _ring.Take();
        _ring.Return(_chain.Head, (uint)written);
        return Tell(_chain.Head, bytes, _chain.WritableLength, written);
    }

    private static string Tell(ushort head, byte[] read, int room, int written) =>
        $"chain {head}: {Convert.ToHexString(read)} read, {written} of {room} written";

    /// <summary>Mostly a queue that makes sense.</summary>
    private static void WriteQueue(Span<byte> memory, Random random, ushort next)
    {
        for (int i = 0; i < Size; i++)
        {
            Span<byte> descriptor = memory[((int)Descriptors + (i * 16))..];
            bool isWritable = random.Next(Size) < i;
            int flags = (random.Next(2) == 0 ? 1 : 0) | (isWritable ? 2 : 0) | (random.Next(60) == 0 ? 4 : 0);
            BinaryPrimitives.WriteUInt64LittleEndian(
                descriptor, random.Next(60) == 0 ? (ulong)random.NextInt64() : (ulong)random.Next((int)End + 8));
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], random.Next(60) == 0 ? (uint)random.NextInt64() : (uint)random.Next(64));
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[12..], (ushort)flags);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[14..], (ushort)(random.Next(20) == 0 ? random.Next(Size + 3) : i + 1));
            BinaryPrimitives.WriteUInt16LittleEndian(memory[((int)Available + 4 + (i * 2))..], (ushort)random.Next(Size + (i == 0 ? 1 : 0)));
        }

        int ahead = random.Next(20) == 0 ? random.Next(1 << 16) : random.Next(Size + 1);
        BinaryPrimitives.WriteUInt16LittleEndian(memory[((int)Available + 2)..], (ushort)(next + ahead));
    }

    /// <summary>The device's side as the specification words it, byte by byte.</summary>
    private sealed class Model(byte[] memory, ushort next)
    {
        public byte[] Memory => memory;

        public string Step()
        {
            ushort waiting = (ushort)(Read16(Available + 2) - next);
            if (waiting == 0)
            {
                return Nothing;
            }

            ushort head = Read16(Available + 4 + (uint)(next % Size * 2));
            var readable = new List<uint>();
            var writable = new List<uint>();
            if (waiting > Size || !TryFollow(head, readable, writable))
            {
                return Fault;
            }

            byte[] bytes = [.. readable.Select(place => memory[place])];
            int written = Math.Max(0, Math.Min(bytes.Length, writable.Count - 1));
            for (int i = 0; i < written; i++)
            {
                memory[writable[i + 1]] = (byte)(bytes[i] * 2);
            }

            int element = (int)UsedRing + 4 + (next % Size * 8);
            BinaryPrimitives.WriteInt32LittleEndian(memory.AsSpan(element), head);
            BinaryPrimitives.WriteInt32LittleEndian(memory.AsSpan(element + 4), written);
            next++;
            BinaryPrimitives.WriteUInt16LittleEndian(memory.AsSpan((int)UsedRing + 2), next);
            return Tell(head, bytes, writable.Count, written);
        }

        private bool TryFollow(ushort index, List<uint> readable, List<uint> writable)
        {
            bool wasWritable = false;
            for (int length = 1; length <= Size && index < Size; length++)
            {
                uint descriptor = Descriptors + (index * 16u);
                ulong address = BinaryPrimitives.ReadUInt64LittleEndian(memory.AsSpan((int)descriptor));
                ulong count = BinaryPrimitives.ReadUInt32LittleEndian(memory.AsSpan((int)descriptor + 8));
                ushort flags = Read16(descriptor + 12);
                bool isWritable = (flags & 2) != 0;
                bool isOutside = address > uint.MaxValue || (count != 0 && address + count > End);
                if ((flags & 4) != 0 || isOutside || (wasWritable && !isWritable))
                {
                    return false;
                }

                wasWritable |= isWritable;
                for (ulong place = address; place < address + count; place++)
                {
                    (isWritable ? writable : readable).Add((uint)place);
                }

                if ((flags & 1) == 0)
                {
                    return true;
                }

                index = Read16(descriptor + 14);
            }

            return false;
        }

        private ushort Read16(uint address) => BinaryPrimitives.ReadUInt16LittleEndian(memory.AsSpan((int)address));
    }
}
