using System.Text;

namespace Lguest.Results.Tap;

/// <summary>Text of which the beginning and the end are kept, when it is too long.</summary>
/// <param name="limit">Characters of the beginning that are kept, and as many of the end.</param>
public sealed class BoundedText(int limit = BoundedText.DefaultLimit)
{
    /// <summary>Characters kept of either end, unless one says otherwise.</summary>
    public const int DefaultLimit = 64 * 1024;

    private readonly StringBuilder _head = new();
    private readonly Queue<string> _tail = new();
    private int _tailLength;
    private long _dropped;

    /// <summary>Characters that are held.</summary>
    public int Length => _head.Length + _tailLength;

    /// <summary>Appends a line.</summary>
    /// <param name="line">Without its end.</param>
    public void AppendLine(string line)
    {
        if (line.Length > limit)
        {
            line = string.Concat(line.AsSpan(0, limit - 1), "…");
        }

        if (_tail.Count == 0 && _head.Length + line.Length < limit)
        {
            _head.Append(line).Append('\n');
            return;
        }

        _tail.Enqueue(line);
        _tailLength += line.Length + 1;
        while (_tailLength > limit && _tail.Count > 1)
        {
            int length = _tail.Dequeue().Length + 1;
            _tailLength -= length;
            _dropped += length;
        }
    }

    /// <summary>Forgets all.</summary>
    public void Clear()
    {
        _head.Clear();
        _tail.Clear();
        _tailLength = 0;
        _dropped = 0;
    }

    /// <summary>All that was kept, with a note where something is missing.</summary>
    public override string ToString()
    {
        if (_tail.Count == 0)
        {
            return _head.ToString();
        }

        var text = new StringBuilder(_head.Length + _tailLength);
        text.Append(_head);
        if (_dropped > 0)
        {
            text.Append("[... ").Append(_dropped).Append(" characters left out ...]\n");
        }

        foreach (string line in _tail)
        {
            text.Append(line).Append('\n');
        }

        return text.ToString();
    }
}
