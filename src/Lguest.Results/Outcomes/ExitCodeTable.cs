using System.Collections.Immutable;
using System.Globalization;

namespace Lguest.Results.Outcomes;

/// <summary>A row of the table of exit codes.</summary>
/// <param name="Condition">When it applies.</param>
/// <param name="Codes">The code, or codes, as documents show them.</param>
/// <param name="First">The lowest of them.</param>
/// <param name="Last">The highest of them.</param>
/// <param name="Meaning">What they mean, without a full stop.</param>
public sealed record ExitCodeRow(RunCondition Condition, string Codes, int First, int Last, string Meaning)
{
    /// <summary>Whether a code is one of them.</summary>
    public bool Has(int code) => Codes.Contains('-', StringComparison.Ordinal)
        ? code >= First && code <= Last
        : Codes.Split(", ").Contains(code.ToString(CultureInfo.InvariantCulture));
}

/// <summary>What applies to a run.</summary>
/// <param name="Condition">Which row.</param>
/// <param name="Code">The exit code if no row further up applies.</param>
/// <param name="Sentence">What happened, without a full stop; empty if there is nothing to say.</param>
public sealed record RunFinding(RunCondition Condition, int Code, string Sentence);

/// <summary>The exit codes of <c>lguest</c>, the strongest first.</summary>
public static class ExitCodeTable
{
    /// <summary>The highest status of a guest that is passed on as it is.</summary>
    public const int HighestGuestStatus = 99;

    /// <summary>All rows, in the order in which they are looked at.</summary>
    public static ImmutableArray<ExitCodeRow> Rows { get; } =
    [
        new(RunCondition.CouldNotRun, "125", 125, 125, "lguest could not run the guest, or is itself at fault: usage, files, permissions, host errors"),
        new(RunCondition.Signal, "129, 130, 141, 143", 129, 143, "SIGHUP, SIGINT (or ^C three times), output lost, SIGTERM"),
        new(RunCondition.KernelDied, "100", 100, 100, "the kernel died: panic, triple fault, exception without a gate, HLT with interrupts off"),
        new(RunCondition.AbiBreach, "101", 101, 101, "the guest broke a rule of its ABI: hypercall, address, ring, list"),
        new(RunCondition.Restart, "103", 103, 103, "the guest asked for a restart"),
        new(RunCondition.LimitReached, "124", 124, 124, "a limit was reached: the sentence says which"),
        new(RunCondition.Complaint, "104", 104, 104, "the kernel complained, whatever the guest's own status"),
        new(RunCondition.GuestStatus, "1-99", 1, HighestGuestStatus, "the guest's own status; above 99: 99, and the exact one is in the sentence and in --json"),
        new(RunCondition.ExpectationFailed, "102", 102, 102, "an expectation failed: --expect, --forbid, --ktap=required, --profile-compare, a command that told no status"),
        new(RunCondition.TestsFailed, "1", 1, 1, "the guest ended with 0, but its test output (KTAP) has a failure"),
        new(RunCondition.PowerOff, "0", 0, 0, "power-off, or a halt that the kernel announced, and nothing of the above"),
    ];

    /// <summary>The row of a condition.</summary>
    public static ExitCodeRow RowOf(RunCondition condition) => Rows.First(row => row.Condition == condition);

    /// <summary>The first row that has a code.</summary>
    /// <exception cref="ArgumentException">None has.</exception>
    public static ExitCodeRow RowOf(int code) =>
        Rows.FirstOrDefault(row => row.Has(code)) ?? throw new ArgumentException($"No row has {code}.", nameof(code));

    /// <summary>Makes a finding whose code is the only one of its row.</summary>
    /// <exception cref="ArgumentException">The row has several codes.</exception>
    public static RunFinding Find(RunCondition condition, string sentence)
    {
        ExitCodeRow row = RowOf(condition);
        return row.First == row.Last
            ? new RunFinding(condition, row.First, sentence)
            : throw new ArgumentException($"The row of {condition} has several codes.", nameof(condition));
    }

    /// <summary>The one of several findings that counts. Of two in a row, the first that was found.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static RunFinding Strongest(IEnumerable<RunFinding> findings) =>
        findings.MinBy(finding => Rows.IndexOf(RowOf(finding.Condition)))
            ?? throw new ArgumentException("A run without a finding has no exit code.", nameof(findings));
}
