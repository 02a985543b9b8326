using System.Buffers.Binary;
using Lguest.Boot.Images;

namespace Lguest.Boot.Loading;

/// <summary>
/// The way of 2.6.23's lguest: paging on from the start, at ring 1, at the byte after a signature in the image.
/// </summary>
internal sealed class LguestBoot : IBootMethod
{
    /// <inheritdoc />
    public BootPlan Plan(KernelImage kernel)
    {
        foreach (SignedEntry entry in kernel.SignedEntries)
        {
            uint? pageOffset = kernel.PageOffset ?? ReadPageOffset(kernel, entry.PhysicalAddress);
            if (pageOffset is { } known)
            {
                return PlanOf(kernel, entry.PhysicalAddress, known);
            }
        }

        throw new BootException(
            kernel.SignedEntries.Count == 0
                ? $"{kernel.Description} has no lguest entry (the signature GenuineLguest): build it with CONFIG_PARAVIRT=y and CONFIG_LGUEST_GUEST=y"
                : $"{kernel.Description} does not start like an lguest guest at physical address 0x{kernel.SignedEntries[0].PhysicalAddress:x}, so its page "
                    + "offset is unknown: give its vmlinux instead");
    }

    private static LguestBootPlan PlanOf(KernelImage kernel, uint physical, uint pageOffset) =>
        pageOffset != 0 && pageOffset % MemorySize.Page == 0
            ? new LguestBootPlan(kernel, pageOffset + physical, pageOffset)
            : throw new BootException(
                $"{kernel.Description} is linked 0x{pageOffset:x} above its physical addresses, which is no page offset of Linux: "
                + "build it again with CONFIG_PAGE_OFFSET at its default");

    private static uint? ReadPageOffset(KernelImage kernel, uint physical)
    {
        Span<byte> code = stackalloc byte[LguestEntryCode.Size];
        KernelSegment? segment = kernel.Segments.FirstOrDefault(
            each => physical >= each.PhysicalAddress && physical - each.PhysicalAddress <= (uint)each.FileSize);
        return segment is not null && kernel.TryRead(segment.Offset + (physical - segment.PhysicalAddress), code)
            ? LguestEntryCode.ReadPageOffset(code)
            : null;
    }
}

/// <summary>The first instructions of an lguest kernel, which tell the page_offset that a raw image doesn't record.</summary>
internal static class LguestEntryCode
{
    /// <summary>Bytes of them.</summary>
    public const int Size = 1 + sizeof(uint) + 2 + 1 + sizeof(uint);

    private const byte MovEspImmediate = 0xbc;
    private const byte AddEaxImmediate = 0x05;

    // The two encodings of mov eax,esi: assemblers may choose either.
    private static ReadOnlySpan<byte> MovEaxEsiStore => [0x89, 0xf0];

    private static ReadOnlySpan<byte> MovEaxEsiLoad => [0x8b, 0xc6];

    /// <summary>
    /// Reads page_offset from <c>mov esp,imm32; mov eax,esi; add eax,imm32</c>: it is what the kernel adds to
    /// the physical address of its boot parameters.
    /// </summary>
    /// <param name="code"><see cref="Size"/> bytes.</param>
    /// <returns>Null when the code is something else.</returns>
    public static uint? ReadPageOffset(ReadOnlySpan<byte> code)
    {
        ReadOnlySpan<byte> rest = code[(1 + sizeof(uint))..];
        bool moves = rest.StartsWith(MovEaxEsiStore) || rest.StartsWith(MovEaxEsiLoad);
        return code[0] == MovEspImmediate && moves && rest[2] == AddEaxImmediate
            ? BinaryPrimitives.ReadUInt32LittleEndian(rest[3..])
            : null;
    }
}

/// <summary>A kernel that is entered after its signature.</summary>
/// <param name="kernel">The kernel.</param>
/// <param name="entryPoint">Virtual address of its entry.</param>
/// <param name="pageOffset">Virtual minus physical address.</param>
internal sealed class LguestBootPlan(KernelImage kernel, uint entryPoint, uint pageOffset) : RingOneBootPlan(kernel)
{
    /// <inheritdoc />
    public override uint EntryPoint => entryPoint;

    /// <inheritdoc />
    public override uint? PageOffset => pageOffset;

    /// <inheritdoc />
    internal override ReadOnlySpan<byte> SetupHeader => default;

    /// <inheritdoc />
    protected override uint? MapsAt => pageOffset;
}
