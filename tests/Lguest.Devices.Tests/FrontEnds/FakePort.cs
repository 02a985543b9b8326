using System.Text;
using Lguest.Devices.Backends;

namespace Lguest.Devices.Tests.FrontEnds;

/// <summary>A console's far end in the test's hands.</summary>
public sealed class FakePort : ICharPort
{
    private readonly Queue<byte> _input = new();
    private readonly StringBuilder _output = new();

    public event Action? InputArrived;

    public bool Interactive { get; init; } = true;

    /// <summary>Whether what has been typed is all there will be.</summary>
    public bool IsClosed { get; set; }

    public bool EndOfInput => IsClosed && _input.Count == 0;

    /// <summary>What was written, one entry a call.</summary>
    public List<string> Writes { get; } = [];

    public string Output => _output.ToString();

    /// <summary>How often somebody waited for input.</summary>
    public int BlockingReads { get; private set; }

    public bool IsDisposed { get; private set; }

    public void Type(string text)
    {
        foreach (byte character in Encoding.Latin1.GetBytes(text))
        {
            _input.Enqueue(character);
        }

        InputArrived?.Invoke();
    }

    public void Write(ReadOnlySpan<byte> data)
    {
        string text = Encoding.Latin1.GetString(data);
        Writes.Add(text);
        _output.Append(text);
    }

    public int Read(Span<byte> destination)
    {
        int length = 0;
        while (length < destination.Length && _input.TryDequeue(out byte character))
        {
            destination[length++] = character;
        }

        return length;
    }

    public int ReadBlocking(Span<byte> destination)
    {
        BlockingReads++;
        return Read(destination);
    }

    public void Dispose() => IsDisposed = true;
}
