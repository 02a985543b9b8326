using Microsoft.Extensions.Logging;

namespace Lguest.Logging;

/// <summary>What the launcher logs.</summary>
internal static partial class LaunchLog
{
    [LoggerMessage(Level = LogLevel.Error, Message = "{Sentence}")]
    public static partial void Error(ILogger logger, string sentence);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Sentence}")]
    public static partial void Information(ILogger logger, string sentence);

    [LoggerMessage(Level = LogLevel.Critical, Message = "this is a mistake in lguest itself, please report it: {Details}")]
    public static partial void Bug(ILogger logger, string details);

    [LoggerMessage(Level = LogLevel.Debug, Message = "the kernel is entered at 0x{EntryPoint:x8}, its page offset is 0x{PageOffset:x8}, {Milliseconds} ms after the start of the process")]
    public static partial void Started(ILogger logger, uint entryPoint, uint pageOffset, long milliseconds);
}
