namespace Lguest.Devices.Backends;

/// <summary>A console whose input is what somebody types who looks at its output: nothing is read from elsewhere.</summary>
/// <remarks>All of it is on the processor's thread, so what the guest gets when is a matter of what it printed, in virtual time too.</remarks>
/// <param name="output">Where output goes; owned by this. Its input isn't looked at.</param>
public sealed class AnsweredPort(ICharPort output) : ICharPort
{
    private readonly Queue<byte> _input = new();

    /// <inheritdoc />
    public event Action? InputArrived;

    /// <summary>False: more may always be typed.</summary>
    public bool EndOfInput => false;

    /// <inheritdoc />
    public bool Interactive => false;

    /// <summary>Types. On the processor's thread.</summary>
    public void Type(ReadOnlySpan<byte> text)
    {
        foreach (byte each in text)
        {
            _input.Enqueue(each);
        }

        InputArrived?.Invoke();
    }

    /// <inheritdoc />
    public void Write(ReadOnlySpan<byte> data) => output.Write(data);

    /// <inheritdoc />
    public int Read(Span<byte> destination)
    {
        int count = 0;
        while (count < destination.Length && _input.TryDequeue(out byte next))
        {
            destination[count++] = next;
        }

        return count;
    }

    /// <summary>The same: who would type is who would wait here.</summary>
    public int ReadBlocking(Span<byte> destination) => Read(destination);

    /// <inheritdoc />
    public void Dispose() => output.Dispose();
}
