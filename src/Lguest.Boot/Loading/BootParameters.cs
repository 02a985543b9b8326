using System.Buffers.Binary;
using Lguest.Host;

namespace Lguest.Boot.Loading;

/// <summary>
/// The boot parameters ("zero page") and the kernel's command line (struct boot_params of Linux;
/// Documentation/i386/zero-page.txt). What isn't written stays zero, and must: a zero screen_info and BIOS area
/// are what make a guest skip VGA, DMI and the rest.
/// </summary>
internal static class BootParameters
{
    /// <summary>Where the boot parameters are.</summary>
    public const uint Address = 0;

    /// <summary>Where the command line is.</summary>
    public const uint CommandLineAddress = 4096;

    /// <summary>Bytes for the command line, with the NUL that ends it.</summary>
    public const int CommandLineSize = 2048;

    private const uint SetupDataAddress = CommandLineAddress + CommandLineSize;

    /// <summary>First address after the pages of the boot parameters and of the command line.</summary>
    public const uint EndOfReservedMemory = 8192;

    private const uint E820Entries = 0x1e8;
    private const uint SetupHeader = 0x1f1;
    private const uint RootFlags = 0x1f2;
    private const uint BootFlag = 0x1fe;
    private const uint Magic = 0x202;
    private const uint Version = 0x206;
    private const uint TypeOfLoader = 0x210;
    private const uint LoadFlags = 0x211;
    private const uint RamdiskImage = 0x218;
    private const uint RamdiskSize = 0x21c;
    private const uint CommandLinePointer = 0x228;
    private const uint KernelAlignment = 0x230;
    private const uint HardwareSubarch = 0x23c;
    private const uint SetupData = 0x250;
    private const uint InitSize = 0x260;
    private const uint E820Map = 0x2d0;

    private const int E820EntrySize = 20;
    private const uint E820Ram = 1;
    private const byte UnknownLoader = 0xff;
    private const uint SetupDataRngSeed = 9;
    private const int SetupDataHeaderSize = 16;
    private const byte LoadedHigh = 1;
    private const byte KeepSegments = 0x40;
    private const ushort VersionOfSubarch = 0x207;
    private const int GuestHeaderSize = (int)(InitSize + sizeof(uint) - SetupHeader);
    private const ushort BootFlagValue = 0xaa55;
    private const ushort RootIsReadOnly = 1;
    private const ushort NewestVersion = 0x20f;
    private const int LeastHeaderSize = (int)(HardwareSubarch + sizeof(uint) - SetupHeader);
    private const uint SubarchLguest = 1;

    /// <summary>
    /// A setup header for a kernel whose image has none, because it is a vmlinux: it is recognized, and says that all
    /// fields are there. The root is read-only until the kernel's command line says otherwise, as it is in every bzImage.
    /// </summary>
    public static byte[] MakeSetupHeader()
    {
        byte[] header = new byte[LeastHeaderSize];
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan((int)(RootFlags - SetupHeader)), RootIsReadOnly);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan((int)(BootFlag - SetupHeader)), BootFlagValue);
        "HdrS"u8.CopyTo(header.AsSpan((int)(Magic - SetupHeader)));
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan((int)(Version - SetupHeader)), NewestVersion);
        header[LoadFlags - SetupHeader] = LoadedHigh;
        return header;
    }

    /// <summary>
    /// A setup header for a kernel that knows of subarchitectures: all zero as the original's was, but for the version, without which it
    /// wouldn't look for one, the flag that forbids it to load segments, which its ring may not, and what it needs of its image's own.
    /// </summary>
    /// <param name="image">The image's header; null when it has none.</param>
    public static byte[] MakeGuestHeader(Formats.SetupHeader? image)
    {
        byte[] header = new byte[GuestHeaderSize];
        ushort version = (ushort)Math.Max(image?.Version ?? 0, VersionOfSubarch);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan((int)(Version - SetupHeader)), version);
        header[LoadFlags - SetupHeader] = KeepSegments;
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan((int)(KernelAlignment - SetupHeader)), image?.Alignment ?? 0);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan((int)(InitSize - SetupHeader)), image?.InitializationSize ?? 0);
        return header;
    }

    /// <summary>Encodes a command line and sees that it fits.</summary>
    /// <exception cref="BootException">It is longer than 2047 bytes.</exception>
    public static byte[] EncodeCommandLine(string commandLine)
    {
        byte[] bytes = ByteText.Encode(commandLine);
        return bytes.Length < CommandLineSize
            ? bytes
            : throw new BootException(
                $"the kernel's command line has {bytes.Length} bytes, and {BootLoader.MostCommandLine} is the most it can have: shorten it");
    }

    /// <summary>Writes everything.</summary>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="commandLine">From <see cref="EncodeCommandLine"/>.</param>
    /// <param name="initrd">Where the initrd is, if there is one.</param>
    /// <param name="ram">What is RAM, as the kernel wants to be told.</param>
    /// <param name="setupHeader">What the kernel wants to find in the place of its setup header; may be empty.</param>
    public static void Write(
        IBootMemory memory,
        ReadOnlySpan<byte> commandLine,
        LoadedRange? initrd,
        IReadOnlyList<MemoryRange> ram,
        ReadOnlySpan<byte> setupHeader)
    {
        setupHeader.CopyTo(memory.Slice(Address + SetupHeader, setupHeader.Length));
        commandLine.CopyTo(memory.Slice(CommandLineAddress, CommandLineSize));
        WriteUInt32(memory, CommandLinePointer, CommandLineAddress);
        WriteUInt32(memory, HardwareSubarch, SubarchLguest);
        WriteE820(memory, ram);
        if (initrd is not null || !setupHeader.IsEmpty)
        {
            memory.Slice(Address + TypeOfLoader, 1)[0] = UnknownLoader;
        }

        if (initrd is not null)
        {
            WriteUInt32(memory, RamdiskImage, initrd.Address);
            WriteUInt32(memory, RamdiskSize, (uint)initrd.Length);
        }
    }

    /// <summary>
    /// Gives the kernel random bytes in a struct setup_data, since it finds nothing here to make its own from. Kernels before
    /// 6.0 leave them alone.
    /// </summary>
    public static void WriteRandomSeed(IBootMemory memory, ReadOnlySpan<byte> seed)
    {
        // {u64 next, u32 type, u32 length}, then the data.
        Span<byte> data = memory.Slice(SetupDataAddress, SetupDataHeaderSize + seed.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(data, 0);
        BinaryPrimitives.WriteUInt32LittleEndian(data[8..], SetupDataRngSeed);
        BinaryPrimitives.WriteUInt32LittleEndian(data[12..], (uint)seed.Length);
        seed.CopyTo(data[SetupDataHeaderSize..]);
        WriteUInt32(memory, SetupData, SetupDataAddress);
    }

    // Entries of {u64 base, u64 size, u32 type}.
    private static void WriteE820(IBootMemory memory, IReadOnlyList<MemoryRange> ram)
    {
        memory.Slice(Address + E820Entries, 1)[0] = (byte)ram.Count;
        for (int i = 0; i < ram.Count; i++)
        {
            Span<byte> entry = memory.Slice(Address + E820Map + (uint)(i * E820EntrySize), E820EntrySize);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, ram[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], ram[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], E820Ram);
        }
    }

    private static void WriteUInt32(IBootMemory memory, uint offset, uint value) =>
        BinaryPrimitives.WriteUInt32LittleEndian(memory.Slice(Address + offset, sizeof(uint)), value);
}
