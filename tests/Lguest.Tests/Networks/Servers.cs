using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Lguest.Tests.Networks;

/// <summary>Something on the other side of a guest's network: one connection, or one question, after the other.</summary>
internal static class Servers
{
    /// <summary>Listens on a port of every address in a namespace.</summary>
    public static Socket Listen(NetworkNamespace place, int port) => place.In(() =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Any, port));
        socket.Listen();
        return socket;
    });

    /// <summary>Answers one request over HTTP, whatever it is for.</summary>
    public static async Task<string> AnswerHttpAsync(Socket listener, byte[] content)
    {
        using Socket connection = await listener.AcceptAsync(TestContext.Current.CancellationToken);
        using var stream = new NetworkStream(connection);
        var request = new byte[4096];
        int length = await stream.ReadAsync(request, TestContext.Current.CancellationToken);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.0 200 OK\r\nContent-Length: {content.Length}\r\n\r\n"), TestContext.Current.CancellationToken);
        await stream.WriteAsync(content, TestContext.Current.CancellationToken);
        connection.Shutdown(SocketShutdown.Send);

        // Closed before the other side has all of it, a connection would be cut.
        await ChecksumAsync(stream);
        return Encoding.ASCII.GetString(request, 0, length).Split('\r')[0];
    }

    /// <summary>Takes all that one connection brings, and returns its checksum.</summary>
    public static async Task<string> TakeAsync(Socket listener)
    {
        using Socket connection = await listener.AcceptAsync(TestContext.Current.CancellationToken);
        using var stream = new NetworkStream(connection);
        return await ChecksumAsync(stream);
    }

    /// <summary>Connects, gives some bytes, and returns the checksum of the answer.</summary>
    public static async Task<string> ExchangeAsync(NetworkNamespace place, IPEndPoint peer, byte[] content)
    {
        using Socket connection = place.In(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        await connection.ConnectAsync(peer, TestContext.Current.CancellationToken);
        using var stream = new NetworkStream(connection);
        await stream.WriteAsync(content, TestContext.Current.CancellationToken);
        connection.Shutdown(SocketShutdown.Send);
        return await ChecksumAsync(stream);
    }

    /// <summary>Is a name server that knows one IPv4 address, whatever the name, until its socket is closed.</summary>
    /// <returns>The names that were asked for.</returns>
    public static async Task<HashSet<string>> AnswerNamesAsync(Socket socket, byte[] address)
    {
        var names = new HashSet<string>();
        var question = new byte[512];
        try
        {
            while (true)
            {
                SocketReceiveFromResult got = await socket.ReceiveFromAsync(question, new IPEndPoint(IPAddress.Any, 0), TestContext.Current.CancellationToken);
                await socket.SendToAsync(Answer(question, address, out string name), got.RemoteEndPoint, TestContext.Current.CancellationToken);
                names.Add(name);
            }
        }
        catch (SocketException)
        {
            return names;
        }
    }

#pragma warning disable CA5351 // What the guest's md5sum says is to be compared, not trusted.
    /// <summary>What md5sum says of some bytes.</summary>
    public static string Checksum(byte[] bytes) => Convert.ToHexStringLower(MD5.HashData(bytes));

    private static async Task<string> ChecksumAsync(NetworkStream stream) =>
        Convert.ToHexStringLower(await MD5.HashDataAsync(stream, TestContext.Current.CancellationToken));
#pragma warning restore CA5351

    /// <summary>The same question, with the bits for an answer, and an address if it is for one of IPv4.</summary>
    private static byte[] Answer(byte[] question, byte[] address, out string name)
    {
        const int Header = 12;
        const int TypeAndClass = 4;
        const byte TypeAddress = 1;
        var labels = new List<string>();
        int at = Header;
        while (question[at] != 0)
        {
            labels.Add(Encoding.ASCII.GetString(question, at + 1, question[at]));
            at += question[at] + 1;
        }

        name = string.Join('.', labels);
        byte[] record = question[at + 2] == TypeAddress ? [0xc0, Header, 0, TypeAddress, 0, 1, 0, 0, 0, 60, 0, 4, .. address] : [];
        return
        [
            question[0], question[1], 0x81, 0x80, 0, 1, 0, record.Length > 0 ? (byte)1 : (byte)0, 0, 0, 0, 0,
            .. question[Header..(at + 1 + TypeAndClass)], .. record,
        ];
    }
}
