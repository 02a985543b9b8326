namespace Lguest.Host;

/// <summary>How a run ended.</summary>
public abstract record GuestOutcome
{
    private GuestOutcome()
    {
    }

    /// <summary>The guest switched itself off.</summary>
    /// <param name="Status">The status it gave, 0 to 255; 0 when its ABI has none to give.</param>
    public sealed record PowerOff(int Status) : GuestOutcome;

    /// <summary>The guest's kernel gave up.</summary>
    /// <param name="Text">Its last words: one line of printable ASCII.</param>
    public sealed record Panic(string Text) : GuestOutcome;

    /// <summary>The guest's kernel can't go on, as it couldn't on a machine: a triple fault, an exception without a gate, HLT with interrupts off.</summary>
    /// <param name="Sentence">What, where, and EIP; no full stop.</param>
    public sealed record Died(string Sentence) : GuestOutcome;

    /// <summary>The host ended the guest, because it broke a rule of its ABI.</summary>
    /// <param name="Sentence">What, where, and EIP; no full stop.</param>
    public sealed record Killed(string Sentence) : GuestOutcome;

    /// <summary>The guest asked to be started again.</summary>
    public sealed record Restart : GuestOutcome;

    /// <summary>The instructions that <see cref="RunLimits.Instructions"/> allowed have all been executed; another run goes on.</summary>
    public sealed record InstructionLimit : GuestOutcome;

    /// <summary>The stop token was cancelled, or an observer ended the run; another run goes on.</summary>
    public sealed record Stopped : GuestOutcome;
}

/// <summary>What a run may use up.</summary>
/// <param name="Instructions">How many instructions to execute at most: the run ends after exactly so many. Null: no limit.</param>
public readonly record struct RunLimits(ulong? Instructions = null);
