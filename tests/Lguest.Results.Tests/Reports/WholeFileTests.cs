using System.Diagnostics;
using System.Runtime.Versioning;
using Lguest.Results.Reports;

namespace Lguest.Results.Tests.Reports;

[UnsupportedOSPlatform("windows")]
public sealed class WholeFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lguest").FullName;

    [Fact]
    public void A_file_is_written_and_nothing_else_is_left()
    {
        WholeFile.At(In("a")).Write(stream => stream.Write("new"u8));

        Assert.Equal("new", File.ReadAllText(In("a")));
        Assert.Equal([In("a")], Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void To_see_whether_it_can_be_written_changes_nothing()
    {
        File.WriteAllText(In("old"), "old");

        WholeFile.At(In("old"));
        WholeFile.At(In("new"));

        Assert.Equal("old", File.ReadAllText(In("old")));
        Assert.Equal([In("old")], Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void A_file_that_could_not_be_written_whole_is_as_it_was()
    {
        File.WriteAllText(In("a"), "old");
        var file = WholeFile.At(In("a"));

        var error = Assert.Throws<ReportException>(() => file.Write(stream =>
        {
            stream.Write(new byte[1 << 20]);
            throw new IOException("No space left on device.");
        }));

        Assert.Equal($"'{In("a")}' can't be written: No space left on device", error.Message);
        Assert.Equal("old", File.ReadAllText(In("a")));
        Assert.Equal([In("a")], Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void A_file_keeps_its_mode_and_a_link_stays_one()
    {
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;
        File.WriteAllText(In("target"), "old");
        File.SetUnixFileMode(In("target"), Mode);
        File.CreateSymbolicLink(In("link"), In("target"));

        WholeFile.At(In("link")).Write(stream => stream.Write("new"u8));

        Assert.Equal("new", File.ReadAllText(In("target")));
        Assert.Equal(Mode, File.GetUnixFileMode(In("target")));
        Assert.Equal(In("target"), new FileInfo(In("link")).LinkTarget);
    }

    [Fact]
    public void A_device_and_a_pipe_are_written_as_they_are()
    {
        WholeFile.At("/dev/null").Write(stream => stream.Write("gone"u8));
        Assert.True(File.Exists("/dev/null"));
        Assert.Throws<ReportException>(() => WholeFile.At("/dev/full").Write(stream =>
        {
            stream.Write("gone"u8);
            stream.Flush();
        }));

        Process.Start("mkfifo", In("pipe")).WaitForExit();
        using var reader = new FileStream(In("pipe"), FileMode.Open, FileAccess.ReadWrite);
        WholeFile.At(In("pipe")).Write(stream => stream.Write("through"u8));
        byte[] bytes = new byte[7];
        reader.ReadExactly(bytes);

        Assert.Equal("through"u8.ToArray(), bytes);
        Assert.Equal([In("pipe")], Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void Where_nothing_can_be_written_the_sentence_says_why()
    {
        File.WriteAllText(In("file"), "");

        Assert.Equal("a report needs the name of a file", Refusal(""));
        Assert.Equal($"'{_folder}' is a directory: give the name of a file", Refusal(_folder));
        Assert.Equal($"'{In("no/a")}' can't be written: its directory doesn't exist", Refusal(In("no/a")));
        Assert.StartsWith($"'{In("file/a")}' can't be written: ", Refusal(In("file/a")), StringComparison.Ordinal);
        Assert.StartsWith("'/proc/a' can't be written: ", Refusal("/proc/a"), StringComparison.Ordinal);
        Assert.StartsWith($"'{In(new string('a', 300))}' can't be written: ", Refusal(In(new string('a', 300))), StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Refusal(string path) => Assert.Throws<ReportException>(() => WholeFile.At(path)).Message;

    private string In(string name) => Path.Combine(_folder, name);
}
