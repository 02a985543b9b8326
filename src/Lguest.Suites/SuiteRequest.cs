namespace Lguest.Suites;

/// <summary>What a user wants of a suite.</summary>
/// <param name="File">The suite's file.</param>
public sealed record SuiteRequest(string File)
{
    /// <summary>The folder that results go to.</summary>
    public string Output { get; init; } = "out";

    /// <summary>How many boots run at once.</summary>
    public int Jobs { get; init; } = 1;

    /// <summary>Which boots: names contain one of these; none for all.</summary>
    public IReadOnlyList<string> Filters { get; init; } = [];

    /// <summary>Whether no boot begins once one has failed.</summary>
    public bool FailsFast { get; init; }

    /// <summary>Which part of the suite; null for all of it.</summary>
    public Plans.ShardChoice? Shard { get; init; }

    /// <summary>Earlier results by which shards are balanced; null for none.</summary>
    public string? Durations { get; init; }

    /// <summary>Of the boots that go on from a saved guest, the share that is run from its start as well, 0 to 1.</summary>
    public double ColdShare { get; init; }

    /// <summary>Whether GitHub is told.</summary>
    public bool TellsGitHub { get; init; }
}
