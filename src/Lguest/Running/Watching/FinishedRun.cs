using Lguest.CommandLine;
using Lguest.Host;
using Lguest.Insight.Health;
using Lguest.Results.Reports;
using Lguest.Results.Tap;
using Lguest.Running.Saving;

namespace Lguest.Running.Watching;

/// <summary>What a report of a run is made of.</summary>
/// <param name="Launch">What the user wanted.</param>
/// <param name="Guest">The guest, after its run.</param>
/// <param name="Verdict">What the run has come to.</param>
/// <param name="Watch">Who watched the kernel.</param>
/// <param name="Counting">Its complaints that count.</param>
/// <param name="Tests">Test output, by source.</param>
/// <param name="Inputs">What went in.</param>
internal sealed record FinishedRun(
    Launch Launch,
    Guest Guest,
    RunVerdict Verdict,
    KernelWatch Watch,
    IReadOnlyList<Complaint> Counting,
    IReadOnlyList<TapParser> Tests,
    IReadOnlyList<InputReport> Inputs)
{
    /// <summary>What is known of its memory, if it was saved; or null.</summary>
    public required SavedPages? Pages { get; init; }

    /// <summary>When it began.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>Wall time that it took.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>The status that the guest gave; null if it gave none.</summary>
    public required int? GuestStatus { get; init; }

    /// <summary>Whether the guest died or was stopped, so that it matters where it was.</summary>
    public required bool IsSudden { get; init; }
}
