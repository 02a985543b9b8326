using Lguest.Boot.Compression;
using Lguest.Boot.Images;

namespace Lguest.Boot.Formats;

/// <summary>
/// A bzImage: real-mode setup code with a header (Documentation/i386/boot.txt), then a program that would
/// unpack the kernel, with the kernel as its payload. Here the host unpacks, and neither program runs.
/// </summary>
internal sealed class BzImageFormat : IKernelFormat
{
    /// <summary>Where a raw payload is linked to be: what unpacks it in a real machine puts it at 1 MiB.</summary>
    public const uint RawKernelAddress = 0x100000;

    private const long LargestImage = 1 << 30;

    // An ELF file has more in it than goes into memory, relocations for instance.
    private const int LargestPayload = 1 << 30;

    /// <inheritdoc />
    public bool Recognizes(ReadOnlySpan<byte> head) => SetupHeader.IsPresent(head);

    /// <inheritdoc />
    public KernelImage Read(ImageFile file)
    {
        SetupHeader header = SetupHeader.Read(file);
        if (header.Is64Bit)
        {
            throw KernelFormats.WrongProcessor(file, "64-bit x86-64");
        }

        (CompressionFormat compression, MemoryStream payload) = FindPayload(file, header, ReadProtectedMode(file, header));
        var kernel = new ImageFile(file.Description, Unpack(file, compression, payload));
        file.Dispose();
        return MakeImage(kernel, ElfFormat.IsElf(kernel) ? ElfLayout.Read(kernel) : RawLayout(kernel), header, compression);
    }

    private static KernelImage MakeImage(ImageFile kernel, ElfLayout layout, SetupHeader header, CompressionFormat compression) =>
        new(kernel)
        {
            Format = KernelFormat.BzImage,
            Compression = compression.Name,
            Header = header,
            Segments = layout.Segments,
            NoteSegments = layout.Notes,
            PageOffset = layout.PageOffset,
            Entry = layout.Entry,
        };

    private static ElfLayout RawLayout(ImageFile kernel) =>
        new([new KernelSegment(RawKernelAddress, 0, (int)kernel.Length, (uint)kernel.Length)], [], null, null);

    private static byte[] ReadProtectedMode(ImageFile file, SetupHeader header)
    {
        long size = file.Length - header.ProtectedModeOffset;
        if (size > LargestImage)
        {
            throw new BootException($"{file.Description} is too large to be a bzImage: give a vmlinux or bzImage of Linux");
        }

        byte[] image = new byte[size];
        if (!file.TryRead(header.ProtectedModeOffset, image) || image.Length < header.LeastProtectedModeSize)
        {
            file.ThrowTruncated("its protected-mode code");
        }

        return image;
    }

    private static MemoryStream Unpack(ImageFile file, CompressionFormat compression, MemoryStream payload)
    {
        if (compression.Codec is null)
        {
            throw Unknown(file, $"with {compression.Name}, which lguest can't unpack");
        }

        try
        {
            MemoryStream kernel = compression.Codec.Unpack(payload, LargestPayload)
                ?? throw new InvalidDataException("it unpacks to more than 1 GiB, which no kernel is");
            return kernel.Length > 0 ? kernel : throw new InvalidDataException("there is nothing in it");
        }
        catch (InvalidDataException e)
        {
            throw new BootException(
                $"{file.Description} has a corrupt payload ({e.Message.TrimEnd('.')}): copy or build it again", e);
        }
    }

    private static (CompressionFormat Compression, MemoryStream Payload) FindPayload(ImageFile file, SetupHeader header, byte[] image)
    {
        if (header.PayloadLength == 0)
        {
            // 2.6.23 has no field that says where its payload is: it is where the first magic is.
            int offset = image.AsSpan().IndexOf(CompressionFormat.Gzip.Magic);
            return offset >= 0
                ? (CompressionFormat.Gzip, new MemoryStream(image, offset, image.Length - offset))
                : throw new BootException(
                    $"{file.Description} has no payload compressed with gzip: build it with CONFIG_KERNEL_GZIP=y, or give its vmlinux");
        }

        if ((ulong)header.PayloadOffset + header.PayloadLength > (ulong)image.Length)
        {
            file.ThrowTruncated("its payload");
        }

        CompressionFormat compression = CompressionFormat.Of(image.AsSpan((int)header.PayloadOffset, (int)header.PayloadLength))
            ?? throw Unknown(file, $"in a way that lguest doesn't know, neither with {CompressionFormat.KernelChoices}");
        return (compression, new MemoryStream(image, (int)header.PayloadOffset, (int)header.PayloadLength));
    }

    private static BootException Unknown(ImageFile file, string how) => new(
        $"{file.Description} is compressed {how}: build it with CONFIG_KERNEL_GZIP=y, or give its vmlinux");
}
