namespace Lguest.Results.Outcomes;

/// <summary>What can be said of a run; when several apply, the one that stands further up.</summary>
public enum RunCondition
{
    /// <summary>lguest could not run the guest, or is itself at fault.</summary>
    CouldNotRun,

    /// <summary>A signal ended the run, or nobody takes its output any more.</summary>
    Signal,

    /// <summary>The kernel died.</summary>
    KernelDied,

    /// <summary>The guest broke the rules of its ABI.</summary>
    AbiBreach,

    /// <summary>The guest asked to be started again.</summary>
    Restart,

    /// <summary>A limit was reached.</summary>
    LimitReached,

    /// <summary>The kernel complained.</summary>
    Complaint,

    /// <summary>The guest's own status isn't 0.</summary>
    GuestStatus,

    /// <summary>Something that was expected of the guest's output didn't come, or something forbidden did.</summary>
    ExpectationFailed,

    /// <summary>The guest ended with 0, but a test failed.</summary>
    TestsFailed,

    /// <summary>The guest switched itself off, and none of the above applies.</summary>
    PowerOff,
}
