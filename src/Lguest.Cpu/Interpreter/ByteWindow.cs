using Iced.Intel;

namespace Lguest.Cpu.Interpreter;

/// <summary>Feeds a decoder from memory.</summary>
internal sealed unsafe class ByteWindow : CodeReader
{
    private byte* _start;
    private int _length;
    private int _position;

    /// <summary>Begins with other bytes.</summary>
    public void Reset(byte* start, int length)
    {
        _start = start;
        _length = length;
        _position = 0;
    }

    /// <summary>The bytes from a position on, at most so many.</summary>
    public ReadOnlySpan<byte> From(int position, int most) => new(_start + position, Math.Min(most, _length - position));

    /// <inheritdoc />
    public override int ReadByte() => _position < _length ? _start[_position++] : -1;
}
