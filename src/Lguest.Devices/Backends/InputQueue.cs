namespace Lguest.Devices.Backends;

/// <summary>Input between the thread that reads it and the guest: a bounded queue of bytes that has an end.</summary>
internal sealed class InputQueue
{
    private const byte EndOfLine = (byte)'\n';

    private readonly object _lock = new();
    private readonly byte[] _bytes;
    private int _start;
    private int _count;
    private bool _closed;
    private bool _wanted;

    /// <summary>Makes an empty queue.</summary>
    /// <param name="capacity">Most bytes it holds.</param>
    public InputQueue(int capacity) => _bytes = new byte[capacity];

    /// <summary>Whether the queue is empty for good.</summary>
    public bool IsFinished
    {
        get
        {
            lock (_lock)
            {
                return _closed && _count == 0;
            }
        }
    }

    /// <summary>Adds bytes, waiting for room: for input that can wait.</summary>
    public void Add(ReadOnlySpan<byte> input)
    {
        lock (_lock)
        {
            while (!input.IsEmpty && !_closed)
            {
                input = input[Store(input)..];
                if (!input.IsEmpty)
                {
                    Monitor.Wait(_lock);
                }
            }
        }
    }

    /// <summary>Adds what there is room for and drops the rest, as a terminal does with what is typed too far ahead.</summary>
    public void AddOrDrop(ReadOnlySpan<byte> input)
    {
        lock (_lock)
        {
            Store(input);
        }
    }

    /// <summary>Waits until somebody has found nothing to take. For who reads no more of the input than is wanted.</summary>
    /// <returns>False when nothing will be wanted any more.</returns>
    public bool WaitUntilWanted()
    {
        lock (_lock)
        {
            while (!_wanted && !_closed)
            {
                Monitor.Wait(_lock);
            }

            return !_closed;
        }
    }

    /// <summary>Says that there will be no more.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _closed = true;
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Takes what is there.</summary>
    public int Take(Span<byte> destination)
    {
        lock (_lock)
        {
            if (_count == 0)
            {
                Want();
            }

            return Remove(destination[..Math.Min(destination.Length, _count)]);
        }
    }

    /// <summary>Takes a line, the whole of <paramref name="destination"/>, or all up to the end of input; waits for whichever comes first.</summary>
    /// <returns>The number of bytes; 0 only at the end of input.</returns>
    public int TakeLine(Span<byte> destination)
    {
        lock (_lock)
        {
            int taken = 0;
            while (taken < destination.Length)
            {
                int length = LengthOfLine(destination.Length - taken, out bool ended);
                taken += Remove(destination.Slice(taken, length));
                if (ended || (_closed && _count == 0))
                {
                    break;
                }

                if (taken < destination.Length)
                {
                    Want();
                    Monitor.Wait(_lock);
                }
            }

            return taken;
        }
    }

    private int LengthOfLine(int most, out bool ended)
    {
        int length = Math.Min(most, _count);
        for (int i = 0; i < length; i++)
        {
            if (_bytes[(_start + i) % _bytes.Length] == EndOfLine)
            {
                ended = true;
                return i + 1;
            }
        }

        ended = false;
        return length;
    }

    private void Want()
    {
        _wanted = true;
        Monitor.PulseAll(_lock);
    }

    private int Store(ReadOnlySpan<byte> input)
    {
        _wanted = false;
        int length = _closed ? 0 : Math.Min(input.Length, _bytes.Length - _count);
        for (int i = 0; i < length; i++)
        {
            _bytes[(_start + _count + i) % _bytes.Length] = input[i];
        }

        _count += length;
        Monitor.PulseAll(_lock);
        return length;
    }

    private int Remove(Span<byte> destination)
    {
        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = _bytes[(_start + i) % _bytes.Length];
        }

        _start = (_start + destination.Length) % _bytes.Length;
        _count -= destination.Length;
        Monitor.PulseAll(_lock);
        return destination.Length;
    }
}
