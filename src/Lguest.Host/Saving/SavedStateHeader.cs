using System.Buffers.Binary;
using System.IO.Hashing;
using Lguest.Cpu;
using Lguest.Cpu.Memory;

namespace Lguest.Host.Saving;

/// <summary>The start of a saved state's file.</summary>
/// <param name="Build">The build of lguest that wrote it.</param>
/// <param name="FileLength">Bytes of the file.</param>
/// <param name="DescriptionLength">Bytes of the description, which follows.</param>
/// <param name="DescriptionHash">Their XXH3, 128 bits.</param>
internal readonly record struct SavedStateHeader(UInt128 Build, long FileLength, int DescriptionLength, UInt128 DescriptionHash)
{
    /// <summary>Bytes of the header.</summary>
    public const int Size = 80;

    /// <summary>Number of this form of file. It grows when the header changes; all else goes by the build.</summary>
    private const uint Format = 1;

    private const int FormatOffset = 12;
    private const int BuildOffset = 16;
    private const int FileLengthOffset = 32;
    private const int DescriptionLengthOffset = 40;
    private const int DescriptionHashOffset = 48;
    private const int HashOffset = 64;

    /// <summary>
    /// This build: what is saved is laid out as its code has it. It is made of what the compiler has computed from all sources.
    /// </summary>
    public static UInt128 ThisBuild
    {
        get
        {
            var builds = new XxHash128();
            builds.Append(typeof(Processor).Assembly.ManifestModule.ModuleVersionId.ToByteArray());
            builds.Append(typeof(Guest).Assembly.ManifestModule.ModuleVersionId.ToByteArray());
            return builds.GetCurrentHashAsUInt128();
        }
    }

    private static ReadOnlySpan<byte> Magic => "lguest state"u8;

    /// <summary>Where RAM begins in the file: on the page after the description.</summary>
    public long RamStart => (Size + (long)DescriptionLength + PhysicalMemory.PageSize - 1) / PhysicalMemory.PageSize * PhysicalMemory.PageSize;

    /// <summary>Writes the header.</summary>
    public void Write(Span<byte> bytes)
    {
        bytes[..Size].Clear();
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[FormatOffset..], Format);
        BinaryPrimitives.WriteUInt128LittleEndian(bytes[BuildOffset..], Build);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[FileLengthOffset..], FileLength);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[DescriptionLengthOffset..], DescriptionLength);
        BinaryPrimitives.WriteUInt128LittleEndian(bytes[DescriptionHashOffset..], DescriptionHash);
        BinaryPrimitives.WriteUInt128LittleEndian(bytes[HashOffset..], XxHash128.HashToUInt128(bytes[..HashOffset]));
    }

    /// <summary>Reads a header.</summary>
    /// <param name="bytes">The start of the file, shorter if the file is.</param>
    /// <param name="fileLength">Bytes of the file.</param>
    /// <param name="header">What is in it.</param>
    /// <returns>Null, or what is wrong with the file.</returns>
    public static string? TryRead(ReadOnlySpan<byte> bytes, long fileLength, out SavedStateHeader header)
    {
        header = default;
        if (bytes.Length < FormatOffset || !bytes[..FormatOffset].SequenceEqual(Magic))
        {
            return "is no saved state of lguest: give one";
        }

        if (bytes.Length < Size)
        {
            return Damaged;
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[FormatOffset..]) != Format)
        {
            return Foreign;
        }

        if (BinaryPrimitives.ReadUInt128LittleEndian(bytes[HashOffset..]) != XxHash128.HashToUInt128(bytes[..HashOffset]))
        {
            return Damaged;
        }

        header = new SavedStateHeader(
            BinaryPrimitives.ReadUInt128LittleEndian(bytes[BuildOffset..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[FileLengthOffset..]),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[DescriptionLengthOffset..]),
            BinaryPrimitives.ReadUInt128LittleEndian(bytes[DescriptionHashOffset..]));
        return header.Build != ThisBuild ? Foreign : header.FileLength != fileLength ? Damaged : null;
    }

    /// <summary>What is said of a file whose bytes aren't those that were written.</summary>
    public const string Damaged = "is damaged: save the guest again";

    private const string Foreign = "was written by another version of lguest, and no version reads another's: save the guest again with this one";
}
