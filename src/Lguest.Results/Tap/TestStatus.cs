namespace Lguest.Results.Tap;

/// <summary>What became of a test.</summary>
public enum TestStatus
{
    /// <summary>It has no result yet.</summary>
    Running,

    /// <summary><c>ok</c>.</summary>
    Passed,

    /// <summary>It was skipped: the directive SKIP, or a suite whose plan is <c>1..0</c>.</summary>
    Skipped,

    /// <summary><c>not ok</c>, but nobody expected otherwise: the directive TODO.</summary>
    Todo,

    /// <summary>It failed as it should: the directive XFAIL.</summary>
    ExpectedFailure,

    /// <summary><c>not ok</c>.</summary>
    Failed,

    /// <summary>The directive TIMEOUT: the test's own runner gave up waiting.</summary>
    TimedOut,

    /// <summary>The directive ERROR, or test output that can't be right: a suite without a result, say.</summary>
    Error,

    /// <summary>The guest died while it ran, or the test bailed out.</summary>
    Crashed,

    /// <summary>A limit ended the run while it ran.</summary>
    LimitReached,

    /// <summary>It was planned, and never ran.</summary>
    NotRun,
}

/// <summary>What a status means.</summary>
public static class TestStatuses
{
    /// <summary>Whether a run with such a test is a failed one.</summary>
    public static bool IsFailure(this TestStatus status) => status >= TestStatus.Failed;

    /// <summary>Whether the test itself said that it failed, rather than something having happened to it.</summary>
    public static bool IsNotOk(this TestStatus status) => status is TestStatus.Failed or TestStatus.TimedOut;

    /// <summary>KCIDB's word for it (KCIDB's report schema, "status" of a test).</summary>
    public static string ToKcidb(this TestStatus status) => status switch
    {
        TestStatus.Passed or TestStatus.ExpectedFailure or TestStatus.Todo => "PASS",
        TestStatus.Skipped => "SKIP",
        TestStatus.Failed or TestStatus.TimedOut => "FAIL",
        TestStatus.NotRun or TestStatus.Running => "MISS",
        _ => "ERROR",
    };

    /// <summary>Our word for it, as reports spell it.</summary>
    public static string ToWord(this TestStatus status) => status switch
    {
        TestStatus.Passed => "passed",
        TestStatus.Skipped => "skipped",
        TestStatus.Todo => "todo",
        TestStatus.ExpectedFailure => "xfail",
        TestStatus.Failed => "failed",
        TestStatus.TimedOut => "timeout",
        TestStatus.Error => "error",
        TestStatus.Crashed => "crashed",
        TestStatus.LimitReached => "limit",
        TestStatus.NotRun => "notrun",
        _ => "running",
    };
}
