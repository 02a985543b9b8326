using Lguest.Boot.Formats;

namespace Lguest.Boot.Images;

/// <summary>Kinds of files that a kernel comes in.</summary>
public enum KernelFormat
{
    /// <summary>A vmlinux.</summary>
    Elf,

    /// <summary>A bzImage.</summary>
    BzImage,
}

/// <summary>A stretch of a kernel that goes into memory.</summary>
/// <param name="PhysicalAddress">Where it is linked to be.</param>
/// <param name="Offset">Where its bytes are in the kernel's contents: the file, or what came out of it unpacked.</param>
/// <param name="FileSize">How many there are.</param>
/// <param name="MemorySize">Bytes that it takes in memory: what is over is zero.</param>
/// <remarks>A class, because lists of structs of ours must be compiled at run time, and that is start-up time.</remarks>
public sealed record KernelSegment(uint PhysicalAddress, long Offset, int FileSize, uint MemorySize);

/// <summary>Where a kernel is entered that says so by a signature.</summary>
/// <param name="PhysicalAddress">Of the byte after the signature, where it is linked to be.</param>
/// <remarks>A class for the same reason.</remarks>
public sealed record SignedEntry(uint PhysicalAddress);

/// <summary>A kernel as its file has it: what it is, and what it says of itself. No guest is needed for this.</summary>
/// <remarks>What costs a pass over the kernel is found out when it is first asked for. Dispose it once the kernel is loaded.</remarks>
public sealed class KernelImage : IDisposable
{
    private const string Expected = "a vmlinux or bzImage of Linux, built for i386 with CONFIG_LGUEST_GUEST=y";

    private readonly ImageFile _contents;
    private readonly Lazy<KernelTexts> _texts;
    private readonly Lazy<KernelConfiguration?> _configuration;
    private readonly Lazy<KernelSymbols?> _symbols;
    private readonly Lazy<IReadOnlyList<KernelNote>> _notes;

    /// <summary>Makes an image of what a format has found in a file.</summary>
    /// <param name="contents">The kernel's bytes, which the image owns from now on.</param>
    internal KernelImage(ImageFile contents)
    {
        _contents = contents;
        _texts = new(() => KernelTexts.Find(this));
        _configuration = new(() => KernelConfiguration.Read(this));
        _symbols = new(() => KernelSymbols.Read(_contents));
        _notes = new(() => KernelNote.ReadAll(this));
    }

    /// <summary>What begins every sentence about it: <c>kernel 'vmlinux'</c>.</summary>
    public string Description => _contents.Description;

    /// <summary>What kind of file it is.</summary>
    public required KernelFormat Format { get; init; }

    /// <summary>How it is compressed, in the words of its configuration; null when it isn't.</summary>
    public string? Compression { get; init; }

    /// <summary>Bytes of the kernel: of the file, or unpacked.</summary>
    public long Length => _contents.Length;

    /// <summary>The setup header of a bzImage; null for a vmlinux.</summary>
    public SetupHeader? Header { get; init; }

    /// <summary>What goes into memory, in the order of the image; at least one.</summary>
    public required IReadOnlyList<KernelSegment> Segments { get; init; }

    /// <summary>The first physical address that it is linked for.</summary>
    public uint Start
    {
        get
        {
            uint start = uint.MaxValue;
            foreach (KernelSegment segment in Segments)
            {
                start = Math.Min(start, segment.PhysicalAddress);
            }

            return start;
        }
    }

    /// <summary>Whether the image has a byte for a physical address.</summary>
    public bool Holds(uint physical)
    {
        foreach (KernelSegment segment in Segments)
        {
            if (physical >= segment.PhysicalAddress && physical - segment.PhysicalAddress < (uint)segment.FileSize)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The lowest address that it can be loaded at: less than <see cref="Start"/> if it is relocatable, and high enough.</summary>
    public uint LowestStart => Header is { IsRelocatable: true } && PageOffset is not null ? Start - Header.MostShift(Start) : Start;

    /// <summary>The first physical address after it where it is linked to be, with what it will clear itself as far as the image tells.</summary>
    public ulong End
    {
        get
        {
            ulong end = 0;
            foreach (KernelSegment segment in Segments)
            {
                end = Math.Max(end, (ulong)segment.PhysicalAddress + segment.MemorySize);
            }

            return end;
        }
    }

    /// <summary>Virtual minus physical address of the whole kernel, where the image says it; null when only the code knows.</summary>
    public uint? PageOffset { get; init; }

    /// <summary>Physical address of its first instruction; null where the image isn't an ELF file, which says it.</summary>
    public uint? Entry { get; init; }

    /// <summary>What it says by notes (ELF's PT_NOTE).</summary>
    public IReadOnlyList<KernelNote> Notes => _notes.Value;

    /// <summary>The places after each signature GenuineLguest.</summary>
    public IReadOnlyList<SignedEntry> SignedEntries => _texts.Value.Entries;

    /// <summary>The line that Linux begins its log with, or the same words from a bzImage's header; null when there are none.</summary>
    public string? Banner => Header?.KernelVersion ?? _texts.Value.Banner;

    /// <summary>The release of Linux in the <see cref="Banner"/>; null when there is none.</summary>
    public KernelRelease? Release => KernelRelease.FromBanner(Banner);

    /// <summary>Its configuration, when it has that in it (CONFIG_IKCONFIG); null when it hasn't.</summary>
    public KernelConfiguration? Configuration => _configuration.Value;

    /// <summary>Its symbols; null when it has been stripped of them, as every bzImage has.</summary>
    public KernelSymbols? Symbols => _symbols.Value;

    /// <summary>Where the notes are in the contents, each with its size.</summary>
    internal IReadOnlyList<KernelSegment> NoteSegments { get; init; } = [];

    /// <summary>Whether it has the name <c>lguest</c> in it.</summary>
    internal bool NamesLguest => _texts.Value.NamesLguest;

    /// <summary>Where its configuration begins in the contents; null when it has none.</summary>
    internal long? ConfigurationOffset => _texts.Value.ConfigurationOffset;

    /// <summary>Opens a kernel and looks what it is.</summary>
    /// <param name="path">A vmlinux or bzImage.</param>
    /// <param name="open">Opens it; null for the framework's way (<see cref="FileOpener"/>).</param>
    /// <exception cref="BootException">It can't be read, is no kernel, malformed, or for another processor.</exception>
    public static KernelImage Open(string path, Func<string, Stream>? open = null) =>
        KernelFormats.Read(ImageFile.Open("kernel", path, Expected, open ?? FileOpener.Open));

    /// <summary>Reads bytes of the kernel's contents, all or nothing.</summary>
    /// <returns>False when the contents end before the range does.</returns>
    /// <exception cref="BootException">The host couldn't read it.</exception>
    internal bool TryRead(long offset, Span<byte> destination) => _contents.TryRead(offset, destination);

    /// <summary>Ends the boot because the contents stop before something they promised.</summary>
    [System.Diagnostics.CodeAnalysis.DoesNotReturn]
    internal void ThrowTruncated(string missing) => _contents.ThrowTruncated(missing);

    /// <summary>Closes the file, and lets go of what was unpacked.</summary>
    public void Dispose() => _contents.Dispose();
}
