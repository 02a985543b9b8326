using System.Globalization;

namespace Lguest.CommandLine;

/// <summary>What the user wants of a suite.</summary>
/// <param name="Files">The suite's file, or the folders of its shards.</param>
/// <param name="Output">The folder for results.</param>
/// <param name="TellsGitHub">Whether GitHub's runner is told.</param>
internal sealed record SuiteOptions(IReadOnlyList<string> Files, string Output, bool TellsGitHub)
{
    private const string UsualOutput = "out";
    private const int MostJobs = 1000;

    /// <summary>How many boots at once; null for as many as there are processors.</summary>
    public int? Jobs { get; init; }

    /// <summary>Which boots.</summary>
    public IReadOnlyList<string> Filters { get; init; } = [];

    /// <summary>Whether no boot begins once one has failed.</summary>
    public bool FailsFast { get; init; }

    /// <summary>Which part of the suite; null for all of it.</summary>
    public string? Shard { get; init; }

    /// <summary>Of the boots that go on from a saved guest, the share that is run from its start as well, 0 to 1.</summary>
    public double ColdShare { get; init; }

    /// <summary>Earlier results; null for none.</summary>
    public string? Durations { get; init; }

    /// <summary>Reads what is to be run.</summary>
    /// <exception cref="CommandLineException">It can't be understood.</exception>
    public static SuiteOptions ParseRun(SplitArguments split, GivenOptions options)
    {
        if (split.Words.Count != 1)
        {
            throw new CommandLineException($"`{split.Command.Usage}` runs one suite, and {split.Words.Count} words are given: name its file");
        }

        return options.Has(Options.Durations) && !options.Has(Options.Shard)
            ? throw new CommandLineException($"--{Options.Durations.Name} balances shards, and there are none: give --{Options.Shard.Name}=I/N too")
            : new SuiteOptions(split.Words, options.Value(Options.SuiteOutput) ?? UsualOutput, options.Has(Options.GitHub))
            {
                Jobs = options.Value(Options.Jobs) is { } jobs ? Count(jobs) : null,
                Filters = [.. options.Values(Options.Filter)],
                FailsFast = options.Has(Options.FailFast),
                ColdShare = options.Value(Options.ColdCheck) is { } share ? Share(share) : 0,
                Shard = options.Value(Options.Shard),
                Durations = options.Value(Options.Durations),
            };
    }

    /// <summary>Reads what is to be merged.</summary>
    /// <exception cref="CommandLineException">It can't be understood.</exception>
    public static SuiteOptions ParseMerge(SplitArguments split, GivenOptions options) => split.Words.Count > 0
        ? new SuiteOptions(split.Words, options.Value(Options.MergeOutput) ?? UsualOutput, options.Has(Options.MergeGitHub))
        : throw new CommandLineException($"`{split.Command.Usage}` merges shards, and none is given: name the folders of their results");

    private static double Share(string text) =>
        text.EndsWith('%') && double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double percent) && percent is >= 0 and <= 100
            ? percent / 100
            : throw new CommandLineException($"--{Options.ColdCheck.Name}={text} is no share of the boots: write 5%");

    private static int Count(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count is > 0 and <= MostJobs
            ? count
            : throw new CommandLineException($"--{Options.Jobs.Name}={text} is not a number from 1 to {MostJobs}: write 4");
}
