using System.Globalization;
using System.Text;
using Lguest.Insight.Memory;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Log;

/// <summary>
/// The log of Linux before 3.5: bytes in a ring, <c>&lt;6&gt;[    0.000000] text</c> in lines (kernel/printk.c of 2.6.23).
/// </summary>
/// <param name="buffer">Address of the pointer <c>log_buf</c>.</param>
/// <param name="length">Address of <c>log_buf_len</c>.</param>
/// <param name="start">Address of <c>log_start</c>.</param>
/// <param name="consoleStart">Address of <c>con_start</c>.</param>
/// <param name="end">Address of <c>log_end</c>.</param>
public sealed class FlatLog(uint buffer, uint length, uint start, uint consoleStart, uint end) : IKernelLog
{
    private const uint SmallestLength = 1 << 10;
    private const uint LargestLength = 1 << 26;
    private const int LongestLine = 1 << 16;
    private const int FacilityShift = 3;
    private const int LevelMask = 7;
    private const int DefaultLevel = 4;
    private const ulong NanosecondsPerSecond = 1_000_000_000;

    private readonly List<byte> _line = [];
    private uint _position;
    private uint _buffer;
    private uint _oldest;
    private ulong _sequence;
    private bool _begun;
    private bool _cut;

    /// <inheritdoc />
    public string Format => "a flat log";

    /// <inheritdoc />
    public ulong Lost { get; private set; }

    /// <summary>Finds the log of a kernel.</summary>
    /// <returns>Null if the kernel has none of this kind.</returns>
    public static FlatLog? Find(SymbolTable symbols) =>
        symbols.TryFind("log_buf", out Symbol buffer) && symbols.TryFind("log_buf_len", out Symbol length)
            && symbols.TryFind("log_start", out Symbol start) && symbols.TryFind("con_start", out Symbol console)
            && symbols.TryFind("log_end", out Symbol end)
                ? new FlatLog(buffer.Address, length.Address, start.Address, console.Address, end.Address)
                : null;

    /// <inheritdoc />
    public void Read(IGuestMemoryReader memory, ICollection<KernelRecord> records, bool isEnd = false)
    {
        if (memory.TryReadUInt32(end, out uint written) && (written != _position || !_begun)
            && memory.TryReadUInt32(buffer, out uint bytes) && memory.TryReadUInt32(length, out uint size)
            && memory.TryReadUInt32(start, out uint oldest) && memory.TryReadUInt32(consoleStart, out uint console)
            && size is >= SmallestLength and <= LargestLength && uint.IsPow2(size))
        {
            FollowMove(bytes, written);
            _oldest = Math.Min(oldest, console);
            SkipLost(written, size);
            ReadBytes(memory, bytes, size, written, records);
        }

        if (isEnd && _line.Count > 0)
        {
            Finish(records);
        }
    }

    /// <summary>
    /// With <c>log_buf_len=</c> the kernel moves to a larger buffer early on, and counts from the oldest byte that wasn't read
    /// yet (log_buf_len_setup of 2.6.23).
    /// </summary>
    private void FollowMove(uint bytes, uint written)
    {
        if (_begun && bytes != _buffer && _position >= _oldest)
        {
            _position -= _oldest;
            if (_position > written)
            {
                _position = written;
            }
        }

        _buffer = bytes;
        _begun = true;
    }

    private void SkipLost(uint written, uint size)
    {
        uint behind = written - _position;
        if (behind > size)
        {
            uint lost = behind - size;
            Lost += lost;
            _position = written - size;
            _line.Clear();
            _cut = true;
        }
    }

    private void ReadBytes(IGuestMemoryReader memory, uint bytes, uint size, uint written, ICollection<KernelRecord> records)
    {
        Span<byte> piece = stackalloc byte[512];
        while (_position != written)
        {
            uint index = _position & (size - 1);
            int count = (int)Math.Min(Math.Min(written - _position, size - index), (uint)piece.Length);
            if (!memory.TryReadVirtual(bytes + index, piece[..count]))
            {
                return;
            }

            _position += (uint)count;
            foreach (byte value in piece[..count])
            {
                Take(value, records);
            }
        }
    }

    private void Take(byte value, ICollection<KernelRecord> records)
    {
        if (value != '\n')
        {
            if (_line.Count < LongestLine)
            {
                _line.Add(value);
            }

            return;
        }

        // The beginning of a line was overwritten: what is left of it could pass for another.
        if (_cut)
        {
            _cut = false;
            _line.Clear();
            return;
        }

        Finish(records);
    }

    private void Finish(ICollection<KernelRecord> records)
    {
        string text = Encoding.UTF8.GetString([.. _line]);
        _line.Clear();
        (int level, text) = TakeLevel(text);
        (ulong? time, text) = TakeTime(text);
        records.Add(new KernelRecord
        {
            Sequence = _sequence++,
            Level = level & LevelMask,
            Facility = level >> FacilityShift == 0 ? null : level >> FacilityShift,
            Nanoseconds = time,
            Text = text,
        });
    }

    private static (int Level, string Text) TakeLevel(string text)
    {
        int close = text.StartsWith('<') ? text.IndexOf('>', StringComparison.Ordinal) : -1;
        return close is > 1 and < 5 && int.TryParse(text.AsSpan(1, close - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int level)
            ? (level, text[(close + 1)..])
            : (DefaultLevel, text);
    }

    private static (ulong? Nanoseconds, string Text) TakeTime(string text)
    {
        int close = text.StartsWith('[') ? text.IndexOf(']', StringComparison.Ordinal) : -1;
        if (close < 0 || close + 1 >= text.Length || text[close + 1] != ' ')
        {
            return (null, text);
        }

        string[] parts = text[1..close].Split('.');
        return parts.Length == 2 && parts[1].Length == 6
            && ulong.TryParse(parts[0].TrimStart(' '), NumberStyles.None, CultureInfo.InvariantCulture, out ulong seconds) && seconds < uint.MaxValue
            && ulong.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out ulong microseconds)
                ? ((seconds * NanosecondsPerSecond) + (microseconds * 1000), text[(close + 2)..])
                : (null, text);
    }
}
