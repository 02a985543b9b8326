using System.Net;
using System.Net.Sockets;
using Lguest.CommandLine;
using Lguest.Devices.Backends;

namespace Lguest.Running.Debugging;

/// <summary>
/// Where debuggers come: a port that only this host's programs reach, or a Unix socket that only this user may open. One is served at a time;
/// another waits until the first has gone.
/// </summary>
/// <remarks>Who connects is a debugger from its first good packet on. Anybody may look whether a port is open.</remarks>
internal sealed class GdbServer : IDisposable
{
    /// <summary>Between two tries to accept, when the host is out of descriptors, say.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly Socket _listener;
    private readonly ManualResetEventSlim _arrived = new();
    private volatile GdbConnection? _connection;
    private volatile bool _isClosed;

    private GdbServer(Socket listener, string address)
    {
        _listener = listener;
        Address = address;
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

        // Its path goes with it.
        _listener.Dispose();
        _connection?.Dispose();
    }

    private static GdbServer OpenPort(int port)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
            listener.Listen();
            return new GdbServer(listener, $"{listener.LocalEndPoint}");
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw new BackendException($"--{Options.Gdb.Name}: port {port} of 127.0.0.1 cannot be had: {e.Message.TrimEnd('.')}; give another, or 0 for any", e);
        }
    }

    private static GdbServer OpenSocket(string path)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            RemoveAbandoned(path);
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

    /// <summary>A process that was killed leaves its socket behind, at which nobody answers. Whatever else is there stays, and the refusal says so.</summary>
    /// <exception cref="IOException">It can't be removed; nor with <see cref="UnauthorizedAccessException"/>.</exception>
    private static void RemoveAbandoned(string path)
    {
        if (!HostFile.IsSocket(path))
        {
            return;
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(path);
        }
        catch (SocketException)
        {
            // Somebody is there, or it isn't ours to ask.
        }
    }

    private void Serve(Action attention)
    {
        while (!_isClosed)
        {
            try
            {
                using var connection = new GdbConnection(_listener.Accept());
                connection.Read(() => Greet(connection, attention), attention);
                attention();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // A debugger that was gone before it was there; or it can't be let in, for now.
                Thread.Sleep(Pause);
            }
        }
    }

    private void Greet(GdbConnection connection, Action attention)
    {
        _connection = connection;
        _arrived.Set();
        attention();
    }
}
