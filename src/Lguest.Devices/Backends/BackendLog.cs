using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Backends;

/// <summary>What back ends log.</summary>
internal static partial class BackendLog
{
    [LoggerMessage(Level = LogLevel.Information, Message = "press ^C once more, within a second of the first, to end the run")]
    public static partial void OnceMore(ILogger logger);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "the terminal will not be restored if lguest is killed: /bin/sh could not be started ({Reason}); `stty sane` helps then")]
    public static partial void NoWatcher(ILogger logger, string reason);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "the interface {Interface} is gone, and with it the network {Name} ({Reason}): whoever deleted it did so while the guest had it")]
    public static partial void InterfaceLost(ILogger logger, string @interface, string name, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "usernet: {Text}")]
    public static partial void UserNetworkMessage(ILogger logger, string text);

    [LoggerMessage(Level = LogLevel.Warning, Message = "--pcap={Path}: a frame could not be written, and recording has ended: {Reason}")]
    public static partial void RecordingEnded(ILogger logger, string path, string reason);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "the guest gets no frames from the shared network '{Path}': there is no room for them ({Reason})")]
    public static partial void NoRoomForInbox(ILogger logger, string path, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "--log={Path}: what the guest prints is not written there any more: {Reason}")]
    public static partial void LogEnded(ILogger logger, string path, string reason);
}
