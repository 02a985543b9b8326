using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Lguest.TestSupport;
using static Lguest.Tests.ShippedImages;

namespace Lguest.Tests;

/// <summary>Disks that lose nothing, seen from the guest that ships and, whatever becomes of lguest, from outside.</summary>
public sealed partial class DiskTests : IDisposable
{
    private const int SectorSize = 512;
    private const int Mebibyte = 1 << 20;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_was_acknowledged_survives_the_death_of_lguest_at_any_moment()
    {
        const int Seed = 2623;
        const int KillsInShortRun = 30;
        const int KillsInLongRun = 1000;
        const int MostRecords = 4096;
        const int SyncsOfOneRun = 100_000;
        Assert.SkipUnless(File.Exists("/sbin/mke2fs"), "mke2fs isn't installed (package e2fsprogs).");
        var random = new Random(Seed);
        string fileSystem = MakeFileSystem("journalled", 16 * Mebibyte);
        for (int kill = 0; kill < (IsLongRun ? KillsInLongRun : KillsInShortRun); kill++)
        {
            string disk = _folder.File("records", new byte[MostRecords * SectorSize]);

            // Numbers only grow from run to run, so that what an earlier run left isn't taken for this one's.
            string script = $"""
                mount -t ext4 /dev/lgbd /mnt || exit 1
                (i=0; while :; do i=$((i+1)); cp /bin/busybox /mnt/$((i % 7)); mkdir /mnt/d$i; rm -r /mnt/d$((i-3)) 2>/dev/null; done) 2>/dev/null &
                (i={kill * SyncsOfOneRun}; while :; do i=$((i+1)); echo $i >/mnt/synced; sync; echo synced $i; done) &
                i=0; while [ $i -lt {MostRecords} ]; do
                  echo record {kill} $i | dd of=/dev/lgbc seek=$i bs=512 conv=sync,notrunc,fsync 2>/dev/null && echo wrote $i
                  i=$((i+1))
                done
                """;
            using Process process = LguestProcess.Start(Arguments(_folder, script, $"--block={disk}", $"--block={fileSystem}"));

            // Not before there is something to lose, however slow the host is; and then at any moment.
            string said = ReadThrough(process, kill % 2 == 0 ? "synced" : "wrote", random.Next(1, 8));
            Thread.Sleep(random.Next(100));
            process.Kill();
            LguestProcess.WaitFor(process);
            said = WholeLines(said + process.StandardOutput.ReadToEnd());

            string when = $"kill {kill} of seed {Seed}, after: {said}";
            byte[] found = File.ReadAllBytes(disk);
            foreach (Match wrote in Wrote().Matches(said))
            {
                int record = int.Parse(wrote.Groups[1].Value, CultureInfo.InvariantCulture);
                string expected = $"record {kill} {record}\n".PadRight(SectorSize, '\0');
                Assert.True(Encoding.ASCII.GetString(found, record * SectorSize, SectorSize) == expected, when);
            }

            HostTools.Recover(fileSystem);
            HostTools.AssertSound(fileSystem);
            if (Synced().Matches(said).LastOrDefault() is { } synced)
            {
                int least = int.Parse(synced.Groups[1].Value, CultureInfo.InvariantCulture);
                Assert.True(int.TryParse(HostTools.TextOfFile(fileSystem, "/synced"), out int last) && last >= least, when);
            }
        }
    }

    [Fact]
    public void A_full_disk_of_the_hosts_is_an_error_in_the_guest_and_one_warning()
    {
        string script = _folder.File("inner", Encoding.ASCII.GetBytes("""
            mount -t tmpfs -o size=1m none "$1" && truncate -s 8M "$1/disk" && shift && exec "$@"
            """));
        string small = Directory.CreateDirectory(_folder.Path("small")).FullName;
        string[] arguments = Arguments(_folder, """
            dd if=/dev/urandom of=/dev/lgbc bs=64k count=8 conv=notrunc,fsync || exit 1
            dd if=/dev/urandom of=/dev/lgbc bs=64k seek=16 count=32 conv=notrunc,fsync && exit 2
            dd if=/dev/lgbc of=/dev/null bs=64k count=8 iflag=direct || exit 3
            exit 42
            """, $"--block={small}/disk");
        using Process process = Process.Start(new ProcessStartInfo("unshare", ["-m", "sh", script, small, LguestProcess.Path, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        LguestResult result = LguestProcess.Finish(process, string.Empty, TimeSpan.FromMinutes(2));
        Assert.SkipWhen(result.Errors.Contains("unshare failed", StringComparison.Ordinal), "This needs root, for a file system of its own.");

        AssertEnded(42, result);
        Assert.Single(Warning().Matches(result.Errors));
        Assert.Contains("I/O error, dev lgbc", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_large_sparse_disk_works_beyond_4_gib_and_stays_sparse()
    {
        const long Gibibyte = 1L << 30;
        const long Where = (5 * Gibibyte) + (123 * SectorSize);
        string disk = _folder.Path("large");
        using (FileStream file = File.Create(disk))
        {
            file.SetLength(6 * Gibibyte);
        }

        LguestResult result = Run(_folder, $"""
            cat /sys/block/lgbc/size
            echo here | dd of=/dev/lgbc bs=512 seek={Where / SectorSize} conv=sync,notrunc,fsync 2>/dev/null || exit 1
            dd if=/dev/lgbc bs=512 skip={Where / SectorSize} count=1 iflag=direct 2>/dev/null | head -n 1
            dd if=/dev/lgbc of=/dev/null bs=64k skip=1000 count=100 2>/dev/null
            """, $"--block={disk}");

        AssertEnded(0, result);
        Assert.StartsWith($"{6 * Gibibyte / SectorSize}\nhere\n", Text(result), StringComparison.Ordinal);
        Assert.Equal("here", HostTools.TextAt(disk, Where, 4));
        Assert.True(HostTools.AllocatedBytes(disk) <= Mebibyte, $"{HostTools.AllocatedBytes(disk)} bytes are allocated");
    }

    [Fact]
    public void What_is_left_of_a_disk_after_its_last_whole_sector_is_never_touched()
    {
        byte[] contents = new byte[(10 * SectorSize) + 100];
        new Random(1).NextBytes(contents);
        string disk = _folder.File("odd", contents);

        LguestResult result = Run(_folder, "cat /sys/block/lgbc/size; dd if=/dev/zero of=/dev/lgbc bs=512 conv=fsync; exit 0", $"--block={disk}");

        AssertEnded(0, result);
        Assert.StartsWith("10\n", Text(result), StringComparison.Ordinal);
        Array.Clear(contents, 0, 10 * SectorSize);
        Assert.Equal(contents, File.ReadAllBytes(disk));
    }

    [Fact]
    public void Guests_share_an_image_while_each_writes_to_its_own_snapshot()
    {
        byte[] contents = new byte[64 * SectorSize];
        new Random(2).NextBytes(contents);
        string disk = _folder.File("shared", contents);
        string[] first = Arguments(_folder, "echo first | dd of=/dev/lgbc conv=sync,notrunc,fsync 2>/dev/null; echo ready; read x; head -n 1 /dev/lgbc; exit 0", $"--block={disk},snapshot");
        using Process one = LguestProcess.Start(first);
        while (one.StandardOutput.ReadLine() is { } line && line != "ready")
        {
        }

        LguestResult second = Run(new TestFolder(), "echo second | dd of=/dev/lgbc conv=sync,notrunc,fsync 2>/dev/null; head -n 1 /dev/lgbc", $"--block={disk},snapshot");
        LguestResult result = LguestProcess.Finish(one, "\n");

        Assert.StartsWith("second\n", Text(second), StringComparison.Ordinal);
        Assert.Contains("first\n", Text(result), StringComparison.Ordinal);
        Assert.Equal(contents, File.ReadAllBytes(disk));
    }

    private static bool IsLongRun => Environment.GetEnvironmentVariable("LGUEST_LONG_TESTS") == "1";

    [GeneratedRegex(@"^wrote (\d+)\r?$", RegexOptions.Multiline)]
    private static partial Regex Wrote();

    [GeneratedRegex(@"^synced (\d+)\r?$", RegexOptions.Multiline)]
    private static partial Regex Synced();

    [GeneratedRegex("an I/O error for the guest")]
    private static partial Regex Warning();

    /// <summary>Reads what a guest says, until so many lines begin with a word.</summary>
    private static string ReadThrough(Process process, string word, int count)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var said = new StringBuilder();
        while (count > 0)
        {
            string? line;
            try
            {
                line = process.StandardOutput.ReadLineAsync(patience.Token).AsTask().GetAwaiter().GetResult();
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                throw new TimeoutException($"The guest has been too quiet for too long, after: {said}");
            }

            Assert.True(line is not null, $"The guest ended by itself, after: {said}");
            said.Append(line).Append('\n');
            count -= line.StartsWith(word, StringComparison.Ordinal) ? 1 : 0;
        }

        return said.ToString();
    }

    /// <summary>What a killed process had said, less a last line that it may not have finished.</summary>
    private static string WholeLines(string said) => said[..(said.LastIndexOf('\n') + 1)];

    private string MakeFileSystem(string name, long size)
    {
        string path = _folder.Path(name);
        using (FileStream file = File.Create(path))
        {
            file.SetLength(size);
        }

        HostTools.MakeExt4(path);
        return path;
    }
}
