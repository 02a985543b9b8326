namespace Lguest.Devices.Backends;

/// <summary>Takes bytes that somebody else has written.</summary>
/// <param name="data">They are there only during the call.</param>
public delegate void BytesWritten(ReadOnlySpan<byte> data);

/// <summary>A console whose output others hear, too.</summary>
/// <param name="port">The console, which this owns.</param>
public sealed class HeardPort(ICharPort port) : ICharPort
{
    /// <inheritdoc />
    public event Action? InputArrived
    {
        add => port.InputArrived += value;
        remove => port.InputArrived -= value;
    }

    /// <summary>Raised with each piece of output, on the thread that writes it, when the port has it.</summary>
    public event BytesWritten? Written;

    /// <inheritdoc />
    public bool EndOfInput => port.EndOfInput;

    /// <inheritdoc />
    public bool Interactive => port.Interactive;

    /// <inheritdoc />
    public void Write(ReadOnlySpan<byte> data)
    {
        port.Write(data);
        Written?.Invoke(data);
    }

    /// <inheritdoc />
    public int Read(Span<byte> destination) => port.Read(destination);

    /// <inheritdoc />
    public int ReadBlocking(Span<byte> destination) => port.ReadBlocking(destination);

    /// <inheritdoc />
    public void Dispose() => port.Dispose();
}
