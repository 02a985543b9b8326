using Microsoft.Extensions.Logging;

namespace Lguest.Devices.Backends;

/// <summary>A console whose output is written to a file, too: each piece at once, so that the file is there whatever happens.</summary>
public sealed class LoggedPort : ICharPort
{
    private readonly ICharPort _port;
    private readonly string _path;
    private readonly FileStream _file;
    private readonly ILogger _logger;
    private bool _failed;

    private LoggedPort(ICharPort port, string path, ILogger logger)
    {
        _port = port;
        _path = path;
        _logger = logger;
        _file = new FileStream(HostFile.Create(path), FileAccess.Write, bufferSize: 0);
    }

    /// <inheritdoc />
    public event Action? InputArrived
    {
        add => _port.InputArrived += value;
        remove => _port.InputArrived -= value;
    }

    /// <inheritdoc />
    public bool EndOfInput => _port.EndOfInput;

    /// <inheritdoc />
    public bool Interactive => _port.Interactive;

    /// <summary>Opens the file, which is emptied.</summary>
    /// <param name="port">The console, which the result owns.</param>
    /// <param name="path">The file.</param>
    /// <param name="logger">Hears of it, once, if the file can't be written any more.</param>
    /// <exception cref="BackendException">It can't be created.</exception>
    public static LoggedPort Open(ICharPort port, string path, ILogger logger)
    {
        try
        {
            return new LoggedPort(port, path, logger);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new BackendException(
                $"--log={path}: the file cannot be created ({e.Message.TrimEnd('.')}): give one in a folder that you may write", e);
        }
    }

    /// <inheritdoc />
    public void Write(ReadOnlySpan<byte> data)
    {
        _port.Write(data);
        if (_failed)
        {
            return;
        }

        try
        {
            _file.Write(data);
        }
        catch (IOException e)
        {
            _failed = true;
            BackendLog.LogEnded(_logger, _path, e.Message);
        }
    }

    /// <inheritdoc />
    public int Read(Span<byte> destination) => _port.Read(destination);

    /// <inheritdoc />
    public int ReadBlocking(Span<byte> destination) => _port.ReadBlocking(destination);

    /// <inheritdoc />
    public void Dispose()
    {
        _port.Dispose();
        _file.Dispose();
    }
}
