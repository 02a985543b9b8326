using System.Globalization;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using Lguest.Boot.Dialects;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lguest.StateRunner;

/// <summary>
/// A guest whose life is in more than one process: runs one in virtual time from its start or from a saved state, to its end
/// or to a count of instructions, where everything is saved. Prints its console, and at the end a line of what became of it.
/// </summary>
/// <remarks>Arguments: KERNEL DISK WORDS FROM TO, where FROM is a file or -, and TO is FILE@COUNT or -.</remarks>
internal static class Program
{
    private const uint MemoryBytes = 64 << 20;
    private const int StandardOutput = 1;
    private const int StandardError = 2;
    private const string None = "-";

    private static int Main(string[] arguments)
    {
        (string kernel, string diskPath, string words, string from, string to) =
            (arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
        using var port = new Screen();
        using var disk = new BlockDevice(RawImage.Open(diskPath, readOnly: true), NullLogger.Instance);
        using var console = new ConsoleDevice(port);
        IGuestDevice[] devices = [disk, console];
        using KernelImage image = KernelImage.Open(kernel);
        GuestAbi abi = Dialect.Detect(image).Abi;
        using var guest = new Guest(new GuestConfiguration
        {
            MemoryBytes = MemoryBytes,
            Abi = abi,
            Clock = ClockKind.Virtual,
            Devices = devices,
        });
        if (from == None)
        {
            guest.Start(BootLoader.Load(new BootRequest(image, abi, null, words), new GuestRam(guest.PhysicalMemory, guest.Layout)));
        }
        else
        {
            guest.Start(default);
            Load(from, guest, disk);
        }

        string[] end = to.Split('@');
        ulong? most = to == None ? null : ulong.Parse(end[1], CultureInfo.InvariantCulture);
        GuestOutcome outcome = guest.Run(new RunLimits(most));
        if (to != None)
        {
            Save(end[0], guest, disk);
        }

        Span<byte> all = guest.PhysicalMemory.Span(0, (uint)guest.PhysicalMemory.Top);
        string ending = $"{outcome} after {guest.Processor.Retired}, memory {XxHash128.HashToUInt128(all):x}\n";
        new DescriptorStream(StandardError).Write(Encoding.UTF8.GetBytes(ending));
        return 0;
    }

    private static void Save(string path, Guest guest, BlockDevice disk)
    {
        using var writer = new BinaryWriter(File.Create(path));
        Span<byte> memory = guest.PhysicalMemory.Span(0, (uint)guest.PhysicalMemory.Top);
        writer.Write(memory);
        byte[] processor = guest.Processor.Save();
        writer.Write(processor.Length);
        writer.Write(processor);
        writer.Write(JsonSerializer.Serialize(guest.State));
        writer.Write(JsonSerializer.Serialize(disk.State));
    }

    private static void Load(string path, Guest guest, BlockDevice disk)
    {
        using var reader = new BinaryReader(File.OpenRead(path));
        reader.BaseStream.ReadExactly(guest.PhysicalMemory.Span(0, (uint)guest.PhysicalMemory.Top));
        guest.Processor.Load(reader.ReadBytes(reader.ReadInt32()));
        guest.State = JsonSerializer.Deserialize<GuestState>(reader.ReadString())!;
        disk.State = JsonSerializer.Deserialize<BlockDeviceState>(reader.ReadString())!;
    }

    /// <summary>A console that nobody types on.</summary>
    private sealed class Screen : ICharPort
    {
        private readonly Stream _output = new DescriptorStream(StandardOutput);

        public event Action? InputArrived
        {
            add { }
            remove { }
        }

        public bool Interactive => false;

        public bool EndOfInput => true;

        public void Write(ReadOnlySpan<byte> bytes) => _output.Write(bytes);

        public int Read(Span<byte> destination) => 0;

        public int ReadBlocking(Span<byte> destination) => 0;

        public void Dispose() => _output.Dispose();
    }
}
