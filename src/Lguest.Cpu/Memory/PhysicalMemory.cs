using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Lguest.Cpu.Instructions.Integer;

namespace Lguest.Cpu.Memory;

/// <summary>
/// Physical memory: a short list of regions. RAM is one mapping in the host's memory each, and its
/// pages cost nothing until they are touched.
/// </summary>
/// <remarks>
/// Whoever writes here without the processor must go through <see cref="Write"/>, or call
/// <see cref="NotifyWrite"/> afterwards: decoded code is cached by physical address.
/// </remarks>
public sealed unsafe class PhysicalMemory : IDisposable
{
    /// <summary>Bytes in a page.</summary>
    public const uint PageSize = 4096;

    /// <summary>Bits of an address within its page.</summary>
    public const uint PageOffsetMask = PageSize - 1;

    internal const int PageShift = 12;

    private readonly List<Region> _regions = [];
    private byte* _codePageFlags;
    private nuint _codePageCount;
    private IWriteObserver? _observer;

    /// <summary>End of the last region that holds memory: 0 when there is none.</summary>
    public ulong Top { get; private set; }

    /// <summary>One byte a page below <see cref="Top"/>: not zero while decoded code from it is cached.</summary>
    internal byte* CodePageFlags => _codePageFlags;

    /// <summary>Adds RAM, all zero.</summary>
    /// <param name="address">Physical, a multiple of 4096.</param>
    /// <param name="length">Bytes, a multiple of 4096, not 0.</param>
    /// <exception cref="ArgumentException">Not page-aligned, past 4 GiB, or overlapping another region.</exception>
    public void AddRam(uint address, uint length)
    {
        CheckPlacement(address, length);

        // An anonymous mapping by name of nothing: on Linux a memfd, so that it can be mapped once more.
        var file = MemoryMappedFile.CreateNew(null, length);
        var view = file.CreateViewAccessor(0, length);
        byte* host = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref host);
        AddRegion(new Region(address, length, host, file, view));
    }

    /// <summary>Adds memory that the caller has mapped, for example from a file shared with other processes.</summary>
    /// <param name="address">Physical, a multiple of 4096.</param>
    /// <param name="hostAddress">Where the mapping is in this process; it must outlive this object.</param>
    /// <param name="length">Bytes, a multiple of 4096, not 0.</param>
    /// <exception cref="ArgumentException">Not page-aligned, past 4 GiB, or overlapping another region.</exception>
    public void AddShared(uint address, nint hostAddress, uint length)
    {
        CheckPlacement(address, length);
        AddRegion(new Region(address, length, (byte*)hostAddress, null, null));
    }

    /// <summary>Whether all of a range is memory (in one region).</summary>
    public bool Contains(uint address, ulong length) => Find(address, length) is not null;

    /// <summary>A window on memory. Whoever writes through it calls <see cref="NotifyWrite"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Some of the range isn't memory.</exception>
    public Span<byte> Span(uint address, uint length)
    {
        Region region = Find(address, length)
            ?? throw new ArgumentOutOfRangeException(nameof(address), $"0x{address:x8} + {length} isn't all memory.");
        return new Span<byte>(region.Host + (address - region.Address), checked((int)length));
    }

    /// <summary>Writes, and drops code that was decoded from what is overwritten.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Some of the range isn't memory.</exception>
    public void Write(uint address, ReadOnlySpan<byte> data)
    {
        data.CopyTo(Span(address, (uint)data.Length));
        NotifyWrite(address, (uint)data.Length);
    }

    /// <summary>Drops code that was decoded from a range that has just been written.</summary>
    public void NotifyWrite(uint address, uint length)
    {
        if (length == 0 || _observer is null)
        {
            return;
        }

        uint last = (address + length - 1) >> PageShift;
        for (uint page = address >> PageShift; page <= last && page < _codePageCount; page++)
        {
            if (_codePageFlags[page] != 0)
            {
                uint start = Math.Max(address, page << PageShift);
                uint end = (uint)Math.Min((ulong)address + length, ((ulong)page + 1) << PageShift);
                _observer.OnCodeWritten(start, end - start);
            }
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (Region region in _regions)
        {
            region.View?.SafeMemoryMappedViewHandle.ReleasePointer();
            region.View?.Dispose();
            region.File?.Dispose();
        }

        _regions.Clear();
        NativeMemory.Free(_codePageFlags);
        _codePageFlags = null;
        _codePageCount = 0;
    }

    /// <summary>The host's address of a physical page, or null when no memory is there.</summary>
    internal byte* HostPage(uint physicalPage)
    {
        foreach (Region region in CollectionsMarshal.AsSpan(_regions))
        {
            uint offset = physicalPage - region.Address;
            if (physicalPage >= region.Address && offset < region.Length)
            {
                return region.Host + offset;
            }
        }

        return null;
    }

    internal void Attach(IWriteObserver observer) => _observer = observer;

    internal void Detach() => _observer = null;

    private Region? Find(uint address, ulong length)
    {
        foreach (Region region in _regions)
        {
            if (address >= region.Address && address - region.Address + length <= region.Length)
            {
                return region;
            }
        }

        return null;
    }

    private void CheckPlacement(uint address, uint length)
    {
        if ((address & PageOffsetMask) != 0 || (length & PageOffsetMask) != 0 || length == 0)
        {
            throw new ArgumentException($"A region at 0x{address:x8} of 0x{length:x} bytes isn't made of whole pages.");
        }

        if ((ulong)address + length > 1ul << 32)
        {
            throw new ArgumentException($"A region at 0x{address:x8} of 0x{length:x} bytes ends past 4 GiB.");
        }

        if (_regions.Exists(r => (ulong)address < (ulong)r.Address + r.Length && (ulong)r.Address < (ulong)address + length))
        {
            throw new ArgumentException($"A region at 0x{address:x8} of 0x{length:x} bytes overlaps another.");
        }
    }

    private void AddRegion(Region region)
    {
        _regions.Add(region);
        Top = Math.Max(Top, (ulong)region.Address + region.Length);
        nuint pages = (nuint)(Top >> PageShift);
        if (pages > _codePageCount)
        {
            _codePageFlags = (byte*)NativeMemory.Realloc(_codePageFlags, pages);
            NativeMemory.Clear(_codePageFlags + _codePageCount, pages - _codePageCount);
            _codePageCount = pages;
        }
    }

    private sealed class Region(
        uint address, uint length, byte* host, MemoryMappedFile? file, MemoryMappedViewAccessor? view)
    {
        public uint Address => address;

        public uint Length => length;

        public byte* Host => host;

        public MemoryMappedFile? File => file;

        public MemoryMappedViewAccessor? View => view;
    }
}

/// <summary>Hears of writes to pages with cached code.</summary>
internal interface IWriteObserver
{
    /// <summary>Some bytes within one page were, or are about to be, written.</summary>
    void OnCodeWritten(uint physical, uint length);
}
