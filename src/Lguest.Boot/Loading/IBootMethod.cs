using Lguest.Boot.Images;
using Lguest.Host;
using Lguest.Host.Traps;

namespace Lguest.Boot.Loading;

/// <summary>A way of entering a kernel.</summary>
internal interface IBootMethod
{
    /// <summary>Finds out from its image how a kernel is entered this way.</summary>
    /// <exception cref="BootException">It can't be.</exception>
    BootPlan Plan(KernelImage kernel);
}

/// <summary>How one kernel is going to be entered: known before there is a guest.</summary>
/// <param name="kernel">The kernel.</param>
public abstract class BootPlan(KernelImage kernel)
{
    /// <summary>The address of its first instruction as it is linked: virtual if it starts with memory mapped there, else physical.</summary>
    public abstract uint EntryPoint { get; }

    /// <summary>Virtual minus physical address of a kernel that starts with paging on; null for any other.</summary>
    public virtual uint? PageOffset => null;

    /// <summary>The most memory that it can use, in bytes; null when what is over is merely left alone.</summary>
    public virtual ulong? MostMemory => null;

    /// <summary>
    /// The least memory to try it with, in bytes: for the kernel, as low as it may be loaded, for what its way of being entered
    /// needs, and a little more. No kernel says what it really needs.
    /// </summary>
    public ulong LeastMemory
    {
        get
        {
            ulong end = kernel.End - (kernel.Start - kernel.LowestStart) + MemorySize.RoomForKernel;
            return MemorySize.RoundUpToMebibyte(end + RoomBeside(end));
        }
    }

    /// <summary>The kernel.</summary>
    protected KernelImage Kernel => kernel;

    /// <summary>What is to be in the boot parameters, in the place of the setup header; empty for kernels that look at none of it.</summary>
    internal abstract ReadOnlySpan<byte> SetupHeader { get; }

    /// <summary>Whether a kernel may look for random bytes in its boot parameters.</summary>
    internal virtual bool TakesRandomSeed => false;

    /// <summary>What the kernel is told of its RAM.</summary>
    internal abstract IReadOnlyList<MemoryRange> MemoryMap(IBootMemory memory);

    /// <summary>Bytes that <see cref="Prepare"/> takes in a memory of some size.</summary>
    internal virtual uint RoomBeside(ulong memory) => 0;

    /// <summary>Puts into memory what this way of starting needs.</summary>
    /// <param name="memory">The guest's memory, with kernel, initrd and boot parameters.</param>
    /// <param name="loaded">Where the kernel is.</param>
    /// <param name="end">First address that is taken: of the initrd, or the end of memory.</param>
    /// <exception cref="BootException">There is no room for it.</exception>
    internal abstract KernelEntry Prepare(IBootMemory memory, LoadedKernel loaded, uint end);
}
