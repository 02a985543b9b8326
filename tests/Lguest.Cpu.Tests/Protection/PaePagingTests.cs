using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Page walks with PAE against a straightforward model, and when its first level is read (SDM 3A, 4.4).</summary>
public sealed class PaePagingTests : IDisposable
{
    private const uint PointerTable = 0x2_0020;
    private const uint LowDirectory = 0x2_1000;
    private const uint Directory = 0x2_2000;
    private const uint Table = 0x2_3000;
    private const uint OtherPointerTable = 0x2_4fe0;

    /// <summary>The page that is tried, in the third GiB, and the frame it usually has.</summary>
    private const uint Page = 0x8080_3000;
    private const uint Frame = 0x3_0000;
    private const uint OtherFrame = 0x3_1000;
    private const uint LargeOffset = Page & 0x1f_ffff;
    private const ulong HighMemory = 0x1_4000_0000;

    private const ulong Present = 1;
    private const ulong Writable = 2;
    private const ulong User = 4;
    private const ulong Accessed = 0x20;
    private const ulong Dirty = 0x40;
    private const ulong Large = 0x80;
    private const ulong Global = 0x100;
    private const ulong ExecuteDisable = 1ul << 63;
    private const ulong All = Present | Writable | User;
    private const uint EferNumber = 0xc000_0080;

    private static readonly ulong[] Flags =
        [.. from bits in (ulong[])[0, 1, 2, 3, 4, 5, 6, 7] from disable in (ulong[])[0, ExecuteDisable] select bits | disable];

    private readonly ProtectedMachine _machine = new();

    public PaePagingTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Cpu.Cpuid = CpuidModel.RingZero;

        // The low GiB is itself, in large pages.
        Write(PointerTable, LowDirectory | Present);
        for (uint i = 0; i < 512; i++)
        {
            Write(LowDirectory + (8 * i), (i << 21) | All | Large);
        }

        Write(PointerTable + 16, Directory | Present);
        SetEntries(Table | All, Frame | All);
        _machine.Cpu.WriteControlRegister(3, PointerTable);
        _machine.Cpu.WriteControlRegister(4, Cr4.Pae);
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Pg);
        SetExecuteDisable(true);
    }

    private static uint DirectoryEntryAddress => Directory + (((Page >> 21) & 0x1ff) * 8);

    private static uint TableEntryAddress => Table + (((Page >> 12) & 0x1ff) * 8);

    private ref ProcessorState State => ref _machine.State;

    public static TheoryData<int, bool, bool, bool> Walkers()
    {
        var data = new TheoryData<int, bool, bool, bool>();
        foreach (int cpl in (int[])[0, 1, 3])
        {
            foreach (bool writeProtect in (bool[])[false, true])
            {
                foreach (bool executeDisable in (bool[])[false, true])
                {
                    data.Add(cpl, writeProtect, executeDisable, false);
                    data.Add(cpl, writeProtect, executeDisable, true);
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Walkers))]
    public void Every_combination_of_entry_flags_gives_what_the_manual_says(int cpl, bool writeProtect, bool executeDisable, bool large)
    {
        _machine.EnterRing(cpl);
        uint control = _machine.Cpu.ReadControlRegister(0) & ~Cr0.Wp;
        _machine.Cpu.WriteControlRegister(0, control | (writeProtect ? Cr0.Wp : 0));
        SetExecuteDisable(executeDisable);
        int cases = 0;
        foreach (ulong directoryFlags in Flags)
        {
            foreach (ulong tableFlags in large ? [0] : Flags)
            {
                foreach (Access access in Enum.GetValues<Access>())
                {
                    Check(
                        new Rules(cpl == 3, writeProtect, executeDisable),
                        large ? directoryFlags | Large : Table | directoryFlags,
                        large ? 0 : Frame | tableFlags,
                        access);
                    cases++;
                }
            }
        }

        Assert.Equal(large ? 48 : 768, cases);
    }

    public static TheoryData<int, bool> ReservedBits()
    {
        var data = new TheoryData<int, bool>();
        foreach (int bit in Enumerable.Range(36, 27))
        {
            data.Add(bit, false);
            data.Add(bit, true);
        }

        foreach (int bit in Enumerable.Range(13, 8))
        {
            data.Add(bit, true);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(ReservedBits))]
    public void A_reserved_bit_faults_in_an_entry_that_is_present(int bit, bool large)
    {
        ulong reserved = 1ul << bit;
        (ulong, ulong)[] entries = large
            ? [(reserved | Large | All, 0)]
            : [(Table | All | reserved, Frame | All), (Table | All, Frame | All | reserved)];
        foreach ((ulong directoryEntry, ulong tableEntry) in entries)
        {
            SetEntries(directoryEntry, tableEntry);
            foreach ((Access access, uint error) in
                ((Access, uint)[])[(Access.Read, 9), (Access.Write, 11), (Access.Execute, 25)])
            {
                _machine.Cpu.FlushTlb();
                Assert.Equal(Outcome.PageFault, Try(access));
                Assert.Equal((error, Page), (_machine.Exceptions[^1].ErrorCode, _machine.Exceptions[^1].Address));
            }

            SetEntries(directoryEntry & ~Present, tableEntry & ~Present);
            Assert.Equal(Outcome.PageFault, Try(Access.Read));
            Assert.Equal(0u, _machine.Exceptions[^1].ErrorCode);
        }
    }

    [Fact]
    public void A_page_may_be_beyond_4_GiB_and_its_tables_too()
    {
        const ulong HighDirectory = HighMemory + 0x1000;
        const ulong HighTable = HighMemory + 0x2000;
        const ulong HighFrame = HighMemory + 0x3000;
        _machine.Memory.AddRam(HighMemory, 0x4000);
        _machine.Memory.Write(HighDirectory + (DirectoryEntryAddress & 0xfff), BitConverter.GetBytes(HighTable | All));
        _machine.Memory.Write(HighTable + (TableEntryAddress & 0xfff), BitConverter.GetBytes(HighFrame | All));
        Write(PointerTable + 16, HighDirectory | Present);
        _machine.Cpu.WriteControlRegister(3, PointerTable);
        Assert.Equal(Outcome.Done, PageProbe.Try(_machine, Page + 4, Access.Write));
        Assert.Equal(State.Eax, BitConverter.ToUInt32(_machine.Memory.Span(HighFrame + 4, 4)));
        Assert.Equal(HighFrame | All | Accessed | Dirty, BitConverter.ToUInt64(_machine.Memory.Span(HighTable + (TableEntryAddress & 0xfff), 8)));
        Assert.True(_machine.Cpu.TryTranslate(Page + 4, out ulong physical));
        Assert.Equal(HighFrame + 4, physical);

        // The same low bits, and another page all the same.
        _machine.Machine.WriteUInt32(0x3004, 77);
        Assert.Equal(State.Eax, PageProbe.Read(_machine, Page + 4));
    }

    [Fact]
    public void Code_beyond_4_GiB_is_executed_and_changes_are_seen()
    {
        const byte incrementEax = 0x40;
        const byte incrementEcx = 0x41;
        _machine.Memory.AddRam(HighMemory, 0x1000);
        State.Ecx = 0;
        SetEntries(Table | All, HighMemory | All);
        _machine.Memory.Write(HighMemory, [incrementEax]);
        State.Eip = Page;
        _machine.Cpu.Run(1);
        State.Edi = Page;
        _machine.Step(a => a.mov(__byte_ptr[edi], incrementEcx), eax: 1);
        State.Eip = Page;
        _machine.Cpu.Run(1);
        Assert.Equal((1u, 1u), (State.Eax, State.Ecx));
        Assert.Empty(_machine.Exceptions);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(8)]
    [InlineData(36)]
    [InlineData(63)]
    public void A_reserved_bit_of_a_page_directory_pointer_is_refused_when_it_is_loaded(int bit)
    {
        ulong bad = (1ul << bit) | Present;
        Write(OtherPointerTable, LowDirectory | Present);
        Write(OtherPointerTable + 24, Directory | bad);
        uint control = _machine.Cpu.ReadControlRegister(0);
        _machine.Step(a => a.mov(cr3, eax), eax: OtherPointerTable);
        Assert.Equal((ExceptionVector.GeneralProtection, 0u), (_machine.Exceptions[^1].Vector, _machine.Exceptions[^1].ErrorCode));
        Assert.Equal(PointerTable, _machine.Cpu.ReadControlRegister(3));
        Assert.Equal(Outcome.Done, Try(Access.Read));

        // The tables that are in use aren't read until something asks for it.
        Write(PointerTable + 24, bad);
        Assert.Equal(Outcome.Done, Try(Access.Read));
        _machine.Step(a => a.mov(cr4, eax), eax: Cr4.Pae | Cr4.Pge);
        Assert.Equal(ExceptionVector.GeneralProtection, Assert.Single(_machine.Exceptions).Vector);
        Assert.Equal(Cr4.Pae, _machine.Cpu.ReadControlRegister(4));
        _machine.Exceptions.Clear();
        _machine.Step(a => a.mov(cr0, eax), eax: control | Cr0.Cd);
        Assert.Equal(ExceptionVector.GeneralProtection, Assert.Single(_machine.Exceptions).Vector);
        Assert.Equal(control, _machine.Cpu.ReadControlRegister(0));

        Write(PointerTable + 24, bad & ~Present);
        _machine.Exceptions.Clear();
        _machine.Step(a => a.mov(cr3, eax), eax: PointerTable);
        Assert.Empty(_machine.Exceptions);
    }

    /// <summary>What makes the processor read the first level again, and what doesn't.</summary>
    [Theory]
    [InlineData("mov cr3", true)]
    [InlineData("cr4.pge", true)]
    [InlineData("cr0.cd", true)]
    [InlineData("cr4.tsd", false)]
    [InlineData("cr0.wp", false)]
    [InlineData("invlpg", false)]
    public void Pointers_are_loaded_when_the_manual_says_so(string how, bool loads)
    {
        Write(PointerTable + 16, 0);
        uint control = _machine.Cpu.ReadControlRegister(0);
        switch (how)
        {
            case "mov cr3":
                _machine.Step(a => a.mov(cr3, eax), eax: PointerTable);
                break;
            case "cr4.pge":
                _machine.Step(a => a.mov(cr4, eax), eax: Cr4.Pae | Cr4.Pge);
                break;
            case "cr0.cd":
                _machine.Step(a => a.mov(cr0, eax), eax: control | Cr0.Cd);
                break;
            case "cr4.tsd":
                _machine.Step(a => a.mov(cr4, eax), eax: Cr4.Pae | Cr4.Tsd);
                break;
            case "cr0.wp":
                _machine.Step(a => a.mov(cr0, eax), eax: control ^ Cr0.Wp);
                break;
            default:
                _machine.Step(a => a.invlpg(__byte_ptr[eax]), eax: Page);
                break;
        }

        Assert.Empty(_machine.Exceptions);
        Assert.Equal(loads ? Outcome.PageFault : Outcome.Done, Try(Access.Read));
        Assert.Equal(!loads, _machine.Cpu.TryTranslate(Page, out _));
    }

    [Fact]
    public void A_saved_processor_has_the_pointers_it_had()
    {
        Write(PointerTable + 16, 0);
        byte[] saved = _machine.Cpu.Save();
        _machine.Cpu.WriteControlRegister(3, PointerTable);
        Assert.Equal(Outcome.PageFault, Try(Access.Read));
        _machine.Cpu.Load(saved);
        Assert.Equal(Outcome.Done, Try(Access.Read));
    }

    [Fact]
    public void A_task_with_bad_pointers_begins_with_a_general_protection_fault()
    {
        Write(OtherPointerTable, LowDirectory | Present | 2);
        const uint Other = ProtectedMachine.OtherTss;
        _machine.Machine.WriteUInt32(Other + 0x1c, OtherPointerTable);
        _machine.Machine.WriteUInt32(Other + 0x20, 0x1_2345);
        _machine.Machine.WriteUInt32(Other + 0x24, 2);
        _machine.Step(a => a.db(0xea, 0, 0, 0, 0, (byte)ProtectedMachine.OtherTssSelector, 0));
        ExceptionInfo exception = Assert.Single(_machine.Exceptions);
        Assert.Equal((ExceptionVector.GeneralProtection, 0u), (exception.Vector, exception.ErrorCode));
        Assert.Equal((ProtectedMachine.OtherTssSelector, 0x1_2345u), (State.Tr.Selector, State.Eip));
        Assert.Equal(PointerTable, _machine.Cpu.ReadControlRegister(3));
    }

    [Fact]
    public void Large_pages_need_no_pse_and_invlpg_forgets_all_of_one()
    {
        SetEntries(All | Large, 0);
        uint start = Page & ~0x1f_ffffu;
        _machine.Machine.WriteUInt32(0x3_0000, 1);
        Assert.Equal(1u, PageProbe.Read(_machine, start + 0x3_0000));
        SetEntries(Table | All, 0);
        Write(Table + (0x30 * 8), OtherFrame | All);
        _machine.Machine.WriteUInt32(OtherFrame, 2);
        Assert.Equal(1u, PageProbe.Read(_machine, start + 0x3_0000));
        _machine.Step(a => a.invlpg(__byte_ptr[eax]), eax: start + 0x7_0000);
        Assert.Equal(2u, PageProbe.Read(_machine, start + 0x3_0000));
    }

    [Theory]
    [InlineData(0u, false)]
    [InlineData(Cr4.Pge, true)]
    public void A_global_page_outlives_a_load_of_cr3_with_pge(uint pge, bool stays)
    {
        _machine.Cpu.WriteControlRegister(4, Cr4.Pae | pge);
        SetEntries(Table | All, Frame | All | Global);
        _machine.Machine.WriteUInt32(Frame, 1);
        _machine.Machine.WriteUInt32(OtherFrame, 2);
        Assert.Equal(1u, PageProbe.Read(_machine, Page));
        SetEntries(Table | All, OtherFrame | All | Global);
        _machine.Step(a => a.mov(cr3, eax), eax: PointerTable);
        Assert.Equal(stays ? 1u : 2u, PageProbe.Read(_machine, Page));
    }

    /// <summary>What has been executed may be forbidden: NXE says so for pages that are remembered too.</summary>
    [Fact]
    public void Nxe_counts_at_once()
    {
        SetExecuteDisable(false);
        SetEntries(Table | All, Frame | All);
        Assert.Equal(Outcome.Done, Try(Access.Execute));
        SetEntries(Table | All, Frame | All | ExecuteDisable);
        SetExecuteDisable(true);
        Assert.Equal(Outcome.PageFault, Try(Access.Execute));
        Assert.Equal(0x11u, _machine.Exceptions[^1].ErrorCode);
        Assert.Equal(Outcome.Done, Try(Access.Read));
        SetExecuteDisable(false);
        Assert.Equal(Outcome.PageFault, Try(Access.Read));
        Assert.Equal(9u, _machine.Exceptions[^1].ErrorCode);
    }

    [Fact]
    public void A_jump_that_has_been_taken_often_still_faults_on_a_page_that_lost_its_code()
    {
        // jmp eax
        _machine.Memory.Write(Frame, [0xff, 0xe0]);
        State.Eax = Page;
        State.Eip = Page;
        _machine.Cpu.Run(100);
        Assert.Empty(_machine.Exceptions);
        SetEntries(Table | All, Frame | All | ExecuteDisable);
        _machine.Cpu.FlushTlbPage(Page);
        _machine.Cpu.Run(100);
        Assert.Equal((0x11u, Page), (Assert.Single(_machine.Exceptions).ErrorCode, _machine.Exceptions[0].Address));
    }

    [Fact]
    public void Only_nxe_can_be_set_in_efer()
    {
        foreach ((uint low, uint high) in ((uint, uint)[])[(1, 0), (1 << 8, 0), (Efer.Nxe, 1), (Efer.Nxe | (1 << 10), 0)])
        {
            _machine.Exceptions.Clear();
            (State.Ecx, State.Edx) = (EferNumber, high);
            _machine.Step(a => a.wrmsr(), eax: low);
            Assert.Equal(ExceptionVector.GeneralProtection, Assert.Single(_machine.Exceptions).Vector);
        }

        (State.Ecx, State.Edx) = (EferNumber, 1);
        _machine.Step(a => a.rdmsr(), eax: 1);
        Assert.Equal((Efer.Nxe, 0u), (State.Eax, State.Edx));
    }

    [Theory]
    [InlineData(0x9000_0000ul | Present, Table | All, Frame | All, PagingStructure.PageDirectoryPointerTable)]
    [InlineData(Directory | Present, 0x9000_0000 | All, Frame | All, PagingStructure.PageDirectory)]
    [InlineData(Directory | Present, Large | All, 0ul, PagingStructure.PageDirectory)]
    [InlineData(Directory | Present, Table | All, 0x9_0000_0000 | All, PagingStructure.PageTable)]
    public void Entries_that_the_policy_rejects_end_the_run(ulong pointerEntry, ulong directoryEntry, ulong tableEntry, PagingStructure structure)
    {
        // What the test itself runs on has pages of 4 KiB then.
        for (uint i = 0; i < 512; i++)
        {
            Write(0x2_8000 + (8 * i), (i << 12) | All);
        }

        Write(LowDirectory, 0x2_8000 | All);
        Write(PointerTable + 16, pointerEntry);
        SetEntries(directoryEntry, tableEntry);
        _machine.Cpu.WriteControlRegister(3, PointerTable);
        _machine.Cpu.PageTablePolicy = PageTablePolicy.RejectLargePages | PageTablePolicy.RejectFramesOutsideMemory;
        State.Edi = Page;
        Assert.Equal(StopReason.PageTableViolation, _machine.Step(a => a.mov(eax, __dword_ptr[edi])));
        (ulong entry, ulong address) = structure switch
        {
            PagingStructure.PageDirectoryPointerTable => (pointerEntry, PointerTable + 16u),
            PagingStructure.PageDirectory => (directoryEntry, DirectoryEntryAddress),
            _ => (tableEntry, TableEntryAddress),
        };
        Assert.Equal(new PageTableViolation(Page, entry, address, structure), _machine.Cpu.PageTableViolation);
        Assert.Equal(Machine.CodeBase, State.Eip);
    }

    public void Dispose() => _machine.Dispose();

    private Outcome Try(Access access) => PageProbe.Try(_machine, Page, access, Frame, LargeOffset);

    /// <summary>The model: all levels must allow it; a reserved bit is found first, level by level.</summary>
    private void Check(Rules rules, ulong directoryEntry, ulong tableEntry, Access access)
    {
        SetEntries(directoryEntry, tableEntry);
        _machine.Cpu.FlushTlb();
        bool large = (directoryEntry & Large) != 0;
        uint error = (access == Access.Write ? 2u : 0) | (rules.IsUser ? 4u : 0)
            | (access == Access.Execute && rules.DisablesExecution ? 16u : 0);
        uint? fault = null;
        ulong rights = All;
        bool executable = true;
        foreach (ulong entry in (ulong[])(large ? [directoryEntry] : [directoryEntry, tableEntry]))
        {
            fault ??= (entry & Present) == 0 ? error
                : (entry & ExecuteDisable) != 0 && !rules.DisablesExecution ? error | 9
                : null;
            rights &= entry;
            executable &= (entry & ExecuteDisable) == 0;
        }

        bool allowed = (!rules.IsUser || (rights & User) != 0)
            && (access != Access.Write || (rights & Writable) != 0 || (!rules.IsUser && !rules.WriteProtect))
            && (access != Access.Execute || executable);
        fault ??= allowed ? null : error | 1;

        // Twice: the second time from the TLB.
        string what = $"{rules}, PDE 0x{directoryEntry:x}, PTE 0x{tableEntry:x}, {access}";
        for (int time = 0; time < 2; time++)
        {
            Outcome outcome = Try(access);
            Assert.True(outcome == (fault is null ? Outcome.Done : Outcome.PageFault), $"{what}: {outcome}");
            if (fault is { } code)
            {
                ExceptionInfo last = _machine.Exceptions[^1];
                Assert.True(last.ErrorCode == code && last.Address == Page, $"{what}: {last}");
            }

            ulong marks = fault is null ? Accessed | (access == Access.Write ? Dirty : 0) : 0;
            Assert.True(Read(DirectoryEntryAddress) == (directoryEntry | (large ? marks : marks & Accessed)), $"{what}: PDE");
            Assert.True(large || Read(TableEntryAddress) == (tableEntry | marks), $"{what}: PTE");
        }
    }

    private void SetExecuteDisable(bool on)
    {
        int cpl = State.Cpl;
        _machine.EnterRing(0);
        (State.Ecx, State.Edx) = (EferNumber, 0);
        _machine.Step(a => a.wrmsr(), eax: on ? Efer.Nxe : 0);
        _machine.EnterRing(cpl);
        Assert.Empty(_machine.Exceptions);
    }

    private void SetEntries(ulong directoryEntry, ulong tableEntry)
    {
        Write(DirectoryEntryAddress, directoryEntry);
        Write(TableEntryAddress, tableEntry);
    }

    private void Write(uint address, ulong value) => _machine.Memory.Write(address, BitConverter.GetBytes(value));

    private ulong Read(uint address) => BitConverter.ToUInt64(_machine.Memory.Span(address, sizeof(ulong)));

    private sealed record Rules(bool IsUser, bool WriteProtect, bool DisablesExecution);
}
