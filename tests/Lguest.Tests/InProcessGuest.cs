using System.Text;
using Lguest.Boot.Dialects;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.Devices.Backends;
using Lguest.Devices.Lgbus;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.Host.Bus;

namespace Lguest.Tests;

/// <summary>The guest that ships in the test's own process, for tests that put something of their own under a device.</summary>
internal static class InProcessGuest
{
    /// <summary>Instructions after which a test gives up.</summary>
    public const ulong MostInstructions = 20_000_000_000;

    private const uint MemoryBytes = 64 << 20;

    /// <summary>Boots it in virtual time, runs it to its end, and returns that and what it printed.</summary>
    /// <param name="words">The kernel's command line.</param>
    /// <param name="disks">Its disks; the guest disposes them.</param>
    public static (GuestOutcome Outcome, string Text) Run(string words, params BlockDevice[] disks) =>
        Run(words, static guest => guest.Run(new RunLimits(MostInstructions), TestContext.Current.CancellationToken), disks);

    /// <summary>Boots it in virtual time, and returns how it ended and what it printed.</summary>
    /// <param name="words">The kernel's command line.</param>
    /// <param name="run">Runs the guest, to its end or not.</param>
    /// <param name="disks">Its disks; the guest disposes them.</param>
    public static (GuestOutcome Outcome, string Text) Run(string words, Func<Guest, GuestOutcome> run, params BlockDevice[] disks) =>
        Run(ShippedImages.Image("vmlinux"), null, words, run, disks);

    /// <summary>Boots any kernel in virtual time, and returns how it ended and what it printed.</summary>
    /// <param name="kernel">The kernel's path.</param>
    /// <param name="initrd">That of its initrd, or null.</param>
    /// <param name="words">The kernel's command line.</param>
    /// <param name="run">Runs the guest, to its end or not.</param>
    /// <param name="disks">Its disks; the guest disposes them.</param>
    public static (GuestOutcome Outcome, string Text) Run(
        string kernel, string? initrd, string words, Func<Guest, GuestOutcome> run, params BlockDevice[] disks) =>
        Run(kernel, initrd, words, EngineKind.Auto, run, disks);

    /// <summary>The same with an engine of one's choice.</summary>
    public static (GuestOutcome Outcome, string Text) Run(
        string kernel, string? initrd, string words, EngineKind engine, Func<Guest, GuestOutcome> run, params BlockDevice[] disks)
    {
        using var screen = new Screen();
        IGuestDevice[] devices = [.. disks, new ConsoleDevice(screen)];
        using var image = KernelImage.Open(kernel);
        GuestAbi abi = Dialect.Detect(image).Abi;
        using var guest = new Guest(new GuestConfiguration
        {
            MemoryBytes = MemoryBytes,
            Abi = abi,
            Clock = ClockKind.Virtual,
            Devices = devices,
            Engine = engine,
        });
        guest.Start(BootLoader.Load(new BootRequest(image, abi, initrd, words), new GuestRam(guest.PhysicalMemory, guest.Layout)));
        GuestOutcome outcome = run(guest);
        return (outcome, screen.Text.ToString().Replace("\r", string.Empty, StringComparison.Ordinal));
    }

    /// <summary>A console that nobody types on.</summary>
    private sealed class Screen : ICharPort
    {
        public event Action? InputArrived
        {
            add { }
            remove { }
        }

        public StringBuilder Text { get; } = new();

        public bool Interactive => false;

        public bool EndOfInput => true;

        public void Write(ReadOnlySpan<byte> data) => Text.Append(Encoding.Latin1.GetString(data));

        public int Read(Span<byte> destination) => 0;

        public int ReadBlocking(Span<byte> destination) => 0;

        public void Dispose()
        {
        }
    }
}
