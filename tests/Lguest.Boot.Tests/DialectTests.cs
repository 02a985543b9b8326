using Lguest.Boot.Dialects;
using Lguest.Boot.Images;
using Lguest.Host.Abi;
using Lguest.TestSupport;

namespace Lguest.Boot.Tests;

/// <summary>What kind of guest a kernel is found to be.</summary>
public sealed class DialectTests : IDisposable
{
    private const uint Address = TestImages.KernelAddress;
    private const uint PageOffset = TestImages.UsualPageOffset;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_kernel_with_the_signature_is_one_of_2_6_23() =>
        AssertDetected(KnownAbis.Linux2623, "it has the signature GenuineLguest", TestImages.OrdinaryElf());

    [Fact]
    public void A_kernel_with_lguests_note_runs_in_ring_0_whatever_else_it_says() =>
        AssertDetected(KnownAbis.RingZero, "it has lguest's note", WithNote(TestImages.KernelBytes(), "lguest", 1, 1));

    [Theory]
    [InlineData("lguest", 2)]
    [InlineData("Linux", 1)]
    public void Other_notes_say_nothing(string owner, uint type) =>
        AssertDetected(KnownAbis.Linux2623, "it has the signature GenuineLguest", WithNote(TestImages.KernelBytes(), owner, type, 1));

    [Fact]
    public void A_kernel_of_a_later_interface_than_this_lguest_knows_is_refused() => AssertRefused(
        "needs version 2 of lguest's interface, and this lguest knows up to 1: get a newer lguest",
        WithNote(TestImages.KernelBytes(), "lguest", 1, 2));

    [Theory]
    [InlineData("Linux version 6.1.176")]
    [InlineData("Linux version 3.2.65")]
    [InlineData("nothing")]
    public void A_kernel_that_says_nothing_of_lguest_is_taken_for_one_that_runs_in_ring_0(string text) =>
        AssertDetected(KnownAbis.RingZero, "it says nothing of lguest", Elf(text));

    [Theory]
    [InlineData("2.6.24", "2.6.24")]
    [InlineData("2.6.25", "2.6.25")]
    [InlineData("2.6.26", "2.6.26")]
    [InlineData("2.6.28.10", "2.6.26")]
    [InlineData("2.6.29", "2.6.29")]
    [InlineData("2.6.30.1", "2.6.30")]
    [InlineData("2.6.31", "2.6.31")]
    [InlineData("2.6.33.3", "2.6.31")]
    [InlineData("2.6.34", "2.6.34")]
    [InlineData("3.0.1", "2.6.34")]
    [InlineData("3.1", "3.1")]
    [InlineData("3.19.8", "3.1")]
    [InlineData("4.0.5", "4.0")]
    [InlineData("4.1.6", "4.1")]
    [InlineData("4.9.17", "4.1")]
    [InlineData("4.10.17", "4.10")]
    [InlineData("4.13.4", "4.10")]
    public void A_guest_of_a_dialect_that_is_known_is_one_by_its_release_and_its_claim(string release, string id)
    {
        GuestAbi abi = KnownAbis.All.Single(each => each.Id == id);
        string known = release == "3.1" ? "3.1.0" : string.Join('.', release.Split('.').Take(3));
        byte[] elf = Elf($"Linux version {release} (x)\n");

        AssertDetected(
            abi,
            $"it is Linux {known}, and its configuration has CONFIG_LGUEST_GUEST=y",
            Elf($"Linux version {release} (x)\n", "CONFIG_LGUEST_GUEST=y\n"));
        AssertDetected(abi, $"it is Linux {known}, and it has the symbol lguest_data", TestImages.WithSymbols(elf, ("lguest_data", 1)));
        AssertDetected(abi, $"it is Linux {known}, and it has the name lguest in it", Elf($"Linux version {release} (x)\n\0lguest\0"));
        AssertDetected(KnownAbis.RingZero, "it says nothing of lguest", elf);
    }

    [Fact]
    public void A_kernel_that_could_have_been_a_guest_is_none_by_the_symbol_of_an_entry_or_by_a_name_in_it()
    {
        byte[] kernel = Elf("Linux version 4.4.0 (x)\n\0lguest\0");

        AssertDetected(KnownAbis.RingZero, "it says nothing of lguest", TestImages.WithSymbols(kernel, ("lguest_entry", 1)));
        AssertDetected(
            KnownAbis.RingZero,
            "it says nothing of lguest",
            TestImages.WithSymbols(Elf("Linux version 4.4.0 (x)\n\0lguest\0", "# CONFIG_LGUEST_GUEST is not set\n"), ("lguest_data", 1)));
    }

    [Fact]
    public void A_guest_with_page_tables_of_three_levels_is_another_one()
    {
        AssertDetected(
            KnownAbis.Linux2631Pae,
            "it is Linux 2.6.31 with page tables of three levels, and its configuration has CONFIG_LGUEST_GUEST=y",
            Elf("Linux version 2.6.31 (x)\n", "CONFIG_LGUEST_GUEST=y\nCONFIG_X86_PAE=y\n"));
        AssertDetected(
            KnownAbis.Linux2631Pae,
            "it is Linux 2.6.33 with page tables of three levels, and it has the symbol lguest_data",
            TestImages.WithSymbols(Elf("Linux version 2.6.33 (x)\n"), ("lguest_data", 1), ("swapper_pg_pmd", 2)));
        AssertDetected(
            KnownAbis.Linux2634Pae,
            "it is Linux 3.0.1 with page tables of three levels, and it has the symbol lguest_data",
            TestImages.WithSymbols(Elf("Linux version 3.0.1 (x)\n"), ("lguest_data", 1), ("initial_pg_pmd", 2)));
        AssertDetected(
            KnownAbis.Linux31Pae,
            "it is Linux 3.2.65 with page tables of three levels, and it has the name lguest in it",
            Elf("Linux version 3.2.65 (x)\n\0lguest\0\u00ab\u0093\u00ab\u0093"));
    }

    [Theory]
    [InlineData("2.6.31", "2.6.31-pae")]
    [InlineData("2.6.34", "2.6.34-pae")]
    [InlineData("3.0.101", "2.6.34-pae")]
    [InlineData("3.1", "3.1-pae")]
    [InlineData("4.0.9", "4.0-pae")]
    [InlineData("4.4.155", "4.1-pae")]
    [InlineData("4.13", "4.10-pae")]
    public void Each_dialect_since_then_has_three_levels_too(string release, string id)
    {
        using KernelImage image = KernelImage.Open(_folder.File("vmlinux", Elf($"Linux version {release} (x)\n", "CONFIG_LGUEST_GUEST=y\nCONFIG_X86_PAE=y\n")));
        Assert.Equal(id, Dialect.Detect(image).Abi.Id);
    }

    [Fact]
    public void What_is_code_of_three_levels_is_a_matter_of_the_kernels_beginning() => AssertDetected(
        KnownAbis.Linux31,
        "it is Linux 3.2.65, and it has the name lguest in it",
        Elf("Linux version 3.2.65 (x)\n\0lguest\0" + new string('x', 0x4000) + "\u00ab\u0093\u00ab\u0093"));

    [Theory]
    [InlineData("2.6.22", "CONFIG_LGUEST_GUEST=y\n")]
    [InlineData("4.14", "CONFIG_LGUEST_GUEST=y\n")]
    [InlineData("6.1.176", "CONFIG_LGUEST_GUEST=y\n")]
    [InlineData("3.2.65", "# CONFIG_LGUEST_GUEST is not set\n")]
    public void Others_are_not(string release, string configuration) =>
        AssertDetected(KnownAbis.RingZero, "it says nothing of lguest", Elf($"Linux version {release} (x)\n", configuration));

    private static byte[] Elf(string text, string? configuration = null) => TestImages.Elf(
        Address,
        new ElfPart(
            Address + PageOffset,
            Address,
            [.. System.Text.Encoding.Latin1.GetBytes(text), .. configuration is null ? [] : TestImages.Configuration(configuration)]));

    private static byte[] WithNote(byte[] code, string owner, uint type, uint number) => TestImages.Elf(
        Address,
        new ElfPart(Address + PageOffset, Address, code),
        new ElfPart(0, 0, TestImages.Note(owner, type, BitConverter.GetBytes(number)), Type: 4));

    private void AssertDetected(GuestAbi abi, string evidence, byte[] image)
    {
        using KernelImage kernel = KernelImage.Open(_folder.File("vmlinux", image));

        Assert.Equal(new Dialect(abi, evidence), Dialect.Detect(kernel));
    }

    private void AssertRefused(string words, byte[] image)
    {
        using KernelImage kernel = KernelImage.Open(_folder.File("vmlinux", image));

        var refusal = Assert.Throws<BootException>(() => Dialect.Detect(kernel));
        Assert.Contains(words, refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refusal.Message);
    }
}
