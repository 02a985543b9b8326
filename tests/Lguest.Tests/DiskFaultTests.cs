using System.Text;
using System.Text.RegularExpressions;
using Lguest.Devices.Disks;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.TestSupport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Tests;

/// <summary>A disk that fails now and then under the guest that ships.</summary>
public sealed partial class DiskFaultTests : IDisposable
{
    private const int SectorSize = 512;

    private readonly TestFolder _folder = new();

    /// <summary>One request in five fails, of some 460 for each.</summary>
    public static TheoryData<int> Seeds =>
        [.. Enumerable.Range(1, Environment.GetEnvironmentVariable("LGUEST_LONG_TESTS") == "1" ? 20 : 2)];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Every_fault_is_an_error_in_the_guest_and_everything_else_is_done(int seed)
    {
        const int Rounds = 200;
        string script = _folder.File("script", Encoding.ASCII.GetBytes("""
            i=0; while [ $i -lt 200 ]; do
              if echo record $i | dd of=/dev/lgbc seek=$i bs=512 conv=sync,notrunc,fsync 2>/dev/null; then echo wrote $i; else echo failed $i; fi
              [ $((i % 10)) = 0 ] && dd if=/dev/lgbc of=/dev/null bs=4096 count=3 iflag=direct 2>/dev/null
              i=$((i+1))
            done
            echo errors $(cat /sys/bus/lguest/devices/2/errors)
            exit 7
            """.PadRight(1024, '\n')));
        string path = _folder.File("disk", new byte[Rounds * SectorSize]);
        var faulty = new FaultyDisk(RawImage.Open(path), seed);
        var device = new BlockDevice(faulty, NullLogger.Instance);

        (GuestOutcome outcome, string text) = InProcessGuest.Run(
            "quiet root=/dev/lgba run=\"sh /dev/lgbb\"",
            new BlockDevice(RawImage.Open(ShippedImages.Image("rootfs.ext2"), readOnly: true), NullLogger.Instance),
            new BlockDevice(RawImage.Open(script, readOnly: true), NullLogger.Instance),
            device);

        Assert.True(outcome == new GuestOutcome.PowerOff(7), $"{outcome}: {text}");
        Assert.InRange(faulty.Faults, 10ul, 200ul);
        Assert.Equal(faulty.Faults, device.Statistics.Errors);
        Assert.Contains($"\nerrors {faulty.Faults}\n", text, StringComparison.Ordinal);
        byte[] found = File.ReadAllBytes(path);
        MatchCollection records = Record().Matches(text);
        Assert.Equal(Rounds, records.Count);
        Assert.Contains(records, record => record.Groups[1].Value == "failed");
        foreach (Match record in records)
        {
            int number = int.Parse(record.Groups[2].Value, null);
            string content = Encoding.ASCII.GetString(found, number * SectorSize, SectorSize).TrimEnd('\0');

            // What the guest was told has failed may yet be written with what comes after it.
            Assert.True(
                content == $"record {number}\n" || (record.Groups[1].Value == "failed" && content.Length == 0), $"{record.Value}, but: {content}");
        }
    }

    [GeneratedRegex(@"^(wrote|failed) (\d+)$", RegexOptions.Multiline)]
    private static partial Regex Record();

    /// <summary>Fails one request in five, as a seed says, and does nothing of it then.</summary>
    private sealed class FaultyDisk(RawImage below, int seed) : IBlockBackend
    {
        private const int OneIn = 5;

        private readonly Random _random = new(seed);

        public ulong Faults { get; private set; }

        public ulong Length => below.Length;

        public bool IsReadOnly => false;

        public string Name => below.Name;

        public void Read(ulong offset, Span<byte> destination)
        {
            FailAtTimes();
            below.Read(offset, destination);
        }

        public void Write(ulong offset, ReadOnlySpan<byte> source)
        {
            FailAtTimes();
            below.Write(offset, source);
        }

        public void Flush()
        {
            FailAtTimes();
            below.Flush();
        }

        public void Dispose() => below.Dispose();

        private void FailAtTimes()
        {
            if (_random.Next(OneIn) == 0)
            {
                Faults++;
                throw new IOException("a fault was wanted");
            }
        }
    }
}
