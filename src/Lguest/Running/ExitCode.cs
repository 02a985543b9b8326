namespace Lguest.Running;

/// <summary>The exit codes of <c>lguest</c>; 0 to 99 are the guest's own status.</summary>
internal static class ExitCode
{
    /// <summary>The guest switched itself off.</summary>
    public const int PowerOff = 0;

    /// <summary>The guest's kernel panicked, or came to another end by itself.</summary>
    public const int KernelDied = 100;

    /// <summary>The guest broke a rule of its ABI.</summary>
    public const int Killed = 101;

    /// <summary>The guest switched itself off, but didn't tell the status of the command that it was to run.</summary>
    public const int NoStatus = 102;

    /// <summary>The guest asked for a restart.</summary>
    public const int Restart = 103;

    /// <summary>Time or instructions ran out.</summary>
    public const int LimitReached = 124;

    /// <summary>lguest couldn't run the guest.</summary>
    public const int CouldNotRun = 125;

    /// <summary>128 + SIGHUP.</summary>
    public const int Hangup = 129;

    /// <summary>128 + SIGINT: the signal, or ^C three times.</summary>
    public const int Interrupted = 130;

    /// <summary>128 + SIGPIPE: nobody takes the guest's output any more.</summary>
    public const int OutputLost = 141;

    /// <summary>128 + SIGTERM.</summary>
    public const int Terminated = 143;
}
