using Lguest.Boot.Images;
using Lguest.TestSupport;

namespace Lguest.Boot.Tests;

/// <summary>What a kernel's file says of it, without a guest.</summary>
public sealed class KernelImageTests : IDisposable
{
    private const uint Address = TestImages.KernelAddress;
    private const uint PageOffset = TestImages.UsualPageOffset;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_vmlinux_is_an_elf_file_with_segments_and_an_entry()
    {
        byte[] code = TestImages.KernelBytes();
        using KernelImage kernel = Open(TestImages.Elf(Address + 5, new ElfPart(Address + PageOffset, Address, code, MemorySize: 0x9000)));

        Assert.Equal(KernelFormat.Elf, kernel.Format);
        Assert.Equal((null, null), (kernel.Compression, kernel.Header));
        Assert.Equal((Address + 5, PageOffset, Address, Address + 0x9000ul), (kernel.Entry, kernel.PageOffset, kernel.Start, kernel.End));
        Assert.Equal([new SignedEntry(Address + TestImages.EntryOffset)], kernel.SignedEntries);
        KernelSegment segment = Assert.Single(kernel.Segments);
        Assert.Equal((Address, code.Length, 0x9000u), (segment.PhysicalAddress, segment.FileSize, segment.MemorySize));
    }

    [Fact]
    public void A_bzImage_has_a_header_and_a_compression()
    {
        byte[] image = TestImages.ModernBzImage(TestImages.Gzip(TestImages.OrdinaryElf()), alignment: 0x10_0000);
        TestImages.Write16(image, 0x20e, 0x300);
        "6.1.176-lguest (root@build) #1\0"u8.CopyTo(image.AsSpan(0x500));
        TestImages.Write32(image, 0x260, 0x123_4000);
        using KernelImage kernel = Open(image);

        Assert.Equal(KernelFormat.BzImage, kernel.Format);
        Assert.Equal("gzip", kernel.Compression);
        Assert.Equal((0x20f, true, 0x10_0000u, 0x123_4000u),
            (kernel.Header!.Version, kernel.Header.IsRelocatable, kernel.Header.Alignment, kernel.Header.InitializationSize));
        Assert.Equal("6.1.176-lguest (root@build) #1", kernel.Banner);
        Assert.Equal(new KernelRelease(6, 1, 176), kernel.Release);
    }

    [Fact]
    public void A_raw_kernel_in_a_bzImage_of_2_6_23_is_one_segment_at_1_MiB()
    {
        using KernelImage kernel = Open(TestImages.BzImage(TestImages.Gzip(TestImages.KernelBytes())));

        Assert.Equal(new KernelSegment(0x10_0000, 0, 0x2345, 0x2345), Assert.Single(kernel.Segments));
        Assert.Equal((null, null), (kernel.Entry, kernel.PageOffset));
        Assert.Equal([new SignedEntry(0x10_0000 + TestImages.EntryOffset)], kernel.SignedEntries);
    }

    [Theory]
    [InlineData("Linux version 2.6.23 (me@here) (gcc version 4.1) #1\n", 2, 6, 23)]
    [InlineData("Linux version 2.6.31.5-127.fc12.i686.PAE (mock) #1 SMP\n", 2, 6, 31)]
    [InlineData("Linux version 4.13.4\n", 4, 13, 4)]
    [InlineData("Linux version 3.2-rc1 (x)\n", 3, 2, 0)]
    [InlineData("Linux version 6.12+ (x)\n", 6, 12, 0)]
    public void The_release_is_in_the_banner(string banner, int major, int minor, int patch)
    {
        using KernelImage kernel = Open(ElfWith(System.Text.Encoding.ASCII.GetBytes("the Linux version of it\n" + banner + "more")));

        Assert.Equal(banner.TrimEnd('\n'), kernel.Banner);
        Assert.Equal(new KernelRelease(major, minor, patch), kernel.Release);
    }

    [Fact]
    public void A_kernel_without_a_banner_has_no_release()
    {
        using KernelImage kernel = Open(TestImages.OrdinaryElf());

        Assert.Equal((null, null), (kernel.Banner, kernel.Release));
    }

    [Fact]
    public void Texts_are_found_wherever_they_are()
    {
        byte[] code = new byte[200_000];
        foreach (int place in new[] { 0, 65_530, 65_536 - 13, 65_536 - 14, 131_060, code.Length - 60 })
        {
            Array.Clear(code);
            "GenuineLguest"u8.CopyTo(code.AsSpan(place));
            "Linux version 4.4.155"u8.CopyTo(code.AsSpan(place + 20));
            using KernelImage kernel = Open(ElfWith(code));

            Assert.Equal([new SignedEntry(Address + (uint)place + 13)], kernel.SignedEntries);
            Assert.Equal(new KernelRelease(4, 4, 155), kernel.Release);
        }
    }

    [Fact]
    public void Its_configuration_can_be_read()
    {
        byte[] text = TestImages.Configuration("# Linux\nCONFIG_LGUEST_GUEST=y\n# CONFIG_RD_XZ is not set\nCONFIG_HZ=100\nCONFIG_E1000=m\nCONFIG_LOCALVERSION=\"=x\"\n");
        using KernelImage kernel = Open(ElfWith([.. "IKCFG_ST is what it begins with\0"u8, .. text, .. "after"u8]));

        KernelConfiguration configuration = kernel.Configuration!;
        Assert.Equal(4, configuration.Count);
        Assert.True(configuration.Has("LGUEST_GUEST"));
        Assert.False(configuration.Has("RD_XZ"));
        Assert.False(configuration.Has("E1000"));
        Assert.Equal(("100", "m", "\"=x\""), (configuration["HZ"], configuration["E1000"], configuration["LOCALVERSION"]));
    }

    [Fact]
    public void A_configuration_that_cannot_be_unpacked_is_none()
    {
        byte[] text = TestImages.Configuration("CONFIG_LGUEST_GUEST=y\n");
        text[30] ^= 0x55;
        using KernelImage kernel = Open(ElfWith(text));

        Assert.Null(kernel.Configuration);
    }

    [Fact]
    public void Symbols_of_a_vmlinux_can_be_looked_up()
    {
        byte[] image = TestImages.WithSymbols(TestImages.OrdinaryElf(), ("my_lguest_entry", 1), ("lguest_entry", 0xc0100340), ("unxz", 0xc0101000));
        using KernelImage kernel = Open(image);

        Assert.True(kernel.Symbols!.TryFind("lguest_entry", out uint entry));
        Assert.True(kernel.Symbols.TryFind("unxz", out uint unxz));
        Assert.False(kernel.Symbols.TryFind("xz", out _));
        Assert.Equal((0xc0100340, 0xc0101000, 4), (entry, unxz, kernel.Symbols.Count));
    }

    [Fact]
    public void A_stripped_kernel_has_no_symbols()
    {
        using KernelImage kernel = Open(TestImages.OrdinaryElf());

        Assert.Null(kernel.Symbols);
    }

    [Fact]
    public void Notes_are_read_one_after_the_other()
    {
        byte[] notes = [.. TestImages.Note("Linux", 0x100, [1, 2, 3]), .. TestImages.Note("lguest", 1, [1, 0, 0, 0])];
        using KernelImage kernel = Open(TestImages.Elf(
            new ElfPart(Address + PageOffset, Address, TestImages.KernelBytes()), new ElfPart(0, 0, notes, Type: 4)));

        Assert.Equal(
            [("Linux", 0x100u, null), ("lguest", 1u, 1u)],
            kernel.Notes.Select(note => (note.Name, note.Type, note.Number)));
    }

    [Fact]
    public void Damaged_notes_symbols_and_configurations_are_read_as_far_as_they_go()
    {
        const int Seed = 20071009;
        var random = new Random(Seed);
        byte[] code = [.. TestImages.KernelBytes(), .. TestImages.Configuration("CONFIG_A=y\n")];
        byte[] notes = [.. TestImages.Note("Linux", 0x100, [1, 2, 3]), .. TestImages.Note("lguest", 1, [1, 0, 0, 0])];
        byte[] whole = TestImages.WithSymbols(
            TestImages.Elf(new ElfPart(Address + PageOffset, Address, code), new ElfPart(0, 0, notes, Type: 4)), ("lguest_entry", 7));
        for (int round = 0; round < 3000; round++)
        {
            byte[] image = (byte[])whole.Clone();
            for (int damage = random.Next(1, 4); damage > 0; damage--)
            {
                int place = random.Next(2) == 0 ? random.Next(120) : image.Length - 1 - random.Next(400);
                image[place] = random.Next(3) == 0 ? (byte)0xff : (byte)random.Next(256);
            }

            try
            {
                using KernelImage kernel = Formats.KernelFormats.Read(new ImageFile("kernel 'test'", new MemoryStream(image)));
                _ = (kernel.Notes.Count, kernel.Configuration?.Count, kernel.Symbols?.TryFind("lguest_entry", out _), kernel.Banner);
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

    private static byte[] ElfWith(byte[] code) => TestImages.Elf(new ElfPart(Address + PageOffset, Address, code));

    private KernelImage Open(byte[] image) => KernelImage.Open(_folder.File("vmlinux", image));
}
