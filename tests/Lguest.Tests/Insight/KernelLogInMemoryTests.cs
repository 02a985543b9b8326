using System.Globalization;
using Lguest.Devices.Disks;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Insight.Log;
using Lguest.Insight.Memory;
using Lguest.Insight.Symbols;
using Lguest.TestSupport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Tests.Insight;

/// <summary>The kernel's log of a real guest, read from its memory.</summary>
public sealed class KernelLogInMemoryTests : IDisposable
{
    private const uint PageOffset = 0xc000_0000;
    private const ulong Slice = 50_000;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("vmlinux")]
    [InlineData("System.map")]
    public void A_quiet_guests_log_is_what_its_own_dmesg_shows(string symbols)
    {
        var records = new List<KernelRecord>();
        IKernelLog log = KernelLogs.Find(Symbols(symbols))!;

        (GuestOutcome outcome, string text) = InProcessGuest.Run("quiet root=/dev/lgba run=dmesg", guest => Follow(guest, log, records), RootDisk());

        Assert.Equal(new GuestOutcome.PowerOff(0), outcome);
        Assert.Equal(0ul, log.Lost);
        string[] shown = [.. text.Split('\n').Where(line => line.StartsWith("[    ", StringComparison.Ordinal))];
        Assert.StartsWith("[    0.000000] Linux version 6.", shown[0], StringComparison.Ordinal);
        Assert.True(shown.Length > 50, $"dmesg showed {shown.Length} lines");
        Assert.Equal(shown, records.SelectMany(Lines).Take(shown.Length));
        Assert.Contains(records, record => record.Text.EndsWith("Power down", StringComparison.Ordinal));
    }

    [Fact]
    public void Nothing_is_missed_while_the_log_wraps_and_whose_words_they_are_is_known()
    {
        const int Lines = 3000;
        string script = $"i=0; while [ $i -lt {Lines} ]; do echo \"<2>BUG: line $i of a program\" >/dev/kmsg; i=$((i+1)); done";
        var records = new List<KernelRecord>();
        IKernelLog log = KernelLogs.Find(Symbols("vmlinux"))!;

        (GuestOutcome outcome, _) = InProcessGuest.Run(
            "quiet printk.devkmsg=on root=/dev/lgba run=\"sh /dev/lgbb\"",
            guest => Follow(guest, log, records),
            RootDisk(),
            Disk(ShippedImages.ScriptDisk(_folder, script)));

        Assert.Equal(new GuestOutcome.PowerOff(0), outcome);
        Assert.Equal(0ul, log.Lost);
        KernelRecord[] written = [.. records.Where(record => !record.IsOfKernel)];
        Assert.Equal(Enumerable.Range(0, Lines).Select(i => $"BUG: line {i} of a program"), written.Select(record => record.Text));
        Assert.All(written, record => Assert.Equal(2, record.Level));
        Assert.Equal(Enumerable.Range(0, records.Count).Select(i => (ulong)i), records.Select(record => record.Sequence));
    }

    [Fact]
    public void The_log_is_there_long_before_any_console_and_after_the_page_tables_are_gone()
    {
        const ulong Early = 1_000_000;
        var records = new List<KernelRecord>();
        IKernelLog log = KernelLogs.Find(Symbols("vmlinux"))!;

        (_, string text) = InProcessGuest.Run("root=/dev/lgba", guest =>
        {
            GuestOutcome outcome = guest.Run(new RunLimits(Early), TestContext.Current.CancellationToken);
            guest.Processor.WriteControlRegister(3, 0x3fff_f000);
            var reader = new ProcessorMemoryReader(guest.Processor, guest.PhysicalMemory);
            log.Read(reader, records, isEnd: true);
            Assert.Empty(records);
            log.Read(new DirectMapReader(reader, PageOffset), records, isEnd: true);
            return outcome;
        });

        Assert.Empty(text);
        Assert.StartsWith("Linux version 6.", records[0].Text, StringComparison.Ordinal);
        Assert.Contains(records, record => record.Text.StartsWith("Command line: ", StringComparison.Ordinal) || record.Text.Contains("root=/dev/lgba", StringComparison.Ordinal));
    }

    [Fact]
    public void The_flat_log_of_a_real_2_6_23_is_what_its_console_shows()
    {
        string kernel = AcceptanceTests.Variable("KERNEL");
        SymbolTable symbols = Symbols(kernel);
        var records = new List<KernelRecord>();
        IKernelLog log = KernelLogs.Find(symbols)!;

        (GuestOutcome outcome, string text) = InProcessGuest.Run(
            kernel, AcceptanceTests.Variable("INITRD"), "autotest", guest => Follow(guest, log, records));

        Assert.IsType<GuestOutcome.PowerOff>(outcome);
        Assert.IsType<FlatLog>(log);
        Assert.Equal(0ul, log.Lost);
        Assert.Contains(records, record => record.Text.StartsWith("Linux version 2.6.", StringComparison.Ordinal));
        Assert.True(records.Count > 50, $"there are {records.Count} records");
        string[] shown = text.Split('\n');
        int line = -1;
        foreach (KernelRecord record in records.Where(record => record.Level < 7))
        {
            line = Array.FindIndex(shown, line + 1, candidate => candidate.EndsWith(record.Text, StringComparison.Ordinal));
            Assert.True(line >= 0, $"the console didn't show this, or not here: {record}");
        }
    }

    private static GuestOutcome Follow(Guest guest, IKernelLog log, List<KernelRecord> records)
    {
        var reader = new DirectMapReader(new ProcessorMemoryReader(guest.Processor, guest.PhysicalMemory), PageOffset);
        for (ulong executed = 0; executed < InProcessGuest.MostInstructions; executed += Slice)
        {
            GuestOutcome outcome = guest.Run(new RunLimits(Slice), TestContext.Current.CancellationToken);
            bool isEnd = outcome is not GuestOutcome.InstructionLimit;
            log.Read(reader, records, isEnd);
            if (isEnd)
            {
                return outcome;
            }
        }

        return new GuestOutcome.InstructionLimit();
    }

    private static IEnumerable<string> Lines(KernelRecord record)
    {
        string[] lines = record.ToString().Split('\n');
        string time = string.Create(CultureInfo.InvariantCulture, $"{record.ToString()[..15]}");
        return [lines[0], .. lines.Skip(1).Select(line => $"{time}{line}")];
    }

    private static SymbolTable Symbols(string name)
    {
        string path = Path.IsPathRooted(name) ? name : ShippedImages.Image(name);
        if (name != "System.map")
        {
            using FileStream file = File.OpenRead(path);
            return ElfSymbolFile.Read(file, path);
        }

        using StreamReader reader = File.OpenText(path);
        return SystemMapFile.Read(reader, path);
    }

    private static BlockDevice RootDisk() => Disk(ShippedImages.Image("rootfs.ext2"));

    private static BlockDevice Disk(string path) => new(RawImage.Open(path, readOnly: true), NullLogger.Instance);
}
