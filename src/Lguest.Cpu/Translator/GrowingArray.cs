namespace Lguest.Cpu.Translator;

/// <summary>
/// A list of values. The framework's own of a value type of ours isn't compiled before the program runs; this one is, and hands out references instead of
/// copies.
/// </summary>
internal sealed class GrowingArray<T>
    where T : struct
{
    private const int FirstSize = 16;

    private T[] _items = new T[FirstSize];

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>One of them. The reference is good until one is added.</summary>
    public ref T this[int index] => ref _items[index];

    /// <summary>Adds one at the end.</summary>
    public void Add(in T item)
    {
        if (Count == _items.Length)
        {
            var larger = new T[2 * Count];
            Array.Copy(_items, larger, Count);
            _items = larger;
        }

        _items[Count++] = item;
    }

    /// <summary>Removes all.</summary>
    public void Clear() => Count = 0;
}
