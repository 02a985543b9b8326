using Lguest.Host.Bus;

namespace Lguest.Devices;

/// <summary>A command for the guest to run, whatever bus the guest finds it on.</summary>
public interface ICommandDevice : IGuestDevice
{
    /// <summary>The guest waits to be told its command (<see cref="LateCommand"/>): on the processor's thread.</summary>
    event Action? Awaited;

    /// <summary>Whether it does.</summary>
    bool IsAwaited { get; }

    /// <summary>The command's exit status, 0 to 255; null while the guest hasn't told it.</summary>
    int? ExitStatus { get; }

    /// <summary>Bytes that the command has written to its standard output.</summary>
    ulong BytesWritten { get; }

    /// <summary>Bytes that it has written to its standard error.</summary>
    ulong ErrorBytesWritten { get; }

    /// <summary>Bytes of standard input that the guest has been given.</summary>
    ulong BytesRead { get; }
}
