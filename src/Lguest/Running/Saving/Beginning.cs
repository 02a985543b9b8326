using System.Globalization;
using System.Text;
using Lguest.Boot;
using Lguest.Boot.Dialects;
using Lguest.Boot.Images;
using Lguest.Boot.Loading;
using Lguest.CommandLine;
using Lguest.Devices;
using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.Host.Bus;
using Lguest.Host.Saving;
using Lguest.Host.Traps;
using Lguest.Logging;
using Lguest.Packing;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Running.Saving;

/// <summary>What a guest begins with: a kernel that boots, or a guest that was saved.</summary>
internal sealed class Beginning : IDisposable
{
    private readonly Launch _launch;
    private readonly KnownFiles _files;
    private readonly KeptProcessor? _processor;
    private readonly KernelImage? _kernel;
    private readonly SafeFileHandle? _file;
    private readonly SavedState? _saved;

    private Beginning(Launch launch, BetweenRuns between, ILogger logger)
    {
        _launch = launch;
        _files = between.Files;
        if (launch.Restore is { } path)
        {
            _file = OpenSaved(path);
            try
            {
                FileVersion? version = HostFile.VersionOf(_file);
                _processor = between.ProcessorFor(version);
                Pages = _files.Of(version, () => new SavedPages());
                _saved = SavedState.Read(_file, path, verifyMemory: !Pages.AreVerified);
                Pages.AreVerified = true;
                if (launch.Clock is { } wish && wish != _saved.Clock)
                {
                    throw Failure($"is of a guest with {(_saved.Clock == ClockKind.Virtual ? "virtual" : "real")} time: leave out --{Options.Clock.Name}");
                }
            }
            catch
            {
                _file.Dispose();
                throw;
            }

            Abi = _saved.Abi;
            Clock = _saved.Clock;
        }
        else
        {
            _kernel = KernelImage.Open(launch.Kernel, HostFile.OpenForReading);
            Dialect dialect = launch.Abi is { } named ? new Dialect(named, "--abi says so") : Dialect.Detect(_kernel);
            LaunchLog.Detected(logger, _kernel.Description, dialect.Abi.Name, dialect.Evidence);
            Abi = dialect.Abi;
            Clock = launch.ClockFor(StandardDescriptors.InputKind);
        }

        LaunchLog.Clock(logger, Clock == ClockKind.Virtual ? "virtual" : "real");
    }

    /// <summary>What kind of guest it is.</summary>
    public GuestAbi Abi { get; }

    /// <summary>Which clock it has.</summary>
    public ClockKind Clock { get; }

    /// <summary>What is known of the memory of one that was saved; null for others.</summary>
    public SavedPages? Pages { get; }

    /// <summary>What it is made of, for one that is saved; null for others.</summary>
    public IReadOnlyList<SavedFact>? Facts { get; private set; }

    /// <summary>Opens it.</summary>
    /// <param name="launch">What the user wants.</param>
    /// <param name="between">What there is from other runs.</param>
    /// <param name="logger">For messages.</param>
    /// <exception cref="BootException">The kernel can't be used, or the saved guest's file can't be read.</exception>
    /// <exception cref="SavedStateException">The saved guest can't be used.</exception>
    public static Beginning Open(Launch launch, BetweenRuns between, ILogger logger) => new(launch, between, logger);

    /// <summary>Sees that a saved guest was made of what the user names, and finds out what one that is to be saved is made of.</summary>
    /// <param name="initrd">What goes into the initrd.</param>
    /// <exception cref="BootException">Something can't be read.</exception>
    /// <exception cref="SavedStateException">It was made of something else.</exception>
    public void Check(InitrdContents initrd)
    {
        if (_saved is null && _launch.SaveAtReady is null)
        {
            return;
        }

        Facts = StateFacts.Of(_launch, Abi, initrd, _files);
        if (_saved is not null && StateFacts.Difference(_saved.Facts, Facts) is { } difference)
        {
            throw Failure($"is of a guest with {difference}: restore it with what it was saved with, or save it again with --{Options.SaveAtReady.Name}");
        }
    }

    /// <summary>How the guest gets its command; null if it has it from the beginning.</summary>
    /// <param name="seed">What its random numbers go on with.</param>
    public LateCommand? LateCommand(ReadOnlySpan<byte> seed)
    {
        if (_saved is null)
        {
            return _launch.SaveAtReady is null ? null : new LateCommand();
        }

        // In virtual time the date goes on, as all time does. The host's has gone on without the guest.
        DateTimeOffset? date = _launch.Date?.AddTicks((long)(_saved.Nanoseconds / TimeSpan.NanosecondsPerTick))
            ?? (Clock == ClockKind.Real ? TimeProvider.System.GetUtcNow() : null);
        string line = date is { } now ? now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture) : "-";
        return new LateCommand((byte[])[.. Encoding.ASCII.GetBytes(line), (byte)'\n', .. seed]);
    }

    /// <summary>What the guest is to be made of.</summary>
    /// <param name="devices">In its order.</param>
    /// <param name="guestId">Its number among guests on a network.</param>
    /// <param name="loggers">For the host layer.</param>
    public GuestConfiguration Configuration(IReadOnlyList<IGuestDevice> devices, ushort guestId, ILoggerFactory loggers)
    {
        GuestConfiguration configuration = _saved?.Configuration(devices) ?? new GuestConfiguration
        {
            MemoryBytes = _launch.MemoryBytes,
            Abi = Abi,
            Devices = devices,
            Clock = Clock,
            GuestId = guestId,
        };
        return configuration with { Engine = _launch.Engine, Date = _launch.Date ?? configuration.Date, Kept = _processor, LoggerFactory = loggers };
    }

    /// <summary>Loads the kernel, and has the guest enter it when it runs. There is nothing to do for one that was saved.</summary>
    /// <param name="guest">The guest.</param>
    /// <param name="initrd">What goes into the initrd.</param>
    /// <param name="seed">What its random numbers begin with.</param>
    /// <param name="logger">For messages.</param>
    /// <returns>How it is entered, or for one that was saved, where its kernel maps physical address 0.</returns>
    /// <exception cref="BootException">Something the user gave can't be used.</exception>
    public KernelEntry Start(Guest guest, InitrdContents initrd, ReadOnlyMemory<byte> seed, ILogger logger)
    {
        if (_kernel is null)
        {
            return new KernelEntry(guest.Processor.State.Eip, PageOffset: guest.Kernel?.PageOffset ?? 0);
        }

        KernelEntry entry = BootLoader.Load(
            new BootRequest(_kernel, Abi, _launch.Initrd, _launch.KernelCommandLine, seed)
            {
                OpenFile = initrd.Open,
                Warn = sentence => LaunchLog.Warning(logger, sentence),
            },
            new GuestRam(guest.PhysicalMemory, guest.Layout));
        _kernel.Dispose();
        guest.Start(entry);
        return entry;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _kernel?.Dispose();
        _file?.Dispose();
    }

    private static SafeFileHandle OpenSaved(string path)
    {
        try
        {
            return File.OpenHandle(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BootException($"there is no saved state '{path}': save one with --{Options.SaveAtReady.Name}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BootException($"the saved state '{path}' can't be read: {e.Message.TrimEnd('.')}", e);
        }
    }

    private SavedStateException Failure(string what) => new($"the saved state '{_launch.Restore}' {what}");
}
