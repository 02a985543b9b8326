using Lguest.CommandLine;
using Lguest.Results.Matching;
using Lguest.Results.Outcomes;
using Lguest.Results.Tap;

namespace Lguest.Running.Watching;

/// <summary>
/// The test output of a run: a parser for each source, so that none closes another's tests. The console is one only where there is
/// neither a command nor a kernel's log that can be read: whatever is in those is on the console, too, and so is whatever any program prints.
/// </summary>
/// <param name="launch">What the user wants.</param>
internal sealed class TestOutput(Launch launch)
{
    private readonly TapParser? _command = launch.Command is null ? null : new TapParser(TapSource.Command);
    private readonly TapParser? _console = launch.Command is null ? new TapParser(TapSource.Console) : null;
    private readonly TapParser _kernel = new(TapSource.Kernel);
    private LineSplitter? _commandLines;
    private ConsoleText? _consoleLines;

    /// <summary>The test that runs now; empty if none is known to.</summary>
    /// <param name="hasLog">Whether the kernel's log can be read.</param>
    public string Running(bool hasLog)
    {
        // What the kernel tests is nearer to what happens to it than what a command does.
        IEnumerable<TapParser> sources = Sources(hasLog).OrderByDescending(source => source == _kernel);
        return string.Join('.', sources.Select(source => source.Running).FirstOrDefault(running => running.Count > 0) ?? []);
    }

    /// <summary>Takes a line of the kernel's log.</summary>
    public void ReadKernel(string line)
    {
        if (launch.Tests != TestWish.None)
        {
            _kernel.Line(line);
        }
    }

    /// <summary>Reads along what comes out of the guest.</summary>
    public void Listen(GuestStreams streams)
    {
        if (launch.Tests == TestWish.None)
        {
            return;
        }

        if (_command is not null)
        {
            _commandLines = new LineSplitter(_command.Line);
            streams.CommandOutput.Written += _commandLines.Write;
        }
        else
        {
            _consoleLines = new ConsoleText(_console!.Line);
            streams.ConsoleOutput.Written += _consoleLines.Write;
        }
    }

    /// <summary>Nothing more comes.</summary>
    /// <param name="end">Why.</param>
    /// <param name="reason">What happened, for the report.</param>
    /// <param name="hasLog">Whether the kernel's log could be read.</param>
    /// <returns>The sources that count.</returns>
    public IReadOnlyList<TapParser> End(TapEnd end, string reason, bool hasLog)
    {
        _commandLines?.Finish();
        _consoleLines?.Finish();
        TapParser[] sources = Sources(hasLog);
        foreach (TapParser source in sources)
        {
            source.End(end, reason);
        }

        return sources;
    }

    /// <summary>What is wrong if there is none; null if nothing is.</summary>
    /// <param name="sources">From <see cref="End"/>.</param>
    public RunFinding? Missing(IEnumerable<TapParser> sources) => launch.Tests == TestWish.Required && !sources.Any(source => source.HasOutput)
        ? ExitCodeTable.Find(RunCondition.ExpectationFailed, $"no test output (KTAP or TAP) came, which --{Options.Ktap.Name}=required asks for")
        : null;

    private TapParser[] Sources(bool hasLog) => launch.Tests == TestWish.None
        ? []
        : [.. new[] { _command, _kernel, hasLog ? null : _console }.OfType<TapParser>()];
}
