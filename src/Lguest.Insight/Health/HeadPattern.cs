using System.Text.RegularExpressions;

namespace Lguest.Insight.Health;

/// <summary>What belongs to a complaint so that it is a whole one.</summary>
internal enum ComplaintShape
{
    /// <summary>Registers, and the end of a trace: a trap. A line that only announces it comes first, in some.</summary>
    Trap,

    /// <summary>A trace, and its end.</summary>
    Warning,

    /// <summary>A trace, after which something else comes.</summary>
    Stack,

    /// <summary>The lock validator's: the trace that counts comes after "stack backtrace:".</summary>
    Locks,

    /// <summary>A line that says all.</summary>
    Line,

    /// <summary>The kernel's last words.</summary>
    Panic,
}

/// <summary>The first line of a complaint.</summary>
/// <param name="Class">What it is of.</param>
/// <param name="Shape">What must follow.</param>
/// <param name="HighestLevel">The least urgent level that the kernel says it with.</param>
/// <param name="Pattern">The whole line.</param>
/// <param name="Reach">How many lines may stand between it and its trace.</param>
/// <param name="HasBareTrace">Whether its trace has no line "Call Trace:" before it. In others, functions before that line are somebody else's: who allocated the memory, say.</param>
internal sealed record HeadPattern(ComplaintClass Class, ComplaintShape Shape, int HighestLevel, Regex Pattern, int Reach = 200, bool HasBareTrace = false);
