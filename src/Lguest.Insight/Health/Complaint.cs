namespace Lguest.Insight.Health;

/// <summary>A function on a stack, as the kernel printed it.</summary>
/// <param name="Text">The whole of it: <c>name+0x1c/0x40 [module]</c>.</param>
/// <param name="Function">Its name; empty if the kernel printed just an address.</param>
/// <param name="Address">The address; null if the kernel printed just a name.</param>
/// <param name="IsReliable">Whether the kernel is sure of it: <c>?</c> says that it isn't.</param>
public sealed record StackFrame(string Text, string Function, uint? Address, bool IsReliable);

/// <summary>Something that a kernel complained of, as a whole.</summary>
public sealed record Complaint
{
    /// <summary>What kind it is.</summary>
    public required ComplaintClass Class { get; init; }

    /// <summary>A line that says it.</summary>
    public required string Title { get; init; }

    /// <summary>The same for each occurrence of the same fault: class, and the first five functions that matter.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Whether there were functions to tell it by. A fingerprint without any is never the same as another.</summary>
    public bool IsCorrupted { get; init; }

    /// <summary>The number of its first record.</summary>
    public ulong Sequence { get; init; }

    /// <summary>Nanoseconds since the guest's start; null where the log keeps no time.</summary>
    public ulong? Nanoseconds { get; init; }

    /// <summary>The task that ran: <c>name[number]</c>; null if it isn't said.</summary>
    public string? Task { get; init; }

    /// <summary>The taint at that time, in letters; empty if there was none, null if it isn't said.</summary>
    public string? Taint { get; init; }

    /// <summary>The kernel's registers, in its own lines.</summary>
    public IReadOnlyList<string> Registers { get; init; } = [];

    /// <summary>The bytes around the instruction, as the kernel printed them; null if it didn't.</summary>
    public string? Code { get; init; }

    /// <summary>The function that the processor was in; null if it isn't said.</summary>
    public StackFrame? Location { get; init; }

    /// <summary>The functions on the stack, innermost first.</summary>
    public IReadOnlyList<StackFrame> Trace { get; init; } = [];

    /// <summary>All its lines.</summary>
    public IReadOnlyList<string> Lines { get; init; } = [];

    /// <summary>Whether the log doesn't say who wrote it, so that root could have.</summary>
    public bool CanBeForged { get; init; }

    /// <summary>Whether its end is missing, because the run ended or the log was overwritten first.</summary>
    public bool IsCutShort { get; init; }
}
