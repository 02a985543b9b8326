using SharpCompress.Compressors;
using SharpCompress.Compressors.BZip2;
using SharpCompress.Compressors.LZMA;
using SharpCompress.Compressors.ZStandard;

namespace Lguest.Boot.Compression;

/// <summary>A way to compress that Linux knows, for itself and for its initrd.</summary>
/// <param name="Name">As in the kernel's configuration, in small letters: <c>gzip</c> is CONFIG_KERNEL_GZIP and CONFIG_RD_GZIP.</param>
/// <param name="Magic">What begins everything of this kind (compressed_formats in the kernel's lib/decompress.c).</param>
/// <param name="Unpacker">The command that unpacks a file to standard output.</param>
/// <param name="KernelFunction">The function by which a kernel unpacks its initrd.</param>
/// <param name="Codec">What unpacks a kernel here; null when nothing does.</param>
internal sealed record CompressionFormat(string Name, byte[] Magic, string Unpacker, string KernelFunction, IPayloadCodec? Codec)
{
    /// <summary>What the user may choose from for a kernel, as its configuration has it.</summary>
    public const string KernelChoices = "gzip, bzip2, lzma, xz, lz4 or zstd";

    private const int LzmaProperties = 5;

    /// <summary>What 2.6.23 knew, and the only one that is looked for where a kernel doesn't say where its payload is.</summary>
    public static CompressionFormat Gzip { get; } = new("gzip", [0x1f, 0x8b, 8], "gunzip -c", "gunzip", new GzipCodec());

    /// <summary>All of them.</summary>
    public static IReadOnlyList<CompressionFormat> All { get; } =
    [
        Gzip,
        new("bzip2", [.. "BZh"u8], "bunzip2 -c", "bunzip2", new SizedCodec(SizedCodec.Through(OpenBzip2))),
        new("lzma", [0x5d, 0, 0], "unlzma -c", "unlzma", new SizedCodec(SizedCodec.Through(OpenLzma))),
        new("xz", [0xfd, .. "7zXZ"u8, 0], "unxz -c", "unxz", new SizedCodec(XzPayload.Unpack)),
        new("lzo", [0x89, .. "LZO"u8, 0], "lzop -dc", "unlzo", null),
        new("lz4", [0x02, 0x21, 0x4c, 0x18], "unlz4 -c", "unlz4", new SizedCodec(SizedCodec.Through(packed => new Lz4LegacyStream(packed)))),
        new("zstd", [0x28, 0xb5, 0x2f, 0xfd], "unzstd -c", "unzstd", new SizedCodec(SizedCodec.Through(packed => new DecompressionStream(packed)))),
    ];

    /// <summary>The format of something, by its first bytes; null for none of these.</summary>
    public static CompressionFormat? Of(ReadOnlySpan<byte> head)
    {
        foreach (CompressionFormat format in All)
        {
            if (head.StartsWith(format.Magic))
            {
                return format;
            }
        }

        return null;
    }

    private static BZip2Stream OpenBzip2(Stream packed) =>
        BZip2Stream.Create(packed, CompressionMode.Decompress, decompressConcatenated: false, leaveOpen: false);

    // The .lzma format: properties, the size of the contents or -1, then the stream.
    private static LzmaStream OpenLzma(Stream packed)
    {
        byte[] properties = new byte[LzmaProperties];
        packed.ReadExactly(properties);
        Span<byte> size = stackalloc byte[sizeof(long)];
        packed.ReadExactly(size);
        return LzmaStream.Create(properties, packed, packed.Length - packed.Position, BitConverter.ToInt64(size), leaveOpen: false);
    }
}
