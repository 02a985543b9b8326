namespace Lguest.Results.Tap;

/// <summary>Where test output comes from: each source has a parser of its own.</summary>
public enum TapSource
{
    /// <summary>What a command wrote to its standard output.</summary>
    Command,

    /// <summary>The kernel's log, record by record.</summary>
    Kernel,

    /// <summary>The guest's console, where there is neither of the others.</summary>
    Console,
}

/// <summary>How a source came to its end.</summary>
public enum TapEnd
{
    /// <summary>Whoever wrote it has finished.</summary>
    Finished,

    /// <summary>The guest died.</summary>
    Crashed,

    /// <summary>The run was ended from outside, by a limit.</summary>
    LimitReached,
}
