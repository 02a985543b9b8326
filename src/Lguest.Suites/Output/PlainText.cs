using Lguest.Results.Reports;

namespace Lguest.Suites.Output;

/// <summary>Text that a guest may have had a hand in, for a line on standard output.</summary>
public static class PlainText
{
    private const int Longest = 300;

    /// <summary>One line that moves no cursor, and in which no CI server finds an order to it.</summary>
    /// <remarks>GitHub's runner takes <c>::word::</c> at the start of a line, after blanks, and <c>##[word]</c> anywhere.</remarks>
    public static string OneLine(string text)
    {
        string line = GuestText.ForPeople(text).Replace('\n', ' ').Replace("##[", "## [", StringComparison.Ordinal);
        return line.Length <= Longest ? line : line[..Longest] + "...";
    }
}
