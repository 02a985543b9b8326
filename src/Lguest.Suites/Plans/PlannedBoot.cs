using Lguest.Suites.Yaml;

namespace Lguest.Suites.Plans;

/// <summary>A boot that is to be.</summary>
/// <param name="Index">Its place among all of the suite's, from 0.</param>
/// <param name="Name">As in <c>timers[kernel=new,cmdline=plain]</c>: unique in the suite, and good for a folder's name.</param>
/// <param name="Test">The test that it is of.</param>
/// <param name="Place">Where the test is in the suite's file.</param>
/// <param name="Choices">Of each dimension of the matrix, the name of the value.</param>
/// <param name="Settings">What it is like.</param>
public sealed record PlannedBoot(
    int Index,
    string Name,
    string Test,
    TextPlace Place,
    IReadOnlyList<KeyValuePair<string, string>> Choices,
    BootSettings Settings)
{
    /// <summary>The wall time after which lguest ends it.</summary>
    public TimeSpan Limit { get; init; } = TimeSpan.FromMinutes(10);
}
