using System.Buffers.Binary;
using Lguest.Host;
using Lguest.Insight.Health;
using Lguest.Insight.Symbols;
using Lguest.TestSupport;

namespace Lguest.Tests.Insight;

/// <summary>
/// The kernel that ships, with a system call that nobody needs replaced by a fault, while it is quiet: what it says of that
/// is read from its memory.
/// </summary>
public sealed class ComplainingKernelTests : IDisposable
{
    private const int Personality = 136;
    private const string Victim = "__ia32_sys_personality";
    private const int BugEntrySize = 12;
    private const int BugFlagsOffset = 10;
    private const ushort WarningFlag = 1;

    private static readonly Lazy<SymbolTable> Symbols = new(() => WatchedGuest.ReadSymbols(ShippedImages.Image("vmlinux")));

    private readonly TestFolder _folder = new();

    public static TheoryData<string, string> Faults => new()
    {
        { "xor ecx, ecx; div ecx: 31c9f7f1c3", "divide-error" },
        { "mov eax, [0]: a100000000c3", "oops" },
        { "xor eax, eax; call eax: 31c0ffd0c3", "oops" },
        { "ud2: 0f0bc3", "invalid-opcode" },
        { "mov eax, 0xfff0; mov gs, eax: b8f0ff00008ee8c3", "general-protection" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_fault_of_the_kernels_is_a_complaint_although_the_guest_ends_well(string code, string kind)
    {
        (Complaint complaint, string text) = Complain(guest => Patch(guest, Convert.FromHexString(code.Split(": ")[1])));

        Assert.Equal(kind, complaint.Class.ToWord());
        Assert.Equal($"{kind}/personality", complaint.Fingerprint);
        Assert.StartsWith("x[", complaint.Task, StringComparison.Ordinal);
        Assert.Equal(string.Empty, complaint.Taint);
        Assert.NotEmpty(complaint.Registers);
        Assert.NotEmpty(complaint.Trace);
        Assert.DoesNotContain("WARNING", text, StringComparison.Ordinal);
    }

    [Fact]
    public void WARN_ON_is_a_complaint_with_a_place()
    {
        (Complaint complaint, string text) = Complain(guest =>
        {
            Patch(guest, [0x0f, 0x0b, 0xc3]);
            PatchBugTable(guest, isWarning: true);
        });

        Assert.Equal("warning/personality", complaint.Fingerprint);
        Assert.Matches(@"^WARNING at \S+:[0-9]+ __ia32_sys_personality$", complaint.Title);
        Assert.Contains(CodeLine.Disassemble(complaint.Code!), line => line.StartsWith("=> 0f0b", StringComparison.Ordinal));
        Assert.StartsWith("status 0\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("WARNING", text, StringComparison.Ordinal);
    }

    [Fact]
    public void BUG_is_a_complaint_with_a_place()
    {
        (Complaint complaint, _) = Complain(guest =>
        {
            Patch(guest, [0x0f, 0x0b, 0xc3]);
            PatchBugTable(guest, isWarning: false);
        });

        Assert.Equal("kernel-bug/personality", complaint.Fingerprint);
        Assert.Matches(@"^kernel BUG at \S+:[0-9]+!$", complaint.Title);
    }

    [Theory]
    [InlineData("BUG: x")]
    [InlineData("Oops: 0")]
    [InlineData("Oops: 0000 [#1]")]
    [InlineData("WARNING: CPU: 0")]
    [InlineData("Kernel panic - ")]
    [InlineData("kernel BUG at x")]
    [InlineData("INFO: task x:1 ")]
    public void Programs_with_such_names_that_crash_and_words_put_into_the_log_are_no_complaints(string name)
    {
        string script = $"""
            for disk in lgbc lgbd; do
              dd if=/dev/$disk of="/tmp/{name}" 2>/dev/null; chmod +x "/tmp/{name}"; "/tmp/{name}" 2>/dev/null; echo "status $?"
            done
            echo "<2>BUG: x" >/dev/kmsg; echo "<0>Kernel panic - not syncing: x" >/dev/kmsg; echo "<0>{name}" >/dev/kmsg
            """;
        WatchedGuest watched = Watch();

        (GuestOutcome outcome, string text) = InProcessGuest.Run(
            "quiet printk.devkmsg=on root=/dev/lgba run=\"sh /dev/lgbb\"",
            watched.Run,
            WatchedGuest.Disk(ShippedImages.Image("rootfs.ext2")),
            WatchedGuest.Disk(ShippedImages.ScriptDisk(_folder, script)),
            WatchedGuest.Disk(_folder.File("crashes", CrashingPrograms.Crashes())),
            WatchedGuest.Disk(_folder.File("offends", CrashingPrograms.Offends())));

        Assert.Equal(new GuestOutcome.PowerOff(0), outcome);
        Assert.Equal("status 139\nstatus 139\n", string.Concat(text.Split('\n').Where(line => line.StartsWith("status", StringComparison.Ordinal)).Select(line => line + "\n")));
        Assert.Contains(watched.Records, record => record.Text.StartsWith($"{name}[", StringComparison.Ordinal));
        Assert.Contains(watched.Records, record => record.Text.StartsWith("traps: ", StringComparison.Ordinal));
        Assert.Contains(watched.Records, record => record.Text == name && record.Level == 0);
        Assert.Empty(watched.Health.Complaints);
    }

    [Fact]
    public void A_real_2_6_23_that_oopses_complains_too()
    {
        string kernel = RealGuest.Variable("KERNEL");
        var watched = new WatchedGuest(WatchedGuest.ReadSymbols(kernel));
        Assert.True(watched.Symbols.TryFind("sys_getppid", out Symbol victim));

        (GuestOutcome outcome, _) = InProcessGuest.Run(kernel, RealGuest.Variable("INITRD"), "autotest", guest =>
        {
            guest.PhysicalMemory.Write(victim.Address - WatchedGuest.PageOffset, [0xa1, 0, 0, 0, 0, 0xc3]);
            return watched.Run(guest);
        });

        string log = $"{outcome}\n{string.Join('\n', watched.Records)}";
        Assert.True(watched.Health.Complaints.Count > 0, log);
        Complaint complaint = watched.Health.Complaints[0];
        Assert.StartsWith("oops/getppid", complaint.Fingerprint, StringComparison.Ordinal);
        Assert.Contains("=> a100000000", string.Join('\n', CodeLine.Disassemble(complaint.Code!)), StringComparison.Ordinal);
        Assert.True(complaint.CanBeForged, log);
    }

    private (Complaint Complaint, string Text) Complain(Action<Guest> sabotage)
    {
        WatchedGuest watched = Watch();
        (GuestOutcome outcome, string text) = InProcessGuest.Run(
            "quiet root=/dev/lgba run=\"sh /dev/lgbb\"",
            guest =>
            {
                sabotage(guest);
                return watched.Run(guest);
            },
            WatchedGuest.Disk(ShippedImages.Image("rootfs.ext2")),
            WatchedGuest.Disk(ShippedImages.ScriptDisk(_folder, "dd if=/dev/lgbc of=/tmp/x 2>/dev/null; chmod +x /tmp/x; /tmp/x; echo status $?")),
            WatchedGuest.Disk(_folder.File("program", CrashingPrograms.Calls(Personality))));

        string log = $"{outcome}: {text}\n{string.Join('\n', watched.Records)}";
        Assert.True(outcome == new GuestOutcome.PowerOff(0), log);
        Assert.True(watched.Health.Complaints.Count == 1, log);
        return (watched.Health.Complaints[0], text);
    }

    private static WatchedGuest Watch() => new(Symbols.Value);

    private static void Patch(Guest guest, byte[] code) =>
        guest.PhysicalMemory.Write(Find(Victim) - WatchedGuest.PageOffset, code);

    /// <summary>Lets the first entry of the kernel's table of bugs (struct bug_entry) mean the victim.</summary>
    private static void PatchBugTable(Guest guest, bool isWarning)
    {
        uint end = Find("__stop___bug_table");
        for (uint entry = Find("__start___bug_table"); entry < end; entry += BugEntrySize)
        {
            uint physical = entry - WatchedGuest.PageOffset;
            ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(guest.PhysicalMemory.Span(physical + BugFlagsOffset, sizeof(ushort)));
            if (flags == (isWarning ? flags | WarningFlag : 0))
            {
                guest.PhysicalMemory.Write(physical, BitConverter.GetBytes(Find(Victim)));
                return;
            }
        }

        Assert.Fail("the table of bugs has no such entry");
    }

    private static uint Find(string name)
    {
        Assert.True(Symbols.Value.TryFind(name, out Symbol symbol), $"the kernel has no {name}");
        return symbol.Address;
    }
}
