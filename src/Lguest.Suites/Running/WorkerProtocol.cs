using System.Globalization;
using System.Text;

namespace Lguest.Suites.Running;

/// <summary>
/// What a suite and a worker say to each other, on the worker's standard input and output. A question is the number of words, and each word in a
/// line, with <c>\n</c>, <c>\r</c> and <c>\\</c> for what would end the line or the word: the files for standard output and standard error, and a
/// command line. The answer is a line that says that the run begins, and at its end a line with the exit code. Without a further question the worker
/// ends.
/// </summary>
public static class WorkerProtocol
{
    /// <summary>In the environment of a process that is to be a worker: set, to anything. With <see cref="BootProcess.ParentVariable"/>.</summary>
    public const string Variable = "LGUEST_WORKER";

    private const char Backslash = '\\';
    private const char EndOfLine = '\n';
    private const string Beginning = "begins";

    /// <summary>Asks for a run.</summary>
    /// <param name="writer">Leads to the worker.</param>
    /// <param name="words">The words.</param>
    /// <exception cref="IOException">It has ended.</exception>
    public static void Ask(TextWriter writer, IReadOnlyList<string> words)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{words.Count}").Append(EndOfLine);
        foreach (string word in words)
        {
            text.Append(word.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal).Replace("\r", @"\r", StringComparison.Ordinal));
            text.Append(EndOfLine);
        }

        writer.Write(text);
        writer.Flush();
    }

    /// <summary>Waits for a question.</summary>
    /// <param name="reader">Comes from the suite.</param>
    /// <returns>The words; null if there is no question any more.</returns>
    public static string[]? Await(TextReader reader)
    {
        if (Read(reader.ReadLine()) is not { } count)
        {
            return null;
        }

        var words = new List<string>();
        while (words.Count < count && reader.ReadLine() is { } line)
        {
            words.Add(Word(line));
        }

        return words.Count == count ? [.. words] : null;
    }

    /// <summary>Says that a run begins: from here on, an end of this process is that run's.</summary>
    /// <param name="writer">Leads to the suite.</param>
    /// <exception cref="IOException">The suite has ended.</exception>
    public static void Begin(TextWriter writer)
    {
        writer.Write(Beginning + EndOfLine);
        writer.Flush();
    }

    /// <summary>Waits for a run to begin.</summary>
    /// <param name="reader">Comes from the worker.</param>
    /// <returns>Whether it has begun; if not, the worker has ended.</returns>
    public static bool HasBegun(TextReader reader) => reader.ReadLine() == Beginning;

    /// <summary>Answers.</summary>
    /// <param name="writer">Leads to the suite.</param>
    /// <param name="exitCode">What a process that had run the same would have ended with.</param>
    /// <exception cref="IOException">The suite has ended.</exception>
    public static void Answer(TextWriter writer, int exitCode)
    {
        writer.Write(string.Create(CultureInfo.InvariantCulture, $"{exitCode}{EndOfLine}"));
        writer.Flush();
    }

    /// <summary>Reads a number: that of the words, or the exit code.</summary>
    /// <param name="line">The line; null if there was none.</param>
    /// <returns>Null if it is none.</returns>
    public static int? Read(string? line) => int.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;

    private static string Word(string line)
    {
        if (!line.Contains(Backslash, StringComparison.Ordinal))
        {
            return line;
        }

        var word = new StringBuilder();
        for (int i = 0; i < line.Length; i++)
        {
            bool isEscape = line[i] == Backslash && i + 1 < line.Length;
            word.Append(isEscape ? line[++i] switch { 'n' => '\n', 'r' => '\r', char other => other } : line[i]);
        }

        return word.ToString();
    }
}
