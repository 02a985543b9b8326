using System.Text;
using Lguest.Suites.Results;

namespace Lguest.Suites.Output;

/// <summary>A suite for GitHub's runner: annotations, and what it shows as the job's summary.</summary>
public static class GitHubCommands
{
    /// <summary>Where the runner takes a step's summary from.</summary>
    public const string SummaryVariable = "GITHUB_STEP_SUMMARY";

    // What the runner keeps of a step, of each kind.
    private const int MostAnnotations = 10;

    /// <summary>The annotations: errors for what failed, warnings for what is flaky.</summary>
    public static string Annotations(SuiteResult result)
    {
        var text = new StringBuilder();
        Add("error", [.. result.Boots.Where(boot => boot.Status.IsFailure())]);
        Add("warning", [.. result.Boots.Where(boot => boot.Status is BootStatus.SeedDependent or BootStatus.Flaky)]);
        return text.ToString();

        void Add(string kind, BootResult[] boots)
        {
            // The last is for those that there is no room for.
            int count = boots.Length > MostAnnotations ? MostAnnotations - 1 : boots.Length;
            foreach (BootResult boot in boots.Take(count))
            {
                string prints = string.Join(", ", boot.Fingerprints.Take(3));
                text.Append(Command(kind, boot.Name, $"{boot.Status.ToWord()}: {boot.Sentence}{(prints.Length > 0 ? $" ({prints})" : string.Empty)}"));
            }

            if (boots.Length > count)
            {
                text.Append(Command(kind, result.Name, $"{boots.Length - count} more boots: see the summary"));
            }
        }
    }

    private static string Command(string kind, string title, string message) => $"::{kind} title={Property(title)}::{Data(PlainText.OneLine(message))}\n";

    private static string Data(string text) => text
        .Replace("%", "%25", StringComparison.Ordinal)
        .Replace("\r", "%0D", StringComparison.Ordinal)
        .Replace("\n", "%0A", StringComparison.Ordinal);

    private static string Property(string text) => Data(PlainText.OneLine(text))
        .Replace(":", "%3A", StringComparison.Ordinal)
        .Replace(",", "%2C", StringComparison.Ordinal);
}
