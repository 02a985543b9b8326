using Lguest.Boot.Images;
using Lguest.Host.Abi;

namespace Lguest.Boot.Loading;

/// <summary>
/// The way of lguest from Linux 2.6.24 on: at ring 1, at the kernel's own 32-bit entry, with memory where it is. By the subarchitecture in its boot
/// parameters the kernel finds out what it runs on.
/// </summary>
/// <param name="format">
/// Of the page tables that the host makes, with memory mapped where it is; null if paging is off until the kernel has made its first tables itself.
/// </param>
internal sealed class SubarchitectureBoot(PageTableFormat? format) : IBootMethod
{
    /// <inheritdoc />
    public BootPlan Plan(KernelImage kernel)
    {
        // A bzImage without an ELF file in it starts with its first byte.
        uint entry = kernel.Entry ?? kernel.Start;
        return kernel.Holds(entry) ? new SubarchitectureBootPlan(kernel, entry, format) : throw new BootException(
            $"{kernel.Description} has no 32-bit entry (its ELF entry, 0x{entry:x}, isn't in the image): give a vmlinux or bzImage of Linux for i386");
    }
}

/// <summary>A kernel that is entered so.</summary>
/// <param name="kernel">The kernel.</param>
/// <param name="entryPoint">Physical address of its first instruction.</param>
/// <param name="format">Of the page tables that it starts on; null if paging is off.</param>
internal sealed class SubarchitectureBootPlan(KernelImage kernel, uint entryPoint, PageTableFormat? format) : RingOneBootPlan(kernel)
{
    /// <summary>Up to 2.6.28, a kernel at first maps no more than this at the address where it runs.</summary>
    private const uint MappedAtFirst = 128 << 20;

    private readonly byte[] _setupHeader = BootParameters.MakeGuestHeader(kernel.Header);

    /// <inheritdoc />
    public override uint EntryPoint => entryPoint;

    /// <inheritdoc />
    public override uint? PageOffset => Kernel.PageOffset;

    /// <inheritdoc />
    internal override ReadOnlySpan<byte> SetupHeader => _setupHeader;

    /// <inheritdoc />
    protected override uint? MapsAt => format is null ? null : 0;

    /// <summary>Some of those kernels write to the page directory before they have tables of their own.</summary>
    protected override uint EndOfTables => MappedAtFirst;

    /// <inheritdoc />
    protected override PageTableFormat Format => format ?? base.Format;
}
