using Lguest.Devices.Backends;
using Lguest.Devices.Disks;

namespace Lguest.Devices.Tests.Backends;

public sealed class RawImageTests : IDisposable
{
    private const int Size = 100_000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lguest-disk-");
    private readonly string _path;

    public RawImageTests()
    {
        _path = Path.Combine(_folder.FullName, "disk");
        File.WriteAllBytes(_path, [.. Enumerable.Range(0, Size).Select(i => (byte)(i % 251))]);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void An_image_has_the_size_and_name_of_its_file()
    {
        using RawImage image = RawImage.Open(_path);

        Assert.Equal((ulong)Size, image.Length);
        Assert.Equal(_path, image.Name);
        Assert.False(image.IsReadOnly);
    }

    [Theory]
    [InlineData(0, 512)]
    [InlineData(777, 40_000)]
    [InlineData(Size - 1, 1)]
    [InlineData(Size, 0)]
    [InlineData(0, Size)]
    public void Reading_gives_the_bytes_of_the_file(int offset, int length)
    {
        using RawImage image = RawImage.Open(_path);
        byte[] bytes = new byte[length];

        image.Read((ulong)offset, bytes);

        Assert.Equal(Enumerable.Range(offset, length).Select(i => (byte)(i % 251)), bytes);
    }

    [Fact]
    public void What_the_host_has_in_memory_is_read_without_waiting()
    {
        using RawImage image = RawImage.Open(_path);
        byte[] expected = new byte[5000];
        byte[] bytes = new byte[5000];
        image.Read(777, expected);

        Assert.SkipUnless(image.TryRead(777, bytes), "The file system of the folder for temporary files can't read without waiting.");
        Assert.Equal(expected, bytes);
        Assert.Throws<IOException>(() => image.TryRead(Size - 10, new byte[11]));
    }

    [Fact]
    public void What_is_written_is_in_the_file_at_once_and_nowhere_else()
    {
        byte[] expected = File.ReadAllBytes(_path);
        "written"u8.CopyTo(expected.AsSpan(5000));
        using RawImage image = RawImage.Open(_path);

        image.Write(5000, "written"u8);
        Assert.Equal(expected, File.ReadAllBytes(_path));
        image.Flush();

        byte[] back = new byte[7];
        image.Read(5000, back);
        Assert.Equal("written"u8.ToArray(), back);
    }

    [Theory]
    [InlineData(Size, 1)]
    [InlineData(Size - 10, 11)]
    [InlineData(ulong.MaxValue, 1)]
    [InlineData(ulong.MaxValue - 3, 8)]
    [InlineData(0, Size + 1)]
    public void A_transfer_beyond_the_end_fails_and_leaves_the_file_alone(ulong offset, int length)
    {
        byte[] before = File.ReadAllBytes(_path);
        using (RawImage image = RawImage.Open(_path))
        {
            Assert.Throws<IOException>(() => image.Write(offset, new byte[length]));
            Assert.Throws<IOException>(() => image.Read(offset, new byte[length]));
        }

        Assert.Equal(before, File.ReadAllBytes(_path));
    }

    [Fact]
    public void An_image_that_is_read_only_is_read_and_not_written()
    {
        byte[] before = File.ReadAllBytes(_path);
        using RawImage image = RawImage.Open(_path, readOnly: true);

        Assert.True(image.IsReadOnly);
        image.Read(0, new byte[512]);
        image.Flush();
        Assert.Throws<IOException>(() => image.Write(0, new byte[512]));
        Assert.Equal(before, File.ReadAllBytes(_path));
    }

    [Fact]
    public void A_file_that_has_become_shorter_is_an_error_where_it_ends()
    {
        using RawImage image = RawImage.Open(_path);
        using (FileStream file = new(_path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(1000);
        }

        image.Read(0, new byte[1000]);
        Assert.Throws<IOException>(() => image.Read(500, new byte[1000]));
        Assert.Throws<IOException>(() => image.Read(5000, new byte[512]));
    }

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, false, false)]
    [InlineData(true, true, true)]
    public void One_may_write_or_many_read(bool firstReadOnly, bool secondReadOnly, bool allowed)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Locks are Linux's.");
        RawImage first = RawImage.Open(_path, firstReadOnly);

        if (allowed)
        {
            RawImage.Open(_path, secondReadOnly).Dispose();
        }
        else
        {
            var refusal = Assert.Throws<BackendException>(() => RawImage.Open(_path, secondReadOnly));
            Assert.Equal(
                $"disk image '{_path}' is in use by another guest, or named twice: stop that guest, or give a copy of the image",
                refusal.Message);
        }

        first.Dispose();
        RawImage.Open(_path).Dispose();
    }

    [Fact]
    public void A_file_of_more_than_4_GiB_is_read_and_written_beyond_them_and_stays_sparse()
    {
        const ulong Huge = 5UL << 30;
        string path = Path.Combine(_folder.FullName, "huge");
        using (FileStream file = File.Create(path))
        {
            file.SetLength((long)Huge);
        }

        using RawImage image = RawImage.Open(path);
        image.Write(Huge - 512, "the end"u8);
        byte[] back = new byte[7];
        image.Read(Huge - 512, back);

        Assert.Equal("the end"u8.ToArray(), back);
        Assert.Equal(Huge, image.Length);
    }

    [Theory]
    [InlineData("missing", "does not exist: make it, for example with `truncate -s 64M` and `mke2fs -F`")]
    [InlineData("no/such/folder/disk", "does not exist")]
    [InlineData(".", "is a directory: give a file or a block device")]
    [InlineData("empty", "is empty: give it a size")]
    [InlineData("/dev/null", "is neither a regular file nor a block device")]
    [InlineData("pipe", "is neither a regular file nor a block device")]
    [InlineData("/proc/sys/kernel/osrelease", "may not be written by this user: change its mode with chmod")]
    public void What_is_no_disk_is_refused(string name, string sentence)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "It uses Linux's /proc.");
        File.WriteAllBytes(Path.Combine(_folder.FullName, "empty"), []);
        using (var mkfifo = System.Diagnostics.Process.Start("mkfifo", Path.Combine(_folder.FullName, "pipe")))
        {
            mkfifo.WaitForExit();
        }

        string path = Path.Combine(_folder.FullName, name);
        var refusal = Assert.Throws<BackendException>(() => RawImage.Open(path));

        Assert.StartsWith($"disk image '{path}' {sentence}", refusal.Message, StringComparison.Ordinal);
    }
}
