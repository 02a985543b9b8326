using System.Buffers.Binary;
using System.Text;
using Lguest.Host.Abi;
using Lguest.TestSupport;

namespace Lguest.Boot.Tests;

/// <summary>Kernels that find out by the subarchitecture in their boot parameters that they are lguest guests.</summary>
public sealed class SubarchitectureBootTests : IDisposable
{
    private const uint Mebibyte = 1024 * 1024;
    private const uint PageOffset = TestImages.UsualPageOffset;
    private const uint Address = TestImages.KernelAddress;
    private const uint Entry = Address + 5;
    private const uint MemorySize = 8 * Mebibyte;

    private readonly TestFolder _folder = new();
    private readonly ArrayMemory _memory = new(MemorySize);

    private static byte[] Code => [.. Encoding.ASCII.GetBytes("Linux version 2.6.28 (x)\n\0lguest\0"), .. new byte[200]];

    private static byte[] Kernel => TestImages.Elf(Entry, new ElfPart(Address + PageOffset, Address, Code));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void They_are_entered_where_they_are_with_memory_mapped_where_it_is()
    {
        LoadedGuest record = Load(Kernel, initrd: [1, 2, 3]);

        Assert.Equal(KnownAbis.Linux2626, record.Abi);
        Assert.Equal((Entry, PageOffset), (record.Entry.EntryPoint, record.Entry.PageOffset));

        // Below the initrd's page: the directory, below it two tables for 8 MiB.
        uint directory = MemorySize - 0x2000;
        Assert.Equal(directory, record.Entry.PageDirectory ?? 0);
        Assert.Equal(directory - 0x2000 + 7, ReadUInt32(directory));
        Assert.Equal(directory - 0x1000 + 7, ReadUInt32(directory + 4));
        Assert.All(Enumerable.Range(2, 1022), index => Assert.Equal(0u, ReadUInt32(directory + ((uint)index * 4))));
        Assert.All(
            Enumerable.Range(0, 2048), page => Assert.Equal(((uint)page << 12) + 7, ReadUInt32(directory - 0x2000 + ((uint)page * 4))));
    }

    [Fact]
    public void With_three_levels_they_are_entered_on_such_tables()
    {
        byte[] code = [.. Encoding.ASCII.GetBytes("Linux version 2.6.31 (x)\n"), .. TestImages.Configuration("CONFIG_LGUEST_GUEST=y\nCONFIG_X86_PAE=y\n"), .. new byte[200]];
        LoadedGuest record = Load(TestImages.Elf(Entry, new ElfPart(Address + PageOffset, Address, code)));

        // On top the page of the pointers, below it a directory, and below that four tables for 8 MiB.
        uint pointers = MemorySize - 0x1000;
        Assert.Equal((KnownAbis.Linux2631Pae, pointers), (record.Abi, record.Entry.PageDirectory ?? 0));
        Assert.Equal([pointers - 0x1000 + 1, 0, 0, 0, 0, 0, 0, 0], Enumerable.Range(0, 8).Select(i => ReadUInt32(pointers + ((uint)i * 4))));
        uint directory = pointers - 0x1000;
        uint tables = directory - 0x4000;
        Assert.All(
            Enumerable.Range(0, 512),
            index => Assert.Equal((index < 4 ? tables + ((uint)index << 12) + 7 : 0, 0u), (ReadUInt32(directory + ((uint)index * 8)), ReadUInt32(directory + ((uint)index * 8) + 4))));
        Assert.All(
            Enumerable.Range(0, 2048),
            page => Assert.Equal((((uint)page << 12) + 7, 0u), (ReadUInt32(tables + ((uint)page * 8)), ReadUInt32(tables + ((uint)page * 8) + 4))));
    }

    [Fact]
    public void The_first_tables_are_where_a_kernel_that_maps_128_MB_at_first_can_write_to_them()
    {
        const uint Mapped = 128 << 20;
        var memory = new ArrayMemory(Mapped + (64 << 20));

        LoadedGuest record = TestBoot.Load(_folder.File("vmlinux", Kernel), memory);

        Assert.Equal(Mapped - 4096, record.Entry.PageDirectory);
        Assert.NotEqual(0u, memory.ReadUInt32(Mapped - 4096));
        Assert.Equal(0u, memory.ReadUInt32(memory.Size - 4096));
    }

    [Fact]
    public void Not_in_the_middle_of_one_that_is_larger_than_that()
    {
        const uint Mapped = 128 << 20;
        var memory = new ArrayMemory(Mapped + (64 << 20));
        byte[] code = [.. Encoding.ASCII.GetBytes("Linux version 2.6.28 (x)\n\0lguest\0"), .. new byte[200]];
        byte[] kernel = TestImages.Elf(Entry, new ElfPart(Address + PageOffset, Address, code, MemorySize: Mapped));

        LoadedGuest record = TestBoot.Load(_folder.File("vmlinux", kernel), memory);

        Assert.Equal(memory.Size - 4096, record.Entry.PageDirectory);
    }

    [Fact]
    public void They_are_told_what_they_run_on_and_of_the_header_nothing_else()
    {
        Load(Kernel, initrd: [1, 2, 3]);

        Assert.Equal(0x207, (ushort)ReadUInt32(0x206));
        Assert.Equal(0xff, (byte)ReadUInt32(0x210));
        Assert.Equal(0x40, (byte)ReadUInt32(0x211));
        Assert.Equal((MemorySize - 4096, 3u), (ReadUInt32(0x218), ReadUInt32(0x21c)));
        Assert.Equal((4096u, 1u), (ReadUInt32(0x228), ReadUInt32(0x23c)));
        Assert.Equal((0u, 0u), (ReadUInt32(0x230), ReadUInt32(0x250)));
        Assert.Equal((byte)1, (byte)ReadUInt32(0x1e8));
        Assert.Equal((0u, MemorySize, 1u), (ReadUInt32(0x2d0), ReadUInt32(0x2d8), ReadUInt32(0x2e0)));
        Assert.Equal(0u, ReadUInt32(0x1f0));
    }

    [Fact]
    public void A_bzImages_version_and_alignment_are_its_own()
    {
        byte[] image = TestImages.ModernBzImage(TestImages.Gzip(Kernel), alignment: 0x40_0000);
        TestImages.Write16(image, 0x206, 0x209);

        LoadedGuest record = Load(image);

        Assert.Equal((KnownAbis.Linux2626, Entry), (record.Abi, record.Entry.EntryPoint));
        Assert.Equal((0x209, 0x40_0000u), ((ushort)ReadUInt32(0x206), ReadUInt32(0x230)));
        Assert.Equal(0, (ushort)ReadUInt32(0x1f2));
    }

    [Fact]
    public void A_raw_kernel_in_a_bzImage_starts_with_its_first_byte()
    {
        byte[] kernel = [.. Encoding.ASCII.GetBytes("\0Linux version 2.6.25 (x)\n\0lguest\0"), .. new byte[200]];

        LoadedGuest record = Load(TestImages.BzImage(TestImages.Gzip(kernel)));

        Assert.Equal((KnownAbis.Linux2625, Address, 0u), (record.Abi, record.Entry.EntryPoint, record.Entry.PageOffset));
        Assert.Equal(0x207, (ushort)ReadUInt32(0x206));
    }

    [Fact]
    public void From_3_1_on_they_start_without_page_tables()
    {
        byte[] code = [.. Encoding.ASCII.GetBytes("Linux version 3.19.8 (x)\n\0lguest\0"), .. new byte[200]];

        // Up to the end of memory, where there is no room for tables.
        LoadedGuest record = Load(TestImages.Elf(Entry, new ElfPart(Address + PageOffset, Address, code, MemorySize: MemorySize - Address)));

        Assert.Equal((KnownAbis.Linux31, Entry, PageOffset), (record.Abi, record.Entry.EntryPoint, record.Entry.PageOffset));
        Assert.Null(record.Entry.PageDirectory);
        Assert.All(_memory.Slice(Address + 0x1000, (int)(MemorySize - Address - 0x1000)).ToArray(), each => Assert.Equal(0, each));
    }

    [Fact]
    public void They_get_no_random_seed_which_they_would_not_know()
    {
        string path = _folder.File("vmlinux", Kernel);
        TestBoot.Load(path, _memory, randomSeed: new byte[32]);

        Assert.Equal(0u, ReadUInt32(0x250));
    }

    private LoadedGuest Load(byte[] kernel, byte[]? initrd = null) => TestBoot.Load(
        _folder.File("vmlinux", kernel), _memory, initrd is null ? null : _folder.File("initrd", initrd));

    private uint ReadUInt32(uint address) => BinaryPrimitives.ReadUInt32LittleEndian(_memory.Slice(address, 4));
}
