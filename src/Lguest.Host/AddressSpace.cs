using Lguest.Cpu;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using Lguest.Host.Abi;

namespace Lguest.Host;

/// <summary>
/// The guest's current page tables, and what must be forgotten when the guest says that tables changed. The
/// processor walks the guest's own; all that can be wrong is a translation, or with PAE an entry of the topmost table, that it remembers.
/// </summary>
/// <param name="processor">Walks the tables.</param>
/// <param name="memory">Guest memory.</param>
/// <param name="format">What they look like.</param>
public sealed class AddressSpace(Processor processor, GuestMemory memory, PageTableFormat format)
{
    private const int Cr3 = 3;

    private bool _unchecked;

    /// <summary>Where the kernel's part of every address space begins, the same in all of them.</summary>
    public uint PageOffset { get; set; }

    /// <summary>All of it that must survive in a saved state, but for the processor's.</summary>
    public AddressSpaceState State
    {
        get => new(PageOffset, _unchecked);
        set => (PageOffset, _unchecked) = (value.PageOffset, value.IsUnchecked);
    }

    /// <summary>Physical address of the topmost table in use: a page directory, or with PAE four pointers to some.</summary>
    public uint Directory => processor.ReadControlRegister(Cr3) & format.TopMask;

    /// <summary>
    /// Changes to another topmost table, or to the same one: even then what was remembered of user addresses is
    /// stale, because the guest doesn't announce changes to a space that isn't in use, and uses directories again. What was
    /// remembered of the kernel's stays: it announces those. Only where the two directories differ there, all of it goes, so that
    /// what a walk would find never depends on what was remembered. With the first directory, paging begins.
    /// </summary>
    /// <exception cref="GuestFaultException">The first directory is that of a kernel with PAE, in a dialect without.</exception>
    public void Load(uint directory)
    {
        uint top = directory & format.TopMask;
        uint flags = processor.ReadControlRegister(0);
        if ((flags & Cr0.Pg) == 0)
        {
            if (format == PageTableFormat.TwoLevel && IsPointerTable(directory))
            {
                throw new GuestFaultException("the kernel has page tables of three levels (PAE), and nothing in its image says so: give the dialect that has them, for instance --abi=4.10-pae");
            }

            processor.WriteControlRegister(Cr3, top);
            processor.WriteControlRegister(0, flags | Cr0.Pg);
        }
        else if (HasSameKernel(top))
        {
            processor.ChangeLowerAddressSpace(top, PageOffset);
        }
        else
        {
            processor.WriteControlRegister(Cr3, top);
            FlushAll();
        }

        _unchecked = true;
    }

    /// <summary>Ends the guest if the directory that it is about to use isn't in its memory.</summary>
    /// <exception cref="GuestFaultException">It isn't.</exception>
    public void CheckBeforeUse()
    {
        if (_unchecked)
        {
            memory.Check(Directory, format.TopBytes, "the page directory");
            _unchecked = false;
        }
    }

    /// <summary>Forgets all translations of user addresses.</summary>
    public void FlushUser() => processor.FlushTlbBelow(PageOffset);

    /// <summary>Forgets all translations.</summary>
    public void FlushAll() => processor.FlushTlb();

    /// <summary>One page's entry changed. Kernel addresses are the same in every space.</summary>
    public void FlushPage(uint directory, uint linear)
    {
        if (linear >= PageOffset || IsCurrent(directory))
        {
            processor.FlushTlbPage(linear);
        }
    }

    /// <summary>One entry of a topmost table changed, and with it 4 MiB of addresses, or with PAE 1 GiB.</summary>
    public void FlushDirectoryEntry(uint directory, uint index)
    {
        if (IsCurrent(directory))
        {
            processor.ChangeLowerAddressSpace(Directory, PageOffset);
        }

        if (index >= format.TopIndex(PageOffset))
        {
            FlushAll();
        }
    }

    /// <summary>Maps what is mapped at address 0 and upwards a second time, up to the end of the directory.</summary>
    /// <param name="linear">Where: a multiple of what an entry of the topmost table maps.</param>
    /// <exception cref="GuestFaultException">It isn't that, or the table isn't in memory.</exception>
    public void RepeatAt(uint linear)
    {
        const string What = "the first page directory";
        uint mapped = 1u << format.TopShift;
        if ((linear & (mapped - 1)) != 0)
        {
            throw new GuestFaultException($"the kernel's address 0x{linear:x8} is no multiple of {mapped >> 20} MiB");
        }

        uint first = format.TopIndex(linear);
        Span<byte> entry = stackalloc byte[format.EntryBytes];

        // From the end: where the two meet, an entry is copied before it is overwritten.
        for (uint index = format.TopEntries - first; index-- > 0;)
        {
            memory.Read(Directory + (index * (uint)format.EntryBytes), entry, What);
            if (entry.ContainsAnyExcept((byte)0))
            {
                memory.Write(Directory + ((first + index) * (uint)format.EntryBytes), entry, What);
            }
        }

        processor.WriteControlRegister(Cr3, Directory);
        FlushAll();
    }

    /// <summary>
    /// Whether a kernel's first table is that of four pointers to directories which PAE has, and no directory. The kernel has memory twice in it: where it is, and
    /// at its own address. So in either form the entries of both places are the same.
    /// </summary>
    private bool IsPointerTable(uint address)
    {
        const string What = "the first page table";
        uint table = address & PageTableFormat.Pae.TopMask;
        if (PageOffset == 0 || !memory.Contains(table, PhysicalMemory.PageSize))
        {
            return false;
        }

        uint first = memory.ReadUInt32(table, What);
        uint pointer = table + (PageTableFormat.Pae.TopIndex(PageOffset) * (uint)PageTableFormat.Pae.EntryBytes);
        return first != 0
            && first != memory.ReadUInt32(table + (PageTableFormat.TwoLevel.TopIndex(PageOffset) * sizeof(uint)), What)
            && first == memory.ReadUInt32(pointer, What)
            && memory.ReadUInt32(table + sizeof(uint), What) == 0
            && memory.ReadUInt32(pointer + sizeof(uint), What) == 0;
    }

    /// <summary>Whether a directory has the kernel's part of the current one, bit for bit.</summary>
    private bool HasSameKernel(uint directory)
    {
        uint before = format.TopIndex(PageOffset) * (uint)format.EntryBytes;
        uint length = format.TopBytes - before;
        uint current = Directory + before;
        uint other = directory + before;
        if (!memory.Contains(current, length) || !memory.Contains(other, length))
        {
            return false;
        }

        const string What = "a page directory";
        Span<byte> mine = stackalloc byte[(int)PhysicalMemory.PageSize];
        Span<byte> its = stackalloc byte[(int)PhysicalMemory.PageSize];
        mine = mine[..(int)length];
        its = its[..(int)length];
        memory.Read(current, mine, What);
        memory.Read(other, its, What);
        return mine.SequenceEqual(its);
    }

    private bool IsCurrent(uint directory) => (directory & format.TopMask) == Directory;
}

/// <summary>What a saved state has of an address space.</summary>
/// <param name="PageOffset">Linear address at which the kernel sees physical 0.</param>
/// <param name="IsUnchecked">Whether the directory hasn't been looked at since the guest named it.</param>
public sealed record AddressSpaceState(uint PageOffset, bool IsUnchecked);
