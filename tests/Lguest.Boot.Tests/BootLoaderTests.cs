using System.Text;
using Lguest.TestSupport;

namespace Lguest.Boot.Tests;

/// <summary>What is in memory after a good load.</summary>
public sealed class BootLoaderTests : IDisposable
{
    private const uint Mebibyte = 1024 * 1024;
    private const uint Page = 4096;

    private readonly TestFolder _folder = new();
    private readonly ArrayMemory _memory = new(16 * Mebibyte);

    public static TheoryData<uint> PageOffsets => [0xc0000000, 0xb0000000, 0x80000000, 0x78000000, 0x40000000];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(PageOffsets))]
    public void An_elf_kernel_is_loaded_at_its_physical_address_and_entered_after_the_signature(uint pageOffset)
    {
        LoadedGuest record = Load(TestImages.OrdinaryElf(pageOffset));

        Assert.Equal(TestImages.KernelBytes(pageOffset), Bytes(TestImages.KernelAddress, 0x2345));
        Assert.Equal(pageOffset, record.Entry.PageOffset);
        Assert.Equal(pageOffset + TestImages.KernelAddress + TestImages.EntryOffset, record.Entry.EntryPoint);
        Assert.Equal(0u, record.Entry.BootParameters);
    }

    [Fact]
    public void Segments_of_other_types_and_empty_ones_are_not_loaded()
    {
        const uint Note = 4;
        byte[] kernel = TestImages.KernelBytes();
        Load(TestImages.Elf(
            new ElfPart(0x12345678, 0x200000, [1, 2, 3], Type: Note),
            new ElfPart(0xc0100000, 0x100000, kernel),
            new ElfPart(0, 0, [])));

        Assert.Equal(kernel, Bytes(0x100000, kernel.Length));
        Assert.Equal(0u, _memory.ReadUInt32(0x200000));
    }

    [Theory]
    [MemberData(nameof(PageOffsets))]
    public void A_bzImage_is_unpacked_to_1_MiB_and_its_code_tells_the_page_offset(uint pageOffset)
    {
        byte[] kernel = TestImages.KernelBytes(pageOffset);
        LoadedGuest record = Load(TestImages.BzImage(TestImages.Gzip(kernel)));

        Assert.Equal(kernel, Bytes(0x100000, kernel.Length));
        Assert.Equal(pageOffset, record.Entry.PageOffset);
        Assert.Equal(pageOffset + 0x100000 + TestImages.EntryOffset, record.Entry.EntryPoint);
    }

    [Fact]
    public void Both_encodings_of_the_entry_code_tell_the_page_offset()
    {
        byte[] kernel = TestImages.KernelBytes(0xb0000000);
        kernel[TestImages.EntryOffset + 5] = 0x8b;
        kernel[TestImages.EntryOffset + 6] = 0xc6;

        Assert.Equal(0xb0000000, Load(TestImages.BzImage(TestImages.Gzip(kernel))).Entry.PageOffset);
    }

    [Fact]
    public void The_signature_as_a_string_elsewhere_in_a_raw_image_is_not_taken_for_the_entry()
    {
        byte[] kernel = TestImages.KernelBytes();
        "GenuineLguest"u8.CopyTo(kernel.AsSpan(0x10));

        Assert.Equal(0xc0100000 + TestImages.EntryOffset, Load(TestImages.BzImage(TestImages.Gzip(kernel))).Entry.EntryPoint);
    }

    public static TheoryData<string, byte[]> WhatFollowsThePayload => new()
    {
        { "nothing", [] },
        { "zeros", new byte[1000] },
        { "text", "not gzip at all"u8.ToArray() },
        { "something that looks like another gzip member", [0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] },
        { "another gzip member", TestImages.Gzip([1, 2, 3]) },
    };

    [Theory]
    [MemberData(nameof(WhatFollowsThePayload))]
    public void What_follows_the_payload_of_a_bzImage_is_ignored(string what, byte[] after)
    {
        byte[] kernel = TestImages.KernelBytes(length: 300_000);
        Load(TestImages.BzImage(TestImages.Gzip(kernel), after));

        Assert.True(Bytes(0x100000, kernel.Length).SequenceEqual(kernel), what);
        Assert.Equal(0u, _memory.ReadUInt32(0x100000 + 300_000));
    }

    [Fact]
    public void All_optional_fields_of_a_gzip_header_are_skipped()
    {
        byte[] kernel = TestImages.KernelBytes();
        byte[] plain = TestImages.Gzip(kernel);
        byte[] decorated = [.. plain[..3], 0x1e, .. plain[4..10], 3, 0, 9, 9, 9, .. "vmlinux\0"u8, .. "a comment\0"u8, 0xab, 0xcd, .. plain[10..]];

        Load(TestImages.BzImage(decorated));

        Assert.Equal(kernel, Bytes(0x100000, kernel.Length));
    }

    [Fact]
    public void A_bzImage_whose_payload_is_an_elf_file_is_loaded_like_one()
    {
        LoadedGuest record = Load(TestImages.BzImage(TestImages.Gzip(TestImages.OrdinaryElf(0xb0000000))));

        Assert.Equal(0xb0000000, record.Entry.PageOffset);
        Assert.Equal(TestImages.KernelBytes(0xb0000000), Bytes(TestImages.KernelAddress, 0x2345));
    }

    [Fact]
    public void The_boot_parameters_say_what_the_abi_says_and_nothing_else()
    {
        Load(TestImages.OrdinaryElf(), commandLine: "root=/dev/lgba quiet");

        byte[] expected = new byte[4096];
        expected[0x1e8] = 1;
        TestImages.Write32(expected, 0x228, 4096);
        TestImages.Write32(expected, 0x23c, 1);
        TestImages.Write32(expected, 0x2d0 + 8, 16 * Mebibyte);
        TestImages.Write32(expected, 0x2d0 + 16, 1);
        Assert.Equal(expected, Bytes(0, 4096));
        Assert.Equal("root=/dev/lgba quiet\0"u8.ToArray(), Bytes(4096, 21));
    }

    [Fact]
    public void The_longest_command_line_is_passed_whole()
    {
        string longest = new string('x', 2045) + "é";
        Load(TestImages.OrdinaryElf(), commandLine: longest);

        Assert.Equal(Encoding.UTF8.GetBytes(longest), Bytes(4096, 2047));
        Assert.Equal(0u, _memory.ReadUInt32(4096 + 2047));
    }

    [Fact]
    public void An_initrd_is_page_aligned_at_the_top_of_memory_and_named_in_the_boot_parameters()
    {
        byte[] initrd = [.. Enumerable.Range(0, 5000).Select(i => (byte)i)];
        Load(TestImages.OrdinaryElf(), initrd);

        uint address = (16 * Mebibyte) - (2 * Page);
        Assert.Equal(initrd, Bytes(address, initrd.Length));
        Assert.Equal(address, _memory.ReadUInt32(0x218));
        Assert.Equal(5000u, _memory.ReadUInt32(0x21c));
        Assert.Equal(0xff, Bytes(0x210, 1)[0]);
    }

    [Theory]
    [InlineData(0xc0000000, 16, 0)]
    [InlineData(0xc0000000, 16, 5000)]
    [InlineData(0xb0000000, 3, 4096)]
    [InlineData(0x78000000, 9, 1)]
    [InlineData(0xc0001000, 8, 0)]
    public void The_first_page_tables_map_all_memory_once_at_the_page_offset(uint pageOffset, uint mebibytes, int initrdSize)
    {
        var memory = new ArrayMemory(mebibytes * Mebibyte);
        LoadedGuest record = TestBoot.Load(
            _folder.File("vmlinux", TestImages.OrdinaryElf(pageOffset)),
            memory,
            initrdSize == 0 ? null : _folder.File("initrd", new byte[initrdSize]));

        uint top = memory.Size - ((((uint)initrdSize + Page - 1) / Page) * Page);
        Assert.Equal(top - Page, record.Entry.PageDirectory ?? 0);
        Dictionary<uint, uint> map = Walk(memory, record.Entry.PageDirectory ?? 0);
        Assert.Equal(memory.Size / Page, (uint)map.Count);
        for (uint address = 0; address < memory.Size; address += Page)
        {
            Assert.Equal(address | 7, map[pageOffset + address]);
        }
    }

    [Theory]
    [InlineData(0xc0000000, 892)]
    [InlineData(0xb0000000, 1148)]
    public void A_kernel_gets_as_much_memory_as_it_can_use(uint pageOffset, uint mebibytes)
    {
        string kernel = _folder.File("vmlinux", TestImages.OrdinaryElf(pageOffset));
        Assert.Equal(pageOffset, TestBoot.Load(kernel, new ArrayMemory(mebibytes * Mebibyte)).Entry.PageOffset);
        var refusal = Assert.Throws<BootException>(() => TestBoot.Load(kernel, new ArrayMemory((mebibytes * Mebibyte) + Page)));
        Assert.Contains($"can use at most {mebibytes}m of memory", refusal.Message, StringComparison.Ordinal);
    }

    private static Dictionary<uint, uint> Walk(ArrayMemory memory, uint directory)
    {
        var map = new Dictionary<uint, uint>();
        for (uint i = 0; i < 1024; i++)
        {
            uint table = memory.ReadUInt32(directory + (i * 4));
            if (table == 0)
            {
                continue;
            }

            Assert.Equal(7u, table & 0xfff);
            for (uint j = 0; j < 1024; j++)
            {
                uint entry = memory.ReadUInt32((table & ~0xfffu) + (j * 4));
                if (entry != 0)
                {
                    map.Add((i << 22) | (j << 12), entry);
                }
            }
        }

        return map;
    }

    private LoadedGuest Load(byte[] kernel, byte[]? initrd = null, string commandLine = "") => TestBoot.Load(
        _folder.File("vmlinux", kernel), _memory, initrd is null ? null : _folder.File("initrd", initrd), commandLine);

    private byte[] Bytes(uint address, int length) => _memory.Slice(address, length).ToArray();
}
