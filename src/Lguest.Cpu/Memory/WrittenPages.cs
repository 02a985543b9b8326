using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Cpu.Memory;

/// <summary>Which pages of RAM that is mapped from an image have been written since, as the host knows it: those that it had to copy (proc(5), pagemap).</summary>
public sealed partial class WrittenPages
{
    private const string PageMap = "/proc/self/pagemap";
    private const ulong Present = 1ul << 63;
    private const ulong Swapped = 1ul << 62;
    private const ulong OfFile = 1ul << 61;
    private const int DontNeed = 4;

    // What else runs Linux programs may answer with zeros, which would mean that nothing is written.
    private static readonly Lazy<bool> _hostTellsTheTruth = new(HostTellsTheTruth);

    private readonly ulong _start;
    private readonly byte[] _entries;

    private WrittenPages(ulong start, byte[] entries)
    {
        _start = start;
        _entries = entries;
    }

    /// <summary>The physical addresses of all of them.</summary>
    public IEnumerable<ulong> All
    {
        get
        {
            ulong end = _start + ((ulong)_entries.Length / sizeof(ulong) * PhysicalMemory.PageSize);
            for (ulong page = _start; page < end; page += PhysicalMemory.PageSize)
            {
                if (Has(page))
                {
                    yield return page;
                }
            }
        }
    }

    /// <summary>Whether a page has been.</summary>
    /// <param name="address">Of its first byte, physical; in the range that was asked for.</param>
    public bool Has(ulong address)
    {
        int index = (int)((address - _start) / PhysicalMemory.PageSize) * sizeof(ulong);
        ulong entry = BinaryPrimitives.ReadUInt64LittleEndian(_entries.AsSpan(index));
        return (entry & (Present | Swapped)) != 0 && (entry & OfFile) == 0;
    }

    /// <summary>Finds them.</summary>
    /// <param name="start">The range, physical: whole pages.</param>
    /// <param name="host">Where that is in this process.</param>
    /// <param name="length">Bytes.</param>
    /// <returns>Null where the host doesn't say it.</returns>
    internal static WrittenPages? Find(ulong start, nint host, ulong length) => _hostTellsTheTruth.Value ? Read(start, host, length) : null;

    /// <summary>Whether this is what Linux says of two pages of a file of which the first has been read, and the second written.</summary>
    /// <param name="entries">The entries of both.</param>
    internal static bool IsTrue(byte[] entries)
    {
        const ulong Read = Present | OfFile;
        var pages = new WrittenPages(0, entries);
        return (BinaryPrimitives.ReadUInt64LittleEndian(entries) & Read) == Read && !pages.Has(0) && pages.Has(PhysicalMemory.PageSize);
    }

    /// <summary>Has pages be the image's again (madvise(2), MADV_DONTNEED: of a private mapping, copies are dropped).</summary>
    /// <param name="host">Where they are in this process.</param>
    /// <param name="length">Bytes.</param>
    /// <returns>False where the host refuses it.</returns>
    internal static bool TryForget(nint host, ulong length) => Advise(host, (nuint)length, DontNeed) == 0;

    private static WrittenPages? Read(ulong start, nint host, ulong length)
    {
        try
        {
            byte[] entries = new byte[length / PhysicalMemory.PageSize * sizeof(ulong)];
            using SafeFileHandle map = File.OpenHandle(PageMap);
            int read = RandomAccess.Read(map, entries, host / PhysicalMemory.PageSize * sizeof(ulong));
            return read == entries.Length ? new WrittenPages(start, entries) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Whether the host says the truth of two pages that are mapped as an image's are, of which one is read and the other written.</summary>
    private static unsafe bool HostTellsTheTruth()
    {
        if (!OperatingSystem.IsLinux() || Environment.SystemPageSize != PhysicalMemory.PageSize)
        {
            return false;
        }

        const int Length = 2 * (int)PhysicalMemory.PageSize;
        try
        {
            // A memfd, so that these are a file's pages, too.
            using var file = MemoryMappedFile.CreateNew(null, Length);
            using MemoryMappedViewAccessor view = file.CreateViewAccessor(0, Length, MemoryMappedFileAccess.CopyOnWrite);
            _ = view.ReadByte(0);
            view.Write(PhysicalMemory.PageSize, (byte)1);
            byte* start = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            WrittenPages? found = Read(0, (nint)start, Length);
            view.SafeMemoryMappedViewHandle.ReleasePointer();
            return found is not null && IsTrue(found._entries);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}
