using System.Buffers.Binary;
using Lguest.Boot.Compression;

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

    private static readonly ElfFormat Elf = new();

    /// <inheritdoc />
    public bool Recognizes(ReadOnlySpan<byte> head) => SetupHeader.IsPresent(head);

    /// <inheritdoc />
    public KernelImage Load(ImageFile file, IBootMemory memory)
    {
        SetupHeader header = SetupHeader.Read(file);
        if (header.Is64Bit)
        {
            throw KernelFormats.WrongProcessor(file, "64-bit x86-64");
        }

        MemoryStream kernel = Unpack(file, header, memory);
        return kernel.GetBuffer().AsSpan(0, (int)kernel.Length).StartsWith(ElfFormat.Magic)
            ? LoadElf(file, kernel, memory)
            : LoadRaw(file, kernel, memory);
    }

    private static MemoryStream Unpack(ImageFile file, SetupHeader header, IBootMemory memory)
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

        (IPayloadCodec codec, int offset) = FindPayload(file, image);
        try
        {
            long room = Math.Clamp((long)memory.Size - RawKernelAddress, 0, Array.MaxLength);
            return codec.Unpack(new MemoryStream(image, offset, image.Length - offset), room)
                ?? throw new BootException(
                    $"{file.Description} unpacks to more than the guest's {MemorySize.Format(memory.Size)} of memory: give it more");
        }
        catch (InvalidDataException e)
        {
            throw new BootException(
                $"{file.Description} has a corrupt payload ({e.Message.TrimEnd('.')}): copy or build it again", e);
        }
    }

    // The kernel of 2.6.23 has no field that says where its payload is: it is where the first magic is.
    private static (IPayloadCodec Codec, int Offset) FindPayload(ImageFile file, ReadOnlySpan<byte> image)
    {
        (IPayloadCodec Codec, int Offset)? first = null;
        foreach (IPayloadCodec codec in PayloadCodecs.All)
        {
            int offset = image.IndexOf(codec.Magic);
            if (offset >= 0 && (first is null || offset < first.Value.Offset))
            {
                first = (codec, offset);
            }
        }

        return first ?? throw new BootException(
            $"{file.Description} has no payload compressed with gzip: build it with CONFIG_KERNEL_GZIP=y, or give its vmlinux");
    }

    private static KernelImage LoadElf(ImageFile file, MemoryStream kernel, IBootMemory memory)
    {
        using var payload = new ImageFile(file.Description, kernel);
        return Elf.Load(payload, memory);
    }

    private static KernelImage LoadRaw(ImageFile file, MemoryStream kernel, IBootMemory memory)
    {
        ReadOnlySpan<byte> bytes = kernel.GetBuffer().AsSpan(0, (int)kernel.Length);
        bytes.CopyTo(memory.Slice(RawKernelAddress, bytes.Length));
        return new KernelImage(
            file.Description,
            [new LoadedRange(RawKernelAddress, bytes.Length)],
            RawKernelAddress + (uint)bytes.Length,
            PageOffset: null);
    }
}

/// <summary>What a loader needs of a bzImage's setup header (Documentation/i386/boot.txt, "THE REAL-MODE KERNEL HEADER").</summary>
/// <param name="ProtectedModeOffset">Where the protected-mode code starts in the file.</param>
/// <param name="LeastProtectedModeSize">Bytes it has at least; 0 when the header is too old to say.</param>
/// <param name="Is64Bit">Whether the kernel has a 64-bit entry point.</param>
internal readonly record struct SetupHeader(long ProtectedModeOffset, long LeastProtectedModeSize, bool Is64Bit)
{
    private const int SectorSize = 512;
    private const int SetupSectorsOffset = 0x1f1;
    private const int SystemSizeOffset = 0x1f4;
    private const int BootFlagOffset = 0x1fe;
    private const int MagicOffset = 0x202;
    private const int VersionOffset = 0x206;
    private const int ExtendedLoadFlagsOffset = 0x236;
    private const int SizeRead = ExtendedLoadFlagsOffset + sizeof(ushort);

    private const ushort BootFlag = 0xaa55;
    private const int DefaultSetupSectors = 4;
    private const int SystemSizeUnit = 16;
    private const ushort VersionWithWideSystemSize = 0x204;
    private const ushort VersionWithExtendedLoadFlags = 0x20c;
    private const ushort Kernel64 = 1;

    private static ReadOnlySpan<byte> Magic => "HdrS"u8;

    /// <summary>Whether an image starts like a bzImage.</summary>
    public static bool IsPresent(ReadOnlySpan<byte> head) =>
        head.Length >= MagicOffset + Magic.Length
        && BinaryPrimitives.ReadUInt16LittleEndian(head[BootFlagOffset..]) == BootFlag
        && head[MagicOffset..].StartsWith(Magic);

    /// <summary>Reads the header.</summary>
    /// <exception cref="BootException">The file ends before the protected-mode code.</exception>
    public static SetupHeader Read(ImageFile file)
    {
        Span<byte> header = stackalloc byte[SizeRead];
        if (!file.TryRead(0, header))
        {
            file.ThrowTruncated("its setup header");
        }

        ushort version = BinaryPrimitives.ReadUInt16LittleEndian(header[VersionOffset..]);
        int sectors = header[SetupSectorsOffset] == 0 ? DefaultSetupSectors : header[SetupSectorsOffset];
        long offset = (1 + sectors) * SectorSize;
        if (offset >= file.Length)
        {
            file.ThrowTruncated("its setup code");
        }

        return new SetupHeader(
            offset,
            version >= VersionWithWideSystemSize ? LeastSize(BinaryPrimitives.ReadUInt32LittleEndian(header[SystemSizeOffset..])) : 0,
            version >= VersionWithExtendedLoadFlags
                && (BinaryPrimitives.ReadUInt16LittleEndian(header[ExtendedLoadFlagsOffset..]) & Kernel64) != 0);
    }

    // The header counts units that were begun, and the file isn't filled up to a whole one.
    private static long LeastSize(uint units) => units == 0 ? 0 : ((units - 1) * (long)SystemSizeUnit) + 1;
}
