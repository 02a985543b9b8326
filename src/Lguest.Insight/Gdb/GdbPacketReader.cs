namespace Lguest.Insight.Gdb;

/// <summary>What a debugger has sent.</summary>
public enum GdbInput
{
    /// <summary>Nothing that is complete.</summary>
    None,

    /// <summary>A packet: <see cref="GdbPacketReader.Packet"/>.</summary>
    Packet,

    /// <summary>A packet that is damaged or too long: it is to be sent again.</summary>
    BadPacket,

    /// <summary>That it wants the last reply again.</summary>
    Retransmit,

    /// <summary>^C: the guest is to stop.</summary>
    Interrupt,
}

/// <summary>Takes packets out of what a debugger sends, byte by byte: <c>$data#checksum</c>. Whatever else it sends is skipped.</summary>
public sealed class GdbPacketReader
{
    /// <summary>The longest packet, in bytes: what <c>qSupported</c> tells the debugger.</summary>
    public const int MostBytes = 0x4000;

    private const byte Start = (byte)'$';
    private const byte End = (byte)'#';
    private const byte Escape = (byte)'}';
    private const byte EscapeMask = 0x20;
    private const byte Negative = (byte)'-';
    private const byte ControlC = 3;
    private const int ChecksumDigits = 2;

    private readonly List<byte> _data = [];
    private readonly char[] _digits = new char[ChecksumDigits];
    private State _state;
    private byte _sum;
    private bool _isEscaped;
    private bool _isTooLong;
    private int _digitCount;

    private enum State
    {
        Outside,
        Inside,
        Checksum,
    }

    /// <summary>The last packet's data, without escapes: a byte a character.</summary>
    public string Packet { get; private set; } = string.Empty;

    /// <summary>Takes a byte.</summary>
    public GdbInput Take(byte value)
    {
        switch (_state)
        {
            case State.Outside:
                return TakeOutside(value);
            case State.Inside:
                TakeInside(value);
                return GdbInput.None;
            default:
                _digits[_digitCount++] = (char)value;
                return _digitCount == ChecksumDigits ? Finish() : GdbInput.None;
        }
    }

    private GdbInput TakeOutside(byte value)
    {
        switch (value)
        {
            case Start:
                Begin();
                return GdbInput.None;
            case ControlC:
                return GdbInput.Interrupt;
            case Negative:
                return GdbInput.Retransmit;
            default:
                return GdbInput.None;
        }
    }

    private void TakeInside(byte value)
    {
        if (value == Start)
        {
            // A packet that was broken off.
            Begin();
            return;
        }

        if (value == End)
        {
            _state = State.Checksum;
            return;
        }

        _sum += value;
        if (value == Escape && !_isEscaped)
        {
            _isEscaped = true;
            return;
        }

        if (_data.Count == MostBytes)
        {
            _isTooLong = true;
            return;
        }

        _data.Add(_isEscaped ? (byte)(value ^ EscapeMask) : value);
        _isEscaped = false;
    }

    private void Begin()
    {
        _state = State.Inside;
        _data.Clear();
        (_sum, _digitCount, _isEscaped, _isTooLong) = (0, 0, false, false);
    }

    private GdbInput Finish()
    {
        _state = State.Outside;
        if (_isTooLong || _isEscaped || !GdbHex.TryParse(_digits, out uint sum) || sum != _sum)
        {
            return GdbInput.BadPacket;
        }

        Packet = string.Create(_data.Count, _data, static (text, data) =>
        {
            for (int i = 0; i < text.Length; i++)
            {
                text[i] = (char)data[i];
            }
        });
        return GdbInput.Packet;
    }
}
