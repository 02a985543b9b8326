using System.Globalization;
using System.Text;
using Lguest.Suites.Results;

namespace Lguest.Suites.Output;

/// <summary>A suite for people, as Markdown: what a CI server shows beside a job.</summary>
internal static class MarkdownSummary
{
    private const int MostRows = 200;

    /// <summary>Makes it.</summary>
    public static string Of(SuiteResult result)
    {
        var text = new StringBuilder();
        string shard = result.Shard is null ? string.Empty : $", shard {result.Shard}";
        text.Append(CultureInfo.InvariantCulture, $"## {Plain(result.Name)}{shard}\n\n");
        text.Append(CultureInfo.InvariantCulture, $"{SuiteSummary.Counts(result)}\n");
        if (result.Interrupted is { } why)
        {
            text.Append(CultureInfo.InvariantCulture, $"\nThis is not all: the suite was ended by {Plain(why)}.\n");
        }

        BootResult[] shown = [.. result.Boots.Where(boot => boot.Status is not (BootStatus.Passed or BootStatus.NotRun)).OrderBy(boot => !boot.Status.IsFailure())];
        if (shown.Length > 0)
        {
            text.Append("\n| boot | status | what happened | fingerprint |\n| --- | --- | --- | --- |\n");
            foreach (BootResult boot in shown.Take(MostRows))
            {
                string prints = string.Join("<br>", boot.Fingerprints.Take(3).Select(Code));
                text.Append(CultureInfo.InvariantCulture, $"| {Code(boot.Name)} | {boot.Status.ToWord()} | {Plain(boot.Sentence)} | {prints} |\n");
            }
        }

        if (shown.Length > MostRows)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n{shown.Length - MostRows} more are in results.json.\n");
        }

        return text.ToString();
    }

    private static string Code(string text) => $"<code>{Plain(text)}</code>";

    /// <summary>Text in which nothing is Markdown, HTML, a mention or a reference any more.</summary>
    private static string Plain(string text)
    {
        var plain = new StringBuilder();
        foreach (char c in PlainText.OneLine(text))
        {
            if (char.IsAsciiLetterOrDigit(c) || c is ' ' || !char.IsAscii(c))
            {
                plain.Append(c);
            }
            else
            {
                plain.Append(CultureInfo.InvariantCulture, $"&#{(int)c};");
            }
        }

        return plain.ToString();
    }
}
