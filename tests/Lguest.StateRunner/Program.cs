using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Lguest.Boot.Dialects;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Devices;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Saving;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace Lguest.StateRunner;

/// <summary>
/// A guest whose life is in more than one process: runs one in virtual time from its start or from a saved state, to its end
/// or to a count of instructions, where everything is saved. Prints its console, and at the end a line of what became of it.
/// </summary>
/// <remarks>Arguments: KERNEL INITRD DISK WORDS FROM TO, where INITRD and FROM are files or -, and TO is FILE@COUNT or -.</remarks>
internal static class Program
{
    private const uint MemoryBytes = 64 << 20;
    private const int StandardOutput = 1;
    private const int StandardError = 2;
    private const string None = "-";

    private static int Main(string[] arguments)
    {
        (string kernel, string initrd, string diskPath, string words, string from, string to) =
            (arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
        using KernelImage image = KernelImage.Open(kernel);
        GuestAbi abi = Dialect.Detect(image).Abi;
        var frontEnds = FrontEnds.Of(abi);
        using var port = new Screen();
        using IDiskDevice disk = frontEnds.Disk(RawImage.Open(diskPath, readOnly: true), NullLogger.Instance);
        using IConsoleDevice console = frontEnds.Console(port);
        IGuestDevice[] devices = [disk, console];
        using SafeFileHandle? saved = from == None ? null : File.OpenHandle(from);
        using Guest guest = saved is null
            ? Start(image, abi, initrd == None ? null : initrd, words, devices)
            : new Guest(SavedState.Read(saved, from).Configuration(devices));

        string[] end = to.Split('@');
        ulong? most = to == None ? null : ulong.Parse(end[1], CultureInfo.InvariantCulture);
        GuestOutcome outcome = guest.Run(new RunLimits(most));
        if (to != None)
        {
            using FileStream file = File.Create(end[0]);
            guest.Save(file);
        }

        Span<byte> all = guest.PhysicalMemory.Span(0, (uint)guest.PhysicalMemory.Top);
        string ending = $"{outcome} after {guest.Processor.Retired}, memory {XxHash128.HashToUInt128(all):x}\n";
        new DescriptorStream(StandardError).Write(Encoding.UTF8.GetBytes(ending));
        return 0;
    }

    private static Guest Start(KernelImage kernel, GuestAbi abi, string? initrd, string words, IGuestDevice[] devices)
    {
        var guest = new Guest(new GuestConfiguration
        {
            MemoryBytes = MemoryBytes,
            Abi = abi,
            Clock = ClockKind.Virtual,
            Devices = devices,
        });
        guest.Start(BootLoader.Load(new BootRequest(kernel, abi, initrd, words), new GuestRam(guest.PhysicalMemory, guest.Layout)));
        return guest;
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
