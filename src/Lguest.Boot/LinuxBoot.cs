using Lguest.Host.Abi;
using Lguest.Host.Traps;

namespace Lguest.Boot;

/// <summary>
/// Linux's 32-bit boot protocol: at CPL 0, paging off, at the ELF file's entry (Documentation/x86/boot.rst, "32-bit Boot
/// Protocol"). What a bzImage would do before that, unpack and relocate, has been done.
/// </summary>
internal sealed class LinuxBoot : IBootMethod
{
    /// <inheritdoc />
    public IPreparedKernel? Recognize(KernelImage kernel, IBootMemory memory)
    {
        foreach (LoadedRange range in kernel.Ranges)
        {
            if (kernel.Entry is { } entry && entry >= range.Address && entry - range.Address < (uint)range.Length)
            {
                return new PreparedLinux(kernel, entry);
            }
        }

        return null;
    }
}

/// <summary>A kernel that is entered so.</summary>
/// <param name="kernel">The kernel.</param>
/// <param name="entryPoint">Physical address of its first instruction.</param>
internal sealed class PreparedLinux(KernelImage kernel, uint entryPoint) : IPreparedKernel
{
    private const uint EndOfLowMemory = 0xa_0000;
    private const uint StartOfHighMemory = 0x10_0000;

    private readonly byte[] _setupHeader = kernel.SetupHeader ?? BootParameters.MakeSetupHeader();

    /// <inheritdoc />
    public ReadOnlySpan<byte> SetupHeader => _setupHeader;

    /// <summary>Two ranges: Linux takes a map with fewer for a broken BIOS's, and what a PC has between them it leaves alone anyway.</summary>
    public IReadOnlyList<RamRange> MemoryMap(uint size) => [new RamRange(0, EndOfLowMemory), new RamRange(StartOfHighMemory, size)];

    /// <summary>Any: what it can't use, it leaves alone, and says so.</summary>
    public void CheckMemory(IBootMemory memory)
    {
    }

    /// <inheritdoc />
    public BootRecord Prepare(IBootMemory memory, uint end)
    {
        if (kernel.End > end)
        {
            ulong enough = MemorySize.RoundUpToMebibyte(kernel.End + (memory.Size - end) + MemorySize.RoomForKernel);
            throw new BootException(
                $"{kernel.Description} does not fit into the guest's {MemorySize.Format(memory.Size)} of memory: "
                + $"give it at least {MemorySize.Format(enough)}");
        }

        return new BootRecord(BootMethod.Boot32, new KernelEntry(entryPoint, BootParameters: BootParameters.Address));
    }
}
