using System.Buffers.Binary;
using K4os.Compression.LZ4;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.TestSupport;
using SharpCompress.Compressors;
using SharpCompress.Compressors.BZip2;
using SharpCompress.Compressors.LZMA;
using SharpCompress.Compressors.ZStandard;

namespace Lguest.Boot.Tests;

/// <summary>Kernels without the signature: they are entered by Linux's 32-bit boot protocol.</summary>
public sealed class LinuxBootTests : IDisposable
{
    private const uint Mebibyte = 1024 * 1024;
    private const uint PageOffset = TestImages.UsualPageOffset;
    private const uint Address = TestImages.KernelAddress;
    private const uint Entry = Address + 5;

    /// <summary><see cref="Kernel"/> as <c>xz --check=crc32 --x86 --lzma2</c> packs it, and its size.</summary>
    private const string KernelInXz =
        "/Td6WFoAAAFpIt42AgEEACEBHACHbtrl4AEbAHRdAD+RRYRoO97epg8j1uh8X+Hc9hVh8cEmindc6cWDxtWQo/I4WfrSByq29zkX"
        + "xNFpQeOPinQ6ARMlxrSZxQgnJgacc/9ZTxBwklyKnS4XOi5By1YxD6KegvfxfE8hlWc9SrZ19Tpc0wP5pdBUs3j4xnGcyD1DAP1L"
        + "0sQAAYwBnAIAALyjVWM+MA2LAgAAAAABWVocAQAA";

    private readonly TestFolder _folder = new();
    private readonly ArrayMemory _memory = new(8 * Mebibyte);

    /// <summary>The compressions that the kernel's configuration offers, and lguest knows.</summary>
    public static TheoryData<string> Compressions => ["gzip", "bzip2", "lzma", "xz", "lz4", "zstd"];

    private static byte[] Code => [.. Enumerable.Repeat<byte[]>([0xe8, 0x10, 0, 0, 0], 40).SelectMany(call => call)];

    private static byte[] Kernel => TestImages.Elf(Entry, new ElfPart(Address + PageOffset, Address, Code));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_vmlinux_is_entered_at_its_elf_entry()
    {
        LoadedGuest record = Load(Kernel);

        Assert.Equal(KnownAbis.RingZero, record.Abi);
        Assert.Equal((Entry, null, 0u), (record.Entry.EntryPoint, record.Entry.PageDirectory, record.Entry.PageOffset));
        Assert.Equal(Code, _memory.Slice(Address, Code.Length).ToArray());
    }

    [Fact]
    public void The_signature_comes_first()
    {
        byte[] kernel = TestImages.Elf(Address, new ElfPart(Address + PageOffset, Address, TestImages.KernelBytes()));
        Assert.Equal(KnownAbis.Linux2623, Load(kernel).Abi);
    }

    [Fact]
    public void It_is_told_of_its_machine()
    {
        LoadedGuest record = Load(Kernel, initrd: [1, 2, 3], commandLine: "root=/dev/lgba");

        uint parameters = record.Entry.BootParameters;
        Assert.Equal(0xaa55, (ushort)ReadUInt32(parameters + 0x1fe));
        Assert.Equal("HdrS"u8.ToArray(), _memory.Slice(parameters + 0x202, 4).ToArray());
        Assert.Equal(1, (ushort)ReadUInt32(parameters + 0x1f2));
        Assert.Equal(0xff, (byte)ReadUInt32(parameters + 0x210));
        Assert.Equal(1u, ReadUInt32(parameters + 0x23c));
        Assert.Equal((8 * Mebibyte) - 4096, ReadUInt32(parameters + 0x218));
        Assert.Equal(3u, ReadUInt32(parameters + 0x21c));
        Assert.Equal("root=/dev/lgba\0"u8.ToArray(), _memory.Slice(ReadUInt32(parameters + 0x228), 15).ToArray());
        Assert.Equal(2, (byte)ReadUInt32(parameters + 0x1e8));
        Assert.Equal([0, 0, 0xa_0000, 0, 1], Words(parameters + 0x2d0));
        Assert.Equal([0x10_0000, 0, 7 * Mebibyte, 0, 1], Words(parameters + 0x2e4));
    }

    [Fact]
    public void It_is_told_of_memory_from_4_GiB_on()
    {
        var memory = new ArrayMemory(8 * Mebibyte) { HighRam = [new MemoryRange(1UL << 32, 5UL << 30)] };
        Load(Kernel, memory: memory);

        Assert.Equal(3, memory.Slice(0x1e8, 1)[0]);
        Assert.Equal([0, 1, 0x4000_0000, 0, 1], Enumerable.Range(0, 5).Select(i => memory.ReadUInt32(0x2f8 + ((uint)i * 4))));
    }

    [Theory]
    [InlineData("CONFIG_X86_PAE=y\n", 1024, false)]
    [InlineData("CONFIG_HIGHMEM4G=y\n", 1024, true)]
    [InlineData("CONFIG_HIGHMEM4G=y\n", 0, false)]
    [InlineData(null, 1024, false)]
    public void Memory_from_4_GiB_on_that_its_configuration_excludes_is_worth_a_sentence(string? configuration, int mebibytes, bool isTold)
    {
        byte[] code = [.. Code, .. configuration is null ? [] : TestImages.Configuration(configuration)];
        string path = _folder.File("vmlinux", TestImages.Elf(Entry, new ElfPart(Address + PageOffset, Address, code)));
        var memory = new ArrayMemory(8 * Mebibyte)
        {
            HighRam = mebibytes == 0 ? [] : [new MemoryRange(1UL << 32, (1UL << 32) + ((ulong)mebibytes << 20))],
        };
        var warnings = new List<string>();
        using KernelImage image = KernelImage.Open(path);
        BootLoader.Load(new BootRequest(image, KnownAbis.RingZero, null, string.Empty) { Warn = warnings.Add }, memory);

        Assert.Equal(
            isTold ? [$"kernel '{path}' is built without CONFIG_X86_PAE: of the guest's 1032m of memory it uses at most 8m"] : [],
            warnings);
    }

    [Fact]
    public void It_is_given_random_bytes_to_begin_with()
    {
        LoadedGuest record = TestBoot.Load(_folder.File("vmlinux", Kernel), _memory, randomSeed: new byte[] { 1, 2, 3 });

        uint data = ReadUInt32(record.Entry.BootParameters + 0x250);
        Assert.Equal([0, 0, 9, 3, 0x030201], Words(data));
    }

    [Theory]
    [MemberData(nameof(Compressions))]
    public void A_bzImage_may_be_compressed_in_any_way(string compression)
    {
        LoadedGuest record = Load(TestImages.ModernBzImage(Pack(compression)));

        Assert.Equal((KnownAbis.RingZero, Entry), (record.Abi, record.Entry.EntryPoint));
        Assert.Equal(Code, _memory.Slice(Address, Code.Length).ToArray());
    }

    [Fact]
    public void Lz4_comes_in_blocks()
    {
        byte[] kernel = TestImages.Elf(Address, new ElfPart(Address + PageOffset, Address, TestImages.KernelBytes(length: 0x90_0000)));
        LoadedGuest record = Load(TestImages.ModernBzImage([.. Lz4(kernel[..0x80_0000]), .. Lz4(kernel[0x80_0000..])[4..], .. Size(kernel)]), memory: new ArrayMemory(16 * Mebibyte));

        Assert.Equal(KnownAbis.Linux2623, record.Abi);
    }

    [Theory]
    [MemberData(nameof(Compressions))]
    public void A_damaged_payload_is_loaded_or_refused_and_nothing_else_happens(string compression)
    {
        const int Seed = 20071009;
        var random = new Random(Seed);
        byte[] payload = Pack(compression);
        for (int round = 0; round < 200; round++)
        {
            byte[] damaged = (byte[])payload.Clone();
            damaged[random.Next(4, damaged.Length)] ^= (byte)random.Next(1, 256);
            Exception? thrown = Record.Exception(() => Load(TestImages.ModernBzImage(damaged)));

            Assert.True(thrown is null or BootException, $"round {round} of seed {Seed}: {thrown}");
        }
    }

    [Theory]
    [MemberData(nameof(Compressions))]
    public void A_payload_that_ends_early_is_corrupt(string compression)
    {
        byte[] payload = Pack(compression);
        for (int length = 4; length < payload.Length; length++)
        {
            byte[] cut = compression == "gzip" ? payload[..length] : [.. payload[..(length - 4)], .. payload[^4..]];
            if (cut.Length >= 8 && !cut.SequenceEqual(payload))
            {
                Assert.IsType<BootException>(Record.Exception(() => Load(TestImages.ModernBzImage(cut))));
            }
        }
    }

    [Fact]
    public void A_payload_of_another_size_than_it_says_is_corrupt()
    {
        byte[] payload = [.. Pack("zstd")[..^4], .. Size(Kernel[1..])];
        BootException refusal = Assert.Throws<BootException>(() => Load(TestImages.ModernBzImage(payload)));
        Assert.EndsWith($"has a corrupt payload (it unpacks to {Kernel.Length} bytes instead of {Kernel.Length - 1}): copy or build it again", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_setup_header_of_a_bzImage_is_passed_on()
    {
        byte[] image = TestImages.ModernBzImage(TestImages.Gzip(Kernel));
        image[0x210] = 7;
        TestImages.Write32(image, 0x258, 0x1234567);
        uint parameters = Load(image).Entry.BootParameters;

        Assert.Equal(0x20f, (ushort)ReadUInt32(parameters + 0x206));
        Assert.Equal(0x1234567u, ReadUInt32(parameters + 0x258));
        Assert.Equal(0xff, (byte)ReadUInt32(parameters + 0x210));
        Assert.Equal(1u, ReadUInt32(parameters + 0x23c));
    }

    [Theory]
    [InlineData(8u, 16u, Mebibyte)]
    [InlineData(8u, 4u, 4 * Mebibyte)]
    [InlineData(32u, 16u, 16 * Mebibyte)]
    public void A_relocatable_kernel_goes_lower_when_memory_ends_below_it(uint memorySize, uint alignment, uint expected)
    {
        const uint Linked = 16 * Mebibyte;
        uint align = alignment * (alignment == 16 ? 4096 : Mebibyte);
        byte[] code = Code;
        BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(8), Linked + PageOffset + 0x20);
        byte[] kernel = TestImages.Elf(Linked + 4, new ElfPart(Linked + PageOffset, Linked, code));
        byte[] relocations = [0, 0, 0, 0, .. BitConverter.GetBytes(Linked + PageOffset + 8)];
        var memory = new ArrayMemory(memorySize * Mebibyte);
        LoadedGuest record = Load(TestImages.ModernBzImage(TestImages.Gzip([.. kernel, .. relocations]), align), memory: memory);

        Assert.Equal(expected + 4, record.Entry.EntryPoint);
        Assert.Equal(expected + PageOffset + 0x20, BinaryPrimitives.ReadUInt32LittleEndian(memory.Slice(expected + 8, 4)));
        Assert.Equal(code[12..], memory.Slice(expected + 12, code.Length - 12).ToArray());
    }

    [Fact]
    public void A_relocation_outside_the_kernel_is_refused()
    {
        const uint Linked = 16 * Mebibyte;
        byte[] kernel = TestImages.Elf(Linked, new ElfPart(Linked + PageOffset, Linked, Code));
        byte[] relocations = [0, 0, 0, 0, .. BitConverter.GetBytes(Linked + PageOffset + (uint)Code.Length - 3)];
        byte[] image = TestImages.ModernBzImage(TestImages.Gzip([.. kernel, .. relocations]), Mebibyte);

        BootException refusal = Assert.Throws<BootException>(() => Load(image));
        Assert.Contains("has a relocation outside itself, at 0xc10000c5", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_that_may_not_be_moved_needs_memory_where_it_is()
    {
        const uint Linked = 16 * Mebibyte;
        byte[] image = TestImages.ModernBzImage(TestImages.Gzip(TestImages.Elf(Linked, new ElfPart(Linked + PageOffset, Linked, Code))));
        BootException refusal = Assert.Throws<BootException>(() => Load(image));
        Assert.EndsWith("outside the guest's 8m of memory: give it at least 17m", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_initrd_over_what_the_kernel_clears_is_refused()
    {
        byte[] kernel = TestImages.Elf(Address, new ElfPart(Address + PageOffset, Address, Code, MemorySize: 6 * Mebibyte));
        BootException refusal = Assert.Throws<BootException>(() => Load(kernel, initrd: new byte[2 * Mebibyte]));
        Assert.Contains("give it at least 10m", refusal.Message, StringComparison.Ordinal);
    }

    private static byte[] Pack(string compression) => compression switch
    {
        "gzip" => TestImages.Gzip(Kernel),
        "bzip2" => [.. Through(to => BZip2Stream.Create(to, CompressionMode.Compress, decompressConcatenated: false, leaveOpen: true)), .. Size(Kernel)],
        "lzma" => [.. Lzma(Kernel), .. Size(Kernel)],
        "xz" => Convert.FromBase64String(KernelInXz),
        "lz4" => [.. Lz4(Kernel), .. Size(Kernel)],
        "zstd" => [.. Through(to => new CompressionStream(to, 19, 0, leaveOpen: true)), .. Size(Kernel)],
        _ => throw new ArgumentOutOfRangeException(nameof(compression)),
    };

    private static byte[] Through(Func<Stream, Stream> open)
    {
        var packed = new MemoryStream();
        using (Stream stream = open(packed))
        {
            stream.Write(Kernel);
        }

        return packed.ToArray();
    }

    // The .lzma format, with the size left open as the kernel's build does, which packs what comes through a pipe.
    private static byte[] Lzma(byte[] contents)
    {
        var packed = new MemoryStream();
        byte[] properties;
        using (LzmaStream stream = LzmaStream.Create(LzmaEncoderProperties.Default, isLzma2: false, packed))
        {
            stream.Write(contents);
            properties = stream.Properties;
        }

        return [.. properties, .. BitConverter.GetBytes((long)contents.Length), .. packed.ToArray()];
    }

    private static byte[] Lz4(byte[] contents)
    {
        byte[] block = new byte[LZ4Codec.MaximumOutputSize(contents.Length)];
        int length = LZ4Codec.Encode(contents, block, LZ4Level.L09_HC);
        return [0x02, 0x21, 0x4c, 0x18, .. BitConverter.GetBytes(length), .. block[..length]];
    }

    private static byte[] Size(byte[] contents) => BitConverter.GetBytes(contents.Length);

    private uint[] Words(uint address) => [.. Enumerable.Range(0, 5).Select(i => ReadUInt32(address + ((uint)i * 4)))];

    private uint ReadUInt32(uint address) => BinaryPrimitives.ReadUInt32LittleEndian(_memory.Slice(address, sizeof(uint)));

    private LoadedGuest Load(byte[] kernel, byte[]? initrd = null, string commandLine = "", ArrayMemory? memory = null) => TestBoot.Load(
        _folder.File("vmlinux", kernel), memory ?? _memory, initrd is null ? null : _folder.File("initrd", initrd), commandLine);
}
