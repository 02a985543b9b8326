using System.Diagnostics;
using Lguest.Boot;
using Lguest.CommandLine;
using Lguest.Cpu.Protection;
using Lguest.Devices;
using Lguest.Devices.Backends;
using Lguest.Devices.Disks;
using Lguest.Devices.Lgbus;
using Lguest.Devices.Networks;
using Lguest.Host;
using Lguest.Host.Bus;
using Lguest.Host.Saving;
using Lguest.Host.Traps;
using Lguest.Logging;
using Lguest.Packing;
using Lguest.Results.Matching;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;
using Lguest.Running.Debugging;
using Lguest.Running.Saving;
using Lguest.Running.Watching;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>Puts a guest together as the user asked, runs it, and says how it ended.</summary>
internal static class Machine
{
    /// <summary>Runs a guest to its end.</summary>
    /// <param name="launch">What the user wants.</param>
    /// <param name="between">What there is from other runs of this process.</param>
    /// <param name="loggers">For messages.</param>
    /// <param name="patience">How long to wait for who reads the guest's output.</param>
    /// <exception cref="BootException">The kernel or initrd can't be used.</exception>
    /// <exception cref="BackendException">A disk or a network can't be used.</exception>
    /// <exception cref="SavedStateException">A saved guest can't be used.</exception>
    /// <exception cref="ReportException">A report can't be written.</exception>
    public static Ending Run(Launch launch, BetweenRuns between, ILoggerFactory loggers, WritePatience patience)
    {
        ILogger logger = loggers.CreateLogger(nameof(Machine));
        if (launch.Announcement is not null)
        {
            LaunchLog.Information(logger, launch.Announcement);
        }

        if (launch.Warning is not null)
        {
            LaunchLog.Warning(logger, launch.Warning);
        }

        using var end = new RunEnd(launch.Timeout, patience, logger, TimeProvider.System);
        using var beginning = Beginning.Open(launch, between, logger);
        var frontEnds = FrontEnds.Of(beginning.Abi);
        if (KernelWords.RootWarning(launch.KernelCommandLine, frontEnds.DiskPrefix) is { } warning)
        {
            LaunchLog.Warning(logger, warning);
        }

        using var initrd = new InitrdContents(launch, frontEnds.DiskPrefix);
        beginning.Check(initrd);
        using RunWatch watch = RunWatch.Open(launch, initrd, between.Files, GuestStreams.IsInteractive(launch), end, logger);
        byte[] seed = RandomSeed.Bytes(launch.Seed, beginning.Clock);
        using var streams = GuestStreams.Open(launch, frontEnds, beginning.LateCommand(seed), end, patience, logger);
        var matcher = new ConsoleMatcher(launch.Matching.Expected, launch.Matching.Forbidden, launch.Matching.Answers);
        if (launch.Matching.HasExpectations || launch.Matching.Answers.Count > 0)
        {
            streams.Match(matcher);
        }

        using var instruments = Instruments.Open(launch.Debug, logger);
        List<Disk> disks = OpenDisks(launch.Disks, frontEnds, logger);
        ReadyState? ready = launch.SaveAtReady is { } file ? new ReadyState(file, beginning.Facts!, streams.Command!) : null;
        var shares = ReturnedShares.Open(launch);
        IDiskDevice[] returned = [.. shares.Disks.Select(disk => frontEnds.Disk(disk, logger))];
        using PcapngFile? recording = launch.Recording is { } path ? PcapngFile.Create(path, TimeProvider.System, logger) : null;
        using Networks networks = Networks.Open(launch.Networks, frontEnds, recording, logger);
        if (beginning.Clock == ClockKind.Virtual && networks.All.Count > 0)
        {
            LaunchLog.Information(logger, "this run can't be repeated exactly, as the guest has a network: time that it waits isn't skipped");
        }

        IGuestDevice[] devices =
        [
            .. disks.Select(disk => disk.Device),
            .. returned,
            .. networks.All.Select(network => network.Device),
            .. frontEnds.Entropy(seed) is { } entropy ? [entropy] : Array.Empty<IGuestDevice>(),
            .. streams.Devices,
        ];

        HostLimits.CheckMemory(launch.MemoryBytes);
        using var guest = new Guest(beginning.Configuration(devices, networks.GuestId, loggers));
        KernelEntry entry = beginning.Start(guest, initrd, seed, logger);
        initrd.Dispose();
        watch.Attach(guest, entry.PageOffset, beginning.Pages, streams);
        instruments.Attach(guest, watch, streams, end);

        using InstructionTracer? tracer = launch.Trace is { } start ? MakeTracer(start, end, patience) : null;
        if (tracer is not null)
        {
            guest.Observe(new TraceSwitch(tracer, launch.Trace?.Retired ?? 0));
        }

        if (!between.HasThreads)
        {
            HostLimits.CheckThreads();
            between.HasThreads = true;
        }

        // All that can go wrong with what the user gave has gone wrong by now: the terminal is the guest's.
        streams.Start();
        LogStart(logger, entry);
        if (launch.Engine != EngineKind.Interpreter && !guest.IsTranslating)
        {
            LaunchLog.Warning(
                logger,
                "this host gives no memory that can be executed, or isn't x86-64 with Linux: the interpreter executes the guest, which is slower");
        }

        if (streams.Command is CommandDevice)
        {
            guest.Observe(new CommandDriverCheck(end));
        }

        ready?.Attach(guest);

        guest.Observe(new SilenceWarning(streams.Console, logger));
        Limit(guest, launch, end, streams, watch);
        long begin = Stopwatch.GetTimestamp();
        ulong? most = launch.MaxInstructions is { } all ? all - Math.Min(all, guest.Processor.Retired) : null;
        GuestOutcome outcome = guest.Run(new RunLimits(most), end.Token);
        instruments.Finish(guest, outcome);
        end.Returned();
        TimeSpan elapsed = Stopwatch.GetElapsedTime(begin);
        streams.Dispose();
        if (streams.OutputIsLost && end.Reason is { ExitCode: not ExitCode.OutputLost })
        {
            LaunchLog.Warning(logger, "standard output was not read to the end: what the guest printed last is lost");
        }

        if (launch.Statistics)
        {
            foreach (string line in StatisticsReport.Lines(guest, disks, networks.All, streams, elapsed))
            {
                LaunchLog.Information(logger, line);
            }
        }

        // What can't be written of it is a reason, too.
        watch.ReadRest(guest);
        IReadOnlyList<RunFinding> findings = [.. matcher.Finish(), .. instruments.Write(guest, outcome, out string? lost)];
        Ending own = ready?.Save(guest, outcome, end.Reason, disks) ?? shares.Take(streams.EndingOf(outcome, end.Reason), outcome, logger);
        Ending ending = watch.Finish(guest, own, streams.StatusOf(outcome), findings, streams.Console.BytesWritten == 0, elapsed);
        if (ending.IsFailure || (outcome is not GuestOutcome.PowerOff && ready is null))
        {
            streams.ShowConsole(logger);
        }

        return lost is null ? ending : new Ending(ExitCode.CouldNotRun, lost, true);
    }

    private static void Limit(Guest guest, Launch launch, RunEnd end, GuestStreams streams, RunWatch watch)
    {
        if (launch.MaxGuestTime is { } time)
        {
            guest.Observe(new GuestTimeLimit(time, end));
        }

        if (launch.MaxSilence is { } silence)
        {
            var limit = new SilenceLimit(silence, end, watch.Look);
            streams.WhenHeard(limit.Hear);
            watch.WhenLogged(limit.Hear);
            guest.Observe(limit);
        }
    }

    private static InstructionTracer MakeTracer(TraceStart start, RunEnd end, WritePatience patience)
    {
        var tracer = new InstructionTracer(start, new DescriptorStream(StandardDescriptors.Error, patience));
        tracer.Lost += why => end.Request(new EndReason(ExitCode.OutputLost, $"ended because the trace cannot be written: {why}"));
        return tracer;
    }

    private static List<Disk> OpenDisks(IReadOnlyList<DiskOption> options, FrontEnds frontEnds, ILogger logger)
    {
        var disks = new List<Disk>();
        foreach (DiskOption option in options)
        {
            var image = RawImage.Open(option.Path, readOnly: option.Mode != DiskMode.ReadWrite);
            IBlockBackend disk = option.Mode == DiskMode.Snapshot ? new SnapshotDisk(image) : image;
            disks.Add(new Disk(option.Path, frontEnds.Disk(disk, logger)));
        }

        return disks;
    }

    private static void LogStart(ILogger logger, in KernelEntry entry)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            using Process self = Process.GetCurrentProcess();
            string place = $"0x{entry.EntryPoint:x8}, page offset 0x{entry.PageOffset:x8}";
            string delay = $"{(DateTime.Now - self.StartTime).TotalMilliseconds:f0}";
            LaunchLog.Started(logger, place, delay);
        }
    }
}

/// <summary>A disk of the guest's.</summary>
/// <param name="Name">What the user called it.</param>
/// <param name="Device">Its front end.</param>
internal sealed record Disk(string Name, IDiskDevice Device);
