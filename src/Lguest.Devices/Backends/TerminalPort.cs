using System.Runtime.Versioning;
using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Backends;

/// <summary>
/// A console on the terminal that is standard input. Every key goes to the guest, ^C, ^Z and ^\ included, but ^] and the
/// one after it (<see cref="EscapeKey"/>); ^C three times within a second asks for the end of the run.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class TerminalPort : StreamPort
{
    private static readonly TimeSpan BackgroundLook = TimeSpan.FromMilliseconds(200);

    private readonly DescriptorStream _terminal;
    private readonly TerminalMode _mode;
    private readonly InterruptKey _interruptKey;
    private readonly EscapeKey _escapeKey;

    /// <summary>Makes a port; the terminal is raw from <see cref="Start"/> on.</summary>
    /// <param name="terminal">The descriptor of a terminal.</param>
    /// <param name="output">Where output goes: the terminal, or something else.</param>
    /// <param name="logger">Tells the user what a second ^C means.</param>
    public TerminalPort(int terminal, Stream output, ILogger logger)
        : this(new DescriptorStream(terminal), terminal, output, logger)
    {
    }

    private TerminalPort(DescriptorStream stream, int terminal, Stream output, ILogger logger)
        : base(stream, output)
    {
        _terminal = stream;
        _mode = new TerminalMode(terminal, logger);
        _interruptKey = new InterruptKey(TimeProvider.System, logger, () => EndRequested?.Invoke());
        _escapeKey = new EscapeKey(key => MenuKeyPressed?.Invoke(key));
    }

    /// <summary>Raised on the input's thread at the third ^C within a second.</summary>
    public event Action? EndRequested;

    /// <summary>Raised on the input's thread at ^], with that, and at the key after it.</summary>
    public event Action<char>? MenuKeyPressed;

    /// <inheritdoc />
    public override bool Interactive => true;

    /// <inheritdoc />
    public override void Start()
    {
        _mode.Enter();
        base.Start();
    }

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        _mode.Dispose();
        base.Dispose(disposing);
    }

    /// <inheritdoc />
    protected override bool BeforeRead()
    {
        // To wait is free, but a background job that reads is stopped; its guest is to run on, without input.
        _terminal.WaitForInput();
        while (!_mode.IsForeground && !EndOfInput)
        {
            Thread.Sleep(BackgroundLook);
        }

        _mode.Enter();
        return true;
    }

    /// <inheritdoc />
    protected override ReadOnlySpan<byte> OnInput(ReadOnlySpan<byte> input)
    {
        _interruptKey.Observe(input);
        return _escapeKey.Filter(input);
    }
}
