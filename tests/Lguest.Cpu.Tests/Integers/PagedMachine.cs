using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>
/// A machine with paging on. All of its memory is mapped where it is, present, writable and for users, until a
/// test says otherwise.
/// </summary>
internal sealed class PagedMachine : IDisposable
{
    public const uint PageSize = 4096;

    private const uint Directory = 0x3F_0000;
    private const uint Table = 0x3F_1000;
    private const uint Present = 1;
    private const uint Writable = 2;
    private const uint User = 4;

    private readonly Machine _machine = new();

    public PagedMachine()
    {
        WriteEntry(Directory, Table | Present | Writable | User);
        for (uint page = 0; page < Machine.MemorySize; page += PageSize)
        {
            Map(page, page);
        }

        Cpu.WriteControlRegister(3, Directory);
        Cpu.WriteControlRegister(0, Cr0.Pe | Cr0.Pg | Cr0.Wp);
    }

    public Processor Cpu => _machine.Cpu;

    public Machine Machine => _machine;

    /// <summary>Where a page's table entry lies.</summary>
    public static uint EntryAddress(uint linear) => Table + linear / PageSize * sizeof(uint);

    /// <summary>Maps a page, with all rights.</summary>
    public void Map(uint linear, uint physical) => SetEntry(linear, physical | Present | Writable | User);

    /// <summary>Makes a page not present.</summary>
    public void Unmap(uint linear) => SetEntry(linear, 0);

    /// <summary>Maps a page to itself, for reading only.</summary>
    public void MapReadOnly(uint linear) => SetEntry(linear, (linear & ~(PageSize - 1)) | Present | User);

    /// <summary>Maps a page to itself, for the supervisor only.</summary>
    public void MapForSupervisor(uint linear) => SetEntry(linear, (linear & ~(PageSize - 1)) | Present | Writable);

    /// <summary>Unmaps all pages but one.</summary>
    public void ForbidEverythingBut(uint linear)
    {
        for (uint page = 0; page < Machine.MemorySize; page += PageSize)
        {
            if (page / PageSize != linear / PageSize)
            {
                Unmap(page);
            }
        }
    }

    /// <summary>Goes to CPL 3.</summary>
    public void EnterUserMode()
    {
        Cpu.SetSegment(SegmentName.Cs, Cpu.State.Cs with { Selector = 0x1B });
        Cpu.SetSegment(SegmentName.Ss, Cpu.State.Ss with { Selector = 0x23 });
    }

    public StopReason Execute(ReadOnlySpan<byte> code, ulong instructions = 1) => _machine.Execute(code, instructions);

    public ExceptionInfo SingleException() => _machine.SingleException();

    public void Dispose() => _machine.Dispose();

    private void SetEntry(uint linear, uint entry)
    {
        WriteEntry(EntryAddress(linear), entry);
        Cpu.FlushTlbPage(linear);
    }

    private void WriteEntry(uint address, uint entry) => _machine.WriteUInt32(address, entry);
}
