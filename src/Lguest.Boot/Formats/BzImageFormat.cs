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

        using MemoryStream kernel = Unpack(file, header, memory);
        return kernel.GetBuffer().AsSpan(0, (int)kernel.Length).StartsWith(ElfFormat.Magic)
            ? LoadElf(file, header, kernel, memory)
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

        (IPayloadCodec codec, MemoryStream payload) = FindPayload(file, header, image);
        try
        {
            return codec.Unpack(payload, LargestPayload(memory))
                ?? throw TooLarge(file, memory);
        }
        catch (InvalidDataException e)
        {
            throw new BootException(
                $"{file.Description} has a corrupt payload ({e.Message.TrimEnd('.')}): copy or build it again", e);
        }
    }

    private static BootException TooLarge(ImageFile file, IBootMemory memory) =>
        new($"{file.Description} unpacks to more than the guest's {MemorySize.Format(memory.Size)} of memory: give it more");

    // An ELF file has more in it than goes into memory, relocations for instance.
    private static long LargestPayload(IBootMemory memory) => Math.Min(2L * memory.Size, Array.MaxLength);

    private static (IPayloadCodec Codec, MemoryStream Payload) FindPayload(ImageFile file, SetupHeader header, byte[] image)
    {
        if (header.PayloadLength == 0)
        {
            // 2.6.23 has no field that says where its payload is: it is where the first magic is.
            int offset = image.AsSpan().IndexOf(PayloadCodecs.Gzip.Magic);
            return offset >= 0
                ? (PayloadCodecs.Gzip, new MemoryStream(image, offset, image.Length - offset))
                : throw new BootException(
                    $"{file.Description} has no payload compressed with gzip: build it with CONFIG_KERNEL_GZIP=y, or give its vmlinux");
        }

        if ((ulong)header.PayloadOffset + header.PayloadLength > (ulong)image.Length)
        {
            file.ThrowTruncated("its payload");
        }

        var payload = new MemoryStream(image, (int)header.PayloadOffset, (int)header.PayloadLength);
        foreach (IPayloadCodec codec in PayloadCodecs.All)
        {
            if (image.AsSpan((int)header.PayloadOffset, (int)header.PayloadLength).StartsWith(codec.Magic))
            {
                return (codec, payload);
            }
        }

        throw new BootException(
            $"{file.Description} is compressed in a way that lguest doesn't know, neither with {PayloadCodecs.Names}: "
            + "build it with CONFIG_KERNEL_GZIP=y, or give its vmlinux");
    }

    private static KernelImage LoadElf(ImageFile file, SetupHeader header, MemoryStream kernel, IBootMemory memory)
    {
        using var payload = new ImageFile(file.Description, kernel);
        (uint start, ulong end) = ElfFormat.ReadExtent(payload);
        uint shift = header.IsRelocatable && end > memory.Size ? header.MostShift(start) : 0;
        KernelImage image = ElfFormat.Load(payload, memory, shift);
        if (shift != 0)
        {
            Relocate(file, kernel, image, memory, shift);
        }

        return image with { SetupHeader = header.Bytes };
    }

    /// <summary>
    /// Corrects the addresses in a kernel that was loaded lower than it is linked. After its ELF file comes a table of where
    /// they are, each a virtual address as linked, read from its end to a zero (handle_relocations in the kernel's misc.c).
    /// </summary>
    private static void Relocate(ImageFile file, MemoryStream kernel, KernelImage image, IBootMemory memory, uint shift)
    {
        ReadOnlySpan<byte> table = kernel.GetBuffer().AsSpan(0, (int)kernel.Length);
        while (table.Length >= sizeof(uint))
        {
            uint linked = BinaryPrimitives.ReadUInt32LittleEndian(table[^sizeof(uint)..]);
            table = table[..^sizeof(uint)];
            if (linked == 0)
            {
                return;
            }

            Span<byte> place = LoadedAt(image, memory, linked - image.PageOffset.GetValueOrDefault() - shift);
            if (place.IsEmpty)
            {
                throw new BootException($"{file.Description} has a relocation outside itself, at 0x{linked:x}: copy or build it again");
            }

            BinaryPrimitives.WriteUInt32LittleEndian(place, BinaryPrimitives.ReadUInt32LittleEndian(place) - shift);
        }
    }

    private static Span<byte> LoadedAt(KernelImage image, IBootMemory memory, uint physical)
    {
        foreach (LoadedRange range in image.Ranges)
        {
            if (physical >= range.Address && (long)physical - range.Address + sizeof(uint) <= range.Length)
            {
                return memory.Slice(physical, sizeof(uint));
            }
        }

        return default;
    }

    private static KernelImage LoadRaw(ImageFile file, MemoryStream kernel, IBootMemory memory)
    {
        ReadOnlySpan<byte> bytes = kernel.GetBuffer().AsSpan(0, (int)kernel.Length);
        if (RawKernelAddress + (ulong)bytes.Length > memory.Size)
        {
            throw TooLarge(file, memory);
        }

        bytes.CopyTo(memory.Slice(RawKernelAddress, bytes.Length));
        return new KernelImage(
            file.Description,
            [new LoadedRange(RawKernelAddress, bytes.Length)],
            RawKernelAddress + (uint)bytes.Length,
            PageOffset: null,
            Entry: null);
    }
}

/// <summary>
/// What a loader needs of a bzImage's setup header (Documentation/x86/boot.rst, "The Real-Mode Kernel Header"). Fields that an
/// old header doesn't have are 0.
/// </summary>
internal sealed class SetupHeader
{
    private const int SectorSize = 512;
    private const int Start = 0x1f1;
    private const int SystemSizeOffset = 0x1f4;
    private const int BootFlagOffset = 0x1fe;
    private const int JumpDistanceOffset = 0x201;
    private const int MagicOffset = 0x202;
    private const int VersionOffset = 0x206;
    private const int AlignmentOffset = 0x230;
    private const int RelocatableOffset = 0x234;
    private const int ExtendedLoadFlagsOffset = 0x236;
    private const int PayloadOffsetOffset = 0x248;
    private const int PayloadLengthOffset = 0x24c;
    private const int MostBytes = 0x290;

    private const ushort BootFlag = 0xaa55;
    private const int DefaultSetupSectors = 4;
    private const int SystemSizeUnit = 16;
    private const ushort VersionWithWideSystemSize = 0x204;
    private const ushort VersionWithRelocation = 0x205;
    private const ushort VersionWithPayload = 0x208;
    private const ushort VersionWithExtendedLoadFlags = 0x20c;
    private const ushort Kernel64 = 1;
    private const uint LowestKernel = 0x100000;

    private readonly byte[] _sector;
    private readonly ushort _version;

    private SetupHeader(byte[] sector)
    {
        _sector = sector;
        _version = BinaryPrimitives.ReadUInt16LittleEndian(sector.AsSpan(VersionOffset));
    }

    /// <summary>Where the protected-mode code starts in the file.</summary>
    public long ProtectedModeOffset => (1 + (_sector[Start] == 0 ? DefaultSetupSectors : _sector[Start])) * SectorSize;

    /// <summary>Bytes it has at least. The header counts units that were begun, and the file isn't filled up to a whole one.</summary>
    public long LeastProtectedModeSize =>
        _version >= VersionWithWideSystemSize && Field(SystemSizeOffset) is var units and not 0
            ? ((units - 1) * (long)SystemSizeUnit) + 1
            : 0;

    /// <summary>Whether the kernel has a 64-bit entry point.</summary>
    public bool Is64Bit => _version >= VersionWithExtendedLoadFlags && (_sector[ExtendedLoadFlagsOffset] & Kernel64) != 0;

    /// <summary>Whether it may be loaded elsewhere than where it is linked.</summary>
    public bool IsRelocatable => _version >= VersionWithRelocation && _sector[RelocatableOffset] != 0;

    /// <summary>Where the payload is in the protected-mode code.</summary>
    public uint PayloadOffset => _version >= VersionWithPayload ? Field(PayloadOffsetOffset) : 0;

    /// <summary>Bytes of it.</summary>
    public uint PayloadLength => _version >= VersionWithPayload ? Field(PayloadLengthOffset) : 0;

    /// <summary>The header as it goes into the boot parameters, from 0x1f1 to where its jump instruction says it ends.</summary>
    public byte[] Bytes => _sector[Start..Math.Min(MagicOffset + _sector[JumpDistanceOffset], MostBytes)];

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
        byte[] sector = new byte[MostBytes];
        if (!file.TryRead(0, sector))
        {
            file.ThrowTruncated("its setup header");
        }

        var header = new SetupHeader(sector);
        if (header.ProtectedModeOffset >= file.Length)
        {
            file.ThrowTruncated("its setup code");
        }

        return header;
    }

    /// <summary>How much lower than it is linked a relocatable kernel may be loaded at most.</summary>
    /// <param name="start">First physical address that it is linked for.</param>
    public uint MostShift(uint start)
    {
        uint alignment = Math.Max(Field(AlignmentOffset), (uint)MemorySize.Page);
        ulong lowest = (((ulong)LowestKernel + alignment - 1) / alignment * alignment) + (start % alignment);
        return lowest < start ? start - (uint)lowest : 0;
    }

    private uint Field(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_sector.AsSpan(offset));
}
