namespace Lguest.Boot.Formats;

/// <summary>A kind of kernel image.</summary>
internal interface IKernelFormat
{
    /// <summary>Whether an image is of this kind, by its first bytes.</summary>
    /// <param name="head">The first <see cref="KernelFormats.HeadSize"/> bytes, fewer if the image is shorter.</param>
    bool Recognizes(ReadOnlySpan<byte> head);

    /// <summary>Puts the kernel into memory.</summary>
    /// <exception cref="BootException">The image is malformed, not for this machine, or doesn't fit.</exception>
    KernelImage Load(ImageFile file, IBootMemory memory);
}

/// <summary>The kinds of kernel images there are.</summary>
internal static class KernelFormats
{
    /// <summary>Bytes at the start of an image that tell its kind.</summary>
    public const int HeadSize = 1024;

    private static readonly IKernelFormat[] All = [new ElfFormat(), new BzImageFormat()];

    /// <summary>Puts a kernel of any known kind into memory.</summary>
    /// <exception cref="BootException">It is of no known kind, malformed, not for this machine, or doesn't fit.</exception>
    public static KernelImage Load(ImageFile file, IBootMemory memory)
    {
        Span<byte> head = stackalloc byte[(int)Math.Min(file.Length, HeadSize)];
        if (file.TryRead(0, head))
        {
            foreach (IKernelFormat format in All)
            {
                if (format.Recognizes(head))
                {
                    return format.Load(file, memory);
                }
            }
        }

        throw new BootException($"{file.Description} is not a kernel image: neither an ELF vmlinux nor a bzImage");
    }

    /// <summary>The sentence for a kernel that was built for the wrong processor.</summary>
    /// <param name="file">The kernel.</param>
    /// <param name="builtFor">"64-bit x86-64", "32-bit ARM", ...</param>
    public static BootException WrongProcessor(ImageFile file, string builtFor) => new(
        $"{file.Description} is a {builtFor} kernel, and lguest runs 32-bit i386 ones: "
        + "build it with `make ARCH=i386 defconfig` and `make ARCH=i386`, with CONFIG_LGUEST_GUEST=y");

    /// <summary>The sentence for a kernel that reaches beyond the guest's memory.</summary>
    /// <param name="file">The kernel.</param>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="end">First address after the part that doesn't fit.</param>
    public static BootException DoesNotFit(ImageFile file, IBootMemory memory, ulong end) => new(
        $"{file.Description} reaches up to physical address 0x{end:x}, outside the guest's {MemorySize.Format(memory.Size)} of memory: "
        + (end <= int.MaxValue ? $"give it at least {MemorySize.Format(MemorySize.RoundUpToMebibyte(end))}" : "the image is malformed; build it again"));
}
