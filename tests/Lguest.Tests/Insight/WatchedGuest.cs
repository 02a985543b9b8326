using Lguest.Devices.Disks;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Insight.Health;
using Lguest.Insight.Log;
using Lguest.Insight.Memory;
using Lguest.Insight.Symbols;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Tests.Insight;

/// <summary>A guest in the test's own process whose kernel's log is followed from outside, without a console.</summary>
internal sealed class WatchedGuest
{
    /// <summary>Where Linux maps physical address 0.</summary>
    public const uint PageOffset = 0xc000_0000;

    private const ulong Slice = 50_000;

    /// <summary>Makes one.</summary>
    /// <param name="symbols">The kernel's.</param>
    public WatchedGuest(SymbolTable symbols)
    {
        Symbols = symbols;
        Log = KernelLogs.Find(symbols)!;
        Health = new HealthMonitor(() => symbols);
    }

    /// <summary>The kernel's symbols.</summary>
    public SymbolTable Symbols { get; }

    /// <summary>The kernel's log.</summary>
    public IKernelLog Log { get; }

    /// <summary>All that was read of it.</summary>
    public List<KernelRecord> Records { get; } = [];

    /// <summary>What the kernel complained of.</summary>
    public HealthMonitor Health { get; }

    /// <summary>Reads a kernel's symbols.</summary>
    /// <param name="path">Of a vmlinux or a System.map.</param>
    public static SymbolTable ReadSymbols(string path)
    {
        if (Path.GetFileName(path) == "System.map")
        {
            using StreamReader reader = File.OpenText(path);
            return SystemMapFile.Read(reader, path);
        }

        using FileStream file = File.OpenRead(path);
        return ElfSymbolFile.Read(file, path);
    }

    /// <summary>A disk that is only read.</summary>
    public static BlockDevice Disk(string path) => new(RawImage.Open(path, readOnly: true), NullLogger.Instance);

    /// <summary>Runs a guest slice by slice, to its end.</summary>
    public GuestOutcome Run(Guest guest)
    {
        var reader = new DirectMapReader(new ProcessorMemoryReader(guest.Processor, guest.PhysicalMemory), PageOffset);
        for (ulong executed = 0; executed < InProcessGuest.MostInstructions; executed += Slice)
        {
            GuestOutcome outcome = guest.Run(new RunLimits(Slice), TestContext.Current.CancellationToken);
            bool isEnd = outcome is not GuestOutcome.InstructionLimit;
            int known = Records.Count;
            Log.Read(reader, Records, isEnd);
            foreach (KernelRecord record in Records.Skip(known))
            {
                Health.Add(record);
            }

            if (isEnd)
            {
                Health.Finish();
                return outcome;
            }
        }

        return new GuestOutcome.InstructionLimit();
    }
}
