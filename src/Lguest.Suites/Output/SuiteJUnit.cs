using Lguest.Results.Reports;
using Lguest.Suites.Results;

namespace Lguest.Suites.Output;

/// <summary>
/// A suite for CI servers. Each boot is a suite there, in which it is the first test itself; the tests of its output follow. Nothing is
/// a failure there that isn't one of the suite's: what is known is skipped, with the reason.
/// </summary>
internal static class SuiteJUnit
{
    /// <summary>Writes it, in UTF-8.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="result">The suite.</param>
    /// <param name="reports">lguest's report of a boot's last attempt; null where there is none.</param>
    public static void Write(Stream stream, SuiteResult result, Func<BootResult, RunReport?> reports) =>
        JUnitFile.Write(stream, result.Name, result.WallSeconds, [.. result.Boots.SelectMany(boot => Suites(result, boot, reports(boot)))]);

    private static IEnumerable<JUnitSuite> Suites(SuiteResult result, BootResult boot, RunReport? report)
    {
        yield return new JUnitSuite(boot.Name, report?.Times.Started ?? result.Started, [OfBoot(boot, report)]);
        if (report is null)
        {
            yield break;
        }

        foreach (JUnitSuite suite in JUnitReport.Tests(report))
        {
            string name = $"{boot.Name}.{suite.Name}";
            yield return suite with { Name = name, Cases = [.. suite.Cases.Select(test => OfTest(boot, test with { Suite = name }))] };
        }
    }

    private static JUnitCase OfBoot(BootResult boot, RunReport? report)
    {
        double seconds = boot.Attempts.Sum(attempt => attempt.WallSeconds);
        JUnitKind kind = boot.Status switch
        {
            BootStatus.Known or BootStatus.NotRun => JUnitKind.Skipped,
            _ when !boot.Status.IsFailure() || (report is not null && boot.Attempts.Count == 1 && JUnitReport.IsShownByTests(report)) => JUnitKind.Passed,
            _ => JUnitKind.Error,
        };
        string details = kind == JUnitKind.Error && report is not null ? JUnitReport.Details(report) : string.Empty;
        return new JUnitCase(boot.Name, boot.Test, kind, boot.Sentence, details, seconds)
        {
            Note = boot.Status is BootStatus.Flaky or BootStatus.SeedDependent ? $"{boot.Status.ToWord()}: {boot.Sentence}" : string.Empty,
        };
    }

    private static JUnitCase OfTest(BootResult boot, JUnitCase test)
    {
        bool isFailure = test.Kind is JUnitKind.Failure or JUnitKind.Error;
        return isFailure && !boot.Status.IsFailure()
            ? test with { Kind = JUnitKind.Skipped, Message = boot.Sentence }
            : isFailure ? test : test with { Text = string.Empty };
    }
}
