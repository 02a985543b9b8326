using System.Globalization;

namespace Lguest.CommandLine;

/// <summary>What the user wants of a suite.</summary>
/// <param name="File">The suite's file.</param>
/// <param name="Output">The folder for results.</param>
/// <param name="Jobs">How many boots at once; null for as many as there are processors.</param>
/// <param name="Filters">Which boots.</param>
/// <param name="FailsFast">Whether no boot begins once one has failed.</param>
internal sealed record SuiteOptions(string File, string Output, int? Jobs, IReadOnlyList<string> Filters, bool FailsFast)
{
    private const string UsualOutput = "out";
    private const int MostJobs = 1000;

    /// <summary>Reads what is to be run.</summary>
    /// <exception cref="CommandLineException">It can't be understood.</exception>
    public static SuiteOptions ParseRun(SplitArguments split, GivenOptions options) => split.Words is [string file]
        ? new SuiteOptions(
            file,
            options.Value(Options.SuiteOutput) ?? UsualOutput,
            options.Value(Options.Jobs) is { } jobs ? Count(jobs) : null,
            [.. options.Values(Options.Filter)],
            options.Has(Options.FailFast))
        : throw new CommandLineException($"`{split.Command.Usage}` runs one suite, and {split.Words.Count} words are given: name its file");

    private static int Count(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count is > 0 and <= MostJobs
            ? count
            : throw new CommandLineException($"--{Options.Jobs.Name}={text} is not a number from 1 to {MostJobs}: write 4");
}
