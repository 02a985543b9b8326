using Lguest.Devices.Networks;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>The far end of a network cable in the test's hands.</summary>
public sealed class FakeCable : IPacketPort
{
    private readonly Queue<(byte[] Frame, int Largest)> _arrived = new();
    private byte[] _shown = [];
    private Action? _attention;

    public string Name => "cable";

    public ReadOnlySpan<byte> HostAddress => [0x0a, 1, 2, 3, 4, 5];

    /// <summary>What the guest has sent.</summary>
    public List<byte[]> Sent { get; } = [];

    /// <summary>What was still to be done to each of those.</summary>
    public List<int> SentLargest { get; } = [];

    /// <summary>What the guest has said of whether it wants all frames.</summary>
    public List<bool> ListensToAll { get; } = [];

    /// <summary>Frames that have arrived and that nobody has removed.</summary>
    public int Waiting => _arrived.Count;

    /// <summary>Whether the other side can't take anything.</summary>
    public bool IsBlocked { get; set; }

    public bool IsDisposed { get; private set; }

    public void Arrive(params byte[][] frames)
    {
        foreach (byte[] frame in frames)
        {
            _arrived.Enqueue((frame, 0));
        }

        _attention?.Invoke();
    }

    public void ArriveUnfinished(byte[] frame, int largest) => _arrived.Enqueue((frame, largest));

    public void ListenToAll(bool isWanted) => ListensToAll.Add(isWanted);

    public void Start(Action attention) => _attention = attention;

    public bool Send(Span<byte> frame, int largest)
    {
        if (IsBlocked)
        {
            return false;
        }

        Sent.Add(frame.ToArray());
        SentLargest.Add(largest);
        return true;
    }

    public bool TryPeek(out ReadOnlySpan<byte> frame, out int largest)
    {
        bool hasAny = _arrived.TryPeek(out (byte[] Frame, int Largest) first);
        _shown = first.Frame ?? [];
        frame = _shown;
        largest = first.Largest;
        return hasAny;
    }

    public void Remove() => _arrived.Dequeue();

    public void Dispose() => IsDisposed = true;
}
