using System.Globalization;
using Lguest.Host.Virtio;

namespace Lguest.Devices.Virtio;

/// <summary>A source of random bytes as a virtio device (virtio 1.0, 5.4): each buffer of the guest's is filled at once.</summary>
/// <param name="seed">What they come from: the same seed gives the same bytes.</param>
public sealed class VirtioEntropy(ReadOnlyMemory<byte> seed) : IVirtioDevice
{
    private const int RequestQueue = 0;

    /// <summary>The most bytes in one buffer: the guest is told how many it got, and asks again.</summary>
    private const int MostBytes = 4096;

    private readonly ChaChaStream _stream = new(seed.Span);
    private readonly byte[] _bytes = new byte[MostBytes];
    private VirtioSlot? _slot;
    private VirtioChain? _chain;

    /// <inheritdoc />
    public VirtioIdentity Identity => new(VirtioType.Entropy, Queues: 1, Features: 0);

    /// <inheritdoc />
    public ReadOnlyMemory<byte> Configuration => default;

    /// <inheritdoc />
    public string Kind => "a virtio source of random bytes";

    /// <inheritdoc />
    public string Save() => _stream.Position.ToString(CultureInfo.InvariantCulture);

    /// <inheritdoc />
    public void Restore(string saved) => _stream.Position = ulong.Parse(saved, CultureInfo.InvariantCulture);

    /// <inheritdoc />
    public void Attach(VirtioSlot slot)
    {
        _slot = slot;
        _chain = slot.MakeChain();
    }

    /// <inheritdoc />
    public void OnNotify(int queue)
    {
        if (_slot is not { } slot || _chain is not { } chain)
        {
            return;
        }

        Virtqueue requests = slot.Queue(RequestQueue);
        for (int i = 0; i < requests.Size && requests.TryPeek(chain); i++)
        {
            Span<byte> bytes = _bytes.AsSpan(0, Math.Min(chain.WritableLength, MostBytes));
            _stream.Fill(bytes);
            chain.Write(0, bytes);
            requests.Take();
            requests.Return(chain.Head, bytes.Length);
        }
    }

    /// <inheritdoc />
    public void Service()
    {
    }

    /// <inheritdoc />
    public void OnDue()
    {
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }
}
