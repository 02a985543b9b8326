namespace Lguest.Results.Tap;

/// <summary>What a line of test output is.</summary>
internal enum TapLineKind
{
    /// <summary>Nothing of the protocol.</summary>
    Unknown,

    /// <summary><c># ...</c>.</summary>
    Diagnostic,

    /// <summary><c>KTAP version 1</c>, <c>TAP version 13</c>.</summary>
    Version,

    /// <summary><c>1..5</c>.</summary>
    Plan,

    /// <summary><c>ok 1 name</c>.</summary>
    Case,

    /// <summary><c>Bail out!</c>.</summary>
    BailOut,

    /// <summary><c># Subtest: name</c>.</summary>
    Subtest,

    /// <summary>A diagnostic that names the test which runs now: kselftest's <c># selftests: timers: posix_timers</c>.</summary>
    Running,
}

/// <summary>A word after a result's <c>#</c> that says more than <c>ok</c> or <c>not ok</c> do.</summary>
internal enum TapDirective
{
    /// <summary>There is none.</summary>
    None,

    /// <summary>Skipped.</summary>
    Skip,

    /// <summary>Not expected to pass yet.</summary>
    Todo,

    /// <summary>Expected to fail.</summary>
    ExpectedFailure,

    /// <summary>It took too long.</summary>
    Timeout,

    /// <summary>It couldn't be carried out.</summary>
    Error,
}

/// <summary>A line of test output, taken apart.</summary>
internal readonly record struct TapLine
{
    /// <summary>What it is.</summary>
    public TapLineKind Kind { get; init; }

    /// <summary>What stands before it: blanks, and kselftest's <c># </c>.</summary>
    public string Prefix { get; init; }

    /// <summary>Version: whether it is KTAP rather than TAP.</summary>
    public bool IsKtap { get; init; }

    /// <summary>Version: its number. Plan: how many cases. Case: its number; null if it has none. -1: a number beyond all bounds.</summary>
    public long? Number { get; init; }

    /// <summary>Case: <c>ok</c> rather than <c>not ok</c>.</summary>
    public bool Ok { get; init; }

    /// <summary>Case: its description. Subtest, Running: the name. Empty if there is none.</summary>
    public string Text { get; init; }

    /// <summary>Case, plan: the directive.</summary>
    public TapDirective Directive { get; init; }

    /// <summary>Case, plan, bail out: what is said besides; empty if there is nothing.</summary>
    public string Reason { get; init; }
}
