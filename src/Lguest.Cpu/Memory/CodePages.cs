using System.Runtime.InteropServices;

namespace Lguest.Cpu.Memory;

/// <summary>
/// The registry of physical pages from which code is cached, by 64-byte lines. A store to such a line must be seen by everyone
/// who has cached code from it; one to any other line or page costs nothing.
/// </summary>
internal sealed unsafe class CodePages : IDisposable
{
    private const int LineShift = 6;

    private readonly List<ICodeCache> _caches = [];
    private ulong* _lines;
    private uint _count;
    private TranslationBuffer? _translation;

    /// <summary>Whether code from the page is cached.</summary>
    public bool Holds(uint page) => page < _count && _lines[page] != 0;

    /// <summary>The 64-byte lines that some bytes of one page lie in, a bit each.</summary>
    public static ulong Lines(uint offset, uint length)
    {
        int first = (int)offset >> LineShift;
        int last = (int)(offset + length - 1) >> LineShift;
        return (ulong.MaxValue >> (63 - last)) & (ulong.MaxValue << first);
    }

    /// <summary>Makes room for the pages below a number.</summary>
    public void Grow(uint pages)
    {
        if (pages > _count)
        {
            var lines = (ulong*)NativeMemory.AllocZeroed(pages, sizeof(ulong));
            new ReadOnlySpan<ulong>(_lines, (int)_count).CopyTo(new Span<ulong>(lines, (int)pages));
            NativeMemory.Free(_lines);
            _lines = lines;
            _count = pages;
        }
    }

    /// <summary>Sends word of changed code to a cache from now on.</summary>
    public void Add(ICodeCache cache) => _caches.Add(cache);

    /// <summary>Sends it no more.</summary>
    public void Remove(ICodeCache cache) => _caches.Remove(cache);

    /// <summary>Has stores to pages with code take the slow path in these translations.</summary>
    public void Watch(TranslationBuffer? translation) => _translation = translation;

    /// <summary>Takes note that code from some lines of a page is cached. Pages beyond all memory never change.</summary>
    public void Note(uint page, ulong lines)
    {
        if (page >= _count)
        {
            return;
        }

        bool isNew = _lines[page] == 0;
        _lines[page] |= lines;
        if (isNew)
        {
            _translation?.WatchCodePage(page);
        }
    }

    /// <summary>Some bytes of a page were, or are about to be, written: drops the code that was made of them.</summary>
    public void OnWritten(uint page, uint offset, uint length)
    {
        if ((_lines[page] & Lines(offset, length)) == 0)
        {
            return;
        }

        ulong rest = 0;
        foreach (ICodeCache cache in _caches)
        {
            rest |= cache.OnCodeWritten(page, offset, length);
        }

        _lines[page] = rest;
        if (rest == 0)
        {
            _translation?.UnwatchCodePage(page);
        }
    }

    /// <summary>Forgets all pages: every cache is empty. The translations are flushed by the caller.</summary>
    public void Clear() => NativeMemory.Clear(_lines, (nuint)(_count * sizeof(ulong)));

    public void Dispose()
    {
        NativeMemory.Free(_lines);
        _lines = null;
        _count = 0;
    }
}

/// <summary>Something that keeps what it made of a guest's code.</summary>
internal interface ICodeCache
{
    /// <summary>Drops what was made of some bytes of a page.</summary>
    /// <returns>The lines of that page from which it still has code.</returns>
    ulong OnCodeWritten(uint page, uint offset, uint length);
}
