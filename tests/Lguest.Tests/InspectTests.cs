using System.Text.Json;
using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary><c>lguest inspect</c>: what a kernel is, without a guest.</summary>
public sealed class InspectTests : IDisposable
{
    private const uint Address = TestImages.KernelAddress;
    private const uint PageOffset = TestImages.UsualPageOffset;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_kernel_that_ships_has_all_that_a_guest_needs()
    {
        string kernel = ShippedImages.Image("vmlinux");
        string release = File.ReadAllText(ShippedImages.Image("kernel.version")).Split(' ')[1].Split('-')[0];

        string[] lines = Lines(kernel);

        Assert.StartsWith($"a vmlinux (ELF), of Linux {release}, ", Line(lines, "what it is"), StringComparison.Ordinal);
        Assert.StartsWith($"Linux version {release}-lguest", Line(lines, "banner"), StringComparison.Ordinal);
        Assert.Equal("ring 0: it has lguest's note", Line(lines, "runs as"));
        Assert.Equal("at physical address 0x00400000 by Linux's 32-bit boot protocol", Line(lines, "entered"));
        Assert.Equal("console: yes, disks: yes, networks: yes", Line(lines, "drivers"));
        Assert.Equal("gzip, zstd, or not compressed", Line(lines, "initrd"));
        Assert.Matches(@"^\d{5,}$", Line(lines, "symbols"));
    }

    [Fact]
    public void It_says_the_same_of_itself_when_it_is_compressed()
    {
        JsonElement plain = Json(ShippedImages.Image("vmlinux"));
        JsonElement packed = Json(ShippedImages.Image("bzImage"));

        Assert.Equal(("Elf", "BzImage"), (plain.GetProperty("format").GetString(), packed.GetProperty("format").GetString()));
        Assert.Equal("2.15", packed.GetProperty("bootProtocol").GetString());
        foreach (string property in (string[])["schema", "release", "dialect", "evidence", "entry", "start", "end", "leastMemory", "drivers", "initrdCompressions", "configurationSymbols"])
        {
            Assert.Equal(plain.GetProperty(property).ToString(), packed.GetProperty(property).ToString());
        }
    }

    [Fact]
    public void The_least_memory_that_it_names_is_enough_to_start()
    {
        foreach (string kernel in (string[])[ShippedImages.Image("vmlinux"), _folder.File("greeter", GuestProgram.Greeter("x"))])
        {
            string least = $"{Json(kernel).GetProperty("leastMemory").GetUInt64() >> 20}m";
            LguestResult result = LguestProcess.Run(string.Empty, least, kernel, "--max-instructions=10");

            Assert.True(result.ExitCode == 124, result.Errors);
        }
    }

    [Fact]
    public void A_kernel_of_2_6_23_starts_with_paging_on_and_can_use_only_so_much()
    {
        string[] lines = Lines(_folder.File("vmlinux", TestImages.WithSymbols(
            TestImages.OrdinaryElf(), ("lguestblk_probe", 1), ("lguestcons_probe", 2), ("gunzip", 3))));

        Assert.Equal("Linux 2.6.23: it has the signature GenuineLguest", Line(lines, "runs as"));
        Assert.Equal("at 0xc010034d with paging on, physical memory at 0xc0000000", Line(lines, "entered"));
        Assert.Equal("at least 3m, at most 892m", Line(lines, "memory"));
        Assert.Equal("console: yes, disks: yes, networks: no", Line(lines, "drivers"));
        Assert.Equal("gzip, or not compressed", Line(lines, "initrd"));
        Assert.Equal("none", Line(lines, "banner"));
    }

    [Fact]
    public void Why_a_kernel_cannot_run_is_told()
    {
        byte[] code =
        [
            .. "Linux version 3.2.65 (\u001b[2J)\n"u8,
            .. TestImages.Configuration("CONFIG_LGUEST_GUEST=y\nCONFIG_LGUEST_NET=m\n"),
        ];
        byte[] note = TestImages.Note("lguest", 1, BitConverter.GetBytes(2));
        string kernel = _folder.File(
            "vmlinux", TestImages.Elf(Address, new ElfPart(Address + PageOffset, Address, code), new ElfPart(0, 0, note, Type: 4)));

        string[] lines = Lines(kernel);
        Assert.StartsWith($"nothing: kernel '{kernel}' needs version 2 of lguest's interface", Line(lines, "runs as"), StringComparison.Ordinal);
        Assert.Equal("Linux version 3.2.65 (.[2J)", Line(lines, "banner"));
        Assert.Equal("console: no, disks: no, networks: module", Line(lines, "drivers"));
        Assert.DoesNotContain(lines, line => line.StartsWith("entered", StringComparison.Ordinal));
        JsonElement json = Json(kernel);
        Assert.Equal((JsonValueKind.Null, JsonValueKind.String), (json.GetProperty("dialect").ValueKind, json.GetProperty("refusal").ValueKind));
    }

    [Fact]
    public void What_a_kernel_does_not_tell_is_not_guessed()
    {
        string[] lines = Lines(_folder.File("vmlinux", TestImages.OrdinaryElf()));

        Assert.StartsWith("not known", Line(lines, "drivers"), StringComparison.Ordinal);
        Assert.StartsWith("not known", Line(lines, "initrd"), StringComparison.Ordinal);
        Assert.Equal("not in it", Line(lines, "configuration"));
    }

    private static string[] Lines(string kernel)
    {
        LguestResult result = LguestProcess.Run(string.Empty, "inspect", kernel);
        Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
        return result.Output.TrimEnd('\n').Split('\n');
    }

    private static string Line(string[] lines, string label) =>
        Assert.Single(lines, line => line.StartsWith(label + ":", StringComparison.Ordinal))[(label.Length + 1)..].Trim();

    private static JsonElement Json(string kernel)
    {
        LguestResult result = LguestProcess.Run(string.Empty, "inspect", kernel, "--json");
        Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
        return JsonDocument.Parse(result.Output).RootElement;
    }
}
