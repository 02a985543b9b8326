using Lguest.TestSupport;

namespace Lguest.Tests;

/// <summary>What files a host may have, and what names.</summary>
public sealed class HostFileTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public HostFileTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "These are Linux's files.");

    public void Dispose()
    {
        // The framework can't remove what isn't text.
        LguestProcess.Shell("""rm -rf "$1"/*""", _folder.Name);
        _folder.Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData(",ro")]
    [InlineData(",snapshot")]
    public void A_pipe_in_the_place_of_a_disk_is_refused_and_not_waited_for(string mode)
    {
        LguestResult result = LguestProcess.Shell(
            """mkfifo "$1" && exec "$0" 8m "$3" --block="$1$2" """, _folder.Path("pipe"), mode, _folder.File("vmlinux", GuestProgram.Greeter("up")));

        Assert.Equal(new LguestResult(125, string.Empty, $"lguest: disk image '{_folder.Path("pipe")}' is neither a regular file nor a block device: give one of these\n"), result);
    }

    [Fact]
    public void Files_that_somebody_has_locked_for_himself_are_used()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));
        string initrd = _folder.File("initrd", new byte[4096]);
        string disk = _folder.File("disk", new byte[65536]);

        LguestResult result = LguestProcess.Shell(
            """
            exec 7<"$1" 8<"$2" 9<>"$3"
            flock -xn 7 && flock -xn 8 && flock -xn 9 || exit 3
            "$0" 8m "$1" --initrd="$2" --block="$3" 7<&- 8<&- 9<&-
            """,
            kernel, initrd, disk);

        Assert.Equal(new LguestResult(0, "up", string.Empty), result);
    }

    [Theory]
    [InlineData(@"a\377b", "a\u00ffb")]
    [InlineData(@"x=\303\244\200 \303", "x=\u00c3\u00a4\u0080 \u00c3")]
    [InlineData(@"\357\277\275 \355\262\200\376", "\u00ef\u00bf\u00bd \u00ed\u00b2\u0080\u00fe")]
    public void Words_that_are_not_text_reach_the_kernel_as_they_are(string word, string bytes)
    {
        string kernel = _folder.File("vmlinux", GuestProgram.CommandLinePrinter("quiet ".Length + bytes.Length + 1));

        LguestResult result = LguestProcess.Shell("""exec "$0" --clock=real 8m "$1" quiet "$(printf "$2")" """, kernel, word);

        Assert.Equal(new LguestResult(0, $"quiet {bytes}\0", string.Empty), result);
    }

    [Theory]
    [InlineData("kernel 'a\u00ef\u00bf\u00bdb' cannot be read: its name is not UTF-8; a link to it can have another", "8m 'BAD'")]
    [InlineData("initrd 'a\u00ef\u00bf\u00bdb' cannot be read: its name is not UTF-8", "8m vmlinux --initrd='BAD'")]
    [InlineData("disk image 'a\u00ef\u00bf\u00bdb' cannot be opened (its name is not UTF-8", "8m vmlinux --block='BAD',snapshot")]
    [InlineData("--pcap=a\u00ef\u00bf\u00bdb: the file cannot be created (its name is not UTF-8", "8m vmlinux --usernet --pcap='BAD'")]
    [InlineData("the shared network 'a\u00ef\u00bf\u00bdb' cannot be opened (its name is not UTF-8", "8m vmlinux --sharenet='BAD'")]
    public void A_path_that_is_not_text_is_refused_and_nothing_is_made_in_its_place(string sentence, string arguments)
    {
        _folder.File("vmlinux", GuestProgram.Greeter("up"));

        LguestResult result = LguestProcess.Shell(
            $"""cd "$1" && printf x >"$(printf 'a\377b')" && exec 2>&1 && "$0" {arguments.Replace("'BAD'", "\"$(printf 'a\\377b')\"", StringComparison.Ordinal)}""",
            _folder.Name);

        Assert.Equal(125, result.ExitCode);
        Assert.StartsWith("lguest: " + sentence, result.Output, StringComparison.Ordinal);
        Assert.Equal("2", LguestProcess.Shell("""ls "$1" | wc -l""", _folder.Name).Output.Trim());
    }

    [Fact]
    public void A_current_folder_whose_name_is_not_text_harms_nothing()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));
        string disk = _folder.File("disk", new byte[65536]);

        LguestResult result = LguestProcess.Shell(
            """
            folder=$(printf 'a\377b')
            cd "$1" && mkdir "$folder" && mv vmlinux disk "$folder" && cd "$folder" || exit 3
            "$0" 8m vmlinux --block=disk,snapshot --sharenet=net && ls
            """,
            _folder.Name);

        Assert.Equal(new LguestResult(0, "updisk\nnet\nvmlinux\n", string.Empty), result);
    }

    [Fact]
    public void A_current_folder_that_is_gone_harms_nothing()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));

        LguestResult result = LguestProcess.Shell("""mkdir "$2" && cd "$2" && rmdir "$2" && exec "$0" 8m "$1" """, kernel, _folder.Path("gone"));

        Assert.Equal(new LguestResult(0, "up", string.Empty), result);
    }

    [Fact]
    public void A_part_of_a_sector_is_said_not_to_reach_the_guest()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));
        string disk = _folder.File("disk", new byte[513]);

        LguestResult result = LguestProcess.Run(string.Empty, "8m", kernel, $"--block={disk},ro");

        Assert.Equal(new LguestResult(0, "up", $"lguest: disk image '{disk}' has 1 bytes after its last whole sector of 512, which the guest does not get\n"), result);
    }

    [Theory]
    [InlineData(511, "has 511 bytes, less than a sector of 512: give it a size")]
    [InlineData(1, "has 1 bytes, less than a sector of 512: give it a size")]
    [InlineData(1L << 41, "has 2199023255552 bytes, and a guest's disk at most 2199023255040, a sector less than 2 TiB: give a smaller one")]
    [InlineData(1L << 43, "has 8796093022208 bytes, and a guest's disk at most 2199023255040")]
    public void A_disk_that_the_guest_could_not_have_is_refused(long size, string sentence)
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));
        string disk = _folder.Path("disk");
        using (FileStream file = File.Create(disk))
        {
            file.SetLength(size);
        }

        foreach (string mode in (string[])["", ",ro", ",snapshot"])
        {
            LguestResult result = LguestProcess.Run(string.Empty, "8m", kernel, $"--block={disk}{mode}");

            Assert.Equal(125, result.ExitCode);
            Assert.StartsWith($"lguest: disk image '{disk}' {sentence}", result.Errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_largest_disk_may_be_a_snapshot()
    {
        string kernel = _folder.File("vmlinux", GuestProgram.Greeter("up"));
        string disk = _folder.Path("disk");
        using (FileStream file = File.Create(disk))
        {
            file.SetLength((1L << 41) - 512);
        }

        Assert.Equal(new LguestResult(0, "up", string.Empty), LguestProcess.Run(string.Empty, "8m", kernel, $"--block={disk},snapshot"));
    }
}
