namespace Lguest.Devices.Backends;

/// <summary>A console over two streams: standard input and output, pipes, or whatever a test has.</summary>
/// <remarks>
/// A thread reads the input, because a terminal's ^C must be seen even while the guest takes no input. From a terminal,
/// what is typed further ahead than 4096 bytes is dropped; any other input is read no further ahead than that.
/// On demand, none is read before somebody has asked and found nothing, so that others may have the rest of it.
/// </remarks>
public class StreamPort : ICharPort
{
    private const int ReadAhead = 4096;

    private readonly Stream _input;
    private readonly Stream _output;
    private readonly bool _readsOnDemand;
    private readonly InputQueue _queue = new(ReadAhead);

    /// <summary>Makes a port. Input is read from the first subscription to <see cref="InputArrived"/> on, or the first <see cref="Start"/>.</summary>
    /// <param name="input">Where input comes from; read on a thread of the port's. It may be closed at any time: that ends the input.</param>
    /// <param name="output">Where output goes; written by the caller of <see cref="Write"/>.</param>
    /// <param name="readsOnDemand">Whether input is read only when it is asked for.</param>
    public StreamPort(Stream input, Stream output, bool readsOnDemand = false)
    {
        _input = input;
        _output = output;
        _readsOnDemand = readsOnDemand;
    }

    /// <inheritdoc />
    public event Action? InputArrived;

    /// <summary>Raised once, when output can't be written any more; it is dropped from then on. The argument is what the host said.</summary>
    public event Action<string>? OutputLost;

    /// <summary>Whether something could not be written.</summary>
    public bool OutputIsLost { get; private set; }

    /// <summary>Whether a terminal's end of file, ^D, follows the input: once at the start of a line, twice elsewhere, where the first ends the line.</summary>
    public bool EndsWithEndOfFile { get; init; }

    /// <inheritdoc />
    public bool EndOfInput => _queue.IsFinished;

    /// <inheritdoc />
    public virtual bool Interactive => false;

    /// <summary>Begins to read input. Once.</summary>
    public virtual void Start() =>
        new Thread(ReadInput) { IsBackground = true, Name = "console input" }.Start();

    /// <inheritdoc />
    public void Write(ReadOnlySpan<byte> data)
    {
        if (OutputIsLost)
        {
            return;
        }

        try
        {
            _output.Write(data);
            _output.Flush();
        }
        catch (IOException e)
        {
            OutputIsLost = true;
            OutputLost?.Invoke(e.Message);
        }
    }

    /// <inheritdoc />
    public int Read(Span<byte> destination) => _queue.Take(destination);

    /// <inheritdoc />
    public int ReadBlocking(Span<byte> destination) => _queue.TakeLine(destination);

    /// <summary>Ends the input, so that nobody waits for it any more. Any thread may call it.</summary>
    public void EndInput() => _queue.Close();

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends the input; the streams stay open.</summary>
    /// <param name="disposing">Always true: there is no finalizer.</param>
    protected virtual void Dispose(bool disposing) => EndInput();

    /// <summary>Called on the input's thread before each read; it may wait.</summary>
    /// <returns>False when there is nothing more to read.</returns>
    protected virtual bool BeforeRead() => true;

    /// <summary>Called on the input's thread with what was read.</summary>
    /// <returns>What the guest is to have of it.</returns>
    protected virtual ReadOnlySpan<byte> OnInput(ReadOnlySpan<byte> input) => input;

    private void ReadInput()
    {
        const byte EndOfFile = 4;
        byte[] buffer = new byte[ReadAhead];
        bool isLineStart = true;
        int count;
        while (!EndOfInput && (count = ReadSome(buffer)) > 0)
        {
            ReadOnlySpan<byte> input = OnInput(buffer.AsSpan(0, count));
            isLineStart = buffer[count - 1] == '\n';
            if (Interactive)
            {
                _queue.AddOrDrop(input);
            }
            else
            {
                _queue.Add(input);
            }

            InputArrived?.Invoke();
        }

        if (EndsWithEndOfFile)
        {
            _queue.Add(isLineStart ? [EndOfFile] : [EndOfFile, EndOfFile]);
            InputArrived?.Invoke();
        }

        _queue.Close();
        InputArrived?.Invoke();
    }

    // An input that fails has ended: a terminal that was hung up, for one. So has one whose owner closed it, who can't know
    // whether the thread is about to read once more.
    private int ReadSome(byte[] buffer)
    {
        try
        {
            return (!_readsOnDemand || _queue.WaitUntilWanted()) && BeforeRead() ? _input.Read(buffer) : 0;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return 0;
        }
    }
}
