using System.Text;
using Lguest.Devices.Backends;
using Microsoft.Extensions.Logging;

namespace Lguest.Logging;

/// <summary>Writes messages to standard error, a line each: <c>lguest: the guest panicked: ...</c>.</summary>
/// <remarks>
/// It is its own factory: the library's can do much that isn't needed here, and takes a good part of the time that a
/// start may take.
/// </remarks>
/// <param name="lowest">The lowest level that is written.</param>
/// <param name="patience">How long to wait for who reads the messages; null for ever.</param>
internal sealed class StandardErrorLogger(LogLevel lowest, WritePatience? patience = null) : ILoggerFactory, ILogger
{
    private readonly DescriptorStream _stream = new(StandardDescriptors.Error, patience);

    // A raw terminal doesn't return the carriage by itself, and another one doesn't mind.
    private readonly string _endOfLine = DescriptorStream.IsTerminal(StandardDescriptors.Error) ? "\r\n" : "\n";
    private readonly object _lock = new();

    /// <inheritdoc />
    public ILogger CreateLogger(string categoryName) => this;

    /// <inheritdoc />
    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("Messages go to standard error only.");

    /// <inheritdoc />
    public bool IsEnabled(LogLevel logLevel) => logLevel >= lowest && logLevel != LogLevel.None;

    /// <inheritdoc />
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc />
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            Write(formatter(state, exception));
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }

    private void Write(string message)
    {
        // Guests and file names may bring line ends and worse.
        var line = new StringBuilder("lguest: ").Append(message).Append(_endOfLine);
        for (int i = 0; i < line.Length - _endOfLine.Length; i++)
        {
            line[i] = char.IsControl(line[i]) ? ' ' : line[i];
        }

        byte[] bytes = Encoding.UTF8.GetBytes(line.ToString());
        lock (_lock)
        {
            try
            {
                _stream.Write(bytes);
            }
            catch (IOException)
            {
                // There is nobody left to tell.
            }
        }
    }
}
