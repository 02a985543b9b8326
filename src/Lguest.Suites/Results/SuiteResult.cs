namespace Lguest.Suites.Results;

/// <summary>What became of a suite, or of a shard of it: what <c>results.json</c> has.</summary>
public sealed record SuiteResult
{
    /// <summary>The number of the form that is written now. A field more isn't a new form; a field less or with another meaning is.</summary>
    public const int CurrentSchema = 1;

    /// <summary>The form of these results.</summary>
    public int Schema { get; init; } = CurrentSchema;

    /// <summary>The suite's name.</summary>
    public required string Name { get; init; }

    /// <summary>The hash of the suite's file, in hexadecimal.</summary>
    public required string SuiteSha256 { get; init; }

    /// <summary>The hashes of all kernels and initial RAM disks that the suite's boots have, sorted.</summary>
    public IReadOnlyList<string> InputSha256 { get; init; } = [];

    /// <summary>Which part of the suite this is; null for all of it.</summary>
    public ShardReport? Shard { get; init; }

    /// <summary>The names of all boots that were asked for, those of other shards as well.</summary>
    public required IReadOnlyList<string> Plan { get; init; }

    /// <summary>When it began, by the host's clock.</summary>
    public DateTimeOffset Started { get; init; }

    /// <summary>Seconds of the host's time.</summary>
    public double WallSeconds { get; init; }

    /// <summary>How many boots ran at once.</summary>
    public int Jobs { get; init; }

    /// <summary>Why it was ended before its end; null if it wasn't.</summary>
    public string? Interrupted { get; init; }

    /// <summary>The boots, in the suite's order.</summary>
    public required IReadOnlyList<BootResult> Boots { get; init; }
}

/// <summary>A part of a suite.</summary>
/// <param name="Index">Which, from 1.</param>
/// <param name="Of">Of how many.</param>
public sealed record ShardReport(int Index, int Of)
{
    /// <summary>As on the command line.</summary>
    public override string ToString() => $"{Index}/{Of}";
}

/// <summary>What became of a boot.</summary>
public sealed record BootResult
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>The test that it is of.</summary>
    public required string Test { get; init; }

    /// <summary>Of each dimension of the matrix, the name of the value.</summary>
    public IReadOnlyList<ChoiceReport> Matrix { get; init; } = [];

    /// <summary>What became of it, all attempts considered.</summary>
    public required BootStatus Status { get; init; }

    /// <summary>What happened; empty if there is nothing to say. The guest may have had a hand in it.</summary>
    public string Sentence { get; init; } = string.Empty;

    /// <summary>What it failed with: the same each time that it fails for the same reasons.</summary>
    public IReadOnlyList<string> Fingerprints { get; init; } = [];

    /// <summary>The known failures that came.</summary>
    public IReadOnlyList<KnownReport> Known { get; init; } = [];

    /// <summary>The attempts, in their order.</summary>
    public IReadOnlyList<AttemptResult> Attempts { get; init; } = [];
}

/// <summary>The value of a dimension of the matrix.</summary>
/// <param name="Axis">Which dimension.</param>
/// <param name="Value">The value's name.</param>
public sealed record ChoiceReport(string Axis, string Value);

/// <summary>A known failure that came.</summary>
/// <param name="Fingerprint">Which.</param>
/// <param name="Issue">Where it is being worked on.</param>
/// <param name="Until">Until when it doesn't count; null for ever.</param>
public sealed record KnownReport(string Fingerprint, string Issue, DateOnly? Until);

/// <summary>What became of an attempt.</summary>
public sealed record AttemptResult
{
    /// <summary>Which, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>What became of it.</summary>
    public required BootStatus Status { get; init; }

    /// <summary>The exit code of lguest; null if it was never started.</summary>
    public int? ExitCode { get; init; }

    /// <summary>What happened; empty if there is nothing to say.</summary>
    public string Sentence { get; init; } = string.Empty;

    /// <summary>What it failed with.</summary>
    public IReadOnlyList<string> Fingerprints { get; init; } = [];

    /// <summary>Whether it went on from a saved guest, and didn't boot.</summary>
    public bool IsWarm { get; init; }

    /// <summary>The seed; null if it was a new one.</summary>
    public ulong? Seed { get; init; }

    /// <summary>Seconds of the host's time, with the start of the process.</summary>
    public double WallSeconds { get; init; }

    /// <summary>Seconds of the guest's; null if they aren't known.</summary>
    public double? GuestSeconds { get; init; }

    /// <summary>Instructions that the guest executed; null if they aren't known.</summary>
    public ulong? Instructions { get; init; }

    /// <summary>How many tests of the guest's test output ended how.</summary>
    public IReadOnlyDictionary<string, int> Tests { get; init; } = new SortedDictionary<string, int>(StringComparer.Ordinal);
}
