namespace Lguest.Boot;

/// <summary>A stretch of guest-physical memory that was filled from an image.</summary>
/// <param name="Address">Where it starts.</param>
/// <param name="Length">Bytes that came from the image.</param>
/// <remarks>A class, because lists of structs of ours must be compiled at run time, and that is start-up time.</remarks>
internal sealed record LoadedRange(uint Address, int Length);

/// <summary>A kernel that is in the guest's memory.</summary>
/// <param name="Description">What begins sentences about it.</param>
/// <param name="Ranges">What was loaded, in the order of the image.</param>
/// <param name="End">First address after the kernel, with what it will clear itself as far as the image tells.</param>
/// <param name="PageOffset">
/// Virtual minus physical address of the whole image, where the image says it; null when only the code knows.
/// </param>
/// <param name="Entry">Physical address of its first instruction; null where the image isn't an ELF file, which says it.</param>
internal sealed record KernelImage(
    string Description,
    IReadOnlyList<LoadedRange> Ranges,
    uint End,
    uint? PageOffset,
    uint? Entry)
{
    /// <summary>The setup header, as a bzImage has it; null for a bare vmlinux.</summary>
    public byte[]? SetupHeader { get; init; }
}
