using System.Text.Json.Serialization;
using Lguest.Boot;
using Lguest.Boot.Dialects;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Host.Abi;

namespace Lguest.Inspecting;

/// <summary>What <c>lguest inspect</c> tells of a kernel. What isn't known is null.</summary>
internal sealed record KernelReport
{
    /// <summary>The newest form of this report.</summary>
    public const int CurrentSchema = 1;

    /// <summary>The form of this report: it goes up when a reader of the one before would misunderstand it.</summary>
    public int Schema { get; init; } = CurrentSchema;

    /// <summary>The file, as the user named it.</summary>
    public required string File { get; init; }

    /// <summary>What it is.</summary>
    public required KernelFormat Format { get; init; }

    /// <summary>Bytes of the kernel, unpacked.</summary>
    public required long Bytes { get; init; }

    /// <summary>How it was packed; null when it wasn't.</summary>
    public string? Compression { get; init; }

    /// <summary>Version of the boot protocol, of a bzImage: <c>2.15</c>.</summary>
    public string? BootProtocol { get; init; }

    /// <summary>The release of Linux: <c>6.1.176</c>.</summary>
    public string? Release { get; init; }

    /// <summary>What Linux says of itself.</summary>
    public string? Banner { get; init; }

    /// <summary>Why lguest can't run it; null when it can.</summary>
    public string? Refusal { get; init; }

    /// <summary>What kind of guest it is.</summary>
    public string? Dialect { get; init; }

    /// <summary>What in the image says so.</summary>
    public string? Evidence { get; init; }

    /// <summary>The address of its first instruction: virtual of a kernel that starts where it is linked, else physical.</summary>
    public uint? Entry { get; init; }

    /// <summary>Virtual minus physical address of a kernel that starts with paging on.</summary>
    public uint? PageOffset { get; init; }

    /// <summary>How it is entered.</summary>
    [JsonIgnore]
    public BootMethod? EnteredBy { get; init; }

    /// <summary>First physical address that it is linked for.</summary>
    public required uint Start { get; init; }

    /// <summary>The first one after it, with what it clears itself as far as the image tells.</summary>
    public required ulong End { get; init; }

    /// <summary>The lowest address that it can be loaded at.</summary>
    public required uint LowestStart { get; init; }

    /// <summary>The least memory to try it with, in bytes.</summary>
    public ulong? LeastMemory { get; init; }

    /// <summary>The most memory that it can be given, in bytes; null when it leaves alone what it can't use.</summary>
    public ulong? MostMemory { get; init; }

    /// <summary>The most bytes that its command line can have.</summary>
    public int MostCommandLine { get; init; } = BootLoader.MostCommandLine;

    /// <summary>Drivers for lguest's devices: <c>yes</c>, <c>module</c>, <c>no</c>, or null.</summary>
    public required IReadOnlyDictionary<string, string?> Drivers { get; init; }

    /// <summary>Compressions that its initrd may have.</summary>
    public IReadOnlyList<string>? InitrdCompressions { get; init; }

    /// <summary>How many symbols of the configuration are set that it has in it.</summary>
    public int? ConfigurationSymbols { get; init; }

    /// <summary>How many symbols its symbol table has.</summary>
    public int? Symbols { get; init; }

    /// <summary>Makes a report.</summary>
    /// <param name="file">The file, as the user named it.</param>
    /// <param name="kernel">The kernel in it.</param>
    public static KernelReport Of(string file, KernelImage kernel)
    {
        var report = new KernelReport
        {
            File = file,
            Format = kernel.Format,
            Bytes = kernel.Length,
            Compression = kernel.Compression,
            BootProtocol = kernel.Header is { } header ? $"{header.Version >> 8}.{header.Version & 0xff:d2}" : null,
            Release = kernel.Release?.ToString(),
            Banner = kernel.Banner,
            Start = kernel.Start,
            End = kernel.End,
            LowestStart = kernel.LowestStart,
            Drivers = GuestDriver.All.ToDictionary(driver => driver.Devices, driver => driver.In(kernel)),
            InitrdCompressions = InitrdSupport.Compressions(kernel),
            ConfigurationSymbols = kernel.Configuration?.Count,
            Symbols = kernel.Symbols?.Count,
        };
        try
        {
            var dialect = Boot.Dialects.Dialect.Detect(kernel);
            BootPlan plan = BootLoader.Plan(kernel, dialect.Abi);
            return report with
            {
                Dialect = dialect.Abi.Name,
                Evidence = dialect.Evidence,
                Entry = plan.EntryPoint,
                PageOffset = plan.PageOffset,
                EnteredBy = dialect.Abi.Boot,
                LeastMemory = plan.LeastMemory,
                MostMemory = plan.MostMemory,
            };
        }
        catch (BootException e)
        {
            return report with { Refusal = e.Message };
        }
    }
}
