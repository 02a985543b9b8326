using System.Text;
using Lguest.Devices.Backends;
using Microsoft.Extensions.Logging;

namespace Lguest.Logging;

/// <summary>Writes messages to standard error, a line each: <c>lguest: the guest panicked: ...</c>.</summary>
internal sealed class StandardErrorLogger : ILoggerProvider, ILogger
{
    private const int StandardError = 2;

    private readonly DescriptorStream _stream = new(StandardError);

    // A raw terminal doesn't return the carriage by itself, and another one doesn't mind.
    private readonly string _endOfLine = DescriptorStream.IsTerminal(StandardError) ? "\r\n" : "\n";
    private readonly object _lock = new();

    /// <summary>Makes loggers that write here.</summary>
    /// <param name="verbose">Whether messages of level debug are written.</param>
    public static ILoggerFactory MakeFactory(bool verbose) => new LoggerFactory(
        [new StandardErrorLogger()],
        new LoggerFilterOptions { MinLevel = verbose ? LogLevel.Debug : LogLevel.Information });

    /// <inheritdoc />
    public ILogger CreateLogger(string categoryName) => this;

    /// <inheritdoc />
    public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

    /// <inheritdoc />
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc />
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        // Guests and file names may bring line ends and worse.
        string message = string.Concat(formatter(state, exception).Select(c => char.IsControl(c) ? ' ' : c));
        byte[] line = Encoding.UTF8.GetBytes($"lguest: {message}{_endOfLine}");
        lock (_lock)
        {
            try
            {
                _stream.Write(line);
            }
            catch (IOException)
            {
                // There is nobody left to tell.
            }
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }
}
