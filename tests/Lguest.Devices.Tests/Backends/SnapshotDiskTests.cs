using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Devices.Tests.FrontEnds;

namespace Lguest.Devices.Tests.Backends;

public sealed class SnapshotDiskTests : IDisposable
{
    private const int Size = (20 * 4096) + 1536;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lguest-snapshot-");
    private readonly string _path;
    private readonly byte[] _original = new byte[Size];

    public SnapshotDiskTests()
    {
        new Random(1).NextBytes(_original);
        _path = Path.Combine(_folder.FullName, "disk");
        File.WriteAllBytes(_path, _original);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void It_reads_like_a_disk_that_was_written_and_leaves_the_one_below_alone()
    {
        const int Seed = 2623;
        var random = new Random(Seed);
        byte[] expected = (byte[])_original.Clone();
        using var disk = new SnapshotDisk(RawImage.Open(_path, readOnly: true));
        for (int round = 0; round < 3000; round++)
        {
            int offset = random.Next(Size);
            byte[] bytes = new byte[random.Next(Math.Min(Size - offset, 10_000) + 1)];
            if (random.Next(2) == 0)
            {
                random.NextBytes(bytes);
                disk.Write((ulong)offset, bytes);
                bytes.CopyTo(expected, offset);
            }
            else
            {
                if (!disk.TryRead((ulong)offset, bytes))
                {
                    disk.Read((ulong)offset, bytes);
                }

                Assert.True(bytes.AsSpan().SequenceEqual(expected.AsSpan(offset, bytes.Length)), $"round {round} of seed {Seed}");
            }
        }

        byte[] all = new byte[Size];
        disk.Read(0, all);
        Assert.Equal(expected, all);
        Assert.Equal(_original, File.ReadAllBytes(_path));
    }

    [Fact]
    public void Many_may_share_a_disk_and_none_sees_the_other()
    {
        using var first = new SnapshotDisk(RawImage.Open(_path, readOnly: true));
        using var second = new SnapshotDisk(RawImage.Open(_path, readOnly: true));
        first.Write(4090, new byte[20]);

        byte[] read = new byte[20];
        second.Read(4090, read);

        Assert.Equal(_original[4090..4110], read);
        Assert.Contains("is in use by another guest", Assert.Throws<BackendException>(() => RawImage.Open(_path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Size - 1, 2)]
    [InlineData(Size + 1, 0)]
    public void What_is_outside_is_an_error(int offset, int length)
    {
        using var disk = new SnapshotDisk(RawImage.Open(_path, readOnly: true));

        Assert.Throws<IOException>(() => disk.Write((ulong)offset, new byte[length]));
        Assert.Throws<IOException>(() => disk.Read((ulong)offset, new byte[length]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData((1 << 28) - 4096)]
    [InlineData((1 << 28) - 10)]
    [InlineData((1L << 42) - 8192)]
    public void A_disk_may_be_as_large_as_a_file(long offset)
    {
        string path = Path.Combine(_folder.FullName, "huge");
        using (FileStream file = File.Create(path))
        {
            file.SetLength(1L << 42);
        }

        using var disk = new SnapshotDisk(RawImage.Open(path, readOnly: true));
        byte[] written = new byte[8192];
        new Random(16).NextBytes(written);
        byte[] read = new byte[8192];

        disk.Write((ulong)offset, written);
        disk.Read((ulong)offset, read);
        Assert.Equal(written, read);

        disk.Read(1UL << 40, read);
        Assert.All(read, value => Assert.Equal(0, value));
    }

    [Fact]
    public void Nothing_of_it_has_a_name()
    {
        string[] before = Directory.GetFiles(Path.GetTempPath(), "lguest-*");

        using var disk = new SnapshotDisk(RawImage.Open(_path, readOnly: true));
        disk.Write(0, new byte[512]);

        Assert.Empty(Directory.GetFiles(Path.GetTempPath(), "lguest-*").Except(before));
    }

    [Fact]
    public void An_error_below_a_part_of_a_cluster_changes_nothing()
    {
        var below = new MemoryDisk(8192) { IsBroken = true };
        using var disk = new SnapshotDisk(below);

        Assert.Throws<IOException>(() => disk.Write(100, new byte[10]));
        below.IsBroken = false;
        byte[] read = new byte[8192];
        disk.Read(0, read);

        Assert.All(read, value => Assert.Equal(0, value));
    }
}
