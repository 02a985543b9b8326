using Lguest.Cpu.State;

namespace Lguest.Cpu.Memory;

/// <summary>
/// Some bytes of linear memory that the processor uses for itself: a descriptor, a stack frame, a task's state. All
/// of it is translated before any of it is touched, so that what is built on it either happens or doesn't.
/// </summary>
internal unsafe ref struct LinearRange
{
    private byte* _first;
    private byte* _second;
    private ulong _firstPhysical;
    private ulong _secondPhysical;
    private uint _firstLength;
    private uint _length;

    /// <summary>Translates every byte.</summary>
    /// <param name="s">The processor's state.</param>
    /// <param name="linear">The first byte.</param>
    /// <param name="length">Bytes, at most a page.</param>
    /// <param name="kind">Read or write; what can be written can be read.</param>
    /// <param name="user">Checked as CPL 3, or as the processor's own access.</param>
    /// <param name="range">The bytes, when the answer is true.</param>
    /// <param name="fault">The page fault, when the answer is false.</param>
    public static bool TryMap(
        ProcessorState* s,
        uint linear,
        uint length,
        AccessKind kind,
        bool user,
        out LinearRange range,
        ref ExceptionInfo fault)
    {
        range = default;
        range._length = length;
        byte* known = kind == AccessKind.Read
            ? TranslationBuffer.FindRead(user ? s->UserTlb : s->SupervisorTlb, linear, length)
            : null;
        if (known != null)
        {
            range._first = known;
            range._firstLength = length;
            return true;
        }

        range._firstLength = Math.Min(length, PhysicalMemory.PageSize - (linear & PhysicalMemory.PageOffsetMask));
        range._first = MemoryAccess.Translate(
            s, linear, kind, user, out range._firstPhysical, out ExceptionInfo pending);
        if (range._first != null && length > range._firstLength)
        {
            range._second = MemoryAccess.Translate(
                s, linear + range._firstLength, kind, user, out range._secondPhysical, out pending);
            if (range._second == null)
            {
                fault = pending;
                return false;
            }
        }

        if (range._first == null)
        {
            fault = pending;
            return false;
        }

        return true;
    }

    /// <summary>A byte.</summary>
    public readonly byte ReadByte(uint offset)
    {
        byte* host = offset < _firstLength ? _first : _second;
        uint at = offset < _firstLength ? offset : offset - _firstLength;
        return host == MemoryAccess.NoMemory ? byte.MaxValue : host[at];
    }

    /// <summary>A word.</summary>
    public readonly ushort ReadUInt16(uint offset) => (ushort)(ReadByte(offset) | (ReadByte(offset + 1) << 8));

    /// <summary>A doubleword.</summary>
    public readonly uint ReadUInt32(uint offset) =>
        offset + sizeof(uint) <= _firstLength && _first != MemoryAccess.NoMemory
            ? *(uint*)(_first + offset)
            : ReadUInt16(offset) | ((uint)ReadUInt16(offset + 2) << 16);

    /// <summary>Writes a byte.</summary>
    public readonly void WriteByte(uint offset, byte value)
    {
        byte* host = offset < _firstLength ? _first : _second;
        uint at = offset < _firstLength ? offset : offset - _firstLength;
        if (host != MemoryAccess.NoMemory)
        {
            host[at] = value;
        }
    }

    /// <summary>Writes a word.</summary>
    public readonly void WriteUInt16(uint offset, ushort value)
    {
        WriteByte(offset, (byte)value);
        WriteByte(offset + 1, (byte)(value >> 8));
    }

    /// <summary>Writes a doubleword.</summary>
    public readonly void WriteUInt32(uint offset, uint value)
    {
        WriteUInt16(offset, (ushort)value);
        WriteUInt16(offset + 2, (ushort)(value >> 16));
    }

    /// <summary>Drops code that was decoded from the bytes: whoever has written calls this.</summary>
    public readonly void Complete(Processor processor)
    {
        if (_first != MemoryAccess.NoMemory)
        {
            processor.Memory.NotifyWrite(_firstPhysical, _firstLength);
        }

        if (_second != null && _second != MemoryAccess.NoMemory)
        {
            processor.Memory.NotifyWrite(_secondPhysical, _length - _firstLength);
        }
    }
}
