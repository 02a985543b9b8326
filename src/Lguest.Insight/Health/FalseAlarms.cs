using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Lguest.Insight.Health;

/// <summary>A line that looks like a complaint's first, and isn't one.</summary>
/// <param name="Pattern">The line.</param>
/// <param name="Source">Who prints it, and why it means nothing.</param>
public sealed record FalseAlarm(Regex Pattern, string Source);

/// <summary>Known false alarms.</summary>
public static partial class FalseAlarms
{
    /// <summary>All of them.</summary>
    public static ImmutableArray<FalseAlarm> All { get; } =
    [
        new(NamesAProcess(), "whatever prints a process's name first lets any program choose how its line begins: arch/x86/mm/fault.c and kernel/traps.c (\"name[1]: segfault\"), "
            + "mm/page_alloc.c (\"name: page allocation failure\"), mm/oom_kill.c (\"name invoked oom-killer\"), fs/drop_caches.c (\"name (1): drop_caches\"), kernel/signal.c (\"name/1: ...\")"),
        new(StallEnded(), "kernel/rcu/tree_stall.h: the stall was over before there was anything to show"),
        new(LockdepOff(), "kernel/locking/lockdep.c: said once after another complaint, which counts"),
    ];

    /// <summary>Whether a line says that a stall of RCU's was over before there was anything to show.</summary>
    internal static bool IsEndOfStall(string line) => StallEnded().IsMatch(line);

    /// <summary>Whether a line is one of them. Complaints whose whole first line is known can't be.</summary>
    public static bool Contains(string line) => All.Any(alarm => alarm.Pattern.IsMatch(line));

    // A process's name has fifteen characters at most.
    [GeneratedRegex(@"^.{1,15}(?:\[[0-9]+\]: |: page allocation (?:failure|stalls)| invoked oom-killer: | \([0-9]+\): drop_caches: |/[0-9]+: potentially unexpected fatal signal)", RegexOptions.Singleline)]
    private static partial Regex NamesAProcess();

    [GeneratedRegex("^(?:rcu: )?INFO: Stall ended before state dump start$")]
    private static partial Regex StallEnded();

    [GeneratedRegex(@"^INFO: lockdep is turned off\.$|^BUG: (?:MAX_LOCK|MAX_STACK)\S* too low!$")]
    private static partial Regex LockdepOff();
}
