using Microsoft.Extensions.Logging;

namespace Lguest.Logging;

/// <summary>What the launcher logs.</summary>
internal static partial class LaunchLog
{
    [LoggerMessage(Level = LogLevel.Error, Message = "{Sentence}")]
    public static partial void Error(ILogger logger, string sentence);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Sentence}")]
    public static partial void Warning(ILogger logger, string sentence);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Sentence}")]
    public static partial void Information(ILogger logger, string sentence);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Kernel} is a guest of the dialect {Dialect}: {Evidence}")]
    public static partial void Detected(ILogger logger, string kernel, string dialect, string evidence);

    [LoggerMessage(Level = LogLevel.Debug, Message = "the kernel is entered at {Entry}, {Milliseconds} ms after the start of the process")]
    public static partial void Started(ILogger logger, string entry, string milliseconds);

    [LoggerMessage(Level = LogLevel.Debug, Message = "the guest's time is {Kind}")]
    public static partial void Clock(ILogger logger, string kind);

    [LoggerMessage(Level = LogLevel.Debug, Message = "the other end of {Name} is {Interface}, an interface of this host's")]
    public static partial void NetworkOpened(ILogger logger, string name, string @interface);
}
