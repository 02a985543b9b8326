using System.Collections.Concurrent;
using System.Net.Sockets;
using Lguest.Insight.Gdb;

namespace Lguest.Running.Debugging;

/// <summary>A debugger at the other end of a socket: its packets, and replies to it.</summary>
/// <remarks>One thread reads (<see cref="Read"/>); the processor's thread takes packets and replies.</remarks>
internal sealed class GdbConnection : IDisposable
{
    /// <summary>A debugger waits for each reply, so there is hardly ever more than one; what is too many is lost.</summary>
    private const int MostWaiting = 64;

    private const int PieceBytes = 4096;
    private const byte Positive = (byte)'+';
    private const byte Negative = (byte)'-';
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Socket _socket;
    private readonly GdbPacketReader _reader = new();
    private readonly BlockingCollection<string> _packets = new(MostWaiting);
    private readonly object _sending = new();
    private volatile bool _acknowledges = true;
    private bool _hasSpoken;
    private byte[] _last = [];
    private int _interrupts;

    /// <summary>Takes a socket over.</summary>
    public GdbConnection(Socket socket)
    {
        _socket = socket;
        _socket.SendTimeout = (int)Patience.TotalMilliseconds;

        // A debugger begins at once, and who is silent keeps no other out.
        _socket.ReceiveTimeout = (int)Patience.TotalMilliseconds;
    }

    /// <summary>Whether the debugger has gone.</summary>
    public bool IsClosed => _packets.IsAddingCompleted;

    /// <summary>Reads until the debugger goes.</summary>
    /// <param name="arrived">Is told of the first good packet: it is a debugger.</param>
    /// <param name="interrupted">Is told of each ^C after that.</param>
    public void Read(Action arrived, Action interrupted)
    {
        byte[] piece = new byte[PieceBytes];
        try
        {
            for (int length; (length = _socket.Receive(piece)) > 0;)
            {
                foreach (byte value in piece.AsSpan(0, length))
                {
                    Take(_reader.Take(value), arrived, interrupted);
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // Gone, in another way.
        }

        _packets.CompleteAdding();
    }

    /// <summary>Whether there was a ^C since the last call.</summary>
    public bool TakeInterrupt() => Interlocked.Exchange(ref _interrupts, 0) != 0;

    /// <summary>The next packet, which is waited for; null when the debugger has gone.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public string? Take(CancellationToken stop) => _packets.TryTake(out string? packet, Timeout.Infinite, stop) ? packet : null;

    /// <summary>Sends a reply. One that nobody takes is lost, and the debugger with it.</summary>
    public void Send(string reply) => Send(_last = GdbPacket.Frame(reply));

    /// <summary>From now on nothing is acknowledged, and nothing sent again.</summary>
    public void EndAcknowledging() => _acknowledges = false;

    /// <inheritdoc />
    public void Dispose() => _socket.Dispose();

    private void Take(GdbInput input, Action arrived, Action interrupted)
    {
        switch (input)
        {
            case GdbInput.Packet:
                Acknowledge(Positive);
                _packets.TryAdd(_reader.Packet);
                if (!_hasSpoken)
                {
                    _hasSpoken = true;
                    _socket.ReceiveTimeout = 0;
                    arrived();
                }

                break;
            case GdbInput.BadPacket when _acknowledges:
                Acknowledge(Negative);
                break;
            case GdbInput.BadPacket:
                // Nobody asks for it again, but somebody waits for an answer.
                Send(GdbPacket.Frame(GdbSession.Malformed));
                break;
            case GdbInput.Retransmit when _acknowledges:
                Send(_last);
                break;
            case GdbInput.Interrupt when _hasSpoken:
                Interlocked.Exchange(ref _interrupts, 1);
                interrupted();
                break;
            default:
                break;
        }
    }

    private void Acknowledge(byte sign)
    {
        if (_acknowledges)
        {
            Send([sign]);
        }
    }

    private void Send(byte[] bytes)
    {
        try
        {
            lock (_sending)
            {
                _socket.Send(bytes);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            _socket.Dispose();
        }
    }
}
