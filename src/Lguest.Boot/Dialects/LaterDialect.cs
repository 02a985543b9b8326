using Lguest.Boot.Images;
using Lguest.Host.Abi;

namespace Lguest.Boot.Dialects;

/// <summary>A stretch of Linux's releases between 2.6.24 and 4.13 in which lguest's interface stayed the same.</summary>
/// <param name="Name">A short name: B1 to F, in the order of the releases.</param>
/// <param name="First">The first release.</param>
/// <param name="Next">The first release that has another interface.</param>
/// <param name="Abi">What such a kernel expects of its host.</param>
internal sealed record LaterDialect(string Name, KernelRelease First, KernelRelease Next, GuestAbi Abi)
{
    private const string Configured = "LGUEST_GUEST";
    private const string EntrySymbol = "lguest_entry";
    private const string PhysicalAddressExtension = "X86_PAE";

    /// <summary>Tables that there are only with PAE: to some release, and from there on.</summary>
    private static readonly string[] PaeSymbols = ["swapper_pg_pmd", "initial_pg_pmd"];

    /// <summary>Bytes at the kernel's start in which its entry's code is.</summary>
    private const int EntryCodeSize = 4 * 4096;

    /// <summary>That code writes each entry of its first page tables by two STOSD, with XCHG EAX, EBX behind either.</summary>
    private static ReadOnlySpan<byte> WideEntryCode => [0xab, 0x93, 0xab, 0x93];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<LaterDialect> All { get; } =
    [
        new("B1", new(2, 6, 24), new(2, 6, 25), KnownAbis.Linux2624),
        new("B2", new(2, 6, 25), new(2, 6, 26), KnownAbis.Linux2625),
        new("B3", new(2, 6, 26), new(2, 6, 29), KnownAbis.Linux2626),
        new("B4", new(2, 6, 29), new(2, 6, 30), KnownAbis.Linux2629),
        new("C1", new(2, 6, 30), new(2, 6, 31), KnownAbis.Linux2630),
        new("C2", new(2, 6, 31), new(2, 6, 34), KnownAbis.Linux2631),
        new("D1", new(2, 6, 34), new(3, 1, 0), KnownAbis.Linux2634),
        new("D2", new(3, 1, 0), new(4, 0, 0), KnownAbis.Linux31),
        new("E0", new(4, 0, 0), new(4, 1, 0), KnownAbis.Linux40),
        new("E1", new(4, 1, 0), new(4, 10, 0), KnownAbis.Linux41),
        new("F", new(4, 10, 0), new(4, 14, 0), KnownAbis.Linux410),
    ];

    /// <summary>In words: "2.6.26 and later".</summary>
    public string Releases => $"{First} and later";

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
        ? configuration.Has(PhysicalAddressExtension)
        : kernel.Symbols is { } symbols
            ? PaeSymbols.Any(symbol => symbols.TryFind(symbol, out _))
            : WritesWideEntries(kernel);

    private static bool WritesWideEntries(KernelImage kernel)
    {
        KernelSegment first = kernel.Segments.MinBy(segment => segment.PhysicalAddress)!;
        byte[] code = new byte[Math.Min(first.FileSize, EntryCodeSize)];
        return kernel.TryRead(first.Offset, code) && code.AsSpan().IndexOf(WideEntryCode) >= 0;
    }

    /// <summary>What in a kernel of such a release says that it was built to be a guest; null when nothing does.</summary>
    public static string? Claim(KernelImage kernel) =>
        kernel.Configuration?.Has(Configured) == true ? $"its configuration has CONFIG_{Configured}=y"
        : kernel.Symbols?.TryFind(EntrySymbol, out _) == true ? $"it has the symbol {EntrySymbol}"
        : kernel.Configuration is null && kernel.NamesLguest ? "it has the name lguest in it"
        : null;
}
