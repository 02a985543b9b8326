using System.Globalization;
using Lguest.Insight.Health;
using Lguest.Insight.Log;

namespace Lguest.Insight.Tests.Health;

/// <summary>What kernels say, a record a line: <c>&lt;level&gt;text</c>, or <c>&lt;facility,level&gt;text</c>.</summary>
internal static class KernelTexts
{
    /// <summary>Of the shipped kernel, a process named <c>WARNING: CPU: 0</c> having run into WARN_ON().</summary>
    public const string Warning =
        """
        <4>------------[ cut here ]------------
        <4>WARNING: CPU: 0 PID: 32 at arch/x86/events/core.c:2302 __ia32_sys_personality+0x0/0x20
        <4>CPU: 0 PID: 32 Comm: WARNING: CPU: 0 Not tainted 6.1.176-lguest #1 
        <4>EIP: __ia32_sys_personality+0x0/0x20
        <4>Code: c3 cc cc 55 ba 68 92 7c c0 89 e5 e8 83 ee 0c 00 31 c0 5d c3 8d b4 26 00 00 00 00 90 <0f> 0b c3 31 c9
        <4>EAX: c02dbfb4 EBX: c02dbfb4 ECX: 00000000 EDX: 00000088
        <4>ESI: ffc04000 EDI: c02dbff8 EBP: c02dbfa0 ESP: c02dbf9c
        <4>DS: 007b ES: 007b FS: 0000 GS: 0000 SS: 0068 EFLAGS: 00010287
        <4>CR0: 80050033 CR2: 08048054 CR3: 002d5000 CR4: 00000690
        <4>Call Trace:
        <4> ? ia32_sys_call+0xc86/0x11b0
        <4> do_int80_syscall_32+0x25/0x50
        <4> entry_INT80_32+0xef/0xef
        <4>EIP: 0x804805b
        <4>Code: 00 00 00 01 00 <b8> 01
        <4>EAX: ffffffda EBX: 00000000 ECX: 00000000 EDX: 00000000
        <4>ESI: 00000000 EDI: 00000000 EBP: 00000000 ESP: bf906890
        <4>DS: 007b ES: 007b FS: 0000 GS: 0000 SS: 007b EFLAGS: 00000202
        <4>---[ end trace 0000000000000000 ]---
        """;

    /// <summary>Of the shipped kernel, which called address 0.</summary>
    public const string NullCall =
        """
        <1>BUG: kernel NULL pointer dereference, address: 00000000
        <1>#PF: supervisor read access in kernel mode
        <1>#PF: error_code(0x0000) - not-present page
        <6>*pde = 00000000 
        <4>Oops: 0000 [#1]
        <4>CPU: 0 PID: 32 Comm: x y Tainted: G      D W          6.1.176-lguest #1 
        <4>EIP: 0x0
        <4>Code: Unable to access opcode bytes at 0xffffffd6.
        <4>EAX: 00000000 EBX: c02dbfb4 ECX: 00000000 EDX: 00000088
        <4>ESI: ffc04000 EDI: c02dbff8 EBP: c02dbfa0 ESP: c02dbf98
        <4>DS: 007b ES: 007b FS: 0000 GS: 0000 SS: 0068 EFLAGS: 00010246
        <4>CR0: 80050033 CR2: ffffffd6 CR3: 002d5000 CR4: 00000690
        <4>Call Trace:
        <4> do_personality.constprop.0+0x4/0x20
        <4> __se_sys_personality+0x4/0x20
        <4> __ia32_sys_personality+0x4/0x20
        <4> ? ia32_sys_call+0xc86/0x11b0
        <4> do_int80_syscall_32+0x25/0x50
        <4> entry_INT80_32+0xef/0xef
        <4>CR2: 0000000000000000
        <4>---[ end trace 0000000000000000 ]---
        <4>EIP: 0x0
        <4>Code: Unable to access opcode bytes at 0xffffffd6.
        <4>EAX: 00000000 EBX: c02dbfb4 ECX: 00000000 EDX: 00000088
        """;

    /// <summary>What follows a trap's first lines.</summary>
    public const string Trap =
        """
        <4>CPU: 0 PID: 32 Comm: x Not tainted 6.1.176-lguest #1 
        <4>EIP: foo.cold+0x0/0x20
        <4>EAX: 00000000 EBX: c02dbfb4 ECX: 00000000 EDX: 00000088
        <4>Call Trace:
        <4> bar+0x25/0x50
        <4>---[ end trace 0000000000000000 ]---
        """;

    /// <summary>What dump_stack() prints.</summary>
    public const string Stack =
        """
        <4>CPU: 0 PID: 1 Comm: init Not tainted 6.1.176-lguest #1 
        <4>Call Trace:
        <4> <TASK>
        <4> dump_stack_lvl+0x1b/0x25
        <4> dump_stack+0xd/0x10
        <4> one+0x98/0x1c5
        <4> ? unsure+0x1/0x2
        <4> two.isra.0.cold+0x1/0x2 [module]
        <4> three+0x1/0x2
        <4> ret_from_fork+0x1c/0x28
        <4> </TASK>
        """;

    /// <summary>Of a real 2.6.23 in ring 1 with CONFIG_PRINTK_TIME unset.</summary>
    public const string OldOops =
        """
        <1>BUG: unable to handle kernel NULL pointer dereference at virtual address 00000000
        <1> printing eip:
        <4>c0117ea0
        <1>*pde = 00000000
        <0>Oops: 0000 [#1]
        <4>Modules linked in:
        <0>CPU:    0
        <4>EIP:    0061:[<c0117ea0>]    Not tainted VLI
        <4>EFLAGS: 00010246   (2.6.23 #1)
        <0>EIP is at sys_getppid+0x0/0x20
        <0>eax: 00000000   ebx: c02dbfb4   ecx: 00000000   edx: 00000088
        <0>esi: 00000000   edi: c02dbff8   ebp: c02dbfa0   esp: c02dbf9c
        <0>ds: 007b   es: 007b   fs: 0000  gs: 0000  ss: 0069
        <0>Process init (pid: 1, ti=c1022000 task=c1020a90 task.ti=c1022000)
        <0>Stack: c0104d3e 00000000 00000000 00000000 00000000 00000000 00000000 ffffffda 
        <4>       0000007b 0000007b 00000000 00000040 
        <0>Call Trace:
        <4> [<c0104d3e>] syscall_call+0x7/0xb
        <4> [<c0117ea0>] sys_caller+0x7/0xb
        <4> =======================
        <0>Code: 55 89 e5 <a1> 00 00 00 00 c3 
        <0>EIP: [<c0117ea0>] sys_getppid+0x0/0x20 SS:ESP 0069:c1023fac
        """;

    /// <summary>As Linux 4.13 says it: after the starved thread's line comes its stack, and then the processor's.</summary>
    public const string Stall413 =
        """
        <3>INFO: rcu_sched self-detected stall on CPU
        <3>	0-...: (2099 ticks this GP) idle=d4e/140000000000001/0 softirq=83/83 fqs=0 
        <3>	 (t=2100 jiffies g=-174 c=-175 q=4)
        <3>rcu_sched kthread starved for 2100 jiffies! g18446744073709551442 c18446744073709551441 f0x0 RCU_GP_WAIT_FQS(3) ->state=0x0
        <6>rcu_sched       R  running task        0     8      2 0x00000000
        <4>Call Trace:
        <4> __schedule+0x1a2/0x4c0
        <4> schedule+0x2c/0x70
        <4> schedule_timeout+0x5f/0xd0
        <4> ? call_timer_fn+0x90/0x90
        <4> rcu_gp_kthread+0x3e1/0x650
        <4> kthread+0xd9/0x100
        <4> ret_from_fork+0x19/0x24
        <6>Task dump for CPU 0:
        <6>spinner         R  running task        0    77      1 0x00000000
        <4>Call Trace:
        <4> ? update_process_times+0x1/0x2
        <4> spins+0x1/0x2
        <4> caller+0x1/0x2
        """;

    /// <summary>The same of a task that was preempted while it read: the stacks come in the other order.</summary>
    public const string StallOfTask413 =
        """
        <3>INFO: rcu_preempt detected stalls on CPUs/tasks:
        <3>	Tasks blocked on level-0 rcu_node (CPUs 0-0): P77 P78
        <3>	(detected by 0, t=2102 jiffies, g=21, c=20, q=5)
        <6>a  R 1          R  running task        0    77      1 0x00000000
        <4>Call Trace:
        <4> __schedule+0x1/0x2
        <4> reads+0x1/0x2
        <4> caller+0x1/0x2
        <6>other           D c1234567     0    78      1 0x00000000
        <4>Call Trace:
        <4> elsewhere+0x1/0x2
        <3>rcu_preempt kthread starved for 2102 jiffies! g21 c20 f0x0 RCU_GP_WAIT_FQS(3) ->state=0x1
        <6>rcu_preempt     S    0     7      2 0x00000000
        <4>Call Trace:
        <4> __schedule+0x1/0x2
        <4> rcu_gp_kthread+0x1/0x2
        """;

    /// <summary>As Linux 5.4 says it.</summary>
    public const string Stall54 =
        """
        <3>rcu: INFO: rcu_sched self-detected stall on CPU
        <3>rcu: 	0-....: (2099 ticks this GP) idle=d4e/1/0x40000002 softirq=83/83 fqs=0 
        <4>	(t=2100 jiffies g=-1191 q=4)
        <3>rcu: rcu_sched kthread starved for 2100 jiffies! g-1191 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=0
        <3>rcu: RCU grace-period kthread stack dump:
        <6>rcu_sched       R  running task        0    10      2 0x80004000
        <4>Call Trace:
        <4> __schedule+0x1/0x2
        <4> rcu_gp_fqs_loop+0x1/0x2
        <4> rcu_gp_kthread+0x1/0x2
        <6>Task dump for CPU 0:
        <6>spinner         R  running task        0    77      1 0x00000000
        <4>Call Trace:
        <4> spins+0x1/0x2
        <4> caller+0x1/0x2
        """;

    /// <summary>The same of nobody but RCU's thread.</summary>
    public const string StallOfThread54 =
        """
        <3>rcu: INFO: rcu_sched detected stalls on CPUs/tasks:
        <4>	(detected by 0, t=2102 jiffies, g=-1191, q=4)
        <3>rcu: All QSes seen, last rcu_sched kthread activity 2100 (-28000--30100), jiffies_till_next_fqs=1, root ->qsmask 0x0
        <3>rcu: rcu_sched kthread starved for 2100 jiffies! g-1191 f0x2 RCU_GP_CLEANUP(7) ->state=0x0 ->cpu=0
        <3>rcu: RCU grace-period kthread stack dump:
        <6>rcu_sched       R  running task        0    10      2 0x80004000
        <4>Call Trace:
        <4> __schedule+0x1/0x2
        <4> rcu_gp_fqs_loop+0x1/0x2
        <4> rcu_gp_kthread+0x1/0x2
        """;

    /// <summary>As Linux 6.1 says it: what ran where the thread should have run, and then what runs there.</summary>
    public const string Stall61 =
        """
        <3>rcu: INFO: rcu_preempt self-detected stall on CPU
        <3>rcu: 	0-....: (299 ticks this GP) idle=e1c4/1/0x40000002 softirq=1/1 fqs=0 (false positive?)
        <4>	(t=300 jiffies g=-1199 q=1 ncpus=1)
        <3>rcu: rcu_preempt kthread timer wakeup didn't happen for 299 jiffies! g-1199 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x402
        <3>rcu: 	Possible timer handling issue on cpu=0 timer-softirq=12
        <3>rcu: rcu_preempt kthread starved for 300 jiffies! g-1199 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x402 ->cpu=0
        <3>rcu: 	Unless rcu_preempt kthread gets sufficient CPU time, OOM is now expected behavior.
        <3>rcu: RCU grace-period kthread stack dump:
        <6>task:rcu_preempt     state:I stack:0     pid:15    ppid:2      flags:0x00004000
        <6>Call Trace:
        <6> __schedule+0x1/0x2
        <6> rcu_gp_fqs_loop+0x1/0x2
        <3>rcu: Stack dump where RCU GP kthread last ran:
        <4>CPU: 0 PID: 1 Comm: init Not tainted 6.1.176-lguest #1 
        <4>EIP: spins+0x1/0x2
        <4>EAX: 00000000 EBX: c02dbfb4 ECX: 00000000 EDX: 00000088
        <4>Call Trace:
        <4> one+0x1/0x2
        <4> two+0x1/0x2
        <4> three+0x1/0x2
        <4>CPU: 0 PID: 1 Comm: init Not tainted 6.1.176-lguest #1 
        <4>EIP: spins+0x1/0x2
        <4>Call Trace:
        <4> one+0x1/0x2
        """;

    /// <summary>The records of a text.</summary>
    public static IEnumerable<KernelRecord> Records(string text, ulong first = 0) =>
        text.Replace("\r", string.Empty, StringComparison.Ordinal).Split('\n').Select((line, i) =>
        {
            string[] priority = line[1..line.IndexOf('>', StringComparison.Ordinal)].Split(',');
            return new KernelRecord
            {
                Sequence = first + (ulong)i,
                Facility = priority.Length == 2 ? int.Parse(priority[0], CultureInfo.InvariantCulture) : KernelRecord.KernelFacility,
                Level = int.Parse(priority[^1], CultureInfo.InvariantCulture),
                Nanoseconds = (ulong)i,
                Text = line[(line.IndexOf('>', StringComparison.Ordinal) + 1)..].Replace("\\n", "\n", StringComparison.Ordinal),
            };
        });

    /// <summary>What is found in a text.</summary>
    public static IReadOnlyList<Complaint> Complaints(string text)
    {
        var monitor = new HealthMonitor();
        foreach (KernelRecord record in Records(text))
        {
            monitor.Add(record);
        }

        monitor.Finish();
        return monitor.Complaints;
    }
}
