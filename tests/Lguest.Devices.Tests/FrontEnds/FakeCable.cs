namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>The far end of a network cable in the test's hands.</summary>
public sealed class FakeCable : IPacketPort
{
    private readonly Queue<byte[]> _arrived = new();
    private byte[] _shown = [];
    private Action? _attention;

    public string Name => "cable";

    public ReadOnlySpan<byte> HostAddress => [0x0a, 1, 2, 3, 4, 5];

    /// <summary>What the guest has sent.</summary>
    public List<byte[]> Sent { get; } = [];

    /// <summary>Frames that have arrived and that nobody has removed.</summary>
    public int Waiting => _arrived.Count;

    /// <summary>Whether the other side can't take anything.</summary>
    public bool IsBlocked { get; set; }

    public bool IsDisposed { get; private set; }

    public void Arrive(params byte[][] frames)
    {
        foreach (byte[] frame in frames)
        {
            _arrived.Enqueue(frame);
        }

        _attention?.Invoke();
    }

    public void Start(Action attention) => _attention = attention;

    public bool Send(ReadOnlySpan<byte> frame)
    {
        if (IsBlocked)
        {
            return false;
        }

        Sent.Add(frame.ToArray());
        return true;
    }

    public bool TryPeek(out ReadOnlySpan<byte> frame)
    {
        bool hasAny = _arrived.TryPeek(out byte[]? first);
        _shown = first ?? [];
        frame = _shown;
        return hasAny;
    }

    public void Remove() => _arrived.Dequeue();

    public void Dispose() => IsDisposed = true;
}
