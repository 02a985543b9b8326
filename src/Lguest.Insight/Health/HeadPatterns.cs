using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Lguest.Insight.Health;

/// <summary>
/// The first lines of all complaints that are known, from the sources of Linux 2.6.23 to 6.12. Each is a whole line: a
/// process whose name is the beginning of one can't put the rest behind it.
/// </summary>
internal static partial class HeadPatterns
{
    private const int Emergency = 0;
    private const int Alert = 1;
    private const int Critical = 2;
    private const int Error = 3;
    private const int Warning = 4;
    private const int Information = 6;

    // printk() without a level has one that the guest may set.
    private const int AnyLevel = 7;

    // A chain of locks may be long.
    private const int LockReach = 3000;

    // Of an unknown BUG only a trace that comes right after it is its own.
    private const int UnknownReach = 12;

    /// <summary>In the order in which they are tried.</summary>
    public static ImmutableArray<HeadPattern> All { get; } =
    [
        new(ComplaintClass.Panic, ComplaintShape.Panic, Emergency, Panic()),
        new(ComplaintClass.Lockdep, ComplaintShape.Locks, Warning, Locks(), LockReach),
        new(ComplaintClass.Warning, ComplaintShape.Warning, Warning, Warn()),
        new(ComplaintClass.KernelBug, ComplaintShape.Trap, Critical, KernelBug()),
        new(ComplaintClass.Oops, ComplaintShape.Trap, Critical, PageFault()),
        new(ComplaintClass.Oops, ComplaintShape.Trap, AnyLevel, Die()),
        new(ComplaintClass.Atomic, ComplaintShape.Stack, Error, Atomic()),
        new(ComplaintClass.SoftLockup, ComplaintShape.Line, Emergency, WorkqueueLockup()),
        new(ComplaintClass.SoftLockup, ComplaintShape.Stack, Error, SoftLockup()),
        new(ComplaintClass.BadPage, ComplaintShape.Stack, Alert, BadPage()),
        new(ComplaintClass.BadPage, ComplaintShape.Line, Alert, BadCounter()),
        new(ComplaintClass.Slab, ComplaintShape.Stack, Error, Kfence(), HasBareTrace: true),
        new(ComplaintClass.Slab, ComplaintShape.Stack, Error, Poison(), LockReach),
        new(ComplaintClass.Slab, ComplaintShape.Stack, Error, Slub(), LockReach),
        new(ComplaintClass.Slab, ComplaintShape.Stack, Error, Slab()),
        new(ComplaintClass.Ubsan, ComplaintShape.Stack, Error, Ubsan()),
        new(ComplaintClass.HungTask, ComplaintShape.Stack, Error, HungTask()),
        new(ComplaintClass.RcuStall, ComplaintShape.Stack, Error, RcuStall()),
        new(ComplaintClass.Kmemleak, ComplaintShape.Line, Information, Kmemleak()),
        new(ComplaintClass.RefTracker, ComplaintShape.Stack, Error, RefTracker(), HasBareTrace: true),
        new(ComplaintClass.NobodyCared, ComplaintShape.Stack, Error, NobodyCared()),
        new(ComplaintClass.UnregisterNetdevice, ComplaintShape.Line, Emergency, UnregisterNetdevice()),
        new(ComplaintClass.Bug, ComplaintShape.Stack, Error, UnknownBug(), UnknownReach),
    ];

    /// <summary>Whether a line may be one of them: most of what a kernel says isn't, and is seen not to be at little cost.</summary>
    public static bool MayBe(int level, string line) =>
        level <= Warning || line.Contains(" [#", StringComparison.Ordinal) || line.StartsWith("kmemleak", StringComparison.Ordinal);

    // kernel/panic.c, panic().
    [GeneratedRegex("^Kernel panic - not syncing: (?<what>.*)$")]
    private static partial Regex Panic();

    // kernel/locking/lockdep.c, kernel/rcu/; "[ INFO: ... ]" and "[ BUG: ... ]" before Linux 4.12.
    [GeneratedRegex(
        @"^(?:WARNING: |\[ (?:INFO|BUG): )(?<what>possible circular locking dependency detected|possible recursive locking detected"
            + @"|inconsistent lock state|possible irq lock inversion dependency detected|[A-Za-z_]+-safe -> [A-Za-z_]+-unsafe lock order detected"
            + @"|bad unlock balance detected!|bad contention detected!|held lock freed!|lock held when returning to user space!"
            + @"|lock held at task exit time!|suspicious (?:RCU|rcu_dereference_check\(\)) usage\.?|[Nn]ested lock was not taken|Invalid wait context"
            + @"|possible deadlock in .+|.+/[0-9]+ still has locks held!)(?: \])?$")]
    private static partial Regex Locks();

    // kernel/panic.c, __warn(). "at FILE:LINE FUNCTION()" in Linux 2.6; "FILE:LINE at FUNCTION, CPU#0: task/1" from 6.18 on.
    [GeneratedRegex(
        @"^WARNING: (?:(?:CPU: [0-9]+ (?:UID: [0-9]+ )?PID: [0-9]+ )?at (?:(?<where>[^\s:]+:[0-9]+) )?(?<function>[A-Za-z_0-9.]+)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?:\(\))?"
            + @"(?: \[[^\]\s]+\])?(?:\(\))?|(?<where>[^\s:]+:[0-9]+) at (?<function>[A-Za-z_0-9.]+)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \[[^\]\s]+\])?, CPU#[0-9]+: .+/[0-9]+)\s*$")]
    private static partial Regex Warn();

    // lib/bug.c, report_bug().
    [GeneratedRegex(@"^(?<what>[kK]ernel BUG at (?:\S+:[0-9]+!|\S+ \[verbose debug info unavailable\]))$")]
    private static partial Regex KernelBug();

    // arch/x86/mm/fault.c, show_fault_oops(): what comes before the die line.
    [GeneratedRegex(
        @"^(?<what>BUG: (?:kernel NULL pointer dereference, address|unable to handle page fault for address|unable to handle kernel (?:NULL pointer dereference|paging request) at(?: virtual address)?)):?\s+(?:0x)?[0-9a-f]+\s*$"
            + @"|^(?<what>kernel tried to execute (?:NX-protected page - exploit attempt\?|user page)).*$")]
    private static partial Regex PageFault();

    // arch/x86/kernel/dumpstack.c, __die_header(); the names are those of arch/x86/kernel/traps.c. "Oops: Oops:" from 6.10 on.
    [GeneratedRegex(
        @"^(?:Oops: )?(?<what>Oops|invalid opcode|divide error|overflow|bounds|device not available|double fault|coprocessor segment overrun|invalid TSS"
            + @"|segment not present|stack segment|(?:segment-related )?general protection fault(?:, (?:maybe|probably)[^\[]*?)?|alignment check|int3|debug|machine check"
            + @"|fpu exception|simd exception|unknown exception|Bad pagetable|control protection fault|kernel stack overflow(?: \([^)]*\))?|stack guard page): [0-9a-f]{4} "
            + @"\[#[0-9]+\](?: (?:PREEMPT(?:_RT)?|SMP|DEBUG_PAGEALLOC|KASAN|KCSAN|PTI|NOPTI|VLI))*\s*$")]
    private static partial Regex Die();

    // kernel/sched/core.c, __schedule_bug() and __might_sleep().
    [GeneratedRegex(@"^(?<what>BUG: (?:scheduling while atomic|sleeping function called from (?:invalid|illegal) context|using smp_processor_id\(\) in preemptible|using __this_cpu_\S+ in preemptible)).*$")]
    private static partial Regex Atomic();

    // kernel/workqueue.c, show_workqueue_state's caller.
    [GeneratedRegex("^(?<what>BUG: workqueue lockup - pool) .* stuck for [0-9]+s!$")]
    private static partial Regex WorkqueueLockup();

    // kernel/watchdog.c; kernel/softlockup.c of 2.6.23.
    [GeneratedRegex(@"^(?:watchdog: |NMI watchdog: )?(?<what>BUG: soft lockup)(?: - CPU#[0-9]+ stuck for [0-9]+s! \[.*:-?[0-9]+\]| detected on CPU#[0-9]+!)$")]
    private static partial Regex SoftLockup();

    // mm/page_alloc.c, mm/memory.c, mm/filemap.c; without "BUG: " in 2.6.23.
    [GeneratedRegex(@"^(?<what>(?:BUG: )?Bad page (?:state|map|cache) in process) .+$")]
    private static partial Regex BadPage();

    // kernel/fork.c, check_mm().
    [GeneratedRegex(@"^(?<what>BUG: Bad rss-counter state) mm:\S+ (?:type|idx):\S+ val:-?[0-9]+(?: \S+)*$|^(?<what>BUG: non-zero (?:pgtables_bytes|nr_ptes|nr_pmds) on freeing mm): -?[0-9]+$")]
    private static partial Regex BadCounter();

    // mm/kfence/report.c.
    [GeneratedRegex(@"^(?<what>BUG: KFENCE: [a-z -]+) in \S+(?: \[\S+\])?$")]
    private static partial Regex Kfence();

    // mm/page_poison.c, check_poison_mem().
    [GeneratedRegex("^(?<what>pagealloc: (?:memory corruption|single bit error))$")]
    private static partial Regex Poison();

    // mm/slub.c, slab_bug().
    [GeneratedRegex(
        @"^(?<what>BUG) \S.*?(?: \((?:Not tainted|Tainted: [^)]*)\))?: (?<detail>(?:(?:Left |Right |kmalloc )?[Rr]edzone|(?:End )?Poison|Object padding|Alignment padding|Padding) overwritten(?:\. 0x.*)?"
            + @"|Object corrupt|Freepointer corrupt|Freechain corrupt|Freelist Pointer check fails|Freelist cycle detected|Object already free|Invalid object pointer.*|Slab has .*|Objects remaining.*|Wrong .*"
            + @"|Attempt to free.*|Not a valid slab page|Bulk free expected .*|(?:objects|inuse) [0-9]+ > max [0-9]+|page slab pointer corrupt\.)$")]
    private static partial Regex Slub();

    // mm/slab.c, until Linux 6.7.
    [GeneratedRegex(@"^(?<what>Slab corruption|slab error in \w+\(\): cache `[^']*').*$")]
    private static partial Regex Slab();

    // lib/ubsan.c.
    [GeneratedRegex(@"^(?<what>UBSAN: [A-Za-z_-]+) in \S+$")]
    private static partial Regex Ubsan();

    // kernel/hung_task.c.
    [GeneratedRegex(@"^(?<what>INFO: task) .*:[0-9]+ (?<detail>blocked)(?: in I/O wait)? for more than [0-9]+ seconds\.$")]
    private static partial Regex HungTask();

    // kernel/rcu/tree_stall.h.
    [GeneratedRegex(@"^(?:rcu: )?(?<what>INFO: rcu_\w+(?: self-detected stall on CPU| detected stalls on CPUs/tasks:| detected expedited stalls on CPUs/tasks:)).*$")]
    private static partial Regex RcuStall();

    // mm/kmemleak.c.
    [GeneratedRegex(@"^(?<what>kmemleak: )[0-9]+ (?<detail>new suspected memory leaks) \(see /sys/kernel/debug/kmemleak\)$")]
    private static partial Regex Kmemleak();

    // lib/ref_tracker.c.
    [GeneratedRegex(@"^(?<what>ref_tracker: )(?<detail>reference already released\.|leaked reference\.|.* has [0-9]+/[0-9]+ users at)$")]
    private static partial Regex RefTracker();

    // kernel/irq/spurious.c.
    [GeneratedRegex(@"^irq [0-9]+: (?<what>nobody cared)(?: \(try booting with the ""irqpoll"" option\))?$")]
    private static partial Regex NobodyCared();

    // net/core/dev.c, netdev_wait_allrefs().
    [GeneratedRegex(@"^(?<what>unregister_netdevice: waiting) for (?<detail>\S+) to become free\. Usage count = -?[0-9]+$")]
    private static partial Regex UnregisterNetdevice();

    [GeneratedRegex("^(?<what>BUG: .+)$")]
    private static partial Regex UnknownBug();
}
