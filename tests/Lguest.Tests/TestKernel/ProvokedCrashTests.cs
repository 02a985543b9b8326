using System.Text.RegularExpressions;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;
using Lguest.TestSupport;
using static Lguest.Tests.TestKernel.TestKernelRun;

namespace Lguest.Tests.TestKernel;

/// <summary>
/// What a real kernel does when it is asked to go wrong (LKDTM), in a child of a command that ends with 0: the exit code, and the first
/// complaint in the report. The console says nothing of it.
/// </summary>
public sealed class ProvokedCrashTests(ReadyKernels kernels) : IClassFixture<ReadyKernels>, IDisposable
{
    private readonly TestFolder _folder = new();

    /// <summary>The kind of crash, words for the kernel's command line, the first complaint's fingerprint up to where it is the same for all, and its title.</summary>
    public static TheoryData<string, string, string, string> Complaints => new()
    {
        { "BUG", "", "kernel-bug/lkdtm_BUG", @"^kernel BUG at drivers/misc/lkdtm/bugs\.c:\d+!$" },
        { "WARNING", "", "warning/lkdtm_WARNING", @"^WARNING at drivers/misc/lkdtm/bugs\.c:\d+ lkdtm_WARNING$" },
        { "WARNING_MESSAGE", "", "warning/lkdtm_WARNING_MESSAGE", @"^WARNING: Warning message trigger count: 1 at drivers/misc/lkdtm/bugs\.c:\d+ lkdtm_WARNING_MESSAGE$" },
        { "EXCEPTION", "", "oops/lkdtm_EXCEPTION", "^BUG: kernel NULL pointer dereference, address: 00000000$" },

        { "ARRAY_BOUNDS", "", "ubsan/lkdtm_ARRAY_BOUNDS", @"^UBSAN: array-index-out-of-bounds in \S*drivers/misc/lkdtm/bugs\.c:\d+:\d+$" },
        { "CORRUPT_LIST_ADD", "", "warning/lkdtm_CORRUPT_LIST_ADD", @"^WARNING: list_add corruption\. .* at lib/list_debug\.c:\d+ __list_add_valid" },
        { "CORRUPT_LIST_DEL", "", "warning/lkdtm_CORRUPT_LIST_DEL", @"^WARNING: list_del corruption\. .* at lib/list_debug\.c:\d+ __list_del_entry_valid" },
        { "FORTIFY_STR_OBJECT", "", "kernel-bug/lkdtm_FORTIFY_STR_OBJECT", @"^kernel BUG at lib/string_helpers\.c:\d+!$" },
        { "FORTIFY_STR_MEMBER", "", "kernel-bug/lkdtm_FORTIFY_STR_MEMBER", @"^kernel BUG at lib/string_helpers\.c:\d+!$" },
        { "FORTIFY_MEM_OBJECT", "", "kernel-bug/lkdtm_FORTIFY_MEM_OBJECT", @"^kernel BUG at lib/string_helpers\.c:\d+!$" },
        { "FORTIFY_STRSCPY", "", "kernel-bug/lkdtm_FORTIFY_STRSCPY", @"^kernel BUG at lib/string_helpers\.c:\d+!$" },
        { "USERCOPY_KERNEL", "", "kernel-bug/lkdtm_USERCOPY_KERNEL", @"^kernel BUG at mm/usercopy\.c:\d+!$" },
        { "USERCOPY_STACK_FRAME_TO", "", "kernel-bug/do_usercopy_stack", @"^kernel BUG at mm/usercopy\.c:\d+!$" },

        { "WRITE_RO", "", "oops/lkdtm_WRITE_RO", "^BUG: unable to handle page fault for address: [0-9a-f]{8}$" },
        { "WRITE_RO_AFTER_INIT", "", "oops/lkdtm_WRITE_RO_AFTER_INIT", "^BUG: unable to handle page fault for address: [0-9a-f]{8}$" },
        { "WRITE_KERN", "", "oops/lkdtm_WRITE_KERN", "^BUG: unable to handle page fault for address: [0-9a-f]{8}$" },
        { "EXEC_DATA", "", "oops/data_area/lkdtm_EXEC_DATA", "^kernel tried to execute NX-protected page - exploit attempt" },
        { "EXEC_STACK", "", "oops/lkdtm_EXEC_STACK", "^kernel tried to execute NX-protected page - exploit attempt" },
        { "EXEC_KMALLOC", "", "oops/lkdtm_EXEC_KMALLOC", "^kernel tried to execute NX-protected page - exploit attempt" },
        { "EXEC_VMALLOC", "", "oops/lkdtm_EXEC_VMALLOC", "^kernel tried to execute NX-protected page - exploit attempt" },
        { "EXEC_RODATA", "", "oops/lkdtm_rodata_do_nothing/lkdtm_EXEC_RODATA", "^kernel tried to execute NX-protected page - exploit attempt" },
        { "EXEC_NULL", "", "oops/execute_location/lkdtm_EXEC_NULL", "^BUG: kernel NULL pointer dereference, address: 00000000$" },
        { "ACCESS_NULL", "", "oops/lkdtm_ACCESS_NULL", "^BUG: kernel NULL pointer dereference, address: 00000000$" },
        { "VMALLOC_LINEAR_OVERFLOW", "", "kernel-bug/lkdtm_VMALLOC_LINEAR_OVERFLOW", @"^kernel BUG at lib/string_helpers\.c:\d+!$" },

        { "REFCOUNT_INC_OVERFLOW", "", "refcount/lkdtm_REFCOUNT_INC_OVERFLOW", @"^WARNING: refcount_t: saturated; leaking memory\. at lib/refcount\.c:\d+ refcount_warn_saturate$" },
        { "REFCOUNT_ADD_OVERFLOW", "", "refcount/lkdtm_REFCOUNT_ADD_OVERFLOW", @"^WARNING: refcount_t: saturated; leaking memory\. at " },
        { "REFCOUNT_DEC_ZERO", "", "refcount/lkdtm_REFCOUNT_DEC_ZERO", @"^WARNING: refcount_t: decrement hit 0; leaking memory\. at " },
        { "REFCOUNT_INC_ZERO", "", "refcount/lkdtm_REFCOUNT_INC_ZERO", @"^WARNING: refcount_t: addition on 0; use-after-free\. at " },
        { "REFCOUNT_SUB_AND_TEST_NEGATIVE", "", "refcount/lkdtm_REFCOUNT_SUB_AND_TEST_NEGATIVE", @"^WARNING: refcount_t: underflow; use-after-free\. at " },

        { "SLAB_LINEAR_OVERFLOW", "slub_debug=FZPU", "slab/lkdtm_SLAB_LINEAR_OVERFLOW", @"^BUG kmalloc-1k \(Not tainted\): Right Redzone overwritten$" },
        { "WRITE_AFTER_FREE", "slub_debug=FZPU", "slab/lkdtm_WRITE_AFTER_FREE", @"^BUG kmalloc-1k \(Not tainted\): Poison overwritten$" },
        { "WRITE_AFTER_FREE", "slub_debug=FZP", "slab/lkdtm_WRITE_AFTER_FREE", @"^BUG kmalloc-1k \(Not tainted\): Poison overwritten$" },
        { "SLAB_FREE_DOUBLE", "slub_debug=FZPU", "slab/lkdtm_SLAB_FREE_DOUBLE", @"^BUG lkdtm-heap-double_free \(Not tainted\): (?:Slab has 0 allocated objects but 1 are to be freed|Object already free)$" },
        { "SLAB_FREE_CROSS", "slub_debug=FZ", "warning/lkdtm_SLAB_FREE_CROSS", "^WARNING: cache_from_obj: Wrong slab cache\\. lkdtm-heap-b but object is from lkdtm-heap-a at mm/" },
        { "SLAB_FREE_PAGE", "slub_debug=FZ", "oops/lkdtm_SLAB_FREE_PAGE", "^BUG: kernel NULL pointer dereference, address: [0-9a-f]{8}$" },
        { "WRITE_BUDDY_AFTER_FREE", "page_poison=1", "slab/get_page_from_freelist/__alloc_pages/__get_free_pages/lkdtm_WRITE_BUDDY_AFTER_FREE", "^pagealloc: memory corruption$" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Complaints))]
    public void A_kernel_that_goes_wrong_in_a_child_of_a_command_that_ends_well_is_found_out(string type, string words, string fingerprint, string title)
    {
        RunReport report = kernels.Command(Provoke(type), words);

        Assert.True(report.Outcome.ExitCode == 104 && report.Outcome.GuestStatus == 0 && report.Health.Count > 0, Describe(report));
        ComplaintReport complaint = report.Health[0];
        Assert.True(complaint.Fingerprint.StartsWith(fingerprint, StringComparison.Ordinal) && Regex.IsMatch(complaint.Title, title), Describe(report));
        Assert.Matches(@"^sh\[\d+\]$", complaint.Task);
        Assert.NotEmpty(complaint.Trace);
        Assert.DoesNotContain(report.Health, each => each.Class == "taint");
        Assert.DoesNotContain("corrupted", complaint.Fingerprint, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("UNALIGNED_LOAD_STORE_WRITE", "")]
    [InlineData("OVERFLOW_UNSIGNED", "")]
    [InlineData("READ_AFTER_FREE", "slub_debug=FZPU")]
    [InlineData("READ_BUDDY_AFTER_FREE", "page_poison=1")]
    [InlineData("REPORT_STACK", "")]
    public void What_the_kernel_lives_with_is_no_complaint(string type, string words)
    {
        RunReport report = kernels.Command(Provoke(type) + "; dmesg | grep -q lkdtm || exit 9", words);

        Assert.True(report.Outcome.ExitCode == 0 && report.Health.Count == 0, Describe(report));
    }

    [Theory]
    [InlineData("PANIC", "panic/lkdtm_PANIC/lkdtm_do_action/direct_entry", "^Kernel panic - not syncing: dumptest$")]
    [InlineData("CORRUPT_STACK", "panic/lkdtm_CORRUPT_STACK", @"^Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: lkdtm_CORRUPT_STACK\+0x")]
    [InlineData("CORRUPT_STACK_STRONG", "panic/lkdtm_CORRUPT_STACK_STRONG", @"^Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: lkdtm_CORRUPT_STACK_STRONG\+0x")]
    public void A_kernel_that_gives_up_has_died(string type, string fingerprint, string title)
    {
        RunReport report = kernels.Command(Provoke(type));

        Assert.True(report.Outcome.ExitCode == 100 && report.Outcome.Condition == RunCondition.KernelDied, Describe(report));
        ComplaintReport complaint = Assert.Single(report.Health, each => each.Class != "end");
        Assert.True(complaint.Fingerprint.StartsWith(fingerprint, StringComparison.Ordinal) && Regex.IsMatch(complaint.Title, title), Describe(report));
        Assert.NotEmpty(Assert.Single(report.Health, each => each.Class == "end").Records);
    }

    [Fact]
    public void A_double_fault_goes_through_its_task_gate_and_is_an_oops_that_the_kernel_does_not_survive()
    {
        RunReport report = kernels.Command(Provoke("DOUBLE_FAULT"));

        Assert.True(report.Outcome.ExitCode == 100, Describe(report));
        Assert.Matches(@"^double fault: 0000 \[#1\] PREEMPT", report.Health[0].Title);
        Assert.StartsWith("oops/lkdtm_DOUBLE_FAULT", report.Health[0].Fingerprint, StringComparison.Ordinal);
        Assert.Equal(["oops", "panic", "end"], report.Health.Select(each => each.Class));
    }

    [Fact]
    public void A_crash_in_an_interrupt_is_one_and_the_kernel_dies_of_it()
    {
        RunReport report = kernels.Command($"echo 0 >/proc/sys/debug/kprobes-optimization; {Provoke("EXCEPTION", "INT_HW_IRQ_EN")}; sleep 100");

        Assert.True(report.Outcome.ExitCode == 100, Describe(report));
        Assert.Equal(["oops", "panic", "end"], report.Health.Select(each => each.Class));
        Assert.StartsWith("oops/lkdtm_EXCEPTION/lkdtm_kprobe_handler/", report.Health[0].Fingerprint, StringComparison.Ordinal);
        Assert.Equal("Kernel panic - not syncing: Fatal exception in interrupt", report.Health[1].Title);
    }

    [Fact]
    public void Who_takes_a_lock_and_never_gives_it_back_is_told_by_the_lock_validator_and_by_what_sleeps()
    {
        // Its task can't be preempted any more, and whether it comes to its end like that, or waits for ever, differs from kernel to kernel.
        RunReport report = kernels.Command(Provoke("SPINLOCKUP"), string.Empty, "--max-guest-time=10s");

        Assert.True(report.Outcome.ExitCode is 104 or 124, Describe(report));
        Assert.Equal("lockdep/lkdtm_SPINLOCKUP: WARNING: lock held when returning to user space!", $"{report.Health[0].Fingerprint}: {report.Health[0].Title}");
        Assert.Contains(
            report.Health,
            each => each.Class == "atomic" && Regex.IsMatch(each.Title, @"^BUG: (scheduling while atomic: sh/\d+/0x00000002|sleeping function called from invalid context at \S+)$"));
    }

    [Fact]
    public void Memory_that_nobody_refers_to_any_more_is_reported_by_the_leak_detector()
    {
        // The second crash takes away the only pointer to a copied string: registers of the first are kept.
        const string Scan = "sleep 10; echo scan >/sys/kernel/debug/kmemleak";
        RunReport report = kernels.Command($"{Provoke("EXCEPTION")}; {Provoke("FORTIFY_STRSCPY")}; {Scan}; {Scan}", "kmemleak=on");

        Assert.True(report.Outcome.ExitCode == 104, Describe(report));
        Assert.Contains(report.Health, each => each.Fingerprint == "kmemleak/kmemleak-new-suspected-memory-leaks");
    }

    [Fact]
    public void What_is_used_after_it_was_freed_is_seen_by_KFENCE_where_it_keeps_the_memory()
    {
        RunReport report = kernels.Command($"i=0; while [ $i != 300 ]; do {Provoke("READ_AFTER_FREE")}; i=$((i+1)); done", "kfence.sample_interval=1");

        Assert.True(report.Outcome.ExitCode == 104, Describe(report));
        Assert.StartsWith("slab/lkdtm_READ_AFTER_FREE/lkdtm_do_action/direct_entry", report.Health[0].Fingerprint, StringComparison.Ordinal);
        Assert.Matches("^BUG: KFENCE: use-after-free read in lkdtm_READ_AFTER_FREE", report.Health[0].Title);
    }

    [Fact]
    public void A_crash_has_one_fingerprint_whatever_the_seed_also_under_the_real_clock()
    {
        string[] fingerprints =
        [
            .. Enumerable.Range(1, 10).Select(seed =>
                Command(_folder, Provoke("EXCEPTION"), string.Empty, $"--seed={seed}", "--clock=real").Health[0].Fingerprint),
        ];

        Assert.StartsWith("oops/lkdtm_EXCEPTION/direct_entry/full_proxy_write/vfs_write/", Assert.Single(fingerprints.Distinct()), StringComparison.Ordinal);
    }
}
