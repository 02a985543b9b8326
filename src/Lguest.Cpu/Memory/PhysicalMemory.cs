using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Lguest.Cpu.Memory;

/// <summary>
/// Physical memory: a short list of regions. A region is RAM, memory that somebody else has mapped, or a device's
/// registers. RAM is one mapping in the host's memory each, and its pages cost nothing until they are touched.
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

    /// <summary>Bits of a physical address: 64 GiB (SDM 3A, 4.1.4).</summary>
    public const int AddressBits = 36;

    internal const int PageShift = 12;

    /// <summary>
    /// The most pages that are written back when memory begins anew: the next guest, as a rule, writes to the same ones, and to copy them
    /// is less work than the host's page faults would be. When there are more, the host forgets all of them.
    /// </summary>
    private const int MostCopied = 2048;

    private readonly List<Region> _regions = [];
    private readonly List<Region> _renewed = [];
    private readonly RamImage? _image;

    /// <summary>Makes memory without a region.</summary>
    /// <param name="image">
    /// What all RAM holds at first; null for zeros. RAM is then a private mapping of the image's file: what nobody writes is
    /// shared with all others who have it mapped, and what is written stays here.
    /// </param>
    public PhysicalMemory(RamImage? image = null) => _image = image;

    /// <summary>End of the last region that holds memory: 0 when there is none.</summary>
    public ulong Top { get; private set; }

    /// <summary>The regions that are RAM, in the order in which they were added.</summary>
    public IEnumerable<RamRegion> Ram => _regions.Where(region => region.View is not null).Select(region => new RamRegion(region.Address, region.Length));

    /// <summary>The pages from which code is cached.</summary>
    internal CodePages Code { get; } = new();

    /// <summary>Adds RAM: all zero, or what the image has there.</summary>
    /// <param name="address">Physical, a multiple of 4096.</param>
    /// <param name="length">Bytes, a multiple of 4096, not 0.</param>
    /// <exception cref="ArgumentException">
    /// Not page-aligned, past 64 GiB, overlapping another region, or not one of the image's.
    /// </exception>
    public void AddRam(ulong address, ulong length)
    {
        CheckPlacement(address, length);
        if (_renewed.Find(region => region.Address == address && region.Length == length) is { } renewed)
        {
            _renewed.Remove(renewed);
            AddMemory(renewed);
            return;
        }

        // An anonymous mapping by name of nothing: on Linux a memfd, so that it can be mapped once more.
        MemoryMappedFile file = _image?.Map() ?? MemoryMappedFile.CreateNew(null, (long)length);
        MemoryMappedViewAccessor view = _image is null
            ? file.CreateViewAccessor(0, (long)length)
            : file.CreateViewAccessor(_image.OffsetOf(new RamRegion(address, length)), (long)length, MemoryMappedFileAccess.CopyOnWrite);
        AddMemory(new Region(address, length) { Host = Region.AddressOf(view), File = file, View = view });
    }

    /// <summary>Adds memory that the caller has mapped, for example from a file shared with other processes.</summary>
    /// <param name="address">Physical, a multiple of 4096.</param>
    /// <param name="hostAddress">Where the mapping is in this process; it must outlive this object.</param>
    /// <param name="length">Bytes, a multiple of 4096, not 0.</param>
    /// <exception cref="ArgumentException">Not page-aligned, past 64 GiB, or overlapping another region.</exception>
    public void AddShared(ulong address, nint hostAddress, ulong length)
    {
        CheckPlacement(address, length);
        AddMemory(new Region(address, length) { Host = (byte*)hostAddress });
    }

    /// <summary>Adds a device's registers. They aren't memory: no code is fetched from them, and no table is read there.</summary>
    /// <param name="address">Physical, a multiple of 4096.</param>
    /// <param name="length">Bytes, a multiple of 4096, not 0.</param>
    /// <param name="device">Answers every load and store in the region.</param>
    /// <exception cref="ArgumentException">Not page-aligned, past 64 GiB, or overlapping another region.</exception>
    public void AddDevice(ulong address, ulong length, IMemoryMappedDevice device)
    {
        CheckPlacement(address, length);
        _regions.Add(new Region(address, length) { Device = device });
    }

    /// <summary>Whether all of a range is memory (in one region).</summary>
    public bool Contains(ulong address, ulong length) => Find(address, length) is not null;

    /// <summary>A window on memory. Whoever writes through it calls <see cref="NotifyWrite"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Some of the range isn't memory.</exception>
    public Span<byte> Span(ulong address, uint length)
    {
        return TryGetSpan(address, length, out Span<byte> span)
            ? span
            : throw new ArgumentOutOfRangeException(nameof(address), $"0x{address:x8} + {length} isn't all memory.");
    }

    /// <summary>A window on memory, if all of the range is memory (in one region). Whoever writes through it calls <see cref="NotifyWrite"/>.</summary>
    public bool TryGetSpan(ulong address, uint length, out Span<byte> span)
    {
        Region? region = Find(address, length);
        span = region is null ? default : new Span<byte>(region.Host + (address - region.Address), checked((int)length));
        return region is not null;
    }

    /// <summary>Writes, and drops code that was decoded from what is overwritten.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Some of the range isn't memory.</exception>
    public void Write(ulong address, ReadOnlySpan<byte> data)
    {
        data.CopyTo(Span(address, (uint)data.Length));
        NotifyWrite(address, (uint)data.Length);
    }

    /// <summary>Drops code that was decoded from a range that has just been written.</summary>
    public void NotifyWrite(ulong address, uint length)
    {
        while (length != 0)
        {
            uint offset = (uint)address & PageOffsetMask;
            uint piece = Math.Min(length, PageSize - offset);
            uint page = (uint)(address >> PageShift);
            if (Code.Holds(page))
            {
                Code.OnWritten(page, offset, piece);
            }

            address += piece;
            length -= piece;
        }
    }

    /// <summary>Finds which pages of RAM that began as an image's have been written since.</summary>
    /// <param name="address">Physical, a multiple of 4096.</param>
    /// <param name="length">Bytes, a multiple of 4096.</param>
    /// <returns>Null where that isn't known: for all that isn't an image's, or isn't in one region, and on hosts that don't say it.</returns>
    public WrittenPages? FindWritten(ulong address, ulong length) =>
        _image is not null && Find(address, length) is { View: not null } region
            ? WrittenPages.Find(address, (nint)(region.Host + (address - region.Address)), length)
            : null;

    /// <summary>
    /// Begins anew, for another guest of the same image: all RAM is again what the image has there, and is to be added again. Code that was cached
    /// from it stays, but for that from pages that have been written since.
    /// </summary>
    /// <returns>False where that can't be: the host doesn't say which pages have been, or there is RAM of others. Then this is of no further use.</returns>
    /// <exception cref="IOException">The host has no room to map the image once more. This is of no further use, either.</exception>
    public bool TryRenew()
    {
        foreach (Region region in _regions.Where(region => region.Host != null))
        {
            if (region.View is null || FindWritten(region.Address, region.Length) is not { } written)
            {
                return false;
            }

            // The image's file is open at the end of the first guest, and needn't be at that of others.
            region.KeepOriginal(_image!);
            ulong[] pages = [.. written.All];
            foreach (ulong page in pages)
            {
                NotifyWrite(page, PageSize);
            }

            if (pages.Length <= MostCopied)
            {
                region.CopyOriginal(pages);
            }
            else if (!WrittenPages.TryForget((nint)region.Host, region.Length))
            {
                return false;
            }

            _renewed.Add(region);
        }

        _regions.Clear();
        Top = 0;
        return true;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (Region region in _regions.Union(_renewed))
        {
            region.Dispose();
        }

        _regions.Clear();
        _renewed.Clear();
        Code.Dispose();
    }

    /// <summary>The host's address of a physical page, or null when no memory is there.</summary>
    internal byte* HostPage(uint page)
    {
        foreach (Region region in CollectionsMarshal.AsSpan(_regions))
        {
            uint number = page - region.FirstPage;
            if (number < region.Pages)
            {
                return region.Host == null ? null : region.Host + ((ulong)number << PageShift);
            }
        }

        return null;
    }

    /// <summary>What answers a load from a physical address that isn't memory: a device, or nothing, which is all ones.</summary>
    /// <param name="address">The first byte.</param>
    /// <param name="size">1, 2 or 4 bytes, of which the address is a multiple.</param>
    internal uint ReadDevice(ulong address, int size) =>
        DeviceAt(address, out ulong offset) is { } device ? device.Read(offset, size) : uint.MaxValue;

    /// <summary>The same for a store; nobody hears of one where nothing is.</summary>
    internal void WriteDevice(ulong address, int size, uint value) =>
        DeviceAt(address, out ulong offset)?.Write(offset, size, value);

    private IMemoryMappedDevice? DeviceAt(ulong address, out ulong offset)
    {
        foreach (Region region in _regions)
        {
            offset = address - region.Address;
            if (offset < region.Length)
            {
                return region.Device;
            }
        }

        offset = 0;
        return null;
    }

    private Region? Find(ulong address, ulong length)
    {
        foreach (Region region in CollectionsMarshal.AsSpan(_regions))
        {
            ulong offset = address - region.Address;
            if (region.Host != null && offset <= region.Length && length <= region.Length - offset)
            {
                return region;
            }
        }

        return null;
    }

    private void CheckPlacement(ulong address, ulong length)
    {
        if ((address & PageOffsetMask) != 0 || (length & PageOffsetMask) != 0 || length == 0)
        {
            throw new ArgumentException($"A region at 0x{address:x8} of 0x{length:x} bytes isn't made of whole pages.");
        }

        const ulong Limit = 1ul << AddressBits;
        if (address >= Limit || length > Limit - address)
        {
            throw new ArgumentException($"A region at 0x{address:x8} of 0x{length:x} bytes ends past 64 GiB.");
        }

        if (_regions.Exists(r => address < r.Address + r.Length && r.Address < address + length))
        {
            throw new ArgumentException($"A region at 0x{address:x8} of 0x{length:x} bytes overlaps another.");
        }
    }

    private void AddMemory(Region region)
    {
        _regions.Add(region);
        Top = Math.Max(Top, region.Address + region.Length);
        Code.Grow((uint)(Top >> PageShift));
    }

    private sealed class Region(ulong address, ulong length) : IDisposable
    {
        // What the image has here, once somebody wants it back.
        private MemoryMappedViewAccessor? _original;

        public ulong Address => address;

        public ulong Length => length;

        public uint FirstPage { get; } = (uint)(address >> PageShift);

        public uint Pages { get; } = (uint)(length >> PageShift);

        /// <summary>The memory, or null for a device's registers.</summary>
        public byte* Host { get; init; }

        public MemoryMappedFile? File { get; init; }

        public MemoryMappedViewAccessor? View { get; init; }

        public IMemoryMappedDevice? Device { get; init; }

        public static byte* AddressOf(MemoryMappedViewAccessor view)
        {
            byte* start = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            return start + view.PointerOffset;
        }

        public void KeepOriginal(RamImage image) =>
            _original ??= File!.CreateViewAccessor(image.OffsetOf(new RamRegion(address, length)), (long)length, MemoryMappedFileAccess.Read);

        public void CopyOriginal(ReadOnlySpan<ulong> pages)
        {
            byte* original = AddressOf(_original!);
            foreach (ulong page in pages)
            {
                new ReadOnlySpan<byte>(original + (page - address), (int)PageSize).CopyTo(new Span<byte>(Host + (page - address), (int)PageSize));
            }

            _original!.SafeMemoryMappedViewHandle.ReleasePointer();
        }

        public void Dispose()
        {
            View?.SafeMemoryMappedViewHandle.ReleasePointer();
            View?.Dispose();
            _original?.Dispose();
            File?.Dispose();
        }
    }
}

/// <summary>A device whose registers are in physical memory. The processor's thread calls it.</summary>
public interface IMemoryMappedDevice
{
    /// <summary>A load. An access that is wider, or not aligned, is made of several.</summary>
    /// <param name="offset">Of the first byte from the start of the device's region; a multiple of the size.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    /// <returns>The value; bits above the size are ignored.</returns>
    uint Read(ulong offset, int size);

    /// <summary>A store. One that is wider, or not aligned, is made of several.</summary>
    /// <param name="offset">Of the first byte from the start of the device's region; a multiple of the size.</param>
    /// <param name="size">1, 2 or 4 bytes.</param>
    /// <param name="value">The value, zero-extended.</param>
    void Write(ulong offset, int size, uint value);
}
