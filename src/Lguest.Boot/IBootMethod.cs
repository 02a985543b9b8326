namespace Lguest.Boot;

/// <summary>A way of entering a kernel.</summary>
internal interface IBootMethod
{
    /// <summary>Looks whether a loaded kernel is entered this way.</summary>
    /// <returns>What is known of it then, or null.</returns>
    /// <exception cref="BootException">It is meant to be entered this way, and can't be.</exception>
    IPreparedKernel? Recognize(KernelImage kernel, IBootMemory memory);
}

/// <summary>A loaded kernel whose way of being entered is known.</summary>
internal interface IPreparedKernel
{
    /// <summary>What is to be in the boot parameters, in the place of the setup header; empty for kernels that look at none of it.</summary>
    ReadOnlySpan<byte> SetupHeader { get; }

    /// <summary>What a kernel that is entered this way is told of its RAM.</summary>
    /// <param name="size">All of it, in bytes.</param>
    IReadOnlyList<RamRange> MemoryMap(uint size);

    /// <summary>Sees that the kernel can use all of the guest's memory.</summary>
    /// <exception cref="BootException">It can't.</exception>
    void CheckMemory(IBootMemory memory);

    /// <summary>Puts into memory what this way of starting needs.</summary>
    /// <param name="memory">The guest's memory, with kernel, initrd and boot parameters.</param>
    /// <param name="end">First address that is taken: of the initrd, or the end of memory.</param>
    /// <exception cref="BootException">There is no room for it.</exception>
    BootRecord Prepare(IBootMemory memory, uint end);
}
