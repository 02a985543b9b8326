using System.Buffers.Binary;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;

namespace Lguest.Boot.Formats;

/// <summary>
/// A bzImage's setup header (Documentation/x86/boot.rst, "The Real-Mode Kernel Header"). Fields that an old header doesn't
/// have are 0.
/// </summary>
public sealed class SetupHeader
{
    private const int SectorSize = 512;
    private const int Start = 0x1f1;
    private const int SystemSizeOffset = 0x1f4;
    private const int BootFlagOffset = 0x1fe;
    private const int JumpDistanceOffset = 0x201;
    private const int MagicOffset = 0x202;
    private const int VersionOffset = 0x206;
    private const int KernelVersionOffset = 0x20e;
    private const int AlignmentOffset = 0x230;
    private const int RelocatableOffset = 0x234;
    private const int ExtendedLoadFlagsOffset = 0x236;
    private const int PayloadOffsetOffset = 0x248;
    private const int PayloadLengthOffset = 0x24c;
    private const int InitializationSizeOffset = 0x260;
    private const int MostBytes = 0x290;
    private const int LongestKernelVersion = 256;

    private const ushort BootFlag = 0xaa55;
    private const int DefaultSetupSectors = 4;
    private const int SystemSizeUnit = 16;
    private const ushort VersionWithWideSystemSize = 0x204;
    private const ushort VersionWithRelocation = 0x205;
    private const ushort VersionWithPayload = 0x208;
    private const ushort VersionWithInitializationSize = 0x20a;
    private const ushort VersionWithExtendedLoadFlags = 0x20c;
    private const ushort Kernel64 = 1;
    private const uint LowestKernel = 0x100000;

    private readonly byte[] _sector;

    private SetupHeader(byte[] sector)
    {
        _sector = sector;
        Version = BinaryPrimitives.ReadUInt16LittleEndian(sector.AsSpan(VersionOffset));
    }

    /// <summary>Version of the boot protocol: 0x20f is 2.15.</summary>
    public int Version { get; }

    /// <summary>What the kernel says of itself, such as <c>2.6.23 (who@where) #1 date</c>; null when it doesn't.</summary>
    public string? KernelVersion { get; private init; }

    /// <summary>The address of the kernel must be a multiple of this.</summary>
    public uint Alignment => Version >= VersionWithRelocation ? Field(AlignmentOffset) : 0;

    /// <summary>Bytes of memory that the kernel needs from its start on before it knows how much there is.</summary>
    public uint InitializationSize => Version >= VersionWithInitializationSize ? Field(InitializationSizeOffset) : 0;

    /// <summary>Where the protected-mode code starts in the file.</summary>
    internal long ProtectedModeOffset => (1 + (_sector[Start] == 0 ? DefaultSetupSectors : _sector[Start])) * SectorSize;

    /// <summary>Bytes it has at least. The header counts units that were begun, and the file isn't filled up to a whole one.</summary>
    internal long LeastProtectedModeSize =>
        Version >= VersionWithWideSystemSize && Field(SystemSizeOffset) is var units and not 0
            ? ((units - 1) * (long)SystemSizeUnit) + 1
            : 0;

    /// <summary>Whether the kernel has a 64-bit entry point.</summary>
    public bool Is64Bit => Version >= VersionWithExtendedLoadFlags && (_sector[ExtendedLoadFlagsOffset] & Kernel64) != 0;

    /// <summary>Whether it may be loaded elsewhere than where it is linked.</summary>
    public bool IsRelocatable => Version >= VersionWithRelocation && _sector[RelocatableOffset] != 0;

    /// <summary>Where the payload is in the protected-mode code.</summary>
    internal uint PayloadOffset => Version >= VersionWithPayload ? Field(PayloadOffsetOffset) : 0;

    /// <summary>Bytes of it.</summary>
    internal uint PayloadLength => Version >= VersionWithPayload ? Field(PayloadLengthOffset) : 0;

    /// <summary>The header as it goes into the boot parameters, from 0x1f1 to where its jump instruction says it ends.</summary>
    internal byte[] Bytes => _sector[Start..Math.Min(MagicOffset + _sector[JumpDistanceOffset], MostBytes)];

    private static ReadOnlySpan<byte> Magic => "HdrS"u8;

    /// <summary>Whether an image starts like a bzImage.</summary>
    internal static bool IsPresent(ReadOnlySpan<byte> head) =>
        head.Length >= MagicOffset + Magic.Length
        && BinaryPrimitives.ReadUInt16LittleEndian(head[BootFlagOffset..]) == BootFlag
        && head[MagicOffset..].StartsWith(Magic);

    /// <summary>Reads the header.</summary>
    /// <exception cref="BootException">The file ends before the protected-mode code.</exception>
    internal static SetupHeader Read(ImageFile file)
    {
        byte[] sector = new byte[MostBytes];
        if (!file.TryRead(0, sector))
        {
            file.ThrowTruncated("its setup header");
        }

        var header = new SetupHeader(sector) { KernelVersion = ReadKernelVersion(file, sector) };
        if (header.ProtectedModeOffset >= file.Length)
        {
            file.ThrowTruncated("its setup code");
        }

        return header;
    }

    /// <summary>How much lower than it is linked a relocatable kernel may be loaded at most.</summary>
    /// <param name="start">First physical address that it is linked for.</param>
    internal uint MostShift(uint start)
    {
        uint alignment = Math.Max(Field(AlignmentOffset), (uint)MemorySize.Page);
        ulong lowest = (((ulong)LowestKernel + alignment - 1) / alignment * alignment) + (start % alignment);
        return lowest < start ? start - (uint)lowest : 0;
    }

    // The field is counted from the sector after the boot sector; 0 is none.
    private static string? ReadKernelVersion(ImageFile file, byte[] sector)
    {
        ushort offset = BinaryPrimitives.ReadUInt16LittleEndian(sector.AsSpan(KernelVersionOffset));
        Span<byte> text = stackalloc byte[LongestKernelVersion];
        if (offset == 0 || !file.TryRead(offset + SectorSize, text))
        {
            return null;
        }

        int end = text.IndexOf((byte)0);
        return end > 0 ? KernelTexts.Printable(text[..end]) : null;
    }

    private uint Field(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_sector.AsSpan(offset));
}
