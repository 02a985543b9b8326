using System.Globalization;
using System.Text.RegularExpressions;

namespace Lguest.Insight.Health;

/// <summary>What the lines of a complaint say, after the first.</summary>
internal static partial class BodyLines
{
    private const string CutHere = "------------[ cut here ]------------";

    /// <summary>The line before a warning and before BUG().</summary>
    public static bool IsCutHere(string line) => line == CutHere;

    /// <summary>The line after a trap's trace, and after a warning's.</summary>
    public static bool IsEndOfTrace(string line) => line.StartsWith("---[ end ", StringComparison.Ordinal) && line.EndsWith("]---", StringComparison.Ordinal);

    /// <summary>What Linux 2.6.23 ends a trap with: <c>EIP: [&lt;c0104e1a&gt;] name+0x1a/0x30 SS:ESP 0068:c1234567</c>.</summary>
    public static bool IsOldEndOfTrap(string line) => OldEndOfTrap().IsMatch(line);

    /// <summary>What Linux 2.6.23 ends a trace with.</summary>
    public static bool IsOldEndOfTrace(string line) => line.Trim() is "=======================";

    /// <summary>Where a trace begins.</summary>
    public static bool IsTrace(string line) => line.Trim() is "Call Trace:" or "Backtrace:" || line.StartsWith("Call Trace:", StringComparison.Ordinal);

    /// <summary>Where the lock validator's trace begins.</summary>
    public static bool IsBacktrace(string line) => line == "stack backtrace:";

    /// <summary>The lock validator's list of what is held.</summary>
    public static bool IsHeldLocks(string line) => HeldLocks().IsMatch(line);

    /// <summary>After it comes a stack of RCU's own thread, which is the victim.</summary>
    public static bool IsStackOfRcu(string line) => StackOfRcu().IsMatch(line);

    /// <summary>The first line about the processor's own stack.</summary>
    public static bool IsProcessor(string line) => Processor().IsMatch(line);

    /// <summary>Between the stacks of a stall of RCU's, and before the first.</summary>
    public static bool IsOfStall(string line) => IsStackOfRcu(line) || IsProcessor(line) || OfStall().IsMatch(line) || TryReadTask(line, out _, out _);

    /// <summary>Who took a lock, of a line in the list of what is held.</summary>
    public static bool TryReadLock(string line, out StackFrame taker)
    {
        taker = new StackFrame(string.Empty, string.Empty, null, true);
        Match match = HeldLock().Match(line);
        return match.Success && TryReadFrame(match.Groups["frame"].Value, out taker);
    }

    /// <summary>The line that a trap is said with, after the one that announces it.</summary>
    public static bool IsRegisters(string line) => Registers().IsMatch(line);

    /// <summary>Whether a line is of the kind that stands in and around traces.</summary>
    public static bool IsOfTrace(string line) => IsTrace(line) || IsRegisters(line) || IsHeldLocks(line) || OfTrace().IsMatch(line) || TryReadFrame(line, out _);

    /// <summary>The bytes around the instruction.</summary>
    public static string? Code(string line) => line.StartsWith("Code: ", StringComparison.Ordinal) ? line["Code: ".Length..].Trim() : null;

    /// <summary>The task, and the taint, of the line that says both.</summary>
    public static bool TryReadTask(string line, out string task, out string? taint)
    {
        Match match = Task().Match(line);
        task = match.Success ? $"{match.Groups["name"].Value}[{match.Groups["number"].Value}]" : string.Empty;
        taint = match.Groups["taint"].Success ? Letters(match.Groups["taint"].Value) : null;
        return match.Success;
    }

    /// <summary>The taint, of a line that says it.</summary>
    public static string? Taint(string line)
    {
        Match match = TaintOnly().Match(line);
        return match.Success ? Letters(match.Groups["taint"].Value) : null;
    }

    /// <summary>The function that the processor was in.</summary>
    public static bool TryReadLocation(string line, out StackFrame frame)
    {
        frame = new StackFrame(string.Empty, string.Empty, null, true);
        Match match = Location().Match(line);
        return match.Success && TryReadFrame(match.Groups["frame"].Value, out frame);
    }

    /// <summary>A function on the stack.</summary>
    public static bool TryReadFrame(string line, out StackFrame frame)
    {
        Match match = Frame().Match(line);
        string address = match.Groups["address"].Value;
        string function = match.Groups["function"].Value;
        bool known = match.Success && (address.Length > 0 || function.Length > 0);
        frame = new StackFrame(
            match.Groups["text"].Value,
            function,
            address.Length > 0 ? uint.Parse(address, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) : null,
            !match.Groups["doubt"].Success);
        return known;
    }

    // kernel/rcu/tree_stall.h, rcu_check_gp_kthread_starvation(); kernel/rcu/tree.c until Linux 5.0, where until 4.16 the thread's stack follows the first of the two.
    [GeneratedRegex(@"^(?:rcu: )?(?:rcu_\w+ kthread starved for -?[0-9]+ jiffies!.*|RCU grace-period kthread stack dump:)$")]
    private static partial Regex StackOfRcu();

    // arch/x86/kernel/dumpstack.c, kernel/sched/core.c and lib/nmi_backtrace.c.
    [GeneratedRegex("^(?:CPU: |Task dump for CPU [0-9]+:$|NMI backtrace for cpu [0-9]+)")]
    private static partial Regex Processor();

    // kernel/rcu/tree_stall.h.
    [GeneratedRegex(
        @"^(?:rcu: )?(?:\tUnless rcu_\w+ kthread gets sufficient CPU time, .*|Stack dump where RCU GP kthread last ran:|RCU GP kthread last ran on offline CPU [0-9]+\."
            + @"|rcu_\w+ kthread timer wakeup didn't happen for -?[0-9]+ jiffies!.*|\tPossible timer handling issue on cpu=.*|Offline CPU [0-9]+ blocking current GP\."
            + @"|All QSes seen, last rcu_\w+ kthread activity .*)$|^Sending NMI from CPU [0-9]+ to CPUs .*$")]
    private static partial Regex OfStall();

    private static string Letters(string taint) =>
        taint.StartsWith("Not", StringComparison.Ordinal)
            ? string.Empty
            : string.Concat(taint["Tainted: ".Length..].Where(letter => letter is >= 'A' and <= 'Z' and not 'G'));

    [GeneratedRegex(@"^EIP: \[<[0-9a-f]{8}>\].* SS:ESP [0-9a-f]{4}:[0-9a-f]{8}")]
    private static partial Regex OldEndOfTrap();

    [GeneratedRegex("^(?:[0-9]+ locks? held by |.+/[0-9]+ is leaving the kernel with locks still held!)")]
    private static partial Regex HeldLocks();

    [GeneratedRegex(@"^ #[0-9]+: .*, at: (?<frame>\S.*)$")]
    private static partial Regex HeldLock();

    [GeneratedRegex(@"^(?:EIP|RIP): |^EIP:\s+[0-9a-f]{4}:|^EIP is at |^E?FLAGS: |^(?:EAX|ESI|eax|esi): [0-9a-f]{8} |^\s*(?:DS|ds): [0-9a-f]{4} |^CR[02]: [0-9a-f]+|^DR[06]: |^RSP: |^R[A-Z0-9]{2}: [0-9a-f]{16} ")]
    private static partial Regex Registers();

    [GeneratedRegex(
        @"^\s*</?(?:TASK|IRQ|SOFTIRQ|NMI|SYSENTER|ENTRY_TRAMPOLINE)>$|^(?:CPU|Pid|Process|Modules linked in|Hardware name|Workqueue|Stack|Code|Tainted|Preemption disabled at|last sysfs file)\b"
            + @"|^(?:hardirqs|softirqs) last |^irq event stamp: |^\s+[0-9a-f]{8}(?: [0-9a-f]{8})*\s*$|^\s*(?:Not tainted|Tainted: )|^note: |^=+$|^ #[0-9]+: ")]
    private static partial Regex OfTrace();

    // lib/dump_stack.c, dump_stack_print_info(); kernel/sched/core.c, sched_show_task(), whose line says its words only since Linux 5.10; "Pid: 1, comm: init Not tainted" and "Process init (pid: 1, ..." in Linux 2.6.
    [GeneratedRegex(
        @"^CPU: [0-9]+ (?:UID: [0-9]+ )?PID: (?<number>[0-9]+) Comm: (?<name>.{0,20}?) (?:Kdump: loaded )?(?<taint>Not tainted|Tainted: [A-Z ]+?)(?= +[0-9])"
            + @"|^task:(?<name>.{1,16}?) +state:\S.*? pid: *(?<number>[0-9]+) +|^(?<name>.{1,15}?) +[A-Za-z?](?: +running(?: task)?| [0-9a-f]{8})? +[0-9]+ +(?<number>[0-9]+) +[0-9]+ 0x[0-9a-f]{8}\s*$"
            + @"|^Pid: (?<number>[0-9]+), comm: +(?<name>.{1,20}?) (?<taint>Not tainted|Tainted: [A-Z ]+)|^Process (?<name>.{1,20}?) \(pid: (?<number>[0-9]+), ")]
    private static partial Regex Task();

    [GeneratedRegex(@"\s(?<taint>Not tainted|Tainted: [A-Z ]+)")]
    private static partial Regex TaintOnly();

    [GeneratedRegex(@"^EIP(?::| is at) (?:[0-9a-f]{4}:)?(?<frame>\S.*)$")]
    private static partial Regex Location();

    [GeneratedRegex(
        @"^\s*(?:\[<(?<address>[0-9a-f]{8})>\]\s*)?(?<doubt>\? )?(?<text>(?<function>[A-Za-z_$][A-Za-z0-9_.$]*)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[[^\]]+\])?)\s*(?:\(\w+\))?\s*$"
            + @"|^\s*(?<text>\[<(?<address>[0-9a-f]{8})>\])(?: 0x[0-9a-f]+)?\s*$|^\s*(?<doubt>\? )?(?<text>0x(?<address>[0-9a-f]{1,8}))\s*$")]
    private static partial Regex Frame();
}
