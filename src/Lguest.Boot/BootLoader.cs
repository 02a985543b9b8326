using Lguest.Boot.Formats;

namespace Lguest.Boot;

/// <summary>Puts a guest into memory: kernel, initrd, boot parameters and what its way of starting needs.</summary>
public static class BootLoader
{
    private const string ExpectedKernel = "a vmlinux or bzImage of Linux, built for i386 with CONFIG_LGUEST_GUEST=y";

    private static readonly IBootMethod[] Methods = [new LguestBoot(), new LinuxBoot()];

    /// <summary>Loads a guest.</summary>
    /// <param name="request">What to load.</param>
    /// <param name="memory">The guest's memory, zeroed.</param>
    /// <returns>How to enter it.</returns>
    /// <exception cref="BootException">
    /// Something the user gave is missing, malformed, not for this machine, or doesn't fit. Memory holds anything then.
    /// </exception>
    public static BootRecord Load(BootRequest request, IBootMemory memory)
    {
        byte[] commandLine = BootParameters.EncodeCommandLine(request.CommandLine);
        if (memory.Size < BootParameters.EndOfReservedMemory)
        {
            throw new BootException($"no kernel fits into {MemorySize.Format(memory.Size)} of memory: give the guest more, for instance 64m");
        }

        using ImageFile file = ImageFile.Open("kernel", request.KernelPath, ExpectedKernel, request.OpenFile);
        KernelImage kernel = KernelFormats.Load(file, memory);
        IPreparedKernel prepared = Recognize(kernel, memory);
        prepared.CheckMemory(memory);
        LoadedRange? initrd = request.InitrdPath is null ? null : Initrd.Load(request.InitrdPath, request.OpenFile, memory, kernel.End);
        BootParameters.Write(memory, commandLine, initrd, prepared.MemoryMap(memory.Size), prepared.SetupHeader);
        if (!prepared.SetupHeader.IsEmpty && !request.RandomSeed.IsEmpty)
        {
            BootParameters.WriteRandomSeed(memory, request.RandomSeed.Span);
        }

        return prepared.Prepare(memory, initrd?.Address ?? memory.Size);
    }

    private static IPreparedKernel Recognize(KernelImage kernel, IBootMemory memory)
    {
        foreach (IBootMethod method in Methods)
        {
            if (method.Recognize(kernel, memory) is { } prepared)
            {
                return prepared;
            }
        }

        throw new BootException(
            kernel.Entry is null
                ? $"{kernel.Description} has no lguest entry (the signature GenuineLguest): build it with CONFIG_PARAVIRT=y and CONFIG_LGUEST_GUEST=y"
                : $"{kernel.Description} has neither an lguest entry (the signature GenuineLguest) nor a 32-bit one "
                    + $"(its ELF entry, 0x{kernel.Entry:x}, isn't in the image): give a vmlinux or bzImage of Linux for i386");
    }
}
