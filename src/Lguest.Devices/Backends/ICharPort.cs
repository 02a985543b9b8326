namespace Lguest.Devices.Backends;

/// <summary>The far end of a console: where the guest's bytes go and its input comes from. It knows no bus.</summary>
/// <remarks>
/// No method throws when the far end goes away: output is dropped then, input ends, and the owner of
/// the port learns it from the port's own events.
/// </remarks>
public interface ICharPort : IDisposable
{
    /// <summary>Sends all of <paramref name="data"/> before it returns.</summary>
    void Write(ReadOnlySpan<byte> data);

    /// <summary>
    /// Takes input that has arrived, without waiting: the number of bytes, 0 when there are none now or
    /// will be no more (<see cref="EndOfInput"/> tells which).
    /// </summary>
    int Read(Span<byte> destination);

    /// <summary>Whether all input has been taken and no more can come.</summary>
    bool EndOfInput { get; }

    /// <summary>Whether input comes from a person (a terminal), rather than from a file or a pipe.</summary>
    bool Interactive { get; }

    /// <summary>
    /// Takes input, waiting for it: up to the end of a line, the size of <paramref name="destination"/> or the end
    /// of input, whichever comes first, so that what it returns depends on the bytes and not on their timing.
    /// </summary>
    /// <returns>The number of bytes; 0 only at the end of input.</returns>
    int ReadBlocking(Span<byte> destination);

    /// <summary>Raised on a thread of the port's when input or its end has arrived.</summary>
    event Action? InputArrived;
}
