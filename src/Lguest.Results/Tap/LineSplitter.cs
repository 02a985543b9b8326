using System.Text;

namespace Lguest.Results.Tap;

/// <summary>Cuts a stream of bytes into lines, however long they are and whatever is in them.</summary>
/// <param name="line">Is given each line without its end. Bytes that aren't UTF-8 are U+FFFD in it; of a line that is too long, the rest is missing.</param>
public sealed class LineSplitter(Action<string> line)
{
    /// <summary>Bytes of a line that are kept.</summary>
    public const int MostBytes = 64 * 1024;

    private readonly List<byte> _pending = [];
    private bool _inLine;

    /// <summary>Takes the next bytes.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int end = bytes.IndexOf((byte)'\n');
            ReadOnlySpan<byte> piece = end < 0 ? bytes : bytes[..end];
            int room = Math.Min(MostBytes - _pending.Count, piece.Length);
            _pending.AddRange(piece[..room]);
            _inLine = true;
            if (end < 0)
            {
                return;
            }

            Finish();
            bytes = bytes[(end + 1)..];
        }
    }

    /// <summary>Gives the last line, if it had no end.</summary>
    public void Finish()
    {
        if (!_inLine)
        {
            return;
        }

        string text = Encoding.UTF8.GetString([.. _pending]);
        _pending.Clear();
        _inLine = false;
        line(text.TrimEnd('\r'));
    }
}
