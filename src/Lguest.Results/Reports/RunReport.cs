namespace Lguest.Results.Reports;

/// <summary>All that is known of a finished run: what the reports are made of, and what JSON has.</summary>
public sealed record RunReport
{
    /// <summary>The number of the form that is written now. A field more isn't a new form; a field less or with another meaning is.</summary>
    public const int CurrentSchema = 1;

    /// <summary>The form of this report.</summary>
    public int Schema { get; init; } = CurrentSchema;

    /// <summary>The run's name.</summary>
    public string Name { get; init; } = "boot";

    /// <summary>How the run ended.</summary>
    public required OutcomeReport Outcome { get; init; }

    /// <summary>How long it took.</summary>
    public required TimeReport Times { get; init; }

    /// <summary>How many instructions the guest executed.</summary>
    public ulong Instructions { get; init; }

    /// <summary>What the kernel complained of.</summary>
    public IReadOnlyList<ComplaintReport> Health { get; init; } = [];

    /// <summary>What each task was doing when a limit ended the run; empty otherwise, and where it isn't known.</summary>
    public IReadOnlyList<TaskReport> Tasks { get; init; } = [];

    /// <summary>The tests of the guest's test output, suites before what they are made of.</summary>
    public IReadOnlyList<TestReport> Tests { get; init; } = [];

    /// <summary>What can't be right in the test output.</summary>
    public IReadOnlyList<string> TestErrors { get; init; } = [];

    /// <summary>Numbers about the run, by name.</summary>
    public IReadOnlyDictionary<string, ulong> Counters { get; init; } = new SortedDictionary<string, ulong>();

    /// <summary>The guest's devices, in its order.</summary>
    public IReadOnlyList<DeviceReport> Devices { get; init; } = [];

    /// <summary>The versions of what took part, by name.</summary>
    public IReadOnlyDictionary<string, string> Versions { get; init; } = new SortedDictionary<string, string>();

    /// <summary>The files that went in.</summary>
    public IReadOnlyList<InputReport> Inputs { get; init; } = [];

    /// <summary>The state at the end; null if it wasn't hashed.</summary>
    public StateReport? State { get; init; }

    /// <summary>A command line that repeats the run; null if none does.</summary>
    public string? Repeat { get; init; }
}

/// <summary>How a run ended.</summary>
/// <param name="Condition">The word for it.</param>
/// <param name="ExitCode">The exit code.</param>
/// <param name="Sentence">What happened; empty if there is nothing to say.</param>
/// <param name="GuestStatus">The guest's own status, exactly; null if it never gave one.</param>
/// <param name="Limit">Which limit was reached; null if none was.</param>
/// <param name="Also">What applied besides, but counted for less.</param>
public sealed record OutcomeReport(
    Outcomes.RunCondition Condition,
    int ExitCode,
    string Sentence,
    int? GuestStatus = null,
    string? Limit = null,
    IReadOnlyList<string>? Also = null);

/// <summary>How long a run took.</summary>
/// <param name="Started">When it began, by the host's clock.</param>
/// <param name="WallSeconds">Seconds of the host's time.</param>
/// <param name="GuestSeconds">Seconds of the guest's.</param>
/// <param name="IdleSeconds">Those of the host's in which the guest slept.</param>
public sealed record TimeReport(DateTimeOffset Started, double WallSeconds, double GuestSeconds, double IdleSeconds);

/// <summary>Something that the kernel complained of.</summary>
public sealed record ComplaintReport
{
    /// <summary>What kind it is: "warning", "oops".</summary>
    public required string Class { get; init; }

    /// <summary>A line that says it.</summary>
    public required string Title { get; init; }

    /// <summary>The same for each occurrence of the same fault.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Whether it counts for the exit code.</summary>
    public bool Counts { get; init; } = true;

    /// <summary>How often it came.</summary>
    public int Occurrences { get; init; } = 1;

    /// <summary>The guest's time, in seconds; null if the log has none.</summary>
    public double? GuestSeconds { get; init; }

    /// <summary>The task that ran: name and number.</summary>
    public string? Task { get; init; }

    /// <summary>The taint, in letters.</summary>
    public string? Taint { get; init; }

    /// <summary>The registers, as the kernel printed them.</summary>
    public IReadOnlyList<string> Registers { get; init; } = [];

    /// <summary>The code around the instruction, disassembled.</summary>
    public IReadOnlyList<string> Code { get; init; } = [];

    /// <summary>The functions on the stack, innermost first.</summary>
    public IReadOnlyList<string> Trace { get; init; } = [];

    /// <summary>The whole complaint, as the kernel's log has it.</summary>
    public IReadOnlyList<string> Records { get; init; } = [];

    /// <summary>The test that ran; null if none is known to.</summary>
    public string? RunningTest { get; init; }
}

/// <summary>A test.</summary>
/// <param name="Source">Where its output came from.</param>
/// <param name="Suite">The suite that it belongs to; the source's name for one that belongs to none.</param>
/// <param name="Name">What it is called in its suite.</param>
/// <param name="IsSuite">Whether it is made of others.</param>
/// <param name="Status">Our word for what became of it.</param>
/// <param name="Kcidb">KCIDB's word.</param>
/// <param name="Reason">What was said of it; empty if nothing was.</param>
/// <param name="Output">What was printed while it ran.</param>
public sealed record TestReport(
    string Source,
    string Suite,
    string Name,
    bool IsSuite,
    string Status,
    string Kcidb,
    string Reason,
    string Output)
{
    /// <summary>What JUnit makes of it; suites appear there only when nothing in them shows why they failed.</summary>
    public JUnitKind JUnit { get; init; }
}

/// <summary>What a test is in a JUnit report.</summary>
public enum JUnitKind
{
    /// <summary>It isn't in it.</summary>
    None,

    /// <summary>It passed.</summary>
    Passed,

    /// <summary>It was skipped.</summary>
    Skipped,

    /// <summary>It failed: only what said "not ok".</summary>
    Failure,

    /// <summary>It couldn't say.</summary>
    Error,
}

/// <summary>A process or a kernel thread.</summary>
/// <param name="Id">Its PID; 0 is the idle task.</param>
/// <param name="Name">Its name: whatever a program calls itself.</param>
/// <param name="State">"running", "sleeping", "disk sleep", "idle", "stopped", "dead"; null if it isn't known.</param>
/// <param name="IsCurrent">Whether the processor executed it.</param>
/// <param name="Trace">The functions on its kernel stack, innermost first.</param>
public sealed record TaskReport(uint Id, string Name, string? State, bool IsCurrent, IReadOnlyList<string> Trace);

/// <summary>A device of the guest's.</summary>
/// <param name="Name">What the user called it.</param>
/// <param name="Kind">What it is.</param>
public sealed record DeviceReport(string Name, string Kind);

/// <summary>A file that went in.</summary>
/// <param name="Role">"kernel", "initrd", "disk".</param>
/// <param name="Path">Where it is.</param>
/// <param name="Sha256">The hash of its bytes before the run, in hexadecimal; empty for a pipe or a device.</param>
public sealed record InputReport(string Role, string Path, string Sha256);

/// <summary>The state at the end of a run.</summary>
/// <param name="Sha256">Its hash, in hexadecimal.</param>
/// <param name="NotIncluded">What isn't part of it.</param>
public sealed record StateReport(string Sha256, IReadOnlyList<string> NotIncluded);
