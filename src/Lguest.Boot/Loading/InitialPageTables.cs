using System.Buffers.Binary;
using Lguest.Host.Abi;

namespace Lguest.Boot.Loading;

/// <summary>
/// The page tables a guest without its own starts on: every page of RAM mapped once, linearly, from one
/// address on, and nothing anywhere else (SDM 3A, 4.3 and 4.4).
/// </summary>
/// <param name="format">What they look like.</param>
/// <param name="pageOffset">Virtual address of physical address 0, a multiple of a page.</param>
/// <param name="memorySize">RAM to map, in bytes; what doesn't fit below 4 GiB of virtual addresses isn't mapped.</param>
internal sealed class InitialPageTables(PageTableFormat format, uint pageOffset, uint memorySize)
{
    /// <summary>The first and the last virtual page.</summary>
    private readonly ulong _first = pageOffset / MemorySize.Page;
    private readonly ulong _last = (Math.Min((ulong)pageOffset + memorySize, 1ul << 32) - 1) / MemorySize.Page;

    /// <summary>Bytes of all tables: the topmost one has a page of its own, even where it is smaller.</summary>
    public uint Size
    {
        get
        {
            uint pages = 1;
            for (int level = 1; level < format.Levels; level++)
            {
                pages += (uint)(IndexOf(_last, level) - IndexOf(_first, level) + 1);
            }

            return pages * MemorySize.Page;
        }
    }

    private int EntriesPerTable => (int)MemorySize.Page / format.EntryBytes;

    /// <summary>Builds them just below <paramref name="end"/>: the topmost table on top, those of each level under what names them.</summary>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="end">First address after them, a multiple of a page.</param>
    /// <returns>Physical address of the topmost table.</returns>
    public uint Build(IBootMemory memory, uint end)
    {
        uint top = end - MemorySize.Page;
        uint table = top;
        for (int level = format.Levels - 1; level > 0; level--)
        {
            // What one table of this level has entries for are tables of the level below.
            ulong first = IndexOf(_first, level);
            ulong last = IndexOf(_last, level);
            uint below = table - ((uint)(last - first + 1) * MemorySize.Page);
            uint flags = table == top ? format.TopFlags : PageTableFormat.EntryFlags;
            Fill(memory, table, first, last, index => below + ((uint)(index - first) * MemorySize.Page) | flags);
            table = below;
        }

        Fill(memory, table, _first, _last, index => ((uint)(index - _first) * MemorySize.Page) | PageTableFormat.EntryFlags);
        return top;
    }

    /// <summary>Writes the entries of a level's tables, which lie one behind the other.</summary>
    private void Fill(IBootMemory memory, uint table, ulong first, ulong last, Func<ulong, uint> entryOf)
    {
        ulong start = first / (ulong)EntriesPerTable * (ulong)EntriesPerTable;
        for (ulong index = first; index <= last; index++)
        {
            uint address = table + ((uint)(index - start) * (uint)format.EntryBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(memory.Slice(address, sizeof(uint)), entryOf(index));
        }
    }

    /// <summary>Which table of a level, counted through all of linear space, maps a page; level 0 has the pages.</summary>
    private ulong IndexOf(ulong page, int level)
    {
        for (; level > 0; level--)
        {
            page /= (ulong)EntriesPerTable;
        }

        return page;
    }
}
