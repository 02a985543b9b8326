using System.Diagnostics;
using System.Formats.Tar;
using System.Text;
using Lguest.Devices.Disks;
using Lguest.Packing;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>A share that comes back: from a guest that means well, and from one that doesn't.</summary>
public sealed class ReturnedShareTests : IDisposable
{
    private const int ArchiveBegin = 4096;

    private readonly TestFolder _folder = new();
    private readonly string _share;

    public ReturnedShareTests() => _share = Directory.CreateDirectory(_folder.Path("share")).FullName;

    private static ReadOnlySpan<byte> Whole => "lguest-share: whole\n"u8;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_the_guest_has_made_of_it_is_there_at_the_end()
    {
        string untouched = Write("untouched", "the same");
        Write("gone", "still here");
        Write("changed", "before");
        DateTime time = new DateTime(2001, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(untouched, time);

        LguestResult result = Run(
            ",rw",
            "cd /share; rm gone; echo after >changed; mkdir -p new/dir; printf 'a\\0b' >new/dir/file; chmod 750 new/dir/file; ln -s dir/file new/link; ln new/dir/file new/other; exit 3");

        Assert.Equal(new LguestResult(3, string.Empty, string.Empty), result);
        Assert.Equal(["changed", "gone", "new/dir/file", "new/link", "new/other", "untouched"], Names());
        Assert.Equal(("after\n", "a\0b", "a\0b", "still here"), (Read("changed"), Read("new/dir/file"), Read("new/other"), Read("gone")));
        Assert.Equal("dir/file", new FileInfo(At("new/link")).LinkTarget);
        Assert.Equal(time, File.GetLastWriteTimeUtc(untouched));
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(At("new/dir/file")) == (UnixFileMode)0x1e8);
    }

    [Fact]
    public void Links_of_the_hosts_that_lead_out_of_it_stay()
    {
        File.CreateSymbolicLink(At("up"), "../elsewhere");
        File.CreateSymbolicLink(At("away"), "/etc/hostname");

        Assert.Equal(new LguestResult(0, string.Empty, string.Empty), Run(",rw", "echo x >/share/file"));
        Assert.Equal("x\n", Read("file"));
        Assert.Equal(("../elsewhere", "/etc/hostname"), (new FileInfo(At("up")).LinkTarget, new FileInfo(At("away")).LinkTarget));
    }

    [Fact]
    public void Without_the_word_nothing_comes_back()
    {
        Write("a", "before");

        Assert.Equal(0, Run(string.Empty, "echo after >/share/a").ExitCode);
        Assert.Equal("before", Read("a"));
    }

    [Fact]
    public void After_a_panic_there_is_what_was_given_back_before()
    {
        LguestResult result = Run(",rw", "echo one >/share/a; lguest-share; echo two >/share/b; echo c >/proc/sysrq-trigger");

        Assert.Equal(100, result.ExitCode);
        Assert.Equal(["a"], Names());

        Directory.Delete(_share, recursive: true);
        Directory.CreateDirectory(_share);
        LguestResult early = Run(",rw", "echo one >/share/a; echo c >/proc/sysrq-trigger");
        Assert.Equal(100, early.ExitCode);
        Assert.Contains("is not all that the guest has made of it: nothing was given back whole: the guest has ended before, or there was no room for it\n", early.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_guest_was_giving_back_when_it_died_is_not_taken()
    {
        Write("a", "before");
        const string Written = "read -r _ _ _ _ _ _ written _ </sys/block/lgba/stat";
        const string DieInTheMiddle = $"{Written}; end=$((written + 1000)); lguest-share & while [ $written -lt $end ]; do {Written}; done; echo c >/proc/sysrq-trigger";

        LguestResult result = Run(",rw", $"echo one >/share/a; lguest-share; head -c 8000000 /dev/urandom >/share/b; {DieInTheMiddle}");

        Assert.Equal(100, result.ExitCode);
        Assert.Contains(": nothing was given back whole: ", result.Errors, StringComparison.Ordinal);
        Assert.Equal("before", Read("a"));
    }

    [Fact]
    public void An_archive_that_is_not_said_to_be_whole_is_not_taken()
    {
        Assert.Empty(Take(archive => Add(archive, "a", "one")));
        Assert.Equal("one", Read("a"));

        string refused = Assert.Single(Take(archive => Add(archive, "a", "two"), isWhole: false));

        Assert.Equal($"'{_share}' is not all that the guest has made of it: nothing was given back whole: the guest has ended before, or there was no room for it", refused);
        Assert.Equal("one", Read("a"));
    }

    [Fact]
    public void What_the_guest_has_not_changed_is_not_written()
    {
        string text = new('x', 200_000);
        string path = Write("a", text);
        var mode = (UnixFileMode)0x1a4;
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, mode);
        }

        DateTime time = new DateTime(2001, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        Directory.SetLastWriteTimeUtc(_share, time);

        Assert.Empty(Take(archive => Add(archive, "a", text)));
        Assert.Equal(time, Directory.GetLastWriteTimeUtc(_share));

        string other = string.Concat(text.AsSpan(0, 150_000), "y", text.AsSpan(0, 49_999));
        Assert.Empty(Take(archive => Add(archive, "a", other)));
        Assert.Equal(other, Read("a"));
        Assert.Empty(Take(archive => Add(archive, "a", "y")));
        Assert.Equal("y", Read("a"));
    }

    [Fact]
    public void A_second_name_is_only_of_a_file_that_came_before()
    {
        Write("mine", "the host's");

        string[] refused = Take(archive =>
        {
            Link(archive, "b", "mine");
            Link(archive, "c", "new/dir/file");
            Link(archive, "d", "e");
            Add(archive, "e", "theirs");
            Link(archive, "f", "./e");
            Link(archive, "g", "f");
        });

        Assert.Equal(["'b' ", "'c' ", "'d' "], refused.Select(sentence => sentence[..4]));
        Assert.All(refused, sentence => Assert.EndsWith(": it is a link to what did not come before it", sentence, StringComparison.Ordinal));
        Assert.Equal(["e", "f", "g", "mine"], Names());
        Assert.Equal("theirs", Read("g"));
        Assert.False(Directory.Exists(At("new")));
    }

    [Fact]
    public void What_is_more_than_there_is_room_for_is_lost_output()
    {
        LguestResult result = Run(",rw=64k", "echo one >/share/a; dd if=/dev/zero of=/share/b bs=1k count=100 2>/dev/null");

        Assert.Equal(141, result.ExitCode);
        Assert.Contains("is not all that the guest has made of it: ", result.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("b", Names());
    }

    [Fact]
    public void Several_come_back_each_to_its_own_and_disks_of_the_users_keep_their_letters()
    {
        string other = Directory.CreateDirectory(_folder.Path("o,ther")).FullName;
        string disk = _folder.File("disk", "a disk"u8.ToArray().Concat(new byte[506]).ToArray());

        LguestResult result = Run(
            ",rw", "head -c 6 /dev/lgba; echo one >/share/a; echo two >/mnt/o/b", $"--block={disk},ro", $"--share={other.Replace(",", ",,", StringComparison.Ordinal)}:/mnt/o,rw=1m");

        Assert.Equal(new LguestResult(0, "a disk", string.Empty), result);
        Assert.Equal(("one\n", "two\n"), (Read("a"), File.ReadAllText(Path.Combine(other, "b"))));
    }

    [Theory]
    [InlineData("--share=a,b", "'b' is nothing that a share can be: write rw, or rw=256m, or double the commas that are in the folder's name")]
    [InlineData("--share=a,rw=x", "'x' is not an amount of memory: write 64m, 1g, or 64 for MiB")]
    public void What_is_no_share_is_refused(string option, string sentence)
    {
        LguestResult result = LguestProcess.Run(string.Empty, "64m", "vmlinux", "--initrd=x", option);

        Assert.Equal(125, result.ExitCode);
        Assert.EndsWith(sentence + "\n", result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../evil")]
    [InlineData("/evil")]
    [InlineData("a/../../evil")]
    [InlineData("a//evil")]
    public void A_path_that_leads_out_is_refused(string name)
    {
        string[] refused = Take(archive => Add(archive, name, "evil"));

        Assert.Equal($"'{name}' is not copied back to '{_share}': its path leads out of the folder", Assert.Single(refused));
        Assert.Empty(Names());
        Assert.False(File.Exists(_folder.Path("evil")));
        Assert.False(File.Exists("/evil"));
    }

    [Theory]
    [InlineData("/etc")]
    [InlineData("..")]
    [InlineData("a/../../x")]
    public void A_link_that_leads_out_is_refused_and_nothing_is_written_through_one(string link)
    {
        string[] refused = Take(archive =>
        {
            archive.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "link") { LinkName = link });
            archive.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, "hard") { LinkName = link });
            archive.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "inner") { LinkName = "dir" });
            Add(archive, "inner/file", "through");
        });

        Assert.Equal(["'link' ", "'hard' ", "'inner/file' "], refused.Select(sentence => sentence[..(sentence.IndexOf(' ', StringComparison.Ordinal) + 1)]));
        Assert.Equal(["inner"], Names());
    }

    [Fact]
    public void A_link_that_the_host_has_is_replaced_and_never_followed()
    {
        string outside = _folder.File("outside", "mine"u8.ToArray());
        string folder = Directory.CreateDirectory(_folder.Path("elsewhere")).FullName;
        File.CreateSymbolicLink(At("file"), outside);
        File.CreateSymbolicLink(At("dir"), folder);

        string[] refused = Take(archive =>
        {
            Add(archive, "file", "theirs");
            Add(archive, "dir/file", "theirs");
        });

        Assert.Equal(("mine", "theirs"), (File.ReadAllText(outside), Read("file")));
        Assert.Empty(Directory.GetFiles(folder));
        Assert.Equal($"'dir/file' is not copied back to '{_share}': a part of its path is no folder, or a link", Assert.Single(refused));
    }

    [Fact]
    public void Devices_and_pipes_are_refused_and_no_program_gets_its_owners_rights()
    {
        string[] refused = Take(archive =>
        {
            archive.WriteEntry(new PaxTarEntry(TarEntryType.CharacterDevice, "null") { DeviceMajor = 1, DeviceMinor = 3 });
            archive.WriteEntry(new PaxTarEntry(TarEntryType.Fifo, "pipe"));
            archive.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "su") { Mode = (UnixFileMode)0xfff, DataStream = new MemoryStream([1]) });
        });

        Assert.Equal(2, refused.Length);
        Assert.Equal(["su"], Names());
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(At("su")) == (UnixFileMode)0x1ff);
    }

    [Fact]
    public void Names_of_one_file_are_no_way_to_fill_the_hosts_disk()
    {
        string[] refused = Take(archive =>
        {
            Add(archive, "a", new string('x', 200_000));
            for (int i = 0; i < 100; i++)
            {
                archive.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, $"b{i}") { LinkName = "a" });
            }
        });

        Assert.InRange(Directory.GetFiles(_share).Sum(file => new FileInfo(file).Length), 1, 1 << 20);
        Assert.EndsWith(": it is too large", refused[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Whatever_is_on_the_disk_it_is_a_sentence(int seed)
    {
        using var disk = new ScratchDisk("x", 1 << 16);
        byte[] bytes = new byte[1 << 16];
        new Random(seed).NextBytes(bytes);
        if (seed == 2)
        {
            // A header that is right, of a file longer than the disk.
            using var stream = new MemoryStream();
            using (var archive = new TarWriter(stream, leaveOpen: true))
            {
                archive.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, "a") { DataStream = new MemoryStream(new byte[1 << 17]) });
            }

            stream.ToArray().AsSpan(0, bytes.Length - ArchiveBegin).CopyTo(bytes.AsSpan(ArchiveBegin));
        }

        if (seed > 0)
        {
            Whole.CopyTo(bytes);
        }

        disk.Write(0, bytes);

        Assert.StartsWith($"'{_share}' is not all that the guest has made of it: ", ReturnedFolder.Take(_share, disk)[^1], StringComparison.Ordinal);
        Assert.Empty(Names());
    }

    private static void Add(TarWriter archive, string name, string text) =>
        archive.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.ASCII.GetBytes(text)) });

    private static void Link(TarWriter archive, string name, string other) =>
        archive.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, name) { LinkName = other });

    private string[] Take(Action<TarWriter> write, bool isWhole = true)
    {
        using var stream = new MemoryStream();
        using (var archive = new TarWriter(stream, leaveOpen: true))
        {
            write(archive);
        }

        using var disk = new ScratchDisk("x", 1 << 20);
        disk.Write(ArchiveBegin, stream.ToArray());
        if (isWhole)
        {
            disk.Write(0, Whole);
        }

        return [.. ReturnedFolder.Take(_share, disk)];
    }

    private LguestResult Run(string word, string command, params string[] arguments)
    {
        Image("vmlinux");
        using Process process = LguestProcess.StartIn(Project, [$"--share={_share}:/share{word}", $"--run={command}", "--clock=virtual", .. arguments]);
        return LguestProcess.Finish(process, string.Empty, TimeSpan.FromMinutes(3));
    }

    private string At(string name) => Path.Combine(_share, name);

    private string Read(string name) => File.ReadAllText(At(name));

    private string Write(string name, string text)
    {
        File.WriteAllText(At(name), text);
        return At(name);
    }

    private string[] Names() =>
        [.. Directory.EnumerateFiles(_share, "*", SearchOption.AllDirectories).Concat(Directory.EnumerateDirectories(_share).Where(path => new DirectoryInfo(path).LinkTarget is not null))
            .Select(path => Path.GetRelativePath(_share, path)).Distinct().Order(StringComparer.Ordinal)];
}
