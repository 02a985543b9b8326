using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Lguest.Devices.Backends;
using Lguest.Devices.Networks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.Devices.Tests.Networks;

public sealed class PcapngFileTests : IDisposable
{
    private static readonly DateTimeOffset Moment = new(2007, 10, 9, 20, 31, 38, 123, TimeSpan.Zero);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lguest-pcap-");

    private string Path => System.IO.Path.Combine(_folder.FullName, "frames.pcapng");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void It_is_what_the_format_says_to_the_byte()
    {
        using (PcapngFile file = Create())
        {
            IFrameRecorder network = file.AddInterface("eth0");
            network.Record(sent: true, [0xaa, 0xbb, 0xcc, 0xdd, 0xee]);
        }

        ulong ticks = (ulong)(Moment.UtcTicks - DateTimeOffset.UnixEpoch.Ticks);
        byte[] expected =
        [
            .. Words(0x0a0d0d0a, 44, 0x1a2b3c4d, 0x00000001, uint.MaxValue, uint.MaxValue),
            4, 0, 6, 0, .. "lguest\0\0"u8, .. Words(0, 44),
            .. Words(1, 40, 1, 65549), 2, 0, 4, 0, .. "eth0"u8, 9, 0, 1, 0, 7, 0, 0, 0, .. Words(0, 40),
            .. Words(6, 52, 0, (uint)(ticks >> 32), (uint)ticks, 5, 5), 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0, 0, 0,
            2, 0, 4, 0, .. Words(2, 0, 52),
        ];
        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(File.ReadAllBytes(Path)));
    }

    [Fact]
    public void Every_frame_is_in_the_file_as_soon_as_it_is_recorded()
    {
        using PcapngFile file = Create();
        IFrameRecorder network = file.AddInterface("eth0");
        for (int i = 14; i <= 1514; i += 100)
        {
            long before = new FileInfo(Path).Length;
            network.Record(sent: false, new byte[i]);

            Assert.Equal(before + 44 + ((i + 3) / 4 * 4), new FileInfo(Path).Length);
        }
    }

    [Fact]
    public void Wiresharks_tools_read_interfaces_directions_times_and_frames()
    {
        const string Tool = "/usr/bin/tshark";
        Assert.SkipUnless(File.Exists(Tool), "tshark isn't installed (package tshark).");
        byte[] request = Convert.FromHexString("ffffffffffff020001000000080600010800060400010200010000000a00020f0000000000000a000202");
        using (PcapngFile file = Create())
        {
            IFrameRecorder first = file.AddInterface("eth0");
            IFrameRecorder second = file.AddInterface("eth1");
            first.Record(sent: true, request);
            second.Record(sent: false, request);
            second.Record(sent: false, new byte[1514]);
        }

        using Process process = Process.Start(new ProcessStartInfo(
            Tool,
            ["-r", Path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "arp.dst.proto_ipv4"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        string output = process.StandardOutput.ReadToEnd();

        Assert.Equal(
            $"""
            eth0	2	1191961898.123000000	{request.Length}	10.0.2.2
            eth1	1	1191961898.123000000	{request.Length}	10.0.2.2
            eth1	1	1191961898.123000000	1514	

            """,
            output.Replace("0x00000002", "2", StringComparison.Ordinal).Replace("0x00000001", "1", StringComparison.Ordinal));
    }

    [Fact]
    public void A_disk_that_is_full_ends_the_recording_with_one_warning()
    {
        const string Full = "/dev/full";
        Assert.SkipUnless(File.Exists(Full), "There is no /dev/full here.");
        var log = new Warnings();
        using var file = PcapngFile.Create(Full, TimeProvider.System, log);

        IFrameRecorder network = file.AddInterface("eth0");
        network.Record(sent: true, new byte[60]);
        network.Record(sent: true, new byte[60]);

        Assert.Single(log.Messages);
        Assert.StartsWith("--pcap=/dev/full: a frame could not be written, and recording has ended: ", log.Messages[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no/such/folder/file")]
    [InlineData("/proc/self/nothing")]
    [InlineData(".")]
    public void A_file_that_cannot_be_created_is_refused(string path)
    {
        BackendException error = Assert.Throws<BackendException>(() => PcapngFile.Create(path, TimeProvider.System, NullLogger.Instance));

        Assert.StartsWith($"--pcap={path}: the file cannot be created (", error.Message, StringComparison.Ordinal);
    }

    private static byte[] Words(params uint[] values)
    {
        var bytes = new byte[values.Length * sizeof(uint)];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(i * sizeof(uint)), values[i]);
        }

        return bytes;
    }

    private PcapngFile Create() => PcapngFile.Create(Path, new StoppedClock(), NullLogger.Instance);

    private sealed class StoppedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => Moment;
    }

    private sealed class Warnings : ILogger
    {
        public List<string> Messages { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Messages.Add(formatter(state, exception));
    }
}
