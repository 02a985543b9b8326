using System.Buffers.Binary;

namespace Lguest.Boot.Loading;

/// <summary>
/// The page tables a guest without its own starts on: every page of RAM mapped once, linearly, from one
/// address on, and nothing anywhere else (SDM 3A, "32-Bit Paging").
/// </summary>
internal static class InitialPageTables
{
    private const int EntrySize = sizeof(uint);
    private const int EntriesPerTable = 1024;

    // Present, writable, user: the guest makes tables with tighter rights when it knows them.
    private const uint EntryFlags = 7;

    /// <summary>Bytes of the directory and of all tables.</summary>
    /// <param name="memorySize">RAM to map, in bytes.</param>
    /// <param name="pageOffset">Virtual address of physical address 0.</param>
    public static uint Size(uint memorySize, uint pageOffset)
    {
        uint firstTable = DirectoryIndex(pageOffset);
        uint lastTable = DirectoryIndex(pageOffset + memorySize - 1);
        return (1 + lastTable - firstTable + 1) * MemorySize.Page;
    }

    /// <summary>Builds them just below <paramref name="end"/>: the directory on top, its tables under it.</summary>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="pageOffset">Virtual address of physical address 0, a multiple of a page.</param>
    /// <param name="end">First address after them, a multiple of a page.</param>
    /// <returns>Physical address of the directory.</returns>
    public static uint Build(IBootMemory memory, uint pageOffset, uint end)
    {
        uint directory = end - MemorySize.Page;
        uint tables = end - Size(memory.Size, pageOffset);
        uint firstTable = DirectoryIndex(pageOffset);
        Span<byte> entries = memory.Slice(directory, (int)MemorySize.Page);
        for (uint table = tables; table < directory; table += MemorySize.Page)
        {
            uint index = firstTable + ((table - tables) / MemorySize.Page);
            BinaryPrimitives.WriteUInt32LittleEndian(entries[(int)(index * EntrySize)..], table | EntryFlags);
        }

        Span<byte> pages = memory.Slice(tables, (int)(directory - tables));
        uint firstEntry = TableIndex(pageOffset);
        for (uint page = 0; page < memory.Size / MemorySize.Page; page++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(
                pages[(int)((firstEntry + page) * EntrySize)..],
                (page * MemorySize.Page) | EntryFlags);
        }

        return directory;
    }

    private static uint DirectoryIndex(uint linear) => linear / MemorySize.Page / EntriesPerTable;

    private static uint TableIndex(uint linear) => linear / MemorySize.Page % EntriesPerTable;
}
