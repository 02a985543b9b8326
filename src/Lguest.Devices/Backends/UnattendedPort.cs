namespace Lguest.Devices.Backends;

/// <summary>A console that nobody sits at: there is no input, and of the output the last is kept.</summary>
/// <param name="capacity">Bytes that are kept, at least.</param>
public sealed class UnattendedPort(int capacity) : ICharPort
{
    // Twice as much: it is halved when it is full.
    private readonly byte[] _kept = new byte[2 * capacity];
    private int _length;

    /// <inheritdoc />
    public event Action? InputArrived
    {
        add { }
        remove { }
    }

    /// <inheritdoc />
    public bool EndOfInput => true;

    /// <inheritdoc />
    public bool Interactive => false;

    /// <summary>The last of the output.</summary>
    public ReadOnlySpan<byte> Kept => _kept.AsSpan(0, _length);

    /// <inheritdoc />
    public void Write(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            if (_length == _kept.Length)
            {
                Kept[capacity..].CopyTo(_kept);
                _length = capacity;
            }

            int length = Math.Min(data.Length, _kept.Length - _length);
            data[..length].CopyTo(_kept.AsSpan(_length));
            _length += length;
            data = data[length..];
        }
    }

    /// <inheritdoc />
    public int Read(Span<byte> destination) => 0;

    /// <inheritdoc />
    public int ReadBlocking(Span<byte> destination) => 0;

    /// <inheritdoc />
    public void Dispose()
    {
    }
}
