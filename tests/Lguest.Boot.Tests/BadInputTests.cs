using Lguest.Boot.Images;
using Lguest.TestSupport;


namespace Lguest.Boot.Tests;

/// <summary>Each thing a user can get wrong gets one sentence that names it and the remedy.</summary>
public sealed class BadInputTests : IDisposable
{
    private const uint Mebibyte = 1024 * 1024;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_missing_kernel() => AssertRefused(
        _folder.Path("vmlinux"),
        $"kernel '{_folder.Path("vmlinux")}' does not exist: give the path of a vmlinux or bzImage of Linux, built for i386 with CONFIG_LGUEST_GUEST=y");

    [Fact]
    public void A_kernel_in_a_missing_folder() => AssertRefused(_folder.Path("no/such/vmlinux"), "does not exist: give the path");

    [Fact]
    public void A_folder_for_a_kernel() => AssertRefused(_folder.Name, "is a directory: give the path");

    [Fact]
    public void An_empty_kernel() => AssertRefused(_folder.File("vmlinux", []), "is empty: give the path");

    [Fact]
    public void A_kernel_that_the_host_cannot_read()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "It uses Linux's /proc.");
        AssertRefused("/proc/self/mem", "kernel '/proc/self/mem'");
    }

    [Fact]
    public void A_kernel_that_this_user_may_not_read()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows() || Environment.IsPrivilegedProcess, "root may read everything.");
        string kernel = _folder.File("vmlinux", TestImages.OrdinaryElf());
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(kernel, UnixFileMode.None);
        }

        AssertRefused(kernel, "may not be read by this user: change its mode with chmod");
    }

    [Fact]
    public void Something_that_is_no_kernel() =>
        AssertRefused("#!/bin/sh\necho hello\n"u8.ToArray(), "is not a kernel image: neither an ELF vmlinux nor a bzImage");

    [Theory]
    [InlineData(2, 62, "is a 64-bit x86-64 kernel, and lguest runs 32-bit i386 ones: build it with `make ARCH=i386 defconfig`")]
    [InlineData(1, 62, "is a 32-bit x86-64 kernel")]
    [InlineData(2, 183, "is a 64-bit ARM64 kernel")]
    [InlineData(1, 40, "is a 32-bit ARM kernel")]
    [InlineData(1, 999, "is a 32-bit foreign (ELF machine 999) kernel")]
    public void An_elf_kernel_for_another_processor(byte elfClass, ushort machine, string sentence)
    {
        byte[] image = TestImages.OrdinaryElf();
        image[4] = elfClass;
        TestImages.Write16(image, 18, machine);
        AssertRefused(image, sentence);
    }

    [Fact]
    public void A_big_endian_kernel()
    {
        byte[] image = TestImages.OrdinaryElf();
        image[5] = 2;
        image[18] = 0;
        image[19] = 20;
        AssertRefused(image, "is a 32-bit PowerPC kernel");
    }

    [Fact]
    public void A_64_bit_bzImage()
    {
        byte[] image = TestImages.BzImage(TestImages.Gzip(TestImages.KernelBytes()));
        TestImages.Write16(image, 0x206, 0x20c);
        TestImages.Write16(image, 0x236, 1);
        AssertRefused(image, "is a 64-bit x86-64 kernel, and lguest runs 32-bit i386 ones");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void An_elf_file_that_is_no_executable(ushort type)
    {
        byte[] image = TestImages.OrdinaryElf();
        TestImages.Write16(image, 16, type);
        AssertRefused(image, "is an ELF file but not an executable");
    }

    [Fact]
    public void An_elf_file_with_nothing_to_load() => AssertRefused(TestImages.Elf(), "it has nothing to load");

    [Fact]
    public void An_elf_file_with_odd_program_headers()
    {
        byte[] image = TestImages.OrdinaryElf();
        TestImages.Write16(image, 42, 56);
        AssertRefused(image, "program headers of an unknown size");
    }

    [Fact]
    public void Segments_at_different_distances_from_their_physical_addresses() => AssertRefused(
        TestImages.Elf(
            new ElfPart(0xc0100000, 0x100000, TestImages.KernelBytes()),
            new ElfPart(0xc0200000, 0x201000, [1])),
        "segment 1 is not at the same distance from its physical address");

    [Fact]
    public void A_segment_larger_in_the_file_than_in_memory() => AssertRefused(
        TestImages.Elf(new ElfPart(0xc0100000, 0x100000, TestImages.KernelBytes(), MemorySize: 16)),
        "segment 0 is larger in the file than in memory");

    [Fact]
    public void A_segment_over_the_boot_parameters() => AssertRefused(
        TestImages.Elf(new ElfPart(0xc0001000, 0x1000, TestImages.KernelBytes())),
        "where the boot parameters go");

    [Theory]
    [InlineData(0x800000u, null, "give it at least 9m")]
    [InlineData(0x7ff000u, null, "give it at least 9m")]
    [InlineData(0x100000u, 0x7000001u, "give it at least 114m")]
    [InlineData(0xfffff000u, null, "the image is malformed")]
    [InlineData(0x100000u, 0xffffffffu, "the image is malformed")]
    public void A_segment_outside_memory(uint physical, uint? size, string remedy)
    {
        string sentence = AssertRefused(
            TestImages.Elf(new ElfPart(physical + 0xc0000000, physical, TestImages.KernelBytes(), size)),
            "outside the guest's 8m of memory");
        Assert.Contains(remedy, sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_page_offset_that_cannot_be() => AssertRefused(
        TestImages.Elf(new ElfPart(0x100000, 0x100000, TestImages.KernelBytes())),
        "which is no page offset of Linux");

    [Fact]
    public void A_raw_kernel_without_an_lguest_entry()
    {
        byte[] kernel = TestImages.KernelBytes();
        kernel[TestImages.EntryOffset - 1] = (byte)'T';
        AssertRefused(
            TestImages.BzImage(TestImages.Gzip(kernel)),
            "has no lguest entry (the signature GenuineLguest): build it with CONFIG_PARAVIRT=y and CONFIG_LGUEST_GUEST=y");
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(0xfffffu)]
    [InlineData(0x102345u)]
    [InlineData(0xc0100000u)]
    public void A_kernel_without_any_entry(uint entry)
    {
        byte[] kernel = TestImages.KernelBytes();
        kernel[TestImages.EntryOffset - 1] = (byte)'T';
        AssertRefused(
            TestImages.Elf(entry, new ElfPart(0xc0100000, 0x100000, kernel)),
            $"has neither an lguest entry (the signature GenuineLguest) nor a 32-bit one (its ELF entry, 0x{entry:x}, isn't in the image)");
    }

    [Fact]
    public void A_bzImage_that_is_compressed_in_an_unknown_way() => AssertRefused(
        TestImages.ModernBzImage([1, 2, 3, 4, 5, 6, 7, 8, 9]),
        "is compressed in a way that lguest doesn't know, neither with gzip, bzip2, lzma, xz, lz4 or zstd: build it with CONFIG_KERNEL_GZIP=y");

    [Fact]
    public void A_bzImage_that_is_compressed_with_lzo() => AssertRefused(
        TestImages.ModernBzImage([0x89, .. "LZO"u8, 0, 1, 2, 3, 4]),
        "is compressed with lzo, which lguest can't unpack: build it with CONFIG_KERNEL_GZIP=y, or give its vmlinux");

    [Fact]
    public void A_payload_that_claims_to_be_larger_than_any_kernel() => AssertRefused(
        TestImages.ModernBzImage([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 1, 0, 0, 0x40]),
        "has a corrupt payload (it unpacks to more than 1 GiB, which no kernel is)");

    [Fact]
    public void A_payload_with_nothing_in_it() =>
        AssertRefused(TestImages.ModernBzImage([0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0]), "has a corrupt payload (there is nothing in it)");

    [Theory]
    [InlineData("gzip", "gunzip -c", new byte[] { 0x1f, 0x8b, 8, 0, 0 })]
    [InlineData("xz", "unxz -c", new byte[] { 0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0 })]
    [InlineData("bzip2", "bunzip2 -c", new byte[] { 0x42, 0x5a, 0x68, 0x39 })]
    [InlineData("lzma", "unlzma -c", new byte[] { 0x5d, 0, 0, 0x80, 0 })]
    [InlineData("lzo", "lzop -dc", new byte[] { 0x89, 0x4c, 0x5a, 0x4f, 0, 13 })]
    [InlineData("lz4", "unlz4 -c", new byte[] { 0x02, 0x21, 0x4c, 0x18, 0 })]
    [InlineData("zstd", "unzstd -c", new byte[] { 0x28, 0xb5, 0x2f, 0xfd, 0 })]
    public void A_compressed_vmlinux(string compression, string unpacker, byte[] start) => AssertRefused(
        [.. start, 1, 2, 3, 4], $"is compressed with {compression} and isn't a bzImage: give what `{unpacker}` makes of it");

    [Fact]
    public void A_payload_that_goes_beyond_the_file()
    {
        byte[] image = TestImages.ModernBzImage(TestImages.Gzip(TestImages.KernelBytes()));
        TestImages.Write32(image, 0x24c, 0xfffffff0);
        AssertRefused(image, "is truncated: its payload goes beyond the end of the file");
    }

    [Fact]
    public void A_raw_kernel_with_unknown_entry_code()
    {
        byte[] kernel = TestImages.KernelBytes();
        kernel[TestImages.EntryOffset] = 0x90;
        AssertRefused(TestImages.BzImage(TestImages.Gzip(kernel)), "its page offset is unknown: give its vmlinux instead");
    }

    [Fact]
    public void A_bzImage_that_is_compressed_otherwise() =>
        AssertRefused(TestImages.BzImage([0xfd, .. "7zXZ"u8, 0, 1, 2]), "has no payload compressed with gzip");

    [Fact]
    public void A_corrupt_payload()
    {
        byte[] payload = TestImages.Gzip(TestImages.KernelBytes());
        payload[^5] ^= 1;
        AssertRefused(TestImages.BzImage(payload), "has a corrupt payload (its checksum is wrong)");
    }

    [Fact]
    public void A_bzImage_that_unpacks_to_more_than_memory() => AssertRefused(
        TestImages.BzImage(TestImages.Gzip(TestImages.KernelBytes(length: (7 * (int)Mebibyte) + 1))),
        "reaches up to physical address 0x800001, outside the guest's 8m of memory: give it at least 9m");

    [Theory]
    [InlineData(4096u)]
    [InlineData(8192u)]
    [InlineData(Mebibyte)]
    [InlineData(Mebibyte + 0x3000)]
    [InlineData(Mebibyte + 0x9000)]
    public void Too_little_memory(uint size)
    {
        string sentence = AssertRefused(_folder.File("vmlinux", TestImages.OrdinaryElf()), "give", size);
        Assert.Matches("give (it at least [23]m|the guest more, for instance 64m)$", sentence);
    }

    [Theory]
    [InlineData(7 * (int)Mebibyte, "give it at least 10m")]
    [InlineData(8 * (int)Mebibyte, "give it at least 11m")]
    public void An_initrd_larger_than_memory(int size, string remedy)
    {
        string initrd = _folder.File("initrd", new byte[size]);
        string sentence = AssertRefused(_folder.File("vmlinux", TestImages.OrdinaryElf()), "do not fit into the guest's 8m", initrd: initrd);
        Assert.EndsWith(remedy, sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void An_initrd_that_leaves_no_room_for_page_tables()
    {
        string initrd = _folder.File("initrd", new byte[(7 * Mebibyte) - 0x9000]);
        AssertRefused(_folder.File("vmlinux", TestImages.OrdinaryElf()), "and its first page tables do not fit", initrd: initrd);
    }

    [Fact]
    public void A_missing_initrd() => AssertRefused(
        _folder.File("vmlinux", TestImages.OrdinaryElf()),
        "does not exist: give the path of an initramfs",
        initrd: _folder.Path("initrd"));

    [Fact]
    public void A_command_line_of_2048_bytes()
    {
        string kernel = _folder.File("vmlinux", TestImages.OrdinaryElf());
        var refusal = Assert.Throws<BootException>(
            () => TestBoot.Load(kernel, new ArrayMemory(8 * Mebibyte), commandLine: new string('x', 2048)));
        Assert.Equal("the kernel's command line has 2048 bytes, and 2047 is the most it can have: shorten it", refusal.Message);
    }

    [Fact]
    public void An_elf_kernel_cut_short_anywhere_is_refused_and_nothing_else_happens() =>
        AssertAllCutsRefused(TestImages.Elf(
            new ElfPart(0xc0100000, 0x100000, TestImages.KernelBytes(length: 0x400)),
            new ElfPart(0xc0200000, 0x200000, TestImages.KernelBytes(length: 0x400))));

    [Fact]
    public void A_bzImage_cut_short_anywhere_is_refused_and_nothing_else_happens() =>
        AssertAllCutsRefused(TestImages.BzImage(TestImages.Gzip(TestImages.KernelBytes(length: 0x600)), after: []));

    [Fact]
    public void A_damaged_kernel_is_loaded_or_refused_and_nothing_else_happens()
    {
        const int Seed = 20071009;
        var random = new Random(Seed);
        byte[][] images = [TestImages.OrdinaryElf(), TestImages.BzImage(TestImages.Gzip(TestImages.KernelBytes()))];
        var memory = new ArrayMemory(4 * Mebibyte);
        for (int round = 0; round < 4000; round++)
        {
            byte[] image = (byte[])images[round % 2].Clone();
            int headers = round % 2 == 0 ? 84 : image.Length;
            for (int damage = random.Next(1, 4); damage > 0; damage--)
            {
                image[random.Next(headers)] = random.Next(3) == 0 ? (byte)0xff : (byte)random.Next(256);
            }

            try
            {
                Load(image, memory);
            }
            catch (BootException)
            {
                // What a damaged image deserves.
            }
            catch (Exception e)
            {
                Assert.Fail($"round {round} of seed {Seed}: {e}");
            }
        }
    }

    private static void AssertAllCutsRefused(byte[] whole)
    {
        var memory = new ArrayMemory(4 * Mebibyte);
        Load(whole, memory);
        for (int length = 0; length < whole.Length; length++)
        {
            byte[] cut = whole[..length];
            Exception? thrown = Record.Exception(() => Load(cut, memory));
            Assert.True(thrown is BootException, $"cut to {length} bytes of {whole.Length}: {thrown?.ToString() ?? "loaded"}");
        }
    }

    // Without a file: thousands of images, and the memory of one guest.
    private static void Load(byte[] image, ArrayMemory memory)
    {
        using KernelImage kernel = Formats.KernelFormats.Read(new ImageFile("kernel 'test'", new MemoryStream(image)));
        TestBoot.Load(kernel, memory);
    }

    private string AssertRefused(byte[] kernel, string words) => AssertRefused(_folder.File("vmlinux", kernel), words);

    private static string AssertRefused(string kernel, string words, uint size = 8 * Mebibyte, string? initrd = null)
    {
        var refusal = Assert.Throws<BootException>(
            () => TestBoot.Load(kernel, new ArrayMemory(size), initrd));
        Assert.Contains(words, refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refusal.Message);
        Assert.False(refusal.Message.EndsWith('.'), refusal.Message);
        return refusal.Message;
    }
}
