using System.Text.RegularExpressions;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;

namespace Lguest.Results.Matching;

/// <summary>An expression that is looked for in lines of the console.</summary>
/// <param name="Pattern">As the user wrote it.</param>
/// <param name="Regex">The same. It doesn't backtrack, so that no line makes it take long.</param>
public sealed record ConsolePattern(string Pattern, Regex Regex)
{
    /// <summary>Reads one.</summary>
    /// <param name="pattern">For .NET's engine that doesn't backtrack: without lookarounds and back references.</param>
    /// <exception cref="ArgumentException">It can't be read.</exception>
    /// <exception cref="NotSupportedException">It needs backtracking.</exception>
    public static ConsolePattern Parse(string pattern) =>
        new(pattern, new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant));
}

/// <summary>What is typed when something is on the console.</summary>
/// <param name="Pattern">The latter.</param>
/// <param name="Text">The former, as bytes.</param>
public sealed record ConsoleAnswer(ConsolePattern Pattern, ReadOnlyMemory<byte> Text);

/// <summary>Holds what a console shows against what is expected of it, and answers it.</summary>
public sealed class ConsoleMatcher
{
    /// <summary>How much of a line that hasn't ended is looked at for an answer: the end of it.</summary>
    public const int LongestPrompt = 1024;

    private const int ShownOfLine = 200;

    private readonly IReadOnlyList<ConsolePattern> _forbidden;
    private readonly List<ConsolePattern> _missing;
    private readonly Queue<ConsoleAnswer> _answers;
    private readonly List<RunFinding> _found = [];
    private readonly ConsoleText _text;
    private long _answered;

    /// <summary>Makes one.</summary>
    /// <param name="expected">Each is to be in some line.</param>
    /// <param name="forbidden">None may be in any line.</param>
    /// <param name="answers">Are given in this order, each once.</param>
    public ConsoleMatcher(IReadOnlyList<ConsolePattern> expected, IReadOnlyList<ConsolePattern> forbidden, IReadOnlyList<ConsoleAnswer> answers)
    {
        _missing = [.. expected];
        _forbidden = forbidden;
        _answers = new Queue<ConsoleAnswer>(answers);
        _text = new ConsoleText(EndLine);
    }

    /// <summary>Raised with what is to be typed.</summary>
    public event Action<ReadOnlyMemory<byte>>? Answered;

    /// <summary>Takes what the console shows.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int end = bytes.IndexOf((byte)'\n') + 1;
            ReadOnlySpan<byte> piece = end == 0 ? bytes : bytes[..end];
            _text.Write(piece);
            bytes = bytes[piece.Length..];
        }

        if (_answers.Count > 0)
        {
            Answer();
        }
    }

    /// <summary>What has become of the expectations, when nothing more comes.</summary>
    public IReadOnlyList<RunFinding> Finish()
    {
        _text.Finish();
        return
        [
            .. _found,
            .. _missing.Select(pattern => ExitCodeTable.Find(RunCondition.ExpectationFailed, $"nothing on the console matched --expect={pattern.Pattern}")),
        ];
    }

    private void EndLine(string line)
    {
        _missing.RemoveAll(pattern => pattern.Regex.IsMatch(line));
        foreach (ConsolePattern pattern in _forbidden)
        {
            if (_found.Count == 0 && pattern.Regex.IsMatch(line))
            {
                string shown = line.Length > ShownOfLine ? line[..ShownOfLine] + "..." : line;
                _found.Add(ExitCodeTable.Find(
                    RunCondition.ExpectationFailed, $"the console showed what --forbid={pattern.Pattern} forbids: {GuestText.ForPeople(shown)}"));
            }
        }

        Answer();
        _answered = 0;
    }

    /// <summary>Answers a line as far as it has come. What was answered isn't looked at again.</summary>
    private void Answer()
    {
        string end = _text.End;
        long before = _text.Length - end.Length;
        while (_answers.TryPeek(out ConsoleAnswer? answer))
        {
            // Behind a character that isn't looked at, if there is one, so that only a line's beginning is one to an expression.
            long start = Math.Max(Math.Max(_answered - before, end.Length - LongestPrompt), 0);
            Match match = answer.Pattern.Regex.Match(end, (int)start);
            if (!match.Success)
            {
                return;
            }

            _answered = before + match.Index + match.Length;
            _answers.Dequeue();
            Answered?.Invoke(answer.Text);
        }
    }
}
