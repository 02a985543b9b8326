using System.Text;

namespace Lguest.Results.Matching;

/// <summary>
/// What a console shows, line by line, as text: without the sequences that move a terminal's cursor or set its colours, and without
/// carriage returns. Bytes that aren't UTF-8 are U+FFFD.
/// </summary>
/// <param name="line">Is given each line when it has ended.</param>
public sealed class ConsoleText(Action<string> line)
{
    /// <summary>Characters of a line that are kept: a console may have a gigabyte without an end of line.</summary>
    public const int LongestLine = 64 * 1024;

    /// <summary>Characters at the end of a line that hasn't ended that are kept, however long it is.</summary>
    public const int LongestEnd = ConsoleMatcher.LongestPrompt + 1;

    private const char Escape = '\u001b';
    private const char Bell = '\u0007';
    private const int PieceSize = 4096;

    private readonly Decoder _decoder = new UTF8Encoding(false).GetDecoder();
    private readonly StringBuilder _current = new();
    private readonly char[] _end = new char[2 * LongestEnd];
    private readonly char[] _characters = new char[PieceSize + 1];
    private int _endCount;
    private Sequence _sequence;

    private enum Sequence
    {
        None,

        /// <summary>ESC.</summary>
        Begun,

        /// <summary>ESC [ and what follows, up to a letter or the like (ECMA-48, 5.4).</summary>
        Control,

        /// <summary>ESC ], P, X, ^ or _ and what follows, up to BEL or ESC \ (ECMA-48, 5.6).</summary>
        Text,

        /// <summary>ESC within that.</summary>
        TextEnd,
    }

    /// <summary>Characters of the line that hasn't ended yet, those that aren't kept, too. While a line is given out, it is that one.</summary>
    public long Length { get; private set; }

    /// <summary>The last <see cref="LongestEnd"/> characters of that line: a prompt, perhaps.</summary>
    public string End
    {
        get
        {
            int count = Math.Min(_endCount, LongestEnd);
            return new string(_end, _endCount - count, count);
        }
    }

    /// <summary>Takes the next bytes.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            ReadOnlySpan<byte> piece = bytes[..Math.Min(bytes.Length, PieceSize)];
            int count = _decoder.GetChars(piece, _characters, flush: false);
            foreach (char character in _characters.AsSpan(0, count))
            {
                Take(character);
            }

            bytes = bytes[piece.Length..];
        }
    }

    /// <summary>Ends the last line, if it hasn't ended.</summary>
    public void Finish()
    {
        if (_current.Length > 0)
        {
            EndLine();
        }
    }

    private void Take(char character)
    {
        if (character == '\n')
        {
            // Whatever sequence there was: nobody hides the rest of the console in one.
            _sequence = Sequence.None;
            EndLine();
            return;
        }

        switch (_sequence)
        {
            case Sequence.None when character == Escape:
                _sequence = Sequence.Begun;
                break;
            case Sequence.None:
                Append(character);
                break;
            case Sequence.Begun:
                _sequence = character switch
                {
                    '[' => Sequence.Control,
                    ']' or 'P' or 'X' or '^' or '_' => Sequence.Text,
                    >= ' ' and <= '/' => Sequence.Begun,
                    _ => Sequence.None,
                };
                break;
            case Sequence.Control when character == Escape:
                _sequence = Sequence.Begun;
                break;
            case Sequence.Control when character is >= '@' and <= '~':
            case Sequence.Text when character == Bell:
            case Sequence.TextEnd when character == '\\':
                _sequence = Sequence.None;
                break;
            case Sequence.Text or Sequence.TextEnd:
                _sequence = character == Escape ? Sequence.TextEnd : Sequence.Text;
                break;
            default:
                break;
        }
    }

    private void Append(char character)
    {
        if (character == '\r')
        {
            return;
        }

        if (_current.Length < LongestLine)
        {
            _current.Append(character);
        }

        if (_endCount == _end.Length)
        {
            _end.AsSpan(LongestEnd).CopyTo(_end);
            _endCount = LongestEnd;
        }

        _end[_endCount++] = character;
        Length++;
    }

    private void EndLine()
    {
        string text = _current.ToString();
        _current.Clear();
        line(text);
        _endCount = 0;
        Length = 0;
    }
}
