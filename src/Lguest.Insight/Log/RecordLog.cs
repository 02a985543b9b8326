using System.Buffers.Binary;
using System.Text;
using Lguest.Insight.Memory;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Log;

/// <summary>
/// The log of Linux 3.5 to 5.9: records in a ring of bytes, each with a header, <c>struct printk_log</c> (kernel/printk/printk.c).
/// </summary>
/// <remarks>
/// A header has time (8 bytes), length of the record, of its text and of its dictionary (2 each), facility, flags and
/// level (1 each); and 4 bytes for the caller, where CONFIG_PRINTK_CALLER is set.
/// </remarks>
/// <param name="addresses">Where the kernel's variables are.</param>
public sealed class RecordLog(RecordLog.Addresses addresses) : IKernelLog
{
    private const int HeaderSize = 16;
    private const int CallerSize = 4;
    private const int Alignment = 4;
    private const int LengthAt = 8;
    private const int TextLengthAt = 10;
    private const int DictionaryLengthAt = 12;
    private const int FacilityAt = 14;
    private const int FlagsAt = 15;
    private const int LevelShift = 5;
    private const int ContinuationFlag = 8;
    private const uint LargestBuffer = 1 << 26;

    private ulong _next;
    private uint _index;

    /// <inheritdoc />
    public string Format => "a log of records";

    /// <inheritdoc />
    public ulong Lost { get; private set; }

    /// <summary>Finds the log of a kernel.</summary>
    /// <returns>Null if the kernel has none of this kind.</returns>
    public static RecordLog? Find(SymbolTable symbols) =>
        symbols.TryFind("log_buf", out Symbol buffer) && symbols.TryFind("log_buf_len", out Symbol length)
            && symbols.TryFind("log_first_seq", out Symbol firstSequence) && symbols.TryFind("log_first_idx", out Symbol firstIndex)
            && symbols.TryFind("log_next_seq", out Symbol nextSequence)
                ? new RecordLog(new Addresses(buffer.Address, length.Address, firstSequence.Address, firstIndex.Address, nextSequence.Address))
                : null;

    /// <inheritdoc />
    public void Read(IGuestMemoryReader memory, ICollection<KernelRecord> records, bool isEnd = false)
    {
        if (!memory.TryReadUInt64(addresses.NextSequence, out ulong end) || end == _next
            || !memory.TryReadUInt32(addresses.Buffer, out uint buffer) || !memory.TryReadUInt32(addresses.Length, out uint length)
            || length is 0 or > LargestBuffer
            || !memory.TryReadUInt64(addresses.FirstSequence, out ulong first) || !memory.TryReadUInt32(addresses.FirstIndex, out uint firstIndex)
            || first > end)
        {
            return;
        }

        if (_next < first || _next > end)
        {
            Lost += _next < first ? first - _next : 0;
            _next = first;
            _index = firstIndex;
        }

        // The ring holds no more than its length: whoever finds more in it goes round in circles.
        for (uint left = length; _next < end;)
        {
            if (!TryReadRecord(memory, buffer, length, ref left, records))
            {
                // What stands there is no record: go on with what comes.
                Lost += end - _next;
                _next = end;
                return;
            }
        }
    }

    private bool TryReadRecord(IGuestMemoryReader memory, uint buffer, uint length, ref uint left, ICollection<KernelRecord> records)
    {
        Span<byte> header = stackalloc byte[HeaderSize];
        for (int tries = 0; ; tries++)
        {
            if (_index > length - HeaderSize || !memory.TryReadVirtual(buffer + _index, header))
            {
                return false;
            }

            if (BinaryPrimitives.ReadUInt16LittleEndian(header[LengthAt..]) != 0)
            {
                break;
            }

            // A record of no length: the next one didn't fit, and is at the beginning.
            if (_index == 0 || tries > 0)
            {
                return false;
            }

            _index = 0;
        }

        int size = BinaryPrimitives.ReadUInt16LittleEndian(header[LengthAt..]);
        int textLength = BinaryPrimitives.ReadUInt16LittleEndian(header[TextLengthAt..]);
        int dictionaryLength = BinaryPrimitives.ReadUInt16LittleEndian(header[DictionaryLengthAt..]);
        int headerSize = HeaderOf(size, textLength + dictionaryLength);
        if (headerSize == 0 || size > left || _index + (uint)size > length)
        {
            return false;
        }

        byte[] text = new byte[textLength];
        if (!memory.TryReadVirtual(buffer + _index + (uint)headerSize, text))
        {
            return false;
        }

        records.Add(new KernelRecord
        {
            Sequence = _next,
            Nanoseconds = BinaryPrimitives.ReadUInt64LittleEndian(header),
            Facility = header[FacilityAt],
            Level = header[FlagsAt] >> LevelShift,
            IsContinuation = (header[FlagsAt] & ContinuationFlag) != 0,
            Text = Encoding.UTF8.GetString(text).TrimEnd('\n'),
        });
        _next++;
        left -= (uint)size;
        _index += (uint)size;
        return true;
    }

    /// <summary>How long the header of a record is: its length is that of its parts, rounded up, with one of the two.</summary>
    private static int HeaderOf(int size, int content)
    {
        int without = Round(HeaderSize + content);
        return size == without ? HeaderSize : size == without + CallerSize ? HeaderSize + CallerSize : 0;
    }

    private static int Round(int size) => (size + Alignment - 1) & -Alignment;

    /// <summary>Where the kernel's variables are.</summary>
    /// <param name="Buffer">Of the pointer <c>log_buf</c>.</param>
    /// <param name="Length">Of <c>log_buf_len</c>.</param>
    /// <param name="FirstSequence">Of <c>log_first_seq</c>.</param>
    /// <param name="FirstIndex">Of <c>log_first_idx</c>.</param>
    /// <param name="NextSequence">Of <c>log_next_seq</c>.</param>
    public sealed record Addresses(uint Buffer, uint Length, uint FirstSequence, uint FirstIndex, uint NextSequence);
}
