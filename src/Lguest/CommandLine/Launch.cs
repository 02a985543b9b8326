using System.Security.Cryptography;
using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Host.Abi;
using Lguest.Host.Bus;

namespace Lguest.CommandLine;

/// <summary>What the user wants, checked as far as that can be done without touching a file.</summary>
internal sealed record Launch
{
    /// <summary>What the user should know before it starts; null when there is nothing.</summary>
    public string? Announcement { get; init; }

    /// <summary>What will probably not do what the user wants of it; null when there is nothing.</summary>
    public string? Warning { get; init; }

    /// <summary>Bytes of memory.</summary>
    public required ulong MemoryBytes { get; init; }

    /// <summary>A vmlinux or bzImage.</summary>
    public required string Kernel { get; init; }

    /// <summary>The kernel's command line.</summary>
    public required string KernelCommandLine { get; init; }

    /// <summary>An initial RAM disk, if any: a file, or a folder that is packed.</summary>
    public string? Initrd { get; init; }

    /// <summary>What kind of guest it is; null to find that out.</summary>
    public GuestAbi? Abi { get; init; }

    /// <summary>Folders whose contents the guest has in its initrd besides.</summary>
    public IReadOnlyList<ShareOption> Shares { get; init; } = [];

    /// <summary>Those of them that are copied back at the end, each by way of a disk of the guest's.</summary>
    public IEnumerable<ShareOption> ReturnedShares => Shares.Where(share => share.Returned is not null);

    /// <summary>A folder into which a kernel's modules were installed, which the guest has there, too; null for none.</summary>
    public string? Modules { get; init; }

    /// <summary>The command that the guest is to run, and its arguments; null for none, and empty with <see cref="SaveAtReady"/>.</summary>
    public IReadOnlyList<string>? Command { get; init; }

    /// <summary>Where the guest is to be saved when it is ready to get a command, which ends the run; null for a run to its end.</summary>
    public string? SaveAtReady { get; init; }

    /// <summary>The saved guest to go on with; null for one that boots.</summary>
    public string? Restore { get; init; }

    /// <summary>The word by which the guest is known when it tells its status on the console; null if it tells none so.</summary>
    public string? StatusToken { get; init; }

    /// <summary>Where what the guest prints on its console is written; null for nowhere.</summary>
    public string? Log { get; init; }

    /// <summary>Disks in the guest's order.</summary>
    public IReadOnlyList<DiskOption> Disks { get; init; } = [];

    /// <summary>Networks in the guest's order.</summary>
    public IReadOnlyList<NetworkOption> Networks { get; init; } = [];

    /// <summary>Where the networks' frames are recorded; null for nowhere.</summary>
    public string? Recording { get; init; }

    /// <summary>Which clock the guest is to have; null for no wish.</summary>
    public ClockKind? Clock { get; init; }

    /// <summary>What executes the guest's instructions.</summary>
    public EngineKind Engine { get; init; } = EngineKind.Auto;

    /// <summary>The date at its start; null for the clock's own.</summary>
    public DateTimeOffset? Date { get; init; }

    /// <summary>What the guest's random numbers are to come from; null for no wish.</summary>
    public ulong? Seed { get; init; }

    /// <summary>How much wall time the run may take; null for any.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>How much of the guest's time it may take; null for any.</summary>
    public TimeSpan? MaxGuestTime { get; init; }

    /// <summary>How much of the guest's time nothing may come from it; null for any.</summary>
    public TimeSpan? MaxSilence { get; init; }

    /// <summary>How many instructions it may execute; null for any.</summary>
    public ulong? MaxInstructions { get; init; }

    /// <summary>Where a trace of instructions starts, if there is to be one.</summary>
    public TraceStart? Trace { get; init; }

    /// <summary>With what the user looks at the guest from outside.</summary>
    public DebugOptions Debug { get; init; } = new();

    /// <summary>What the user wants to be told of the guest's kernel.</summary>
    public WatchOptions Watch { get; init; } = new();

    /// <summary>What the user wants of test output.</summary>
    public TestWish Tests { get; init; }

    /// <summary>What the user expects of the console, and has typed there.</summary>
    public MatchOptions Matching { get; init; } = new();

    /// <summary>Whether the console gets a ^D when standard input has ended.</summary>
    public bool EndsConsoleInput { get; init; }

    /// <summary>Exit codes that the user wants to be 125, as <c>git bisect run</c> skips on it.</summary>
    public IReadOnlyList<int> Skipped { get; init; } = [];

    /// <summary>Whether a guest that asks for a restart has come to a good end, with exit code 0.</summary>
    public bool EndsWellAtRestart { get; init; }

    /// <summary>Whether statistics are wanted at the end.</summary>
    public bool Statistics { get; init; }

    /// <summary>Whether messages of level debug are wanted.</summary>
    public bool Verbose { get; init; }

    /// <summary>Reads a command line.</summary>
    /// <exception cref="CommandLineException">It can't be understood.</exception>
    public static Request Parse(IReadOnlyList<string> arguments)
    {
        if (arguments is [QemuCommandLine.Name, ..])
        {
            return QemuCommandLine.Parse([.. arguments.Skip(1)]);
        }

        SplitArguments split = SplitArguments.Split(arguments);
        GivenOptions options = Options.Table.Read(split.Command, split.Options);
        if (options.Has(Options.Help))
        {
            return new Request.Help(split.Command);
        }

        if (options.Value(Options.CompletionScript) is { } shell)
        {
            return new Request.Completion(shell);
        }

        if (options.Has(Options.Version))
        {
            return new Request.Version();
        }

        if (split.Command == Options.Inspect)
        {
            return split.Words is [string inspected]
                ? new Request.Inspect(inspected, options.Has(Options.InspectJson))
                : throw new CommandLineException($"`{split.Command.Usage}` looks at one kernel, and {split.Words.Count} words are given: name its file");
        }

        if (split.Command == Options.Suite)
        {
            throw new CommandLineException("say what to do with a suite: `lguest suite run FILE.yaml`, or `lguest suite merge DIR...`");
        }

        if (split.Command == Options.SuiteRun)
        {
            return new Request.RunSuite(SuiteOptions.ParseRun(split, options));
        }

        if (split.Command == Options.SuiteMerge)
        {
            return new Request.MergeSuite(SuiteOptions.ParseMerge(split, options));
        }

        IReadOnlyList<string>? command = CommandOption.Parse(options);
        string? initrd = options.Value(Options.Initrd);
        bool packs = options.Has(Options.Share) || options.Has(Options.Modules);
        string? announcement = null;
        if (split.Memory is not null)
        {
            initrd ??= command is null ? null : ShippedGuest.Initrd(ShippedGuest.Places());
        }
        else
        {
            arguments = [.. packs && initrd is null ? ShippedGuest.ArgumentsWithInitrd(ShippedGuest.Places()) : ShippedGuest.Arguments(ShippedGuest.Places()), .. arguments];
            split = SplitArguments.Split(arguments);
            options = Options.Table.Read(Options.Run, split.Options);
            initrd = options.Value(Options.Initrd);
            announcement = command is null ? $"no guest is given: this is `lguest {string.Join(' ', arguments)}`" : null;
        }

        string? token = StatusTokenOf(options, hasCommand: command is not null, hasInitrd: initrd is not null);
        if (packs && initrd is null)
        {
            throw new CommandLineException(
                $"--{Options.Share.Name} and --{Options.Modules.Name} put files into the guest's initrd, and it has none: give it one with --{Options.Initrd.Name}, or a command with --{Options.RunLine.Name}");
        }

        NetworkOption[] networks = [.. options.All.Select(NetworkOption.Parse).OfType<NetworkOption>()];
        string? recording = options.Value(Options.Pcap);
        if (recording is not null && networks.Length == 0)
        {
            throw new CommandLineException($"--pcap={recording} has nothing to record: give a network too, such as --usernet");
        }

        DiskOption[] disks = [.. options.Values(Options.Block).Select(DiskOption.Parse)];
        ShareOption[] shares = [.. options.Values(Options.Share).Select(ShareOption.Parse)];
        int others = (command is null ? 1 : 2) + shares.Count(share => share.Returned is not null); // The console; the command; disks for what comes back.
        if (disks.Length + networks.Length + others > LguestBus.MostDevices)
        {
            throw new CommandLineException(
                $"{disks.Length + networks.Length} disks and networks are too many: a guest has at most {LguestBus.MostDevices - others}");
        }

        if (options.Has(Options.SaveAtReady) || options.Has(Options.Restore))
        {
            CheckSaved(networks, disks);
        }

        var matching = MatchOptions.Parse(options);
        string kernelCommandLine = KernelWords.Join([.. split.KernelWords, .. options.Values(Options.Append)]);

        return new Request.Run(new Launch
        {
            Announcement = announcement,
            Warning = KernelWords.Warning(kernelCommandLine),
            MemoryBytes = OptionValues.Memory(split.Memory!),
            Kernel = split.Kernel ?? throw new CommandLineException(
                "no kernel is given: write, for example, `lguest 64m vmlinux --block=rootfile root=/dev/lgba`, or see `lguest --help`"),
            KernelCommandLine = kernelCommandLine,
            Initrd = initrd,
            Abi = options.Value(Options.Abi) is { } abi ? OptionValues.Abi(abi) : null,
            Shares = shares,
            Modules = options.Value(Options.Modules),
            Command = command,
            SaveAtReady = options.Value(Options.SaveAtReady),
            Restore = options.Value(Options.Restore),
            StatusToken = token,
            Log = options.Value(Options.Log),
            Disks = disks,
            Networks = networks,
            Recording = recording,
            Clock = options.Value(Options.Clock) is { } clock ? OptionValues.Clock(clock) : null,
            Engine = options.Value(Options.Engine) is { } engine ? OptionValues.Engine(engine) : EngineKind.Auto,
            Date = options.Value(Options.Date) is { } date ? OptionValues.Date(date) : null,
            Seed = options.Value(Options.Seed) is { } seed ? OptionValues.Seed(seed) : null,
            Timeout = Time(options, Options.Timeout),
            MaxGuestTime = Time(options, Options.MaxGuestTime),
            MaxSilence = Time(options, Options.MaxSilence),
            MaxInstructions = options.Value(Options.MaxInstructions) is { } most ? OptionValues.Instructions(most) : null,
            Trace = options.Value(Options.Trace) is { } trace ? OptionValues.Trace(trace) : null,
            Debug = DebugOptions.Parse(options),
            Watch = WatchOptions.Parse(options),
            Tests = options.Value(Options.Ktap) is { } tests ? OptionValues.Tests(tests) : TestWish.Auto,
            Matching = matching,
            EndsConsoleInput = EndsInput(options, isRead: command is null && matching.Answers.Count == 0),
            Skipped = options.Value(Options.Skip) is { } codes ? OptionValues.ExitCodes(codes) : [],
            Statistics = options.Has(Options.Stats),
            Verbose = options.Has(Options.Verbose),
        });
    }

    /// <summary>
    /// Which clock it has: without a wish, time is virtual where that can't surprise anybody, as nobody sits there or talks to it from
    /// outside, and nothing outside has a pace of its own.
    /// </summary>
    /// <param name="input">What standard input is.</param>
    public ClockKind ClockFor(InputKind input)
    {
        bool isUnattended = input == InputKind.Fixed || (Command is not null && input != InputKind.Stream);
        return Clock ?? (isUnattended && Networks.Count == 0 ? ClockKind.Virtual : ClockKind.Real);
    }

    private static string? StatusTokenOf(GivenOptions options, bool hasCommand, bool hasInitrd)
    {
        const int Length = 32;
        if (!options.Has(Options.StatusToken))
        {
            return null;
        }

        if (hasCommand || !hasInitrd)
        {
            throw new CommandLineException(hasCommand
                ? $"--{Options.StatusToken.Name} is for guests that run no command, whose status is known: leave it out, or --{Options.RunLine.Name}"
                : $"--{Options.StatusToken.Name} puts a file into the guest's initrd, and it has none: give it one with --{Options.Initrd.Name}");
        }

        string token = options.Value(Options.StatusToken) ?? RandomNumberGenerator.GetHexString(Length, lowercase: true);
        return token.All(char.IsAsciiLetterOrDigit)
            ? token
            : throw new CommandLineException($"--{Options.StatusToken.Name}={token}: a token has letters and digits alone");
    }

    /// <summary>What is outside of a guest isn't saved with it, so it has to be the same for all that go on from there.</summary>
    private static void CheckSaved(NetworkOption[] networks, DiskOption[] disks)
    {
        if (networks.Length > 0)
        {
            throw new CommandLineException($"a guest that is saved can't have a network, of which the other end isn't saved: leave it out");
        }

        if (Array.Find(disks, disk => disk.Mode == DiskMode.ReadWrite) is { } written)
        {
            string path = CommaParts.Escape(written.Path);
            throw new CommandLineException(
                $"a guest that is saved can't have a disk that it writes, which would change under the others: write --{Options.Block.Name}={path},ro or --{Options.Block.Name}={path},snapshot");
        }
    }

    private static bool EndsInput(GivenOptions options, bool isRead)
    {
        string? end = options.Value(Options.StandardInputEnd);
        if (end is not (null or "nothing" or "eof"))
        {
            throw new CommandLineException($"--{Options.StandardInputEnd.Name}={end}: write nothing or eof");
        }

        return end is null || isRead
            ? end == "eof"
            : throw new CommandLineException($"--{Options.StandardInputEnd.Name} is for a console that has standard input, which it hasn't with --{Options.RunLine.Name} or --{Options.Send.Name}: leave it out");
    }

    private static TimeSpan? Time(GivenOptions options, Option option) =>
        options.Value(option) is { } time ? OptionValues.Time(option, time) : null;
}

/// <summary>What a user wants of test output.</summary>
internal enum TestWish
{
    /// <summary>If there is any, it counts.</summary>
    Auto,

    /// <summary>There is to be some.</summary>
    Required,

    /// <summary>What looks like it is none.</summary>
    None,
}

/// <summary>What a command line asks for.</summary>
internal abstract record Request
{
    private Request()
    {
    }

    /// <summary>To run a guest.</summary>
    public sealed record Run(Launch Launch) : Request;

    /// <summary>To be told what a kernel is.</summary>
    /// <param name="Kernel">A vmlinux or bzImage.</param>
    /// <param name="AsJson">Whether a program wants to know.</param>
    public sealed record Inspect(string Kernel, bool AsJson) : Request;

    /// <summary>To run a suite.</summary>
    public sealed record RunSuite(SuiteOptions Options) : Request;

    /// <summary>To merge the shards of a suite.</summary>
    public sealed record MergeSuite(SuiteOptions Options) : Request;

    /// <summary>To be told how.</summary>
    /// <param name="Command">How to do what.</param>
    public sealed record Help(Command Command) : Request;

    /// <summary>To be given what completes command lines.</summary>
    /// <param name="Shell">In which shell.</param>
    public sealed record Completion(string Shell) : Request;

    /// <summary>To be told the version.</summary>
    public sealed record Version : Request;
}
