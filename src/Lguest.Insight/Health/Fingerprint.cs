using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Lguest.Insight.Health;

/// <summary>Makes of a complaint what is the same whenever the same fault shows: its class, and the first five functions that matter.</summary>
public static partial class Fingerprint
{
    private const int Frames = 5;
    private const char Separator = '/';

    /// <summary>Functions that are on every stack of their kind, because the complaint itself came that way.</summary>
    private static readonly FrozenSet<string> Plumbing = FrozenSet.ToFrozenSet(
    [
        // Printing it.
        "dump_stack", "dump_stack_lvl", "__dump_stack", "show_stack", "show_trace", "show_trace_log_lvl", "show_stack_log_lvl", "show_registers", "show_regs",
        "__warn", "__warn_printk", "warn_slowpath_fmt", "warn_slowpath_null", "warn_slowpath_common", "report_bug", "__report_bug", "handle_bug", "panic", "vpanic",
        "check_panic_on_warn", "die", "__die", "die_addr", "oops_end", "printk", "_printk", "vprintk", "print_report",

        // Traps on their way to it.
        "exc_invalid_op", "asm_exc_invalid_op", "exc_page_fault", "asm_exc_page_fault", "exc_general_protection", "exc_divide_error", "exc_int3", "asm_exc_int3", "do_int3", "exc_stack_segment",
        "exc_double_fault", "asm_exc_double_fault", "doublefault_shim",
        "handle_exception", "handle_exception_return", "do_error_trap", "do_trap", "do_page_fault", "__do_page_fault", "do_user_addr_fault", "do_kern_addr_fault",
        "bad_area_nosemaphore", "__bad_area_nosemaphore", "bad_area", "page_fault_oops", "kernelmode_fixup_or_oops", "no_context", "error_code", "common_exception",
        "do_invalid_op", "do_general_protection", "do_divide_error", "invalid_op", "general_protection", "divide_error", "page_fault",

        // System calls and threads on their way in.
        "do_int80_syscall_32", "entry_INT80_32", "entry_SYSENTER_32", "do_SYSENTER_32", "do_fast_syscall_32", "__do_fast_syscall_32", "ia32_sys_call", "do_syscall_32_irqs_on",
        "syscall_call", "sysenter_past_esp", "sysenter_dispatch", "syscall_exit_to_user_mode", "ret_from_fork", "ret_from_fork_asm", "kernel_thread_helper", "kthread",
        "work_notifysig", "resume_userspace", "restore_all", "restore_all_switch_stack", "startup_32_smp",

        // Interrupts on their way in.
        "common_interrupt", "asm_common_interrupt", "ret_from_intr", "do_IRQ", "__common_interrupt", "__handle_irq", "irq_exit", "irq_exit_rcu", "__irq_exit_rcu", "call_on_stack", "do_softirq_own_stack",
        "__do_softirq", "handle_softirqs",

        // Finding it: the checks themselves.
        "__schedule_bug", "__might_sleep", "___might_sleep", "__might_resched", "__might_fault", "schedule", "__schedule", "schedule_debug", "schedule_timeout", "io_schedule",
        "schedule_timeout_uninterruptible", "schedule_timeout_interruptible", "schedule_timeout_killable", "schedule_timeout_idle",
        "refcount_warn_saturate", "refcount_error_report", "bad_page", "print_bad_pte", "print_address_description", "slab_err", "object_err", "slab_bug", "slab_fix", "check_object",
        "check_slab", "check_bytes_and_report", "print_trailer", "slab_pad_check", "alloc_debug_processing", "free_debug_processing", "kmem_cache_alloc", "kmem_cache_free", "kfree", "kmalloc",
        "___slab_alloc", "__slab_alloc", "__slab_free", "free_to_partial_list", "__kmem_cache_alloc_node", "__kmem_cache_free", "kmalloc_trace", "__kmalloc", "__kmalloc_node",
        "check_poison_mem", "__kernel_unpoison_pages", "cache_from_obj", "virt_to_cache", "fortify_panic", "__fortify_panic", "usercopy_abort", "__check_object_size",
        "__check_heap_object", "check_heap_object", "__stack_chk_fail",
        "ubsan_epilogue", "ubsan_prologue", "__list_add_valid", "__list_del_entry_valid", "__list_add_valid_or_report", "__list_del_entry_valid_or_report",
        "__report_bad_irq", "note_interrupt", "handle_irq_event", "handle_level_irq", "handle_edge_irq",
        "lock_acquire", "__lock_acquire", "lock_release", "__lock_release", "validate_chain", "check_noncircular", "check_prev_add", "check_prevs_add", "check_deadlock", "print_circular_bug",
        "print_deadlock_bug", "print_usage_bug", "mark_lock", "mark_lock_irq", "print_unlock_imbalance_bug", "lockdep_rcu_suspicious", "print_lock_invalid_wait_context", "check_wait_context",
        "watchdog_timer_fn", "softlockup_tick", "rcu_sched_clock_irq", "rcu_check_callbacks", "print_cpu_stall", "check_cpu_stall", "rcu_pending", "update_process_times",
        "tick_sched_handle", "tick_sched_timer", "lguest_time_irq", "run_local_timers", "__rcu_pending", "rcu_dump_cpu_stacks", "dump_cpu_task", "sched_show_task",
        "handle_irq", "generic_handle_irq", "tick_handle_periodic", "tick_periodic", "hrtimer_interrupt", "__hrtimer_run_queues", "run_timer_softirq",
    ]);

    /// <summary>Where interrupts and what is done after them come in: whatever is below was interrupted, and could have been anything.</summary>
    private static readonly FrozenSet<string> Interruptions = FrozenSet.ToFrozenSet(
        ["common_interrupt", "asm_common_interrupt", "ret_from_intr", "do_IRQ", "__common_interrupt", "__handle_irq", "__do_softirq", "handle_softirqs"]);

    /// <summary>A complaint's fingerprint.</summary>
    /// <param name="kind">Its class.</param>
    /// <param name="functions">The functions, innermost first; empty ones are unknown.</param>
    /// <param name="sequence">The number of its first record, which makes one that has no functions different from all others.</param>
    /// <param name="isCorrupted">Whether there was no function that matters.</param>
    public static string Of(ComplaintClass kind, IEnumerable<string> functions, ulong sequence, out bool isCorrupted)
    {
        var kept = new List<string>();
        foreach (string function in functions)
        {
            string name = Normalise(function);
            if (kept.Count > 0 && (Interruptions.Contains(name) || IsSystemVector(name)))
            {
                break;
            }

            bool matters = name.Length > 0 && !Plumbing.Contains(name) && !IsCheck(name);
            if (matters && (kept.Count == 0 || kept[^1] != name))
            {
                kept.Add(name);
            }

            if (kept.Count == Frames)
            {
                break;
            }
        }

        isCorrupted = kept.Count == 0;
        return isCorrupted
            ? string.Create(CultureInfo.InvariantCulture, $"{kind.ToWord()}{Separator}corrupted{Separator}{sequence}")
            : kind.ToWord() + Separator + string.Join(Separator, kept);
    }

    /// <summary>The fingerprint of a complaint of one line: its words, without what changes from time to time.</summary>
    public static string OfLine(ComplaintClass kind, string line)
    {
        string words = Numbers().Replace(line, "N");
        return kind.ToWord() + Separator + NoWord().Replace(words, "-").Trim('-');
    }

    /// <summary>A function's name without what a compiler adds, and without how a system call is called.</summary>
    public static string Normalise(string function)
    {
        string name = Suffixes().Replace(function, string.Empty);
        Match call = SystemCall().Match(name);
        return call.Success ? call.Groups[1].Value : name;
    }

    private static bool IsCheck(string name) =>
        name.StartsWith("__ubsan_handle_", StringComparison.Ordinal) || name.StartsWith("__refcount_", StringComparison.Ordinal) || IsSystemVector(name);

    private static bool IsSystemVector(string name) => name.StartsWith("sysvec_", StringComparison.Ordinal) || name.StartsWith("asm_sysvec_", StringComparison.Ordinal);

    [GeneratedRegex(@"\.(?:isra|constprop|part|cold|llvm|lto_priv|[0-9])\b.*$")]
    private static partial Regex Suffixes();

    [GeneratedRegex(@"^(?:__ia32_(?:compat_)?sys_|__x64_sys_|__do_(?:compat_)?sys_|__se_(?:compat_)?sys_|ksys_|compat_sys_|sys_)(\w+)$")]
    private static partial Regex SystemCall();

    [GeneratedRegex(@"(?:0x)?[0-9a-fA-F]*[0-9][0-9a-fA-F]*")]
    private static partial Regex Numbers();

    [GeneratedRegex(@"[^A-Za-z0-9_]+")]
    private static partial Regex NoWord();
}
