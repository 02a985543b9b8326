using Lguest.Host.Bus;

namespace Lguest.Devices;

/// <summary>A console, whatever bus the guest finds it on.</summary>
public interface IConsoleDevice : IGuestDevice
{
    /// <summary>Bytes that the guest has written.</summary>
    ulong BytesWritten { get; }

    /// <summary>Bytes that the guest has read.</summary>
    ulong BytesRead { get; }

    /// <summary>Whether the guest has a driver for it that waits for input.</summary>
    bool HasDriver { get; }
}
