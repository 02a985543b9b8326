using Lguest.Boot;
using Lguest.CommandLine;
using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Insight.Health;
using Lguest.Insight.Log;
using Lguest.Insight.Symbols;
using Lguest.Logging;
using Lguest.Packing;
using Lguest.Results.Outcomes;
using Lguest.Results.Reports;
using Lguest.Results.Tap;
using Lguest.Running.Saving;
using Microsoft.Extensions.Logging;

namespace Lguest.Running.Watching;

/// <summary>
/// Watches a run for what its console doesn't tell, and says at its end what it has come to: by the exit code, and in the
/// reports that the user wants.
/// </summary>
internal sealed class RunWatch : IDisposable
{
    private const uint UsualPageOffset = 0xc000_0000;
    private const int ShownRecords = 30;

    private readonly Launch _launch;
    private readonly bool _failsByDefault;
    private readonly ILogger _logger;
    private readonly KernelLogFile? _file;
    private readonly ReportFiles _reports;
    private readonly TestOutput _tests;
    private readonly KnownFiles _files;
    private readonly IReadOnlyList<InputReport> _inputs;
    private readonly DateTimeOffset _started = TimeProvider.System.GetLocalNow();
    private KernelWatch? _watch;
    private KernelSymbols? _symbols;
    private SavedPages? _pages;

    /// <summary>The kernel's symbols; null if there are none. After <see cref="Attach"/>.</summary>
    public SymbolTable? Symbols => _symbols!.Table;

    /// <summary>Where the kernel maps physical address 0. After <see cref="Attach"/>.</summary>
    public uint PageOffset { get; private set; }

    private RunWatch(Launch launch, InitrdContents initrd, KnownFiles files, bool isInteractive, RunEnd end, ILogger logger)
    {
        _launch = launch;
        _files = files;
        _logger = logger;
        _failsByDefault = !isInteractive || launch.Watch.HasReport || launch.Matching.HasExpectations;
        _reports = new ReportFiles(launch.Watch);
        _tests = new TestOutput(launch);
        _inputs = launch.Watch.Json is null ? [] : InputHashes.Of(launch, initrd, files);
        if (launch.Watch.Kmsg is { } path)
        {
            _file = KernelLogFile.Create(path);
            _file.Lost += why => end.Request(new EndReason(ExitCode.OutputLost, why));
        }
    }

    /// <summary>Opens what the user wants to be written, before there is anything to write.</summary>
    /// <param name="launch">What the user wants.</param>
    /// <param name="initrd">What goes into the initrd.</param>
    /// <param name="files">What is known of files.</param>
    /// <param name="isInteractive">Whether somebody sits at the guest's console, and sees what it says.</param>
    /// <param name="end">Ends the run if it can't be written any more.</param>
    /// <param name="logger">For messages.</param>
    /// <exception cref="ReportException">A report can't be written.</exception>
    /// <exception cref="BackendException">The kernel's log can't be written.</exception>
    /// <exception cref="BootException">What a report is to be made of can't be read.</exception>
    public static RunWatch Open(Launch launch, InitrdContents initrd, KnownFiles files, bool isInteractive, RunEnd end, ILogger logger) =>
        new(launch, initrd, files, isInteractive, end, logger);

    /// <summary>Begins to watch.</summary>
    /// <param name="guest">The guest, before its run.</param>
    /// <param name="pageOffset">Where its kernel maps physical address 0; 0 if that isn't known.</param>
    /// <param name="pages">What is known of its memory, if it was saved; or null.</param>
    /// <param name="streams">What leads out of it.</param>
    public void Attach(Guest guest, uint pageOffset, SavedPages? pages, GuestStreams streams)
    {
        _tests.Listen(streams);
        PageOffset = pageOffset == 0 ? UsualPageOffset : pageOffset;
        _pages = pages;
        _symbols = new KernelSymbols(_launch.Kernel, _files);
        _watch = new KernelWatch(_symbols, PageOffset, _file, _tests);
        guest.Observe(_watch);
    }

    /// <summary>Has something done whenever there is something new in the kernel's log. After <see cref="Attach"/>.</summary>
    public void WhenLogged(Action action) => _watch!.Logged += action;

    /// <summary>Reads what there is of the kernel's log by now. On the processor's thread, after <see cref="Attach"/>.</summary>
    public void Look(Guest guest) => _watch!.Look(guest);

    /// <summary>Where the processor is and how it came there; nothing without symbols. After <see cref="Attach"/>.</summary>
    public IReadOnlyList<string> Stack(Guest guest) => _watch!.Stack(guest);

    /// <summary>The kernel's tasks; nothing without symbols. On the processor's thread, after <see cref="Attach"/>.</summary>
    public IReadOnlyList<TaskReport> Tasks(Guest guest) => _watch!.Tasks(guest);

    /// <summary>Answers a debugger's <c>monitor COMMAND</c>. On the processor's thread, after <see cref="Attach"/>.</summary>
    /// <returns>Whole lines.</returns>
    public string Answer(Guest guest, string command) => command.Trim() switch
    {
        "tasks" => string.Concat(TaskText.Lines(Tasks(guest)).Select(line => line + '\n')),
        _ => "monitor tasks   the kernel's tasks, and where each is\n",
    };

    /// <summary>Reads what is left of the kernel's log after the run. If it can't be written, that is what ends the run.</summary>
    public void ReadRest(Guest guest) => _watch!.Finish(guest);

    /// <summary>What the run has come to. The reports are written. After <see cref="ReadRest"/>.</summary>
    /// <param name="guest">The guest, after its run.</param>
    /// <param name="ending">How it ended.</param>
    /// <param name="guestStatus">The status that the guest gave; null if it gave none.</param>
    /// <param name="expectations">Those of the user's that failed.</param>
    /// <param name="isSilent">Whether the guest's console has never shown anything.</param>
    /// <param name="elapsed">Wall time of the run.</param>
    public Ending Finish(Guest guest, Ending ending, int? guestStatus, IReadOnlyList<RunFinding> expectations, bool isSilent, TimeSpan elapsed)
    {
        KernelWatch watch = _watch!;
        (TapEnd end, bool isSudden) = ending.ExitCode switch
        {
            ExitCode.KernelDied or ExitCode.Killed => (TapEnd.Crashed, true),
            ExitCode.LimitReached => (TapEnd.LimitReached, true),
            ExitCode.Hangup or ExitCode.Interrupted or ExitCode.OutputLost or ExitCode.Terminated => (TapEnd.LimitReached, false),
            _ => (TapEnd.Finished, false),
        };
        IReadOnlyList<TapParser> tests = _tests.End(end, ending.Sentence ?? string.Empty, watch.HasLog);
        IReadOnlyList<Complaint> counting = RunVerdict.Counting(watch.Complaints, _launch.Watch, _failsByDefault);
        RunFinding[] failed = [.. expectations, .. new[] { _tests.Missing(tests) }.OfType<RunFinding>()];
        RunVerdict verdict = RunVerdict.Of(ending, counting, tests, failed);
        if (isSudden && isSilent)
        {
            ShowLastRecords(watch);
        }

        if (!_reports.Any)
        {
            return verdict.Ending;
        }

        try
        {
            var run = new FinishedRun(_launch, guest, verdict, watch, counting, tests, _inputs)
            {
                Pages = _pages,
                Started = _started,
                Elapsed = elapsed,
                GuestStatus = guestStatus,
                IsSudden = isSudden,
            };
            _reports.Write(RunReporter.Make(run));
            return verdict.Ending;
        }
        catch (ReportException e)
        {
            return new Ending(ExitCode.CouldNotRun, e.Message, true);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _file?.Dispose();

    /// <summary>A guest that died before it had a console has said why all the same.</summary>
    private void ShowLastRecords(KernelWatch watch)
    {
        foreach (KernelRecord record in watch.LastRecords.TakeLast(ShownRecords))
        {
            string line = $"the kernel's log: {GuestText.ForPeople(record.ToString())}";
            LaunchLog.Information(_logger, line);
        }
    }
}
