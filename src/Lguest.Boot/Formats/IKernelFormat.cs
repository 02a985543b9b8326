using Lguest.Boot.Compression;
using Lguest.Boot.Images;

namespace Lguest.Boot.Formats;

/// <summary>A kind of file that a kernel comes in.</summary>
internal interface IKernelFormat
{
    /// <summary>Whether a file is of this kind, by its first bytes.</summary>
    /// <param name="head">The first <see cref="KernelFormats.HeadSize"/> bytes, fewer if the file is shorter.</param>
    bool Recognizes(ReadOnlySpan<byte> head);

    /// <summary>Reads what the file says of the kernel in it.</summary>
    /// <param name="file">The file, which the image owns from now on.</param>
    /// <exception cref="BootException">The file is malformed or not for this machine.</exception>
    KernelImage Read(ImageFile file);
}

/// <summary>The kinds of files there are.</summary>
internal static class KernelFormats
{
    /// <summary>Bytes at the start of a file that tell its kind.</summary>
    public const int HeadSize = 1024;

    private static readonly IKernelFormat[] All = [new ElfFormat(), new BzImageFormat()];

    /// <summary>Reads a kernel of any known kind.</summary>
    /// <param name="file">Its file, which the image owns from now on.</param>
    /// <exception cref="BootException">It is of no known kind, malformed, or not for this machine.</exception>
    public static KernelImage Read(ImageFile file)
    {
        try
        {
            Span<byte> head = stackalloc byte[(int)Math.Min(file.Length, HeadSize)];
            if (!file.TryRead(0, head))
            {
                file.ThrowTruncated("its beginning");
            }

            foreach (IKernelFormat format in All)
            {
                if (format.Recognizes(head))
                {
                    return format.Read(file);
                }
            }

            throw Unknown(file, head);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The sentence for a kernel that was built for the wrong processor.</summary>
    /// <param name="file">The kernel.</param>
    /// <param name="builtFor">"64-bit x86-64", "32-bit ARM", ...</param>
    public static BootException WrongProcessor(ImageFile file, string builtFor) => new(
        $"{file.Description} is a {builtFor} kernel, and lguest runs 32-bit i386 ones: "
        + "build it with `make ARCH=i386 defconfig` and `make ARCH=i386`, with CONFIG_LGUEST_GUEST=y");

    private static BootException Unknown(ImageFile file, ReadOnlySpan<byte> head) => new(
        CompressionFormat.Of(head) is { } compression
            ? $"{file.Description} is compressed with {compression.Name} and isn't a bzImage: give what `{compression.Unpacker}` makes of it"
            : $"{file.Description} is not a kernel image: neither an ELF vmlinux nor a bzImage");
}
