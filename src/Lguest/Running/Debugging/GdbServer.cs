using System.Net;
using System.Net.Sockets;
using Lguest.CommandLine;
using Lguest.Devices.Backends;

namespace Lguest.Running.Debugging;

/// <summary>
/// Where debuggers come: a port that only this host's programs reach, or a Unix socket that only this user may open. One is served at a time;
/// another waits until the first has gone.
/// </summary>
internal sealed class GdbServer : IDisposable
{
    private readonly Socket _listener;
    private readonly string? _path;
    private readonly ManualResetEventSlim _arrived = new();
    private volatile GdbConnection? _connection;
    private volatile bool _isClosed;

    private GdbServer(Socket listener, string? path)
    {
        _listener = listener;
        _path = path;
        Address = path ?? $"{listener.LocalEndPoint}";
    }

    /// <summary>Where it is, as gdb's <c>target remote</c> takes it.</summary>
    public string Address { get; }

    /// <summary>The debugger; null while there is none, or it has gone.</summary>
    public GdbConnection? Connection => _connection is { IsClosed: false } connection ? connection : null;

    /// <summary>Opens it, but serves nobody yet.</summary>
    /// <exception cref="BackendException">The port or the path can't be had.</exception>
    public static GdbServer Open(GdbOption option) => option.Port is { } port ? OpenPort(port) : OpenSocket(option.Socket!);

    /// <summary>Begins to serve.</summary>
    /// <param name="attention">Is called when a debugger has come or gone, and at its ^C: on another thread.</param>
    public void Start(Action attention) => new Thread(() => Serve(attention)) { IsBackground = true, Name = "debugger" }.Start();

    /// <summary>Waits for a debugger.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void Await(CancellationToken stop) => _arrived.Wait(stop);

    /// <inheritdoc />
    public void Dispose()
    {
        _isClosed = true;
        _listener.Dispose();
        _connection?.Dispose();
        if (_path is not null)
        {
            File.Delete(_path);
        }
    }

    private static GdbServer OpenPort(int port)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
            listener.Listen();
            return new GdbServer(listener, null);
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw new BackendException($"--{Options.Gdb.Name}: port {port} of 127.0.0.1 cannot be had: {e.Message.TrimEnd('.')}; give another, or 0 for any", e);
        }
    }

    private static GdbServer OpenSocket(string path)
    {
        RemoveAbandoned(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            listener.Bind(new UnixDomainSocketEndPoint(path));
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            listener.Listen();
            return new GdbServer(listener, path);
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            listener.Dispose();
            string why = Path.Exists(path) ? "there is something by that name" : e.Message.TrimEnd('.');
            throw new BackendException($"--{Options.Gdb.Name}={path}: the socket cannot be made: {why}; give another path", e);
        }
    }

    /// <summary>A process that was killed leaves its socket behind, at which nobody answers.</summary>
    private static void RemoveAbandoned(string path)
    {
        if (!Path.Exists(path))
        {
            return;
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && new FileInfo(path) is { Length: 0 } && IsSocket(path))
        {
            File.Delete(path);
        }
        catch (SocketException)
        {
            // Something else, which stays: the refusal says so.
        }
    }

    // A socket is what can't be opened as a file.
    private static bool IsSocket(string path)
    {
        try
        {
            File.OpenHandle(path).Dispose();
            return false;
        }
        catch (IOException)
        {
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    private void Serve(Action attention)
    {
        while (!_isClosed)
        {
            try
            {
                using var connection = new GdbConnection(_listener.Accept());
                _connection = connection;
                _arrived.Set();
                attention();
                connection.Read(attention);
                attention();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                if (!_isClosed)
                {
                    // A debugger that was gone before it was there.
                    continue;
                }
            }
        }
    }
}
