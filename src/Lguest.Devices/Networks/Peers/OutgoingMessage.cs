using Lguest.Host.Dma;

namespace Lguest.Devices.Networks.Peers;

/// <summary>What is sent: it is in guest memory, or made of what was there.</summary>
internal readonly ref struct OutgoingMessage
{
    private readonly DmaList? _list;
    private readonly ReadOnlySpan<byte> _bytes;

    /// <summary>A message in guest memory.</summary>
    public OutgoingMessage(DmaList list) => _list = list;

    /// <summary>A message of the host's.</summary>
    public OutgoingMessage(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>Copies the message, or as much of it as there is room for.</summary>
    /// <returns>Bytes copied.</returns>
    public int CopyTo(Span<byte> destination)
    {
        if (_list is not null)
        {
            return _list.CopyTo(destination);
        }

        int length = Math.Min(_bytes.Length, destination.Length);
        _bytes[..length].CopyTo(destination);
        return length;
    }
}
