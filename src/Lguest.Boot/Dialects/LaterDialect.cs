using Lguest.Boot.Images;
using Lguest.Host.Abi;

namespace Lguest.Boot.Dialects;

/// <summary>A stretch of Linux's releases between 2.6.24 and 4.13 in which lguest's interface stayed the same.</summary>
/// <param name="First">The first release.</param>
/// <param name="Next">The first release that has another interface.</param>
/// <param name="Abi">What such a kernel expects of its host.</param>
/// <param name="PaeAbi">The same for one with page tables of three levels; null where there are none.</param>
internal sealed record LaterDialect(KernelRelease First, KernelRelease Next, GuestAbi Abi, GuestAbi? PaeAbi = null)
{
    private const string Configured = "LGUEST_GUEST";

    // Other symbols with that name are in every kernel with PARAVIRT, without anything behind them.
    private const string GuestSymbol = "lguest_data";

    /// <summary>Tables that there are only with PAE: to some release, and from there on.</summary>
    private static readonly string[] PaeSymbols = ["swapper_pg_pmd", "initial_pg_pmd"];

    /// <summary>Bytes at the kernel's start in which its entry's code is.</summary>
    private const int EntryCodeSize = 4 * 4096;

    /// <summary>That code writes each entry of its first page tables by two STOSD, with XCHG EAX, EBX behind either.</summary>
    private static ReadOnlySpan<byte> WideEntryCode => [0xab, 0x93, 0xab, 0x93];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<LaterDialect> All { get; } =
    [
        new(new(2, 6, 24), new(2, 6, 25), KnownAbis.Linux2624),
        new(new(2, 6, 25), new(2, 6, 26), KnownAbis.Linux2625),
        new(new(2, 6, 26), new(2, 6, 29), KnownAbis.Linux2626),
        new(new(2, 6, 29), new(2, 6, 30), KnownAbis.Linux2629),
        new(new(2, 6, 30), new(2, 6, 31), KnownAbis.Linux2630),
        new(new(2, 6, 31), new(2, 6, 34), KnownAbis.Linux2631, KnownAbis.Linux2631Pae),
        new(new(2, 6, 34), new(3, 1, 0), KnownAbis.Linux2634, KnownAbis.Linux2634Pae),
        new(new(3, 1, 0), new(4, 0, 0), KnownAbis.Linux31, KnownAbis.Linux31Pae),
        new(new(4, 0, 0), new(4, 1, 0), KnownAbis.Linux40, KnownAbis.Linux40Pae),
        new(new(4, 1, 0), new(4, 10, 0), KnownAbis.Linux41, KnownAbis.Linux41Pae),
        new(new(4, 10, 0), new(4, 14, 0), KnownAbis.Linux410, KnownAbis.Linux410Pae),
    ];

    /// <summary>The one of a release; null for any other release.</summary>
    public static LaterDialect? Of(KernelRelease release)
    {
        foreach (LaterDialect each in All)
        {
            if (release >= each.First && release < each.Next)
            {
                return each;
            }
        }

        return null;
    }

    /// <summary>Whether a kernel of such a release has page tables of three levels, as far as it tells: kernels could from 2.6.31 on.</summary>
    public static bool HasPae(KernelImage kernel) => kernel.Configuration is { } configuration
        ? configuration.Has(KernelConfiguration.PhysicalAddressExtension)
        : kernel.Symbols is { } symbols
            ? PaeSymbols.Any(symbol => symbols.TryFind(symbol, out _))
            : WritesWideEntries(kernel);

    private static bool WritesWideEntries(KernelImage kernel)
    {
        KernelSegment first = kernel.Segments.MinBy(segment => segment.PhysicalAddress)!;
        byte[] code = new byte[Math.Min(first.FileSize, EntryCodeSize)];
        return kernel.TryRead(first.Offset, code) && code.AsSpan().IndexOf(WideEntryCode) >= 0;
    }

    /// <summary>
    /// What in a kernel of such a release says that it was built to be a guest; null when nothing does. Its configuration alone decides, if it has that
    /// in it, then its symbols, if it has any.
    /// </summary>
    public static string? Claim(KernelImage kernel) => kernel switch
    {
        { Configuration: { } configuration } => configuration.Has(Configured) ? $"its configuration has CONFIG_{Configured}=y" : null,
        { Symbols: { } symbols } => symbols.TryFind(GuestSymbol, out _) ? $"it has the symbol {GuestSymbol}" : null,
        _ => kernel.NamesLguest ? "it has the name lguest in it" : null,
    };
}
