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
    private LineSplitter? _commandLines;
    private ConsoleText? _consoleLines;

    /// <summary>Test output in the kernel's log.</summary>
    public TapParser Kernel { get; } = new(TapSource.Kernel);

    /// <summary>The test that runs now; empty if none is known to.</summary>
    public string Running => string.Join('.', Kernel.Running.Count > 0 ? Kernel.Running : _command?.Running ?? []);

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
        TapParser[] sources = launch.Tests == TestWish.None
            ? []
            : [.. new[] { _command, Kernel, hasLog ? null : _console }.OfType<TapParser>()];
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
}
