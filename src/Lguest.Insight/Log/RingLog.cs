using System.Buffers.Binary;
using System.Text;
using Lguest.Insight.Memory;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Log;

/// <summary>
/// The log of Linux since 5.10: <c>struct printk_ringbuffer</c>, a ring of descriptors and one of text
/// (kernel/printk/printk_ringbuffer.h), as a 32-bit kernel lays it out.
/// </summary>
public sealed class RingLog : IKernelLog
{
    private const uint IdMask = 0x3fff_ffff;
    private const int StateShift = 30;
    private const int BlockHeaderSize = 4;

    private const int LevelShift = 5;
    private const int ContinuationFlag = 8;

    private readonly InfoStride _stride = new();
    private readonly uint _variable;
    private RingFields? _fields;
    private uint _ring;
    private ulong _next;
    private uint _lastId;
    private bool _hasLast;

    /// <summary>Makes the log of a kernel that doesn't say where its fields are: that is found out.</summary>
    /// <param name="variable">Address of the pointer <c>prb</c>, which changes when the kernel moves to a larger ring.</param>
    public RingLog(uint variable) => _variable = variable;

    private enum State
    {
        Reserved = 0,
        Committed = 1,
        Finalized = 2,
        Reusable = 3,
    }

    /// <inheritdoc />
    public string Format => "a ring of records";

    /// <inheritdoc />
    public ulong Lost { get; private set; }

    /// <summary>Finds the log of a kernel.</summary>
    /// <returns>Null if the kernel has none of this kind.</returns>
    public static RingLog? Find(SymbolTable symbols) => symbols.TryFind("prb", out Symbol symbol) ? new RingLog(symbol.Address) : null;

    /// <summary>The log of a kernel that says where its fields are.</summary>
    /// <param name="variable">Address of the pointer.</param>
    /// <param name="fields">Where it says they are.</param>
    /// <returns>Null if they can't be there.</returns>
    public static RingLog? Of(uint variable, RingFields fields) => fields.MakeSense ? new RingLog(variable) { _fields = fields } : null;

    /// <inheritdoc />
    public void Read(IGuestMemoryReader memory, ICollection<KernelRecord> records, bool isEnd = false)
    {
        if (!memory.TryReadUInt32(_variable, out uint ring) || ring == 0)
        {
            return;
        }

        if (ring != _ring)
        {
            // All that was in the old ring is in the new one, under the same numbers.
            _hasLast = false;
            _ring = ring;
        }

        _fields ??= RingFields.Find(memory, ring);
        if (_fields is null || HasNothingNew(memory) || !RingLayout.TryRead(memory, ring, _fields, out RingLayout layout))
        {
            return;
        }

        // All texts are in one ring: whoever says that there is more in them lies.
        uint left = layout.TextSize;
        uint id = FirstToRead(layout);
        while (true)
        {
            if (!TryReadDescriptor(memory, layout, id, records, ref left, isEnd))
            {
                return;
            }

            if (id == layout.HeadId)
            {
                return;
            }

            id = (id + 1) & IdMask;
        }
    }

    /// <summary>Mostly there is nothing new, which costs two reads to see.</summary>
    private bool HasNothingNew(IGuestMemoryReader memory) =>
        _hasLast && memory.TryReadUInt32(_ring + (uint)_fields!.HeadId, out uint head) && (head & IdMask) == _lastId;

    /// <summary>The one after the last that was read, or the oldest if that has been overwritten.</summary>
    private uint FirstToRead(in RingLayout layout)
    {
        uint held = (layout.HeadId - layout.TailId) & IdMask;
        return _hasLast && ((_lastId - layout.TailId) & IdMask) < held ? (_lastId + 1) & IdMask : layout.TailId;
    }

    /// <returns>Whether to go on with the next one.</returns>
    private bool TryReadDescriptor(
        IGuestMemoryReader memory, in RingLayout layout, uint id, ICollection<KernelRecord> records, ref uint left, bool isEnd)
    {
        RingFields fields = layout.Fields;
        uint at = layout.Descriptors + (layout.IndexOf(id) * (uint)fields.DescriptorSize);
        if (!memory.TryReadUInt32(at + (uint)fields.State, out uint stateAndId))
        {
            return false;
        }

        var state = (State)(stateAndId >> StateShift);
        if ((stateAndId & IdMask) != id || state == State.Reusable)
        {
            return true;
        }

        // One that is reserved is being written; one that is committed may still grow. At the end there is no waiting.
        if (state != State.Finalized && !isEnd)
        {
            return false;
        }

        uint info = layout.Infos + (layout.IndexOf(id) * _stride.Of(memory, layout));
        if (!memory.TryReadUInt64(info + (uint)fields.Sequence, out ulong sequence))
        {
            return false;
        }

        if (sequence >= _next)
        {
            if (state != State.Reserved)
            {
                KernelRecord record = MakeRecord(memory, layout, sequence, at, info);
                if (record.Text.Length > left)
                {
                    return false;
                }

                left -= (uint)record.Text.Length;
                records.Add(record);
            }

            Lost += sequence - _next;
            _next = sequence + 1;
        }

        _lastId = id;
        _hasLast = true;
        return true;
    }

    private static KernelRecord MakeRecord(IGuestMemoryReader memory, in RingLayout layout, ulong sequence, uint descriptor, uint info)
    {
        RingFields fields = layout.Fields;
        Span<byte> length = stackalloc byte[sizeof(ushort)];
        Span<byte> source = stackalloc byte[2];
        memory.TryReadUInt64(info + (uint)fields.Time, out ulong time);
        memory.TryReadVirtual(info + (uint)fields.TextLength, length);
        memory.TryReadVirtual(info + (uint)fields.Facility, source);
        memory.TryReadUInt32(descriptor + (uint)fields.Positions, out uint begin);
        memory.TryReadUInt32(descriptor + (uint)fields.Positions + sizeof(uint), out uint next);
        return new KernelRecord
        {
            Sequence = sequence,
            Nanoseconds = time,
            Facility = source[0],
            Level = source[1] >> LevelShift,
            IsContinuation = (source[1] & ContinuationFlag) != 0,
            Text = ReadText(memory, layout, begin, next, BinaryPrimitives.ReadUInt16LittleEndian(length)),
        };
    }

    /// <summary>The text of a record, which is between two logical positions; a block that doesn't fit the ring's end is at its beginning.</summary>
    private static string ReadText(IGuestMemoryReader memory, in RingLayout layout, uint begin, uint next, int length)
    {
        // An odd position is none: the record has no text.
        if (((begin | next) & 1) != 0)
        {
            return string.Empty;
        }

        uint start = layout.OffsetOf(begin);
        uint end = layout.OffsetOf(next);
        uint size;
        if (layout.WrapOf(begin) == layout.WrapOf(next))
        {
            size = next - begin;
        }
        else
        {
            bool isWhole = end == 0;
            size = isWhole ? layout.TextSize - start : end;
            start = isWhole ? start : 0;
        }

        if (size < BlockHeaderSize || size > layout.TextSize)
        {
            return string.Empty;
        }

        byte[] text = new byte[Math.Min((uint)length, size - BlockHeaderSize)];
        return memory.TryReadVirtual(layout.Text + start + BlockHeaderSize, text)
            ? Encoding.UTF8.GetString(text).TrimEnd('\n')
            : string.Empty;
    }
}
