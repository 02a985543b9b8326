using System.Net;
using System.Net.Sockets;
using System.Text;
using Lguest.Insight.Gdb;

namespace Lguest.Tests.Debugging;

/// <summary>A debugger of a few lines.</summary>
internal sealed class GdbClient : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Socket _socket;
    private readonly GdbPacketReader _reader = new();
    private readonly byte[] _byte = new byte[1];

    public GdbClient(EndPoint place)
    {
        _socket = place is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _socket.ReceiveTimeout = (int)Patience.TotalMilliseconds;
        _socket.Connect(place);
    }

    /// <summary>Connects to the socket that a process has been told to make, once it is there.</summary>
    public static GdbClient Connect(string socket)
    {
        for (DateTime end = DateTime.UtcNow + Patience; ; Thread.Sleep(20))
        {
            try
            {
                return new GdbClient(new UnixDomainSocketEndPoint(socket));
            }
            catch (SocketException) when (DateTime.UtcNow < end)
            {
                // It isn't there yet.
            }
        }
    }

    /// <summary>Sends a packet and returns the reply to it.</summary>
    public string Ask(string packet)
    {
        Send(packet);
        return Receive();
    }

    /// <summary>Sends a packet.</summary>
    public void Send(string packet) => SendRaw(Encoding.Latin1.GetString(GdbPacket.Frame(packet)));

    /// <summary>Sends bytes as they are.</summary>
    public void SendRaw(string text) => _socket.Send(Encoding.Latin1.GetBytes(text));

    /// <summary>The next packet that comes.</summary>
    public string Receive()
    {
        while (_socket.Receive(_byte) == 1)
        {
            if (_reader.Take(_byte[0]) == GdbInput.Packet)
            {
                return _reader.Packet;
            }
        }

        return "(closed)";
    }

    /// <summary>The next byte that comes.</summary>
    public char ReceiveByte() => _socket.Receive(_byte) == 1 ? (char)_byte[0] : '\0';

    /// <summary>A register of 32 bits.</summary>
    public uint Register(int number) => (uint)IPAddress.NetworkToHostOrder(Convert.ToInt32(Ask($"p{number:x}"), 16));

    public void Dispose() => _socket.Dispose();
}
