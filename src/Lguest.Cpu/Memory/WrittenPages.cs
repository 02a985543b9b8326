using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Lguest.Cpu.Memory;

/// <summary>Which pages of RAM that is mapped from an image have been written since, as the host knows it: those that it had to copy (proc(5), pagemap).</summary>
public sealed class WrittenPages
{
    private const string PageMap = "/proc/self/pagemap";
    private const ulong Present = 1ul << 63;
    private const ulong Swapped = 1ul << 62;
    private const ulong OfFile = 1ul << 61;

    private readonly ulong _start;
    private readonly byte[] _entries;

    private WrittenPages(ulong start, byte[] entries)
    {
        _start = start;
        _entries = entries;
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
    internal static WrittenPages? Find(ulong start, nint host, ulong length)
    {
        if (!OperatingSystem.IsLinux() || Environment.SystemPageSize != PhysicalMemory.PageSize)
        {
            return null;
        }

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
}
