using System.Buffers.Binary;
using System.Text;
using Lguest.Insight.Log;
using Lguest.Insight.Tests.Memory;

namespace Lguest.Insight.Tests.Log;

/// <summary>A kernel's side of one kind of log, written from the kernel's own description of it.</summary>
internal interface ILogWriter
{
    IKernelLog Log { get; }

    void Write(int level, int facility, ulong nanoseconds, string text);
}

/// <summary>emit_log_char() and vprintk() of Linux 2.6.23, with CONFIG_PRINTK_TIME.</summary>
internal sealed class FlatLogWriter(FakeMemory memory, uint size, uint first = 0) : ILogWriter
{
    private const uint Variables = 0xc030_0000;
    private const uint Buffer = 0xc031_0000;
    private const uint MovedBuffer = 0xc041_0000;

    private uint _buffer = Buffer;
    private uint _size = size;
    private uint _end = first;
    private uint _start = first;

    public IKernelLog Log { get; } = new FlatLog(Variables, Variables + 4, Variables + 8, Variables + 12, Variables + 16);

    public void Write(int level, int facility, ulong nanoseconds, string text) =>
        Emit($"<{(facility << 3) | level}>[{nanoseconds / 1_000_000_000,5}.{nanoseconds % 1_000_000_000 / 1000:d6}] {text}\n");

    public void Emit(string text)
    {
        foreach (byte value in Encoding.UTF8.GetBytes(text))
        {
            memory.Write(_buffer + (_end & (_size - 1)), [value]);
            _end++;
            if (_end - _start > _size)
            {
                _start = _end - _size;
            }
        }

        Publish();
    }

    /// <summary>Somebody has read all, as a console does.</summary>
    public void Consume()
    {
        _start = _end;
        Publish();
    }

    /// <summary>log_buf_len_setup() of 2.6.23: what nobody has read is copied, and counted from 0.</summary>
    public void Move(uint newSize)
    {
        uint to = 0;
        var bytes = new byte[1];
        for (uint from = _start; from != _end; from++, to++)
        {
            memory.TryReadVirtual(_buffer + (from & (_size - 1)), bytes);
            memory.Write(MovedBuffer + to, bytes);
        }

        (_buffer, _size, _start, _end) = (MovedBuffer, newSize, 0, to);
        Publish();
    }

    private void Publish()
    {
        memory.Write(Variables, _buffer);
        memory.Write(Variables + 4, _size);
        memory.Write(Variables + 8, _start);
        memory.Write(Variables + 12, _start);
        memory.Write(Variables + 16, _end);
    }
}

/// <summary>log_store() of Linux 3.5 to 5.9.</summary>
internal sealed class RecordLogWriter(FakeMemory memory, uint size, int header = 16) : ILogWriter
{
    private const uint Variables = 0xc030_0000;
    private const uint Buffer = 0xc031_0000;

    private readonly Queue<(uint Index, uint Length)> _held = new();
    private ulong _firstSequence;
    private ulong _nextSequence;
    private uint _nextIndex;

    public IKernelLog Log { get; } = new RecordLog(new RecordLog.Addresses(
        Variables, Variables + 4, Variables + 8, Variables + 16, Variables + 24));

    public void Write(int level, int facility, ulong nanoseconds, string text) => Write(level, facility, nanoseconds, text, dictionary: string.Empty);

    public void Write(int level, int facility, ulong nanoseconds, string text, string dictionary, int flags = 2)
    {
        byte[] content = [.. Encoding.UTF8.GetBytes(text), .. Encoding.UTF8.GetBytes(dictionary)];
        uint length = (uint)((header + content.Length + 3) & ~3);
        bool wraps = _nextIndex + length + header > size;
        uint index = wraps ? 0 : _nextIndex;
        while (_held.Count > 0 && Overlaps(index, length, wraps))
        {
            _held.Dequeue();
            _firstSequence++;
        }

        if (wraps)
        {
            memory.Write(Buffer + _nextIndex, new byte[header]);
        }

        byte[] record = new byte[length];
        BinaryPrimitives.WriteUInt64LittleEndian(record, nanoseconds);
        BinaryPrimitives.WriteUInt16LittleEndian(record.AsSpan(8), (ushort)length);
        BinaryPrimitives.WriteUInt16LittleEndian(record.AsSpan(10), (ushort)Encoding.UTF8.GetByteCount(text));
        BinaryPrimitives.WriteUInt16LittleEndian(record.AsSpan(12), (ushort)Encoding.UTF8.GetByteCount(dictionary));
        record[14] = (byte)facility;
        record[15] = (byte)((level << 5) | flags);
        content.CopyTo(record, header);
        memory.Write(Buffer + index, record);
        _held.Enqueue((index, length));
        _nextIndex = index + length;
        _nextSequence++;
        memory.Write(Variables, Buffer);
        memory.Write(Variables + 4, size);
        memory.Write(Variables + 8, _firstSequence);
        memory.Write(Variables + 16, _held.Peek().Index);
        memory.Write(Variables + 24, _nextSequence);
    }

    /// <summary>Whether the oldest record is where the new one goes, or in what is left out at the ring's end.</summary>
    private bool Overlaps(uint index, uint length, bool wraps)
    {
        (uint first, uint held) = _held.Peek();
        bool inNew = first < index + length + header && index < first + held;
        return inNew || (wraps && first >= _nextIndex);
    }
}

/// <summary>prb_reserve() and prb_commit() of Linux 5.10 and later, on one processor.</summary>
internal sealed class RingLogWriter(FakeMemory memory, int countBits = 5, int sizeBits = 10, bool hasLastFinalized = true, uint stride = 88) : ILogWriter
{
    private const uint Variable = 0xc030_0000;
    private const uint Descriptors = 0xc032_0000;
    private const uint Infos = 0xc033_0000;
    private const uint Text = 0xc034_0000;
    private const uint IdMask = 0x3fff_ffff;
    private const uint Committed = 1u << 30;
    private const uint Finalized = 2u << 30;
    private const uint Reusable = 3u << 30;

    private readonly uint _count = 1u << countBits;
    private readonly uint _size = 1u << sizeBits;
    private readonly Dictionary<uint, (uint Begin, uint Next)> _blocks = [];
    private uint _ring = 0xc031_0000;
    private uint _head = (0u - (1u << countBits) - 1) & IdMask;
    private uint _tail = (0u - (1u << countBits) - 1) & IdMask;
    private uint _headPosition = 0u - (1u << sizeBits);
    private uint _tailPosition = 0u - (1u << sizeBits);
    private ulong _sequence;

    public IKernelLog Log { get; } = new RingLog(Variable);

    /// <summary>The state before the first record.</summary>
    public void Initialise()
    {
        memory.Write(Descriptors, new byte[_count * 12]);
        memory.Write(Infos, new byte[_count * stride]);
        memory.Write(Text, new byte[_size]);
        WriteDescriptor(_tail, Reusable, 1, 1);
        memory.Write(Infos, 0ul - _count);
        Publish();
    }

    public void Write(int level, int facility, ulong nanoseconds, string text) =>
        Write(level, facility, nanoseconds, text, Finalized);

    /// <summary>A record that the kernel may still add to.</summary>
    public void WriteUnfinished(string text) => Write(4, 0, 0, text, Committed);

    /// <summary>A record whose writer hasn't come to an end.</summary>
    public void Reserve(string text) => Write(4, 0, 0, text, 0);

    /// <summary>The last record gets its final state.</summary>
    public void Finish() => WriteDescriptor(_head, Finalized, _blocks[_head].Begin, _blocks[_head].Next);

    private void Write(int level, int facility, ulong nanoseconds, string text, uint state)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        uint id = (_head + 1) & IdMask;
        if (((id - _tail) & IdMask) >= _count)
        {
            DropTail();
        }

        (uint begin, uint next) = bytes.Length == 0 ? (3u, 3u) : ReserveText((uint)((4 + bytes.Length + 3) & ~3));
        if (bytes.Length > 0)
        {
            bool wraps = (begin >> sizeBits) != ((next - 1) >> sizeBits);
            uint at = Text + (wraps ? 0 : begin & (_size - 1));
            memory.Write(at, id);
            memory.Write(at + 4, bytes);
        }

        uint info = Infos + ((id & (_count - 1)) * stride);
        memory.Write(info, _sequence++);
        memory.Write(info + 8, nanoseconds);
        memory.Write(info + 16, [(byte)bytes.Length, (byte)(bytes.Length >> 8), (byte)facility, (byte)((level << 5) | 2)]);
        _head = id;
        _blocks[id] = (begin, next);
        WriteDescriptor(id, state, begin, next);
        Publish();
    }

    /// <summary>A ring with the same records elsewhere, as setup_log_buf() makes it.</summary>
    public void Move()
    {
        _ring += 0x100;
        Publish();
    }

    /// <summary>What no kernel does: each record says that all of the ring is its text.</summary>
    public void ClaimAllOfEach()
    {
        for (uint id = _tail; id != ((_head + 1) & IdMask); id = (id + 1) & IdMask)
        {
            WriteDescriptor(id, Finalized, 0, _size);
            memory.Write(Infos + ((id & (_count - 1)) * stride) + 16, [0xff, 0xff]);
        }
    }

    private (uint Begin, uint Next) ReserveText(uint length)
    {
        uint begin = _headPosition;
        uint next = begin + length;
        if ((begin >> sizeBits) != ((next - 1) >> sizeBits))
        {
            // It doesn't fit before the end: all of it goes to the beginning.
            next = ((next >> sizeBits) << sizeBits) + length;
        }

        while (next - _tailPosition > _size)
        {
            DropTail();
        }

        _headPosition = next;
        return (begin, next);
    }

    private void DropTail()
    {
        if (_blocks.Remove(_tail, out (uint Begin, uint Next) block))
        {
            _tailPosition = (block.Begin & 1) == 0 ? block.Next : _tailPosition;
            WriteDescriptor(_tail, Reusable, block.Begin, block.Next);
        }

        _tail = (_tail + 1) & IdMask;
    }

    private void WriteDescriptor(uint id, uint state, uint begin, uint next)
    {
        uint at = Descriptors + ((id & (_count - 1)) * 12);
        memory.Write(at, state | id);
        memory.Write(at + 4, begin);
        memory.Write(at + 8, next);
    }

    private void Publish()
    {
        uint[] words = hasLastFinalized
            ? [(uint)countBits, Descriptors, Infos, _head, _tail, _head, (uint)sizeBits, Text, _headPosition, _tailPosition, 0]
            : [(uint)countBits, Descriptors, Infos, _head, _tail, (uint)sizeBits, Text, _headPosition, _tailPosition, 0];
        for (int i = 0; i < words.Length; i++)
        {
            memory.Write(_ring + (uint)(i * 4), words[i]);
        }

        memory.Write(Variable, _ring);
    }
}
