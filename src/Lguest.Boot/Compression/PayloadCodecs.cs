using SharpCompress.Compressors;
using SharpCompress.Compressors.BZip2;
using SharpCompress.Compressors.LZMA;
using SharpCompress.Compressors.ZStandard;

namespace Lguest.Boot.Compression;

/// <summary>The ways there are.</summary>
internal static class PayloadCodecs
{
    /// <summary>What the user may choose from, as the kernel's configuration has it.</summary>
    public const string Names = "gzip, bzip2, lzma, xz, lz4 or zstd";

    private const int LzmaProperties = 5;

    /// <summary>What 2.6.23 knew, and the only one that is looked for where a kernel doesn't say where its payload is.</summary>
    public static IPayloadCodec Gzip { get; } = new GzipCodec();

    /// <summary>All of them; magics as in the kernel's lib/decompress.c.</summary>
    public static IReadOnlyList<IPayloadCodec> All { get; } =
    [
        Gzip,
        new SizedCodec([.. "BZh"u8], SizedCodec.Through(OpenBzip2)),
        new SizedCodec([0x5d, 0, 0], SizedCodec.Through(OpenLzma)),
        new SizedCodec([0xfd, .. "7zXZ"u8, 0], XzPayload.Unpack),
        new SizedCodec([0x02, 0x21, 0x4c, 0x18], SizedCodec.Through(packed => new Lz4LegacyStream(packed))),
        new SizedCodec([0x28, 0xb5, 0x2f, 0xfd], SizedCodec.Through(packed => new DecompressionStream(packed))),
    ];

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
