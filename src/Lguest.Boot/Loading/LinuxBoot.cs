using Lguest.Boot.Images;
using Lguest.Host;
using Lguest.Host.Traps;

namespace Lguest.Boot.Loading;

/// <summary>
/// Linux's 32-bit boot protocol: at CPL 0, paging off, at the ELF file's entry (Documentation/x86/boot.rst, "32-bit Boot
/// Protocol"). What a bzImage would do before that, unpack and relocate, has been done.
/// </summary>
internal sealed class LinuxBoot : IBootMethod
{
    /// <inheritdoc />
    public BootPlan Plan(KernelImage kernel)
    {
        if (kernel.Entry is { } entry && kernel.Holds(entry))
        {
            return new LinuxBootPlan(kernel, entry);
        }

        throw new BootException(
            kernel.Entry is null
                ? $"{kernel.Description} has no lguest entry (the signature GenuineLguest): build it with CONFIG_PARAVIRT=y and CONFIG_LGUEST_GUEST=y"
                : $"{kernel.Description} has neither an lguest entry (the signature GenuineLguest) nor a 32-bit one "
                    + $"(its ELF entry, 0x{kernel.Entry:x}, isn't in the image): give a vmlinux or bzImage of Linux for i386");
    }
}

/// <summary>A kernel that is entered so.</summary>
/// <param name="kernel">The kernel.</param>
/// <param name="entryPoint">Physical address of its first instruction.</param>
internal sealed class LinuxBootPlan(KernelImage kernel, uint entryPoint) : BootPlan(kernel)
{
    private const uint EndOfLowMemory = 0xa_0000;
    private const uint StartOfHighMemory = 0x10_0000;

    private readonly byte[] _setupHeader = kernel.Header?.Bytes ?? BootParameters.MakeSetupHeader();

    /// <inheritdoc />
    public override uint EntryPoint => entryPoint;

    /// <inheritdoc />
    internal override ReadOnlySpan<byte> SetupHeader => _setupHeader;

    /// <inheritdoc />
    internal override bool TakesRandomSeed => true;

    /// <summary>More than one range: Linux takes a map of one for a broken BIOS's, and what a PC has below 1 MiB it leaves alone anyway.</summary>
    internal override IReadOnlyList<MemoryRange> MemoryMap(IBootMemory memory) =>
        [new MemoryRange(0, EndOfLowMemory), new MemoryRange(StartOfHighMemory, memory.Size), .. memory.HighRam];

    /// <inheritdoc />
    internal override KernelEntry Prepare(IBootMemory memory, LoadedKernel loaded, uint end)
    {
        if (loaded.End > end)
        {
            ulong enough = MemorySize.RoundUpToMebibyte(loaded.End + (memory.Size - end) + MemorySize.RoomForKernel);
            throw new BootException(
                $"{Kernel.Description} does not fit into the guest's {MemorySize.Format(memory.Size)} of memory: "
                + $"give it at least {MemorySize.Format(enough)}");
        }

        return new KernelEntry(entryPoint - loaded.Shift, BootParameters: BootParameters.Address);
    }
}
