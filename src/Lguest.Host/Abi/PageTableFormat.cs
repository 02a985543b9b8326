using Lguest.Cpu.State;

namespace Lguest.Host.Abi;

/// <summary>The page tables of a guest at CPL 1 (SDM 3A, 4.3 and 4.4).</summary>
/// <param name="Levels">How many there are.</param>
/// <param name="EntryBytes">Bytes of an entry.</param>
/// <param name="TopBytes">Bytes of the table that CR3 names, of which its address is a multiple.</param>
/// <param name="TopShift">Which bits of a linear address choose that table's entry: from this on.</param>
/// <param name="TopFlags">What an entry of that table has besides an address, where the host makes one.</param>
/// <param name="ControlBits">Bits of CR4 that it needs.</param>
public sealed record PageTableFormat(int Levels, int EntryBytes, uint TopBytes, int TopShift, uint TopFlags, uint ControlBits)
{
    /// <summary>
    /// What an entry of any other table has besides an address, where the host makes one: it is present, writable, the user's. The guest makes
    /// tables with tighter rights when it knows them.
    /// </summary>
    public const uint EntryFlags = 7;

    private const uint Present = 1;

    /// <summary>32-bit paging: a directory and tables.</summary>
    public static PageTableFormat TwoLevel { get; } = new(2, sizeof(uint), TopBytes: 4096, TopShift: 22, EntryFlags, 0);

    /// <summary>PAE paging: four pointers to directories above that, and entries twice as wide.</summary>
    public static PageTableFormat Pae { get; } = new(3, sizeof(ulong), TopBytes: 32, TopShift: 30, Present, Cr4.Pae);

    /// <summary>Entries of the table that CR3 names.</summary>
    public uint TopEntries => TopBytes / (uint)EntryBytes;

    /// <summary>The bits of CR3 that are that table's address.</summary>
    public uint TopMask => ~(TopBytes - 1);

    /// <summary>The entry of that table for a linear address.</summary>
    public uint TopIndex(uint linear) => linear >> TopShift;
}
