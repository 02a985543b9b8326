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
