using System.Text;
using Lguest.Results.Tap;

namespace Lguest.Results.Tests.Tap;

/// <summary>Test output, parsed, and written down so that a test can compare all of it at once.</summary>
internal static class Parsed
{
    /// <summary>Parses text to its end.</summary>
    public static TapParser Parse(string text, TapSource source = TapSource.Command, TapEnd end = TapEnd.Finished, string reason = "")
    {
        TapParser parser = Lines(text, source);
        parser.End(end, reason);
        return parser;
    }

    /// <summary>Parses text, after which more may come.</summary>
    public static TapParser Lines(string text, TapSource source = TapSource.Command)
    {
        var parser = new TapParser(source);
        foreach (string line in text.TrimEnd('\n').Split('\n'))
        {
            parser.Line(line);
        }

        return parser;
    }

    /// <summary>A line for each test, nested by blanks: <c>name: status (reason)</c>.</summary>
    public static string Tree(TapParser parser)
    {
        var text = new StringBuilder();
        foreach (TestNode test in parser.Tests)
        {
            Write(text, test, 0);
        }

        foreach (string error in parser.Errors)
        {
            text.Append("! ").Append(error).Append('\n');
        }

        return text.ToString().TrimEnd('\n');
    }

    private static void Write(StringBuilder text, TestNode test, int depth)
    {
        text.Append(' ', depth * 2).Append(test.Name).Append(": ").Append(test.Status.ToWord());
        if (test.Reason.Length > 0)
        {
            text.Append(" (").Append(test.Reason).Append(')');
        }

        text.Append('\n');
        foreach (TestNode child in test.Children)
        {
            Write(text, child, depth + 1);
        }
    }
}
