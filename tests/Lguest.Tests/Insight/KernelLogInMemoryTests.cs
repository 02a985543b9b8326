using System.Globalization;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Insight.Log;
using Lguest.Insight.Memory;
using Lguest.TestSupport;

namespace Lguest.Tests.Insight;

/// <summary>The kernel's log of a real guest, read from its memory.</summary>
public sealed class KernelLogInMemoryTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("vmlinux")]
    [InlineData("System.map")]
    public void A_quiet_guests_log_is_what_its_own_dmesg_shows(string symbols)
    {
        WatchedGuest watched = Watch(symbols);

        (GuestOutcome outcome, string text) = InProcessGuest.Run("quiet root=/dev/lgba run=dmesg", watched.Run, RootDisk());

        Assert.Equal(new GuestOutcome.PowerOff(0), outcome);
        Assert.Equal(0ul, watched.Log.Lost);
        string[] shown = [.. text.Split('\n').Where(line => line.StartsWith("[    ", StringComparison.Ordinal))];
        Assert.StartsWith("[    0.000000] Linux version 6.", shown[0], StringComparison.Ordinal);
        Assert.True(shown.Length > 50, $"dmesg showed {shown.Length} lines");
        Assert.Equal(shown, watched.Records.SelectMany(Lines).Take(shown.Length));
        Assert.Contains(watched.Records, record => record.Text.EndsWith("Power down", StringComparison.Ordinal));
    }

    [Fact]
    public void Nothing_is_missed_while_the_log_wraps_and_whose_words_they_are_is_known()
    {
        const int Lines = 3000;
        string script = $"i=0; while [ $i -lt {Lines} ]; do echo \"<2>BUG: line $i of a program\" >/dev/kmsg; i=$((i+1)); done";
        WatchedGuest watched = Watch("vmlinux");

        (GuestOutcome outcome, _) = InProcessGuest.Run(
            "quiet printk.devkmsg=on root=/dev/lgba run=\"sh /dev/lgbb\"",
            watched.Run,
            RootDisk(),
            WatchedGuest.Disk(ShippedImages.ScriptDisk(_folder, script)));

        Assert.Equal(new GuestOutcome.PowerOff(0), outcome);
        Assert.Equal(0ul, watched.Log.Lost);
        KernelRecord[] written = [.. watched.Records.Where(record => !record.IsOfKernel)];
        Assert.Equal(Enumerable.Range(0, Lines).Select(i => $"BUG: line {i} of a program"), written.Select(record => record.Text));
        Assert.All(written, record => Assert.Equal(2, record.Level));
        Assert.Equal(Enumerable.Range(0, watched.Records.Count).Select(i => (ulong)i), watched.Records.Select(record => record.Sequence));
    }

    [Fact]
    public void The_log_is_there_long_before_any_console_and_after_the_page_tables_are_gone()
    {
        // Linux 6.1 logs its command line after 1.0 to 1.2 million instructions, and has a console after 2.3 million.
        const ulong Early = 1_500_000;
        WatchedGuest watched = Watch("vmlinux");

        (_, string text) = InProcessGuest.Run("root=/dev/lgba", guest =>
        {
            GuestOutcome outcome = guest.Run(new RunLimits(Early), TestContext.Current.CancellationToken);
            guest.Processor.WriteControlRegister(3, 0x3fff_f000);
            var reader = new ProcessorMemoryReader(guest.Processor, guest.PhysicalMemory);
            watched.Log.Read(reader, watched.Records, isEnd: true);
            Assert.Empty(watched.Records);
            watched.Log.Read(new DirectMapReader(reader, WatchedGuest.PageOffset), watched.Records, isEnd: true);
            return outcome;
        });

        Assert.Empty(text);
        Assert.StartsWith("Linux version 6.", watched.Records[0].Text, StringComparison.Ordinal);
        Assert.Contains(watched.Records, record => record.Text.StartsWith("Command line: ", StringComparison.Ordinal) || record.Text.Contains("root=/dev/lgba", StringComparison.Ordinal));
    }

    [Fact]
    public void The_flat_log_of_a_real_2_6_23_is_what_its_console_shows()
    {
        string kernel = RealGuest.Variable("KERNEL");
        var watched = new WatchedGuest(WatchedGuest.ReadSymbols(kernel));

        (GuestOutcome outcome, string text) = InProcessGuest.Run(
            kernel, RealGuest.Variable("INITRD"), "autotest", watched.Run);

        Assert.IsType<GuestOutcome.PowerOff>(outcome);
        Assert.IsType<FlatLog>(watched.Log);
        Assert.Equal(0ul, watched.Log.Lost);
        Assert.Contains(watched.Records, record => record.Text.StartsWith("Linux version 2.6.", StringComparison.Ordinal));
        Assert.True(watched.Records.Count > 50, $"there are {watched.Records.Count} records");
        string[] shown = text.Split('\n');
        int line = -1;
        foreach (KernelRecord record in watched.Records.Where(record => record.Level < 7))
        {
            line = Array.FindIndex(shown, line + 1, candidate => candidate.EndsWith(record.Text, StringComparison.Ordinal));
            Assert.True(line >= 0, $"the console didn't show this, or not here: {record}");
        }
    }

    private static IEnumerable<string> Lines(KernelRecord record)
    {
        string[] lines = record.ToString().Split('\n');
        string time = string.Create(CultureInfo.InvariantCulture, $"{record.ToString()[..15]}");
        return [lines[0], .. lines.Skip(1).Select(line => $"{time}{line}")];
    }

    private static WatchedGuest Watch(string symbols) => new(WatchedGuest.ReadSymbols(ShippedImages.Image(symbols)));

    private static BlockDevice RootDisk() => WatchedGuest.Disk(ShippedImages.Image("rootfs.ext2"));
}
