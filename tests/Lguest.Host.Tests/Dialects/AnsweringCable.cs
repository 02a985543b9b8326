using Lguest.Devices.Networks;

namespace Lguest.Host.Tests.Dialects;

/// <summary>A network cable with somebody at its other end who answers each frame.</summary>
public sealed class AnsweringCable : IPacketPort
{
    private readonly Queue<byte[]> _arrived = new();
    private Action? _attention;

    public string Name => "cable";

    public ReadOnlySpan<byte> HostAddress => [0x0a, 1, 2, 3, 4, 5];

    /// <summary>The answers to every frame.</summary>
    public IReadOnlyList<byte[]> Answers { get; set; } = [];

    /// <summary>What the guest has sent.</summary>
    public List<byte[]> Sent { get; } = [];

    public void ListenToAll(bool isWanted)
    {
    }

    public void Start(Action attention) => _attention = attention;

    public bool Send(Span<byte> frame, int largest)
    {
        Sent.Add(frame.ToArray());
        foreach (byte[] answer in Answers)
        {
            _arrived.Enqueue(answer);
        }

        _attention?.Invoke();
        return true;
    }

    public bool TryPeek(out ReadOnlySpan<byte> frame, out int largest)
    {
        largest = 0;
        frame = _arrived.TryPeek(out byte[]? first) ? first : [];
        return first is not null;
    }

    public void Remove() => _arrived.Dequeue();

    public void Dispose()
    {
    }
}
