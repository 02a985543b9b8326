namespace Lguest.Devices.Backends;

/// <summary>What comes in at a port for a guest: when a console's front end asks for it, and whether it waits.</summary>
internal sealed class PortInput : IDisposable
{
    private readonly ICharPort _port;
    private Action? _attention;
    private volatile bool _arrived = true;

    /// <summary>Listens to a port.</summary>
    /// <param name="port">The device's, which disposes it after this.</param>
    public PortInput(ICharPort port)
    {
        _port = port;
        _port.InputArrived += OnInputArrived;
    }

    /// <summary>Bytes that the guest has been given.</summary>
    public ulong BytesRead { get; private set; }

    /// <summary>Says who is to be told when something comes.</summary>
    /// <param name="attention">Called on any thread.</param>
    public void Attach(Action attention) => _attention = attention;

    /// <summary>Whether there may be something to read.</summary>
    /// <param name="isRepeatable">Whether the same run is to be the same again.</param>
    public bool MayHave(bool isRepeatable) => !_port.EndOfInput && (_arrived || Waits(isRepeatable));

    /// <summary>Reads what there is, once the guest has room for it.</summary>
    /// <param name="room">Where it goes; not empty.</param>
    /// <param name="isRepeatable">Whether the same run is to be the same again: then it waits for more than typing.</param>
    /// <returns>How many bytes; 0 if there are none for now.</returns>
    public int Read(Span<byte> room, bool isRepeatable)
    {
        // Cleared before the port is asked: what arrives meanwhile sets it again. One answer may not be all there is.
        _arrived = false;
        int length = Waits(isRepeatable) ? _port.ReadBlocking(room) : _port.Read(room);
        _arrived |= length > 0;
        BytesRead += (ulong)length;
        return length;
    }

    /// <inheritdoc />
    public void Dispose() => _port.InputArrived -= OnInputArrived;

    // A person's typing can't be repeated, whatever the clock. Anything else is read when the guest has room for it,
    // waiting if need be, so that what it gets when doesn't depend on the host.
    private bool Waits(bool isRepeatable) => isRepeatable && !_port.Interactive;

    private void OnInputArrived()
    {
        _arrived = true;
        _attention?.Invoke();
    }
}
