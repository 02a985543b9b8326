using System.Text.Json.Serialization;

namespace Lguest.Suites.Results;

/// <summary>What became of a boot, or of one attempt at it.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<BootStatus>))]
public enum BootStatus
{
    /// <summary>All is well.</summary>
    [JsonStringEnumMemberName("passed")]
    Passed,

    /// <summary>The guest's status, its tests or an expectation said otherwise.</summary>
    [JsonStringEnumMemberName("failed")]
    Failed,

    /// <summary>The kernel died or complained. That is never tried again.</summary>
    [JsonStringEnumMemberName("crashed")]
    Crashed,

    /// <summary>A limit ended it.</summary>
    [JsonStringEnumMemberName("timeout")]
    TimedOut,

    /// <summary>lguest couldn't run it, or died itself.</summary>
    [JsonStringEnumMemberName("error")]
    Error,

    /// <summary>It failed in a way that is known.</summary>
    [JsonStringEnumMemberName("known")]
    Known,

    /// <summary>It failed, and then, in real time, it didn't.</summary>
    [JsonStringEnumMemberName("flaky")]
    Flaky,

    /// <summary>It failed with one seed, and not with another.</summary>
    [JsonStringEnumMemberName("seed-dependent")]
    SeedDependent,

    /// <summary>It wasn't run to its end, or not at all.</summary>
    [JsonStringEnumMemberName("not-run")]
    NotRun,
}

/// <summary>What can be said of each status.</summary>
public static class BootStatuses
{
    /// <summary>Whether the suite has failed with it.</summary>
    public static bool IsFailure(this BootStatus status) =>
        status is BootStatus.Failed or BootStatus.Crashed or BootStatus.TimedOut or BootStatus.Error;

    /// <summary>The word for it.</summary>
    public static string ToWord(this BootStatus status) => status switch
    {
        BootStatus.Passed => "passed",
        BootStatus.Failed => "failed",
        BootStatus.Crashed => "crashed",
        BootStatus.TimedOut => "timeout",
        BootStatus.Error => "error",
        BootStatus.Known => "known",
        BootStatus.Flaky => "flaky",
        BootStatus.SeedDependent => "seed-dependent",
        _ => "not-run",
    };
}
