using System.Text;
using Lguest.Results.Reports;
using Lguest.Suites.Results;

namespace Lguest.Suites.Output;

/// <summary>All that is written of a suite besides the files of its boots.</summary>
public static class ResultPages
{
    /// <summary>For CI servers.</summary>
    public const string JUnit = "junit.xml";

    /// <summary>For browsers.</summary>
    public const string Page = "index.html";

    /// <summary>For whoever shows Markdown.</summary>
    public const string Summary = "summary.md";

    /// <summary>Writes it.</summary>
    /// <param name="folder">The folder of results, in which the boots' files are.</param>
    /// <param name="result">The suite.</param>
    /// <exception cref="ReportException">Something can't be written.</exception>
    public static void Write(string folder, SuiteResult result)
    {
        ResultsFile.Write(folder, result);
        At(folder, Summary).Write(stream => stream.Write(Encoding.UTF8.GetBytes(MarkdownSummary.Of(result))));
        At(folder, JUnit).Write(stream => SuiteJUnit.Write(stream, result, boot => Report(folder, boot)));
        At(folder, Page).Write(stream => HtmlPage.Write(stream, result, folder));
    }

    /// <summary>lguest's report of a boot's last attempt; null where there is none.</summary>
    internal static RunReport? Report(string folder, BootResult boot) =>
        boot.Attempts.Count == 0 ? null : BootFiles.Of(folder, boot.Name, boot.Attempts[^1].Number).ReadReport();

    private static WholeFile At(string folder, string name) => WholeFile.At(Path.Combine(folder, name));
}
