using Lguest.Host;
using Lguest.Results.Outcomes;

namespace Lguest.Running;

/// <summary>How a run is reported: an exit code, and a sentence where there is something to say.</summary>
/// <param name="ExitCode">For the process.</param>
/// <param name="Sentence">For standard error, or null.</param>
/// <param name="IsFailure">Whether the sentence is about something that went wrong.</param>
internal sealed record Ending(int ExitCode, string? Sentence, bool IsFailure)
{
    /// <summary>What an outcome means to a user who had a command run, or wants to be told a status.</summary>
    /// <param name="outcome">From the run.</param>
    /// <param name="reason">Why it was stopped, for a run that was.</param>
    /// <param name="status">The exit status; null if it was never told.</param>
    /// <param name="isCommands">Whether it is a command's.</param>
    public static Ending OfTold(GuestOutcome outcome, EndReason? reason, int? status, bool isCommands) => (outcome, status) switch
    {
        _ when reason is { ExitCode: Running.ExitCode.OutputLost } => Of(outcome, reason),
        (GuestOutcome.PowerOff, null) => new Ending(
            Running.ExitCode.NoStatus, $"the guest switched itself off before it had told its {(isCommands ? "command's exit status" : "status")}", true),
        (GuestOutcome.PowerOff, _) => OfStatus(status.Value, isCommands ? "the command's" : "the guest's"),
        _ => Of(outcome, reason),
    };

    /// <summary>What an outcome means to the user.</summary>
    /// <param name="outcome">From the run.</param>
    /// <param name="reason">Why it was stopped, for a run that was.</param>
    public static Ending Of(GuestOutcome outcome, EndReason? reason) => outcome switch
    {
        _ when reason is { ExitCode: Running.ExitCode.OutputLost } => new Ending(reason.ExitCode, reason.Sentence, true),
        GuestOutcome.PowerOff off => OfStatus(off.Status, "the guest's"),
        GuestOutcome.Panic panic => new Ending(Running.ExitCode.KernelDied, $"the guest panicked: {panic.Text}", true),
        GuestOutcome.Died died => new Ending(Running.ExitCode.KernelDied, $"the guest's kernel died: {died.Sentence}", true),
        GuestOutcome.Killed killed => new Ending(Running.ExitCode.Killed, $"the guest was killed: {killed.Sentence}", true),
        GuestOutcome.Restart => new Ending(Running.ExitCode.Restart, "the guest asks to be started again", false),
        GuestOutcome.InstructionLimit => new Ending(
            Running.ExitCode.LimitReached, "ended after as many instructions as --max-instructions says", true),
        GuestOutcome.Stopped when reason is not null => new Ending(reason.ExitCode, reason.Sentence, true),
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "A run doesn't end so."),
    };

    /// <summary>What is above 99 is lguest's own.</summary>
    private static Ending OfStatus(int status, string whose) => status <= ExitCodeTable.HighestGuestStatus
        ? new Ending(status, null, false)
        : new Ending(ExitCodeTable.HighestGuestStatus, $"{whose} exit status is {status}", false);
}
