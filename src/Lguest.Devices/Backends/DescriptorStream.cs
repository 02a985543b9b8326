using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Lguest.Devices.Backends;

/// <summary>
/// A stream over one of the process's own descriptors, by plain read and write: no buffer, no position, and nothing of
/// what it refers to is changed. It never closes the descriptor.
/// </summary>
/// <param name="descriptor">0, 1 or 2, usually.</param>
/// <param name="patience">How long to wait for who reads what is written; null for ever.</param>
public sealed unsafe class DescriptorStream(int descriptor, WritePatience? patience = null) : Stream
{
    private const int Forever = -1;

    /// <summary>What a file can take that can take something: of a pipe that is its PIPE_BUF.</summary>
    private const int SmallWrite = 4096;

    /// <summary>How often to ask whether there is patience left.</summary>
    private const int PatienceLookMilliseconds = 200;

    private bool _canRefuse = OperatingSystem.IsLinux();

    /// <inheritdoc />
    public override bool CanRead => true;

    /// <inheritdoc />
    public override bool CanSeek => false;

    /// <inheritdoc />
    public override bool CanWrite => true;

    /// <inheritdoc />
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc />
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Whether a descriptor is a terminal whose settings can be changed here (Linux's).</summary>
    [SupportedOSPlatformGuard("linux")]
    public static bool IsTerminal(int descriptor) => OperatingSystem.IsLinux() && SystemCalls.IsTerminal(descriptor) == 1;

    /// <summary>Waits until there is something to read, the end included, or a signal has come.</summary>
    public void WaitForInput() => WaitFor(SystemCalls.PollIn);

    /// <summary>Waits for bytes, and reads those there are.</summary>
    /// <returns>0 at the end.</returns>
    /// <exception cref="IOException">The host couldn't.</exception>
    public override int Read(Span<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            while (true)
            {
                nint count = SystemCalls.Read(descriptor, bytes, buffer.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                WaitAfterError(SystemCalls.PollIn);
            }
        }
    }

    /// <summary>Writes everything, waiting as long as it takes, also where somebody has made the descriptor non-blocking.</summary>
    /// <exception cref="IOException">The host couldn't, or there is no patience left.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            for (nint written = 0; written < buffer.Length;)
            {
                nint count = WriteSome(bytes + written, buffer.Length - written);
                if (count >= 0)
                {
                    written += count;
                }
                else
                {
                    WaitAfterError(SystemCalls.PollOut);
                }
            }
        }
    }

    /// <inheritdoc />
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc />
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc />
    public override void Flush()
    {
    }

    /// <inheritdoc />
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc />
    public override void SetLength(long value) => throw new NotSupportedException();

    // With an end to patience, nothing may wait in the host for whoever reads. Pipes can be asked not to; other things are
    // asked first, and given little.
    private nint WriteSome(byte* bytes, nint length)
    {
        if (patience is null)
        {
            return SystemCalls.Write(descriptor, bytes, length);
        }

        if (_canRefuse)
        {
            var vector = new SystemCalls.MemoryVector { Start = bytes, Length = length };
            nint count = SystemCalls.WriteVector(descriptor, &vector, 1, SystemCalls.Here, SystemCalls.WithoutWaiting);
            if (count >= 0 || Marshal.GetLastPInvokeError() is not (SystemCalls.Eopnotsupp or SystemCalls.Einval or SystemCalls.Enosys))
            {
                return count;
            }

            _canRefuse = false;
        }

        WaitForRoom(patience);
        return SystemCalls.Write(descriptor, bytes, Math.Min(length, SmallWrite));
    }

    private void WaitForRoom(WritePatience patience)
    {
        while (!WaitFor(SystemCalls.PollOut, PatienceLookMilliseconds))
        {
            if (patience.IsOver)
            {
                throw new IOException("nobody reads it");
            }
        }
    }

    private void WaitAfterError(short events)
    {
        int error = Marshal.GetLastPInvokeError();
        switch (error)
        {
            case SystemCalls.Eintr:
                return;
            case SystemCalls.Eagain when events == SystemCalls.PollOut && patience is not null:
                WaitForRoom(patience);
                return;
            case SystemCalls.Eagain:
                WaitFor(events);
                return;
            default:
                throw new IOException(Marshal.GetPInvokeErrorMessage(error));
        }
    }

    /// <returns>False when nothing has come of it in time.</returns>
    private bool WaitFor(short events, int milliseconds = Forever)
    {
        var wanted = new PollDescriptor { Descriptor = descriptor, Events = events };
        return descriptor < 0 || SystemCalls.Poll(&wanted, 1, milliseconds) > 0;
    }
}
