using System.Globalization;
using System.Text;
using Lguest.Boot;
using Lguest.CommandLine;
using Lguest.Devices;
using Lguest.Devices.Backends;
using Lguest.Host;
using Lguest.Host.Bus;
using Lguest.Logging;
using Lguest.Results.Matching;
using Microsoft.Extensions.Logging;

namespace Lguest.Running;

/// <summary>
/// What leads out of the guest: its console, on standard input and output, or a command's streams, which are that instead. Then
/// the console is shown only when the run has failed.
/// </summary>
internal sealed class GuestStreams : IDisposable
{
    private const int KeptOfConsole = 64 << 10;

    private readonly StreamPort _errors;
    private readonly StreamPort _port;
    private readonly UnattendedPort? _unattended;
    private readonly AnsweredPort? _answers;
    private readonly ToldStatus? _told;

    private GuestStreams(Launch launch, FrontEnds frontEnds, LateCommand? late, RunEnd end, WritePatience patience, ILogger logger)
    {
        _errors = new StreamPort(Stream.Null, new DescriptorStream(StandardDescriptors.Error, patience));
        _port = OpenPort(launch, end, patience, logger);
        try
        {
            ICharPort console = launch.Command is null ? _port : _unattended = new UnattendedPort(KeptOfConsole);
            if (launch.Matching.Answers.Count > 0)
            {
                console = _answers = new AnsweredPort(console);
            }

            ConsoleOutput = new HeardPort(launch.Log is { } path ? LoggedPort.Open(console, path, logger) : console);
            Console = frontEnds.Console(ConsoleOutput);
            if (launch.StatusToken is { } token)
            {
                _told = new ToldStatus(token);
                ConsoleOutput.Written += _told.Write;
            }

            CommandOutput = new HeardPort(_port);
            CommandErrors = new HeardPort(_errors);
            Command = launch.Command is { } command
                ? frontEnds.Command(command.Select(ByteText.Encode), CommandOutput, CommandErrors, late)
                    ?? throw new BackendException(late is null ? CommandDriverCheck.NoPorts : CommandDriverCheck.NotLater)
                : null;
        }
        catch
        {
            _port.Dispose();
            throw;
        }
    }

    /// <summary>The console.</summary>
    public IConsoleDevice Console { get; }

    /// <summary>The command that the guest is to run, if there is one.</summary>
    public ICommandDevice? Command { get; }

    /// <summary>What the guest prints on its console.</summary>
    public HeardPort ConsoleOutput { get; }

    /// <summary>What the command writes to its standard output.</summary>
    public HeardPort CommandOutput { get; }

    /// <summary>What it writes to its standard error.</summary>
    public HeardPort CommandErrors { get; }

    /// <summary>Their front ends, the console first: of two virtio consoles the first is the kernel's.</summary>
    public IEnumerable<IGuestDevice> Devices => Command is null ? [Console] : [Console, Command];

    /// <summary>Whether somebody sits at the guest's console.</summary>
    public static bool IsInteractive(Launch launch) =>
        launch.Command is null && launch.Matching.Answers.Count == 0 && DescriptorStream.IsTerminal(StandardDescriptors.Input);

    /// <summary>Whether some of what the guest wrote to standard output could not be written.</summary>
    public bool OutputIsLost => _port.OutputIsLost;

    /// <summary>Opens them.</summary>
    /// <param name="launch">What the user wants.</param>
    /// <param name="frontEnds">Makes devices for the guest's bus.</param>
    /// <param name="late">How the guest gets its command; null if it has it from the beginning.</param>
    /// <param name="end">Ends the run.</param>
    /// <param name="patience">How long to wait for who reads the guest's output.</param>
    /// <param name="logger">For messages.</param>
    /// <exception cref="BackendException">A file can't be created, or no guest of this kind can be given a command.</exception>
    public static GuestStreams Open(Launch launch, FrontEnds frontEnds, LateCommand? late, RunEnd end, WritePatience patience, ILogger logger) =>
        new(launch, frontEnds, late, end, patience, logger);

    /// <summary>Begins to read input; the terminal is the guest's from now on.</summary>
    public void Start() => _port.Start();

    /// <summary>How a run has ended.</summary>
    /// <param name="outcome">From the run.</param>
    /// <param name="reason">Why it was stopped, for a run that was.</param>
    public Ending EndingOf(GuestOutcome outcome, EndReason? reason) =>
        Command is null && _told is null ? Ending.Of(outcome, reason) : Ending.OfTold(outcome, reason, Command?.ExitStatus ?? _told?.Status, Command is not null);

    /// <summary>The status that the guest gave, or its command; null if there was none.</summary>
    public int? StatusOf(GuestOutcome outcome) => Command is not null ? Command.ExitStatus : _told is not null ? _told.Status : outcome is GuestOutcome.PowerOff off ? off.Status : null;

    /// <summary>Shows what the guest printed on its console, or the last of it, if nobody has seen it.</summary>
    /// <param name="logger">For the heading.</param>
    public void ShowConsole(ILogger logger)
    {
        if (_unattended is not { Kept.IsEmpty: false } console)
        {
            return;
        }

        bool isAll = Console.BytesWritten == (ulong)console.Kept.Length;
        string what = isAll ? "what" : string.Create(CultureInfo.InvariantCulture, $"the last {console.Kept.Length >> 10} KiB of what");
        string heading = $"{what} the guest printed on its console:";
        LaunchLog.Information(logger, heading);
        string text = Encoding.Latin1.GetString(console.Kept).Replace("\r\n", "\n", StringComparison.Ordinal);
        _errors.Write(Encoding.Latin1.GetBytes(text.EndsWith('\n') ? text : text + '\n'));
    }

    /// <summary>Has something done whenever anything comes out of the guest.</summary>
    public void WhenHeard(Action action)
    {
        foreach (HeardPort port in (HeardPort[])[ConsoleOutput, CommandOutput, CommandErrors])
        {
            port.Written += _ => action();
        }
    }

    /// <summary>Shows somebody the console, who answers it.</summary>
    public void Match(ConsoleMatcher matcher)
    {
        ConsoleOutput.Written += matcher.Write;
        matcher.Answered += text => _answers?.Type(text.Span);
    }

    /// <summary>Has the keys of a terminal's menu told to somebody, on another thread.</summary>
    /// <returns>False when no terminal has the guest's console.</returns>
    public bool OfferMenu(Action<char> pressed)
    {
        if (!OperatingSystem.IsLinux() || _port is not TerminalPort terminal)
        {
            return false;
        }

        terminal.MenuKeyPressed += pressed;
        return true;
    }

    /// <summary>Gives the terminal back.</summary>
    public void Dispose() => _port.Dispose();

    private static StreamPort OpenPort(Launch launch, RunEnd end, WritePatience patience, ILogger logger)
    {
        int input = StandardDescriptors.Input;
        var output = new DescriptorStream(StandardDescriptors.Output, patience);
        StreamPort port;
        if (launch.Command is not null)
        {
            // As any command has it: a terminal stays as it is, and the rest of the input is for who comes next.
            port = new StreamPort(new DescriptorStream(input), output, readsOnDemand: true);
        }
        else if (launch.Matching.Answers.Count > 0)
        {
            port = new StreamPort(Stream.Null, output);
        }
        else if (DescriptorStream.IsTerminal(input))
        {
            var terminal = new TerminalPort(input, output, logger);
            terminal.EndRequested += () => end.Request(new EndReason(ExitCode.Interrupted, "ended by ^C"));
            port = terminal;
        }
        else
        {
            port = new StreamPort(new DescriptorStream(input), output) { EndsWithEndOfFile = launch.EndsConsoleInput };
        }

        port.OutputLost += why => end.Request(new EndReason(ExitCode.OutputLost, $"ended because standard output cannot be written: {why}"));
        end.WhenRequested(port.EndInput);
        return port;
    }
}
