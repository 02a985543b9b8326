using Lguest.Insight.Health;
using Lguest.Insight.Log;
using Lguest.Insight.Symbols;

namespace Lguest.Insight.Tests.Health;

public sealed class HealthMonitorTests
{
    private const string Boot = "<6>Freeing unused kernel image (initmem) memory: 192K\n<6>Run /sbin/init as init process";

    /// <summary>First lines, whatever else belongs to them, and what becomes of it.</summary>
    public static TheoryData<string, string, string> Complaints => new()
    {
        { KernelTexts.Warning, "warning/personality", "WARNING at arch/x86/events/core.c:2302 __ia32_sys_personality" },
        { KernelTexts.NullCall, "oops/do_personality/personality", "BUG: kernel NULL pointer dereference, address: 00000000" },
        { KernelTexts.OldOops, "oops/getppid/caller", "BUG: unable to handle kernel NULL pointer dereference at virtual address 00000000" },
        { "<4>------------[ cut here ]------------\n<2>kernel BUG at init/main.c:502!\n<4>invalid opcode: 0000 [#1]\n" + KernelTexts.Trap, "kernel-bug/foo/bar", "kernel BUG at init/main.c:502!" },
        { "<4>invalid opcode: 0000 [#1]\n" + KernelTexts.Trap, "invalid-opcode/foo/bar", "invalid opcode: 0000 [#1]" },
        { "<4>Oops: invalid opcode: 0000 [#1] PREEMPT SMP\n" + KernelTexts.Trap, "invalid-opcode/foo/bar", "Oops: invalid opcode: 0000 [#1] PREEMPT SMP" },
        { "<1>BUG: unable to handle page fault for address: ffffffd6\n<4>Oops: Oops: 0002 [#1]\n" + KernelTexts.Trap, "oops/foo/bar", "BUG: unable to handle page fault for address: ffffffd6" },
        { "<2>kernel tried to execute NX-protected page - exploit attempt? (uid: 0)\n<1>BUG: unable to handle page fault for address: c11f88a0\n<1>#PF: supervisor instruction fetch in kernel mode\n<4>Oops: 0011 [#1] PREEMPT\n" + KernelTexts.Trap, "oops/foo/bar", "kernel tried to execute NX-protected page - exploit attempt? (uid: 0)" },
        { "<4>divide error: 0000 [#2]\n" + KernelTexts.Trap, "divide-error/foo/bar", "divide error: 0000 [#2]" },
        { "<4>stack segment: 0000 [#1]\n" + KernelTexts.Trap, "stack-segment/foo/bar", "stack segment: 0000 [#1]" },
        { "<4>segment-related general protection fault: 0010 [#1]\n" + KernelTexts.Trap, "general-protection/foo/bar", "segment-related general protection fault: 0010 [#1]" },
        { "<4>general protection fault, maybe for address 0x0: 0000 [#1]\n" + KernelTexts.Trap, "general-protection/foo/bar", "general protection fault, maybe for address 0x0: 0000 [#1]" },
        { "<4>double fault: 0000 [#1]\n" + KernelTexts.Trap, "oops/foo/bar", "double fault: 0000 [#1]" },
        { "<4>------------[ cut here ]------------\n<4>refcount_t: underflow; use-after-free.\n<4>WARNING: CPU: 0 PID: 1 at lib/refcount.c:28 refcount_warn_saturate+0xb6/0xfc\n<4>Modules linked in:\n" + KernelTexts.Trap, "refcount/foo/bar", "WARNING: refcount_t: underflow; use-after-free. at lib/refcount.c:28 refcount_warn_saturate" },
        { "<4>------------[ cut here ]------------\n<4>WARNING: CPU: 0 PID: 1 at net/core/dev.c:12 dev_x+0x1/0x2 [e1000]()\n<4>eth0: lost\n<4>Modules linked in:\n" + KernelTexts.Stack + "\n<4>---[ end trace 0123456789abcdef ]---", "warning/dev_x/one/two/three", "WARNING: eth0: lost at net/core/dev.c:12 dev_x" },
        { "<4>WARNING: lib/x.c:3 at do_x+0x1/0x2, CPU#0: a b/12\n" + KernelTexts.Trap, "warning/foo/bar", "WARNING at lib/x.c:3 do_x" },
        { "<4>WARNING: at kernel/x.c:12 do_x()\n<4> [<c0104e1a>] show_trace_log_lvl+0x1a/0x30\n<4> [<c0104e2a>] dump_stack+0x1a/0x30\n<4> [<c0104e3a>] do_y+0x1a/0x30\n<4> =======================", "warning/do_x/do_y", "WARNING at kernel/x.c:12 do_x" },
        { "<3>BUG: scheduling while atomic: a b/1/0x00000002\n<4>Modules linked in:\n<3>Preemption disabled at:\n<3>[<c01234ab>] elsewhere+0x1/0x2\n" + KernelTexts.Stack, "atomic/one/two/three", "BUG: scheduling while atomic: a b/1/0x00000002" },
        { "<3>BUG: sleeping function called from invalid context at mm/slab.h:421\n<3>in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 1, name: init\n" + KernelTexts.Stack, "atomic/one/two/three", "BUG: sleeping function called from invalid context at mm/slab.h:421" },
        { "<0>watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kworker/0:1:12]\n<4>Modules linked in:\n<4>EIP: spins+0x1/0x2\n" + KernelTexts.Stack, "soft-lockup/spins/one/two/three", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kworker/0:1:12]" },
        { "<3>BUG: soft lockup detected on CPU#0!\n<4> [<c0104e1a>] softlockup_tick+0x1a/0x30\n<4> [<c0104e2a>] spins+0x1a/0x30\n<4> =======================", "soft-lockup/spins", "BUG: soft lockup detected on CPU#0!" },
        { "<3>BUG: soft lockup detected on CPU#0!\n<4> [<c0104e1a>] softlockup_tick+0x1a/0x30\n<4> [<c0104e1a>] run_local_timers+0x1/0x30\n<4> [<c0104e1a>] update_process_times+0x1/0x30\n<4> [<c0104e1a>] tick_periodic+0x1/0x30\n<4> [<c0104e1a>] tick_handle_periodic+0x1/0x30\n<4> [<c0104e1a>] lguest_time_irq+0x1/0x30\n<4> [<c0104e1a>] do_IRQ+0x1/0x30\n<4> [<c0104e1a>] common_interrupt+0x1/0x30\n<4> [<c0104e2a>] spins+0x1a/0x30\n<4> =======================", "soft-lockup/spins", "BUG: soft lockup detected on CPU#0!" },
        { "<0>BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!", "soft-lockup/BUG-workqueue-lockup-pool", "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!" },
        { "<3>INFO: task a:b[1]: c:77 blocked for more than 120 seconds.\n<3>      Tainted: G        W          6.1.0 #1\n<3>\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\n<6>task:sleeper         state:D stack:0     pid:77    ppid:1      flags:0x00004000\n<6>Call Trace:\n<6> __schedule+0x1/0x2\n<6> schedule+0x1/0x2\n<6> waits+0x1/0x2\n<6> kthread+0x1/0x2", "hung-task/waits", "INFO: task a:b[1]: c:77 blocked for more than 120 seconds." },
        { "<3>rcu: INFO: rcu_preempt self-detected stall on CPU\n<3>rcu: \t0-....: (2100 ticks this GP) idle=e1/1/0x40000002 softirq=1/1 fqs=525\n<4>\t(t=2100 jiffies g=-1199 q=1 ncpus=1)\n" + KernelTexts.Stack, "rcu-stall/one/two/three", "rcu: INFO: rcu_preempt self-detected stall on CPU" },
        { "<3>rcu: INFO: rcu_preempt self-detected stall on CPU\n<3>rcu: \t0-....: (300 ticks this GP) idle=e1/1/0x40000002 softirq=1/1 fqs=0\n<4>\t(t=300 jiffies g=-1199 q=1 ncpus=1)\n<3>rcu: rcu_preempt kthread starved for 300 jiffies! g-1199 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=0\n<3>rcu: RCU grace-period kthread stack dump:\n<6>task:rcu_preempt     state:R stack:0     pid:15    ppid:2      flags:0x00004000\n<6>Call Trace:\n<6> __schedule+0x1/0x2\n<6> rcu_gp_kthread+0x1/0x2\n" + KernelTexts.Stack, "rcu-stall/one/two/three", "rcu: INFO: rcu_preempt self-detected stall on CPU" },
        { KernelTexts.Stall413, "rcu-stall/spins/caller", "INFO: rcu_sched self-detected stall on CPU" },
        { KernelTexts.StallOfTask413, "rcu-stall/reads/caller", "INFO: rcu_preempt detected stalls on CPUs/tasks:" },
        { KernelTexts.Stall54, "rcu-stall/spins/caller", "rcu: INFO: rcu_sched self-detected stall on CPU" },
        { KernelTexts.StallOfThread54, "rcu-stall/rcu_gp_fqs_loop/rcu_gp_kthread", "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:" },
        { KernelTexts.Stall61, "rcu-stall/spins/one/two/three", "rcu: INFO: rcu_preempt self-detected stall on CPU" },
        { "<1>BUG: Bad page state in process init  pfn:00123\n<4>page:c1234567 refcount:0 mapcount:-128 mapping:00000000 index:0x0 pfn:0x123\n<4>page dumped because: nonzero mapcount\n" + KernelTexts.Stack, "bad-page/one/two/three", "BUG: Bad page state in process init  pfn:00123" },
        { "<1>BUG: Bad rss-counter state mm:(ptrval) type:MM_ANONPAGES val:-1", "bad-page/BUG-Bad-rss-counter-state", "BUG: Bad rss-counter state mm:(ptrval) type:MM_ANONPAGES val:-1" },
        { "<3>=============================================================================\n<3>BUG kmalloc-64 (Not tainted): Right Redzone overwritten\n<3>-----------------------------------------------------------------------------\\n\n<3>0xc1234567-0xc1234568 @offset=1. First byte 0x0 instead of 0xcc\n<3>Redzone  c1234567: cc cc cc cc   ....\n" + KernelTexts.Stack + "\n<3>FIX kmalloc-64: Restoring Right Redzone 0xc1234567=0xcc", "slab/one/two/three", "BUG kmalloc-64 (Not tainted): Right Redzone overwritten" },
        { "<3>==================================================================\n<3>BUG: KFENCE: use-after-free read in do_x+0x1/0x2\\n\n<3>Use-after-free read at 0xc1234567 (in kfence-#1):\n<4> one+0x98/0x1c5\n<4> two+0x98/0x1c5\n<3>kfence-#1: c1234567-c1234570, size=32, cache=kmalloc-32", "slab/one/two", "BUG: KFENCE: use-after-free read in do_x+0x1/0x2" },
        { "<3>=============================================================================\n<3>BUG kmalloc-1k (Not tainted): Poison overwritten\n<3>-----------------------------------------------------------------------------\\n\n<3>0xc1234567-0xc1234568 @offset=1. First byte 0x0 instead of 0x6b\n<3>Allocated in allocates+0x1/0x2 age=0 cpu=0 pid=77\n<4> allocates+0x1/0x2\n<4> someone+0x1/0x2\n<3>Freed in frees+0x1/0x2 age=0 cpu=0 pid=77\n<4> frees+0x1/0x2\n<3>Slab 0xc1234567 objects=8 used=8 fp=0x00000000 flags=0x200(slab|zone=0)\n<3>Object   c1234567: 6b 6b   kk\n" + KernelTexts.Stack + "\n<3>FIX kmalloc-1k: Restoring Poison 0xc1234567=0x6b", "slab/one/two/three", "BUG kmalloc-1k (Not tainted): Poison overwritten" },
        { "<3>BUG lkdtm-heap-double_free (Not tainted): Slab has 0 allocated objects but 1 are to be freed\n<3>-----------------------------------------------------------------------------\\n\n<3>Slab 0xc7d2d080 objects=32 used=0 fp=0xc1804008 flags=0x200(slab|zone=0)\n" + KernelTexts.Stack, "slab/one/two/three", "BUG lkdtm-heap-double_free (Not tainted): Slab has 0 allocated objects but 1 are to be freed" },
        { "<3>BUG kmalloc-64 (Tainted: G    B             ): Padding overwritten. 0xc1234567-0xc1234568 @offset=4000\n" + KernelTexts.Stack, "slab/one/two/three", "BUG kmalloc-64 (Tainted: G    B             ): Padding overwritten. 0xc1234567-0xc1234568 @offset=4000" },
        { "<3>pagealloc: memory corruption\n<3>c1234000: 78 78 78 78 78 78 78 78 78 78 78 78 78 78 78 78  xxxxxxxxxxxxxxxx\n<3>c1234010: 78  x\n" + KernelTexts.Stack + "\n<4>page:c2345678 refcount:1 mapcount:0 mapping:00000000 index:0x0 pfn:0x1234\n<4>page dumped because: pagealloc: corrupted page details", "slab/one/two/three", "pagealloc: memory corruption" },
        { "<3>==================================================================\n<3>BUG: KFENCE: memory corruption in do_x+0x1/0x2 [module]\\n\n<3>Corrupted memory at 0xc1234567 [ ! . . ] (in kfence-#1):\n<4> one+0x98/0x1c5\n<4> two+0x98/0x1c5 [module]\n<3>kfence-#1: c1234567-c1234570, size=32, cache=kmalloc-32", "slab/one/two", "BUG: KFENCE: memory corruption in do_x+0x1/0x2 [module]" },
        { "<3>================================================================================\n<3>UBSAN: array-index-out-of-bounds in lib/x.c:12:5\n<3>index 5 is out of range for type 'int [5]'\n" + KernelTexts.Stack + "\n<3>================================================================================", "ubsan/one/two/three", "UBSAN: array-index-out-of-bounds in lib/x.c:12:5" },
        { "<4>======================================================\n<4>WARNING: possible circular locking dependency detected\n<4>6.1.0 #1 Not tainted\n<4>------------------------------------------------------\n<4>init/1 is trying to acquire lock:\n<4>c1234567 (a){+.+.}-{3:3}, at: takes+0x1/0x2\n<4>\\nthe existing dependency chain (in reverse order) is:\n<4>\\n-> #1 (b){+.+.}-{3:3}:\n<4>       elsewhere+0x1/0x2\n<4>\\nother info that might help us debug this:\n<4>\\nstack backtrace:\n" + KernelTexts.Stack, "lockdep/one/two/three", "WARNING: possible circular locking dependency detected" },
        { "<4>=============================\n<4>[ INFO: inconsistent lock state ]\n<4>2.6.23 #1\n<4>inconsistent {a} -> {b} usage.\n<4>stack backtrace:\n<4> [<c0104e2a>] takes+0x1a/0x30\n<4> =======================", "lockdep/takes", "[ INFO: inconsistent lock state ]" },
        { "<4>WARNING: lock held when returning to user space!\n<4>6.1.0 #1 Not tainted\n<4>------------------------------------------------\n<4>x/1 is leaving the kernel with locks still held!\n<4>1 lock held by x/1:\n<4> #0: c1234567 (a){+.+.}-{3:3}, at: takes+0x1/0x2", "lockdep/takes", "WARNING: lock held when returning to user space!" },
        { "<6>kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", "kmemleak/kmemleak-new-suspected-memory-leaks", "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)" },
        { "<3>ref_tracker: leaked reference.\n<3>     one+0x98/0x1c5\n<3>     two+0x98/0x1c5", "ref-tracker/one/two", "ref_tracker: leaked reference." },
        { "<3>irq 5: nobody cared (try booting with the \"irqpoll\" option)\n" + KernelTexts.Stack + "\n<3>handlers:\n<3>[<(ptrval)>] handler\n<0>Disabling IRQ #5", "nobody-cared/one/two/three", "irq 5: nobody cared (try booting with the \"irqpoll\" option)" },
        { "<0>unregister_netdevice: waiting for eth0 to become free. Usage count = 2", "unregister-netdevice/unregister_netdevice-waiting-ethN", "unregister_netdevice: waiting for eth0 to become free. Usage count = 2" },
        { "<3>BUG: spinlock bad magic on CPU#0, init/1\n<3> lock: 0xc1234567, .magic: 00000000, .owner: <none>/-1, .owner_cpu: 0\n" + KernelTexts.Stack, "bug/one/two/three", "BUG: spinlock bad magic on CPU#0, init/1" },
        { "<0>Kernel panic - not syncing: sysrq triggered crash\n" + KernelTexts.Stack + "\n<0>Kernel Offset: disabled\n<4>---[ end Kernel panic - not syncing: sysrq triggered crash ]---", "panic/one/two/three", "Kernel panic - not syncing: sysrq triggered crash" },
        { "<0>Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009", "panic/Attempted-to-kill-init-exitcode-N", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009" },
    };

    [Theory]
    [MemberData(nameof(Complaints))]
    public void A_whole_complaint_is_one_and_has_its_fingerprint(string text, string fingerprint, string title)
    {
        IReadOnlyList<Complaint> found = KernelTexts.Complaints($"{Boot}\n{text}\n<6>eth0: link up\n{Boot}");

        Complaint complaint = Assert.Single(found);
        Assert.Equal(title, complaint.Title);
        Assert.Equal(fingerprint.EndsWith("/0", StringComparison.Ordinal) ? $"{fingerprint[..^1]}{complaint.Sequence}" : fingerprint, complaint.Fingerprint);
        Assert.False(complaint.IsCutShort);
        Assert.False(complaint.CanBeForged);
        Assert.DoesNotContain(complaint.Lines, line => line.Contains("link up", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Complaints))]
    public void The_same_lines_in_the_name_of_a_program_are_none(string text, string fingerprint, string title)
    {
        Assert.Empty(KernelTexts.Complaints(text.Replace("<", "<1,", StringComparison.Ordinal).Replace("<1,TASK", "<TASK", StringComparison.Ordinal)));
        Assert.NotEmpty(fingerprint + title);
    }

    [Theory]
    [MemberData(nameof(Complaints))]
    public void A_first_line_that_a_programs_name_ends_is_none(string text, string fingerprint, string title)
    {
        // A name has fifteen characters. Whatever follows it in the log is the kernel's, and may be a whole trace.
        string name = title[..Math.Min(15, title.Length)];
        foreach (string rest in new[] { "[32]: segfault at 0 ip 08048054 sp bf906890 error 4 in x[8048000+1000]", ": page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)", " invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0", " (32): drop_caches: 3" })
        {
            for (int level = 0; level < 8; level++)
            {
                string body = KernelTexts.Stack.Replace("Comm: init", $"Comm: {name}", StringComparison.Ordinal);
                Assert.Empty(KernelTexts.Complaints($"<{level}>{name}{rest}\n{body}\n<4>---[ end trace 0000000000000000 ]---"));
            }
        }

        Assert.NotEmpty(text + fingerprint);
    }

    [Theory]
    [MemberData(nameof(Complaints))]
    public void A_first_line_elsewhere_than_at_the_start_of_a_record_or_alone_is_none(string text, string fingerprint, string title)
    {
        string[] lines = text.Split('\n');
        int head = Array.FindIndex(lines, line => line.Contains('>', StringComparison.Ordinal) && line[(line.IndexOf('>', StringComparison.Ordinal) + 1)..].Split("\\n")[0].Trim() == title);
        if (head >= 0)
        {
            string priority = lines[head][..(lines[head].IndexOf('>', StringComparison.Ordinal) + 1)];
            string[] inside = [.. lines[..head], $"{priority}x: {title}", .. lines[(head + 1)..]];
            string[] after = [.. lines[..head], $"{priority}x\\n{title}", .. lines[(head + 1)..]];
            Assert.DoesNotContain(KernelTexts.Complaints(string.Join('\n', inside)), found => found.Title == title);
            Assert.DoesNotContain(KernelTexts.Complaints(string.Join('\n', after)), found => found.Title == title);
            if (lines.Length > 1)
            {
                IReadOnlyList<Complaint> alone = KernelTexts.Complaints($"{lines[head]}\n<6>eth0: link up");
                Assert.DoesNotContain(alone, found => found.Class != ComplaintClass.Panic);
            }
        }

        Assert.NotEmpty(fingerprint);
    }

    /// <summary>Who is said to have stalled, and what the last line of it is.</summary>
    [Theory]
    [InlineData(nameof(KernelTexts.Stall413), "spinner[77]")]
    [InlineData(nameof(KernelTexts.StallOfTask413), "a  R 1[77]")]
    [InlineData(nameof(KernelTexts.Stall54), "spinner[77]")]
    [InlineData(nameof(KernelTexts.StallOfThread54), null)]
    [InlineData(nameof(KernelTexts.Stall61), "init[1]")]
    public void The_thread_of_rcu_is_part_of_a_stall_and_not_who_stalled(string name, string? task)
    {
        string text = (string)typeof(KernelTexts).GetField(name)!.GetRawConstantValue()!;

        Complaint stall = Assert.Single(KernelTexts.Complaints($"{text}\n{Boot}\n{KernelTexts.Stack}"));

        Assert.Equal(task, stall.Task);
        Assert.Equal(KernelTexts.Records(text).Select(record => record.Text), stall.Lines);
    }

    [Fact]
    public void A_stall_that_was_over_before_there_was_anything_to_show_is_none()
    {
        const string Over = "<3>rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n<4>\t(detected by 0, t=2102 jiffies, g=1, q=2)\n<3>rcu: INFO: Stall ended before state dump start";

        Assert.Empty(KernelTexts.Complaints($"{Over}\n{Boot}\n{KernelTexts.Stack}"));
        Assert.Equal(ComplaintClass.Atomic, Assert.Single(KernelTexts.Complaints($"{Over}\n<3>BUG: scheduling while atomic: a/1/0x00000002\n{KernelTexts.Stack}")).Class);
    }

    [Fact]
    public void A_complaint_at_a_level_that_the_kernel_doesnt_say_it_with_is_none()
    {
        Assert.Empty(KernelTexts.Complaints(KernelTexts.Warning.Replace("<4>WARNING", "<6>WARNING", StringComparison.Ordinal)));
        Assert.Empty(KernelTexts.Complaints("<6>BUG: spinlock bad magic on CPU#0, init/1\n" + KernelTexts.Stack));
        Assert.Empty(KernelTexts.Complaints("<4>Kernel panic - not syncing: no"));
    }

    [Fact]
    public void Every_class_but_that_of_the_taint_is_found_in_some_text()
    {
        IEnumerable<string> found = Complaints.Select(row => row.Data.Item2.Split('/')[0]).Distinct().Order();

        Assert.Equal(Enum.GetValues<ComplaintClass>().Where(each => each != ComplaintClass.Taint).Select(each => each.ToWord()).Order(), found);
    }

    [Fact]
    public void A_warning_says_where_in_which_task_and_what_was_in_the_registers()
    {
        Complaint complaint = Assert.Single(KernelTexts.Complaints(KernelTexts.Warning));

        Assert.Equal("WARNING: CPU: 0[32]", complaint.Task);
        Assert.Equal(string.Empty, complaint.Taint);
        Assert.Equal("__ia32_sys_personality+0x0/0x20", complaint.Location?.Text);
        Assert.Equal(5, complaint.Registers.Count);
        Assert.Equal(["ia32_sys_call", "do_int80_syscall_32", "entry_INT80_32"], complaint.Trace.Select(frame => frame.Function));
        Assert.Equal([false, true, true], complaint.Trace.Select(frame => frame.IsReliable));
        Assert.Equal(19, complaint.Lines.Count);
        Assert.Equal("=> 0f0b                   ud2", CodeLine.Disassemble(complaint.Code!).First(line => line.StartsWith("=>", StringComparison.Ordinal)));
    }

    [Fact]
    public void An_oops_of_2_6_23_says_the_same()
    {
        Complaint complaint = Assert.Single(KernelTexts.Complaints(KernelTexts.OldOops));

        Assert.Equal("init[1]", complaint.Task);
        Assert.Equal(string.Empty, complaint.Taint);
        Assert.Equal("sys_getppid+0x0/0x20", complaint.Location?.Text);
        Assert.Equal("55 89 e5 <a1> 00 00 00 00 c3", complaint.Code);
        Assert.Equal("DW", Assert.Single(KernelTexts.Complaints(KernelTexts.NullCall)).Taint);
    }

    [Fact]
    public void What_differs_from_time_to_time_doesnt_change_a_fingerprint()
    {
        string other = KernelTexts.NullCall
            .Replace("address: 00000000", "address: 00000123", StringComparison.Ordinal).Replace("+0x4/0x20", "+0x14/0x90", StringComparison.Ordinal)
            .Replace("[#1]", "[#7]", StringComparison.Ordinal).Replace(".constprop.0", ".isra.3.cold", StringComparison.Ordinal)
            .Replace("PID: 32 Comm: x y", "PID: 9 Comm: z", StringComparison.Ordinal).Replace("? ia32_sys_call", "? something_else", StringComparison.Ordinal);

        Assert.Equal(KernelTexts.Complaints(KernelTexts.NullCall)[0].Fingerprint, KernelTexts.Complaints(other)[0].Fingerprint);
    }

    [Theory]
    [InlineData("asm_common_interrupt")]
    [InlineData("asm_sysvec_apic_timer_interrupt")]
    [InlineData("__do_softirq")]
    public void What_was_interrupted_is_no_part_of_a_fingerprint_unless_it_is_all_there_is(string entry)
    {
        Assert.Equal("oops/handler", Fingerprint.Of(ComplaintClass.Oops, ["handler", entry, "anything", "at_all"], 0, out _));
        Assert.Equal("soft-lockup/anything/at_all", Fingerprint.Of(ComplaintClass.SoftLockup, ["watchdog_timer_fn", entry, "anything", "at_all"], 0, out _));
    }

    [Fact]
    public void Who_hangs_is_the_task()
    {
        string text = Complaints.Single(row => row.Data.Item2 == "hung-task/waits").Data.Item1;

        Assert.Equal("sleeper[77]", Assert.Single(KernelTexts.Complaints(text)).Task);
    }

    [Fact]
    public void A_complaint_without_functions_is_never_the_same_as_another()
    {
        string trap = "<4>Oops: 0000 [#1]\n<4>EIP: 0x0\n<4>Call Trace:\n<4> ? unsure+0x1/0x2\n<4>---[ end trace 0 ]---";
        IReadOnlyList<Complaint> found = KernelTexts.Complaints($"{trap}\n{trap}");

        Assert.Equal(2, found.Count);
        Assert.All(found, complaint => Assert.True(complaint.IsCorrupted));
        Assert.NotEqual(found[0].Fingerprint, found[1].Fingerprint);
    }

    [Fact]
    public void Addresses_that_the_kernel_has_no_names_for_get_those_of_the_symbols()
    {
        var monitor = new HealthMonitor(() => new SymbolTable([new Symbol("named", 0xc010_0000, 0x10, true)]));
        foreach (KernelRecord record in KernelTexts.Records("<4>Oops: 0000 [#1]\n<4>EIP: 0xc0100004\n<4>Call Trace:\n<4> 0xc0100008\n<4> 0xc0200000\n<4>---[ end trace 0 ]---"))
        {
            monitor.Add(record);
        }

        Complaint complaint = Assert.Single(monitor.Complaints);
        Assert.Equal("named+0x4/0x10", complaint.Location?.Text);
        Assert.Equal(["named+0x8/0x10", "0xc0200000"], complaint.Trace.Select(frame => frame.Text));
        Assert.Equal("oops/named", complaint.Fingerprint);
    }

    [Fact]
    public void Complaints_that_follow_each_other_stay_apart()
    {
        string text = string.Join('\n', Complaints.Select(row => row.Data.Item1));

        Assert.Equal(Complaints.Select(row => row.Data.Item3), KernelTexts.Complaints(text).Select(complaint => complaint.Title));
    }

    [Fact]
    public void A_line_of_another_complaint_may_stand_in_the_middle_of_one()
    {
        string[] lines = KernelTexts.Warning.Split('\n');
        string text = string.Join('\n', [.. lines[..5], "<6>kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", "<1,2>BUG: x", .. lines[5..]]);

        Assert.Equal(["kmemleak", "warning"], KernelTexts.Complaints(text).Select(complaint => complaint.Class.ToWord()));
    }

    [Fact]
    public void A_complaint_whose_end_was_lost_counts_if_all_else_is_there()
    {
        string[] lines = KernelTexts.NullCall.Split('\n');

        Complaint complaint = Assert.Single(KernelTexts.Complaints(string.Join('\n', lines[..14])));
        Assert.True(complaint.IsCutShort);
        Assert.Empty(KernelTexts.Complaints(string.Join('\n', lines[..5])));
    }

    [Fact]
    public void What_root_can_forge_says_so()
    {
        var monitor = new HealthMonitor();
        foreach (KernelRecord record in KernelTexts.Records(KernelTexts.Warning))
        {
            monitor.Add(record with { Facility = null });
        }

        Assert.True(Assert.Single(monitor.Complaints).CanBeForged);
    }

    [Fact]
    public void Complaints_without_end_are_counted_and_not_kept()
    {
        var monitor = new HealthMonitor();
        for (int i = 0; i < HealthMonitor.MostComplaints + 5; i++)
        {
            foreach (KernelRecord record in KernelTexts.Records(KernelTexts.Warning))
            {
                monitor.Add(record);
            }
        }

        Assert.Equal((HealthMonitor.MostComplaints, 5), (monitor.Complaints.Count, monitor.MoreComplaints));
    }

    [Fact]
    public void Of_the_taint_the_letters_count_that_say_that_something_went_wrong()
    {
        Assert.Equal("PFSRMBUDAWCIOELKXTN", KernelTaint.ToLetters((1u << 19) - 1));
        Assert.Equal("MBDWL", KernelTaint.ToCountingLetters(uint.MaxValue));
        Assert.Equal(string.Empty, KernelTaint.ToCountingLetters((1u << 18) | (1u << 12)));
    }

    [Fact]
    public void A_taint_that_no_complaint_explains_is_one()
    {
        const uint Warned = 1 << 9;
        const uint Died = 1 << 7;
        const uint Test = 1 << 18;
        IReadOnlyList<Complaint> warning = KernelTexts.Complaints(KernelTexts.Warning);

        Assert.Null(TaintCheck.Unexplained(Test, []));
        Assert.Null(TaintCheck.Unexplained(Warned | Test, warning));
        Assert.Equal("taint/D", TaintCheck.Unexplained(Warned | Died, warning)?.Fingerprint);
        Assert.Equal("taint/DW", TaintCheck.Unexplained(Warned | Died | Test, [])?.Fingerprint);
        Assert.Equal("DWN", TaintCheck.Unexplained(Warned | Died | Test, [])?.Taint);
    }

    [Theory]
    [InlineData("55 89 e5 <a1> 00 00 00 00 c3 0f", "   55                     push ebp|   89e5                   mov ebp,esp|=> a100000000             mov eax,[0]|   c3                     ret")]
    [InlineData("00 <0f> 0b", "=> 0f0b                   ud2")]
    [InlineData("Unable to access opcode bytes at 0x0.", "")]
    [InlineData("0f 0b", "")]
    public void The_bytes_at_the_instruction_are_disassembled(string code, string lines) =>
        Assert.Equal(lines.Split('|', StringSplitOptions.RemoveEmptyEntries), CodeLine.Disassemble(code));
}
