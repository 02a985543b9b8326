using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Host.Abi;
using Lguest.TestSupport;

namespace Lguest.Boot.Tests;

/// <summary>What the user is told of an initrd that the kernel can do nothing with.</summary>
public sealed class InitrdTests : IDisposable
{
    private const uint Address = TestImages.KernelAddress;
    private const uint PageOffset = TestImages.UsualPageOffset;
    private const string Current = "Linux version 6.1.176 (x)\n";

    private readonly TestFolder _folder = new();

    public static byte[] Xz => [0xfd, .. "7zXZ"u8, 0, 1, 2, 3];

    public static byte[] Gzip => [0x1f, 0x8b, 8, 0, 1, 2, 3];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_compression_that_the_kernel_was_configured_without_is_worth_a_sentence()
    {
        byte[] kernel = Kernel(Current, "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n# CONFIG_RD_XZ is not set\nCONFIG_RD_ZSTD=y\n");

        Assert.Equal(
            $"initrd '{_folder.Path("initrd")}' is compressed with xz, which kernel '{_folder.Path("vmlinux")}' was built without (CONFIG_RD_XZ): "
            + "compress it with gzip or zstd, or not at all",
            Assert.Single(Warnings(kernel, Xz)));
        Assert.Empty(Warnings(kernel, Gzip));
        Assert.Empty(Warnings(kernel, "070701 and so on"u8.ToArray()));
    }

    [Fact]
    public void A_kernel_before_2_6_30_knows_gzip_alone()
    {
        byte[] kernel = Kernel("Linux version 2.6.23 (x)\n", "CONFIG_BLK_DEV_INITRD=y\n");

        Assert.Contains("compress it with gzip, or not at all", Assert.Single(Warnings(kernel, Xz)), StringComparison.Ordinal);
        Assert.Empty(Warnings(kernel, Gzip));

        // Without a configuration too; its symbols have other names.
        kernel = TestImages.WithSymbols(Kernel("Linux version 2.6.23 (x)\n"), ("unpack_to_rootfs", 1));
        Assert.Empty(Warnings(kernel, Gzip));
        Assert.Single(Warnings(kernel, Xz));
    }

    [Fact]
    public void Without_a_configuration_symbols_tell()
    {
        byte[] kernel = TestImages.WithSymbols(Kernel(Current), ("gunzip", 1), ("my_unxz", 2), ("unxz_not", 3));

        Assert.Contains("is compressed with xz", Assert.Single(Warnings(kernel, Xz)), StringComparison.Ordinal);
        Assert.Empty(Warnings(kernel, Gzip));
        Assert.Empty(Warnings(TestImages.WithSymbols(Kernel(Current), ("unxz", 1)), Xz));
    }

    [Fact]
    public void Of_a_kernel_that_says_nothing_nothing_is_said() => Assert.Empty(Warnings(Kernel(Current), Xz));

    [Fact]
    public void A_kernel_that_has_no_use_for_any_initrd_is_worth_a_sentence()
    {
        string warning = Assert.Single(Warnings(Kernel(Current, "CONFIG_A=y\n"), Gzip));

        Assert.Equal(
            $"initrd '{_folder.Path("initrd")}' will not be used, because kernel '{_folder.Path("vmlinux")}' was built without CONFIG_BLK_DEV_INITRD: "
            + "build it with that, or use --block",
            warning);
    }

    private static byte[] Kernel(string banner, string? configuration = null) => TestImages.Elf(
        Address,
        new ElfPart(
            Address + PageOffset,
            Address,
            [.. System.Text.Encoding.ASCII.GetBytes(banner), .. configuration is null ? [] : TestImages.Configuration(configuration)]));

    private List<string> Warnings(byte[] kernel, byte[] initrd)
    {
        var warnings = new List<string>();
        using KernelImage image = KernelImage.Open(_folder.File("vmlinux", kernel));
        var request = new BootRequest(image, KnownAbis.RingZero, _folder.File("initrd", initrd), string.Empty) { Warn = warnings.Add };
        BootLoader.Load(request, new ArrayMemory(8 << 20));
        return warnings;
    }
}
