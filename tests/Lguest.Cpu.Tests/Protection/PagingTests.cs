using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Page walks against a straightforward model, and what a TLB may remember (SDM 3A, 4.3 to 4.10).</summary>
public sealed class PagingTests : IDisposable
{
    private const uint Directory = 0x2_0000;
    private const uint LowTable = 0x2_1000;
    private const uint Table = 0x2_2000;

    /// <summary>The page that is tried, and the frame it usually has.</summary>
    private const uint Page = 0x0080_3000;
    private const uint Frame = 0x3_0000;
    private const uint OtherFrame = 0x3_1000;

    private const uint Present = 1;
    private const uint Writable = 2;
    private const uint User = 4;
    private const uint Accessed = 0x20;
    private const uint Dirty = 0x40;
    private const uint Large = 0x80;
    private const uint Global = 0x100;
    private const uint All = Present | Writable | User;

    private readonly ProtectedMachine _machine = new();

    public PagingTests()
    {
        _machine.Machine.StopAtExceptions = true;
        for (uint page = 0; page < 1024; page++)
        {
            _machine.Machine.WriteUInt32(LowTable + (4 * page), (page << 12) | All);
        }

        _machine.Machine.WriteUInt32(Directory, LowTable | All);
        SetEntries(Table | All, Frame | All);
        _machine.Cpu.WriteControlRegister(3, Directory);
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Pg);
    }

    private static uint DirectoryEntryAddress => Directory + ((Page >> 22) << 2);

    private static uint TableEntryAddress => Table + (((Page >> 12) & 0x3ff) << 2);

    private ref ProcessorState State => ref _machine.State;

    public static TheoryData<int, bool, bool> Walkers()
    {
        var data = new TheoryData<int, bool, bool>();
        foreach (int cpl in (int[])[0, 1, 3])
        {
            foreach (bool writeProtect in (bool[])[false, true])
            {
                data.Add(cpl, writeProtect, false);
                data.Add(cpl, writeProtect, true);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Walkers))]
    public void Every_combination_of_entry_flags_gives_what_the_manual_says(int cpl, bool writeProtect, bool large)
    {
        _machine.EnterRing(cpl);
        uint cr0 = _machine.Cpu.ReadControlRegister(0) & ~Cr0.Wp;
        _machine.Cpu.WriteControlRegister(0, cr0 | (writeProtect ? Cr0.Wp : 0));
        _machine.Cpu.WriteControlRegister(4, Cr4.Pse);
        int cases = 0;
        for (uint directoryFlags = 0; directoryFlags < 8; directoryFlags++)
        {
            for (uint tableFlags = 0; tableFlags < (large ? 1 : 8); tableFlags++)
            {
                foreach (Access access in Enum.GetValues<Access>())
                {
                    uint directoryEntry = large ? directoryFlags | Large : Table | directoryFlags;
                    uint tableEntry = large ? 0 : Frame | tableFlags;
                    Check(cpl, writeProtect, directoryEntry, tableEntry, access, large);
                    cases++;
                }
            }
        }

        Assert.Equal(large ? 24 : 192, cases);
    }

    [Fact]
    public void A_write_sets_the_dirty_bit_even_after_a_read_has_cached_the_page()
    {
        Assert.Equal(Outcome.Done, Try(Access.Read));
        Assert.Equal(Frame | All | Accessed, TableEntry);
        Assert.Equal(Outcome.Done, Try(Access.Write));
        Assert.Equal(Frame | All | Accessed | Dirty, TableEntry);
    }

    [Fact]
    public void A_large_page_is_dirty_from_the_first_write_on()
    {
        _machine.Cpu.WriteControlRegister(4, Cr4.Pse);
        SetEntries(Large | All, 0);
        Assert.Equal(Outcome.Done, Try(Access.Read));
        Assert.Equal(Large | All | Accessed, _machine.Machine.ReadUInt32(DirectoryEntryAddress));
        Assert.Equal(Outcome.Done, Try(Access.Write));
        Assert.Equal(Large | All | Accessed | Dirty, _machine.Machine.ReadUInt32(DirectoryEntryAddress));
    }

    [Fact]
    public void A_dirty_bit_that_was_cleared_is_set_again_after_a_flush()
    {
        Try(Access.Write);
        SetEntries(Table | All, Frame | All);
        _machine.Cpu.FlushTlbPage(Page);
        Try(Access.Write);
        Assert.Equal(Frame | All | Accessed | Dirty, TableEntry);
    }

    [Theory]
    [InlineData(Present, Present, true)]
    [InlineData(Present, 0, false)]
    [InlineData(0, Present, false)]
    public void A_debugger_can_translate_and_leaves_no_trace(uint directoryFlags, uint tableFlags, bool isMapped)
    {
        SetEntries(Table | directoryFlags, Frame | tableFlags);
        Assert.Equal(isMapped, _machine.Cpu.TryTranslate(Page + 0x123, out ulong physical));
        Assert.Equal(isMapped ? Frame + 0x123 : physical, physical);
        Assert.Equal(Frame | tableFlags, TableEntry);

        // The entry's own bit says how large a page is, not the processor's leave to have large ones.
        _machine.Cpu.WriteControlRegister(4, Cr4.Pse);
        Assert.Equal(isMapped, _machine.Cpu.TryTranslate(Page + 0x123, out ulong again));
        Assert.Equal(physical, again);
    }

    [Fact]
    public void A_debugger_sees_through_large_pages_and_where_there_are_none()
    {
        const uint within = 0x12_3456;
        const uint largeFrame = 0x1240_0000;
        _machine.Cpu.WriteControlRegister(4, Cr4.Pse);
        SetEntries(largeFrame | Large | Present, 0);
        uint address = (Page & ~0x3f_ffffu) + within;
        Assert.True(_machine.Cpu.TryTranslate(address, out ulong physical));
        Assert.Equal(largeFrame + within, physical);

        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) & ~Cr0.Pg);
        Assert.True(_machine.Cpu.TryTranslate(address, out physical));
        Assert.Equal(address, physical);
    }

    [Fact]
    public void Walks_are_counted_and_what_is_remembered_needs_none()
    {
        Read(Page);
        ulong before = _machine.Cpu.Statistics.PageWalks;
        Read(Page);
        Assert.Equal(before, _machine.Cpu.Statistics.PageWalks);
        _machine.Cpu.FlushTlbPage(Page);
        Read(Page);
        Assert.Equal(before + 1, _machine.Cpu.Statistics.PageWalks);
    }

    [Fact]
    public void A_page_that_is_not_present_is_never_remembered()
    {
        SetEntries(Table | All, 0);
        Assert.Equal(Outcome.PageFault, Try(Access.Read));
        SetEntries(Table | All, Frame | All);
        Assert.Equal(Outcome.Done, Try(Access.Read));
    }

    [Fact]
    public void Rights_that_grow_count_at_once()
    {
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Wp);
        SetEntries(Table | All, Frame | Present);
        Assert.Equal(Outcome.Done, Try(Access.Read));
        Assert.Equal(Outcome.PageFault, Try(Access.Write));
        SetEntries(Table | All, Frame | All);
        Assert.Equal(Outcome.Done, Try(Access.Write));
    }

    /// <summary>What makes the processor forget a translation, and whether a global one is forgotten too.</summary>
    public static TheoryData<string, bool> Flushes => new()
    {
        { "invlpg", true },
        { "mov cr3", false },
        { "mov cr4 pge", true },
        { "mov cr0 wp", true },
        { "below the next page", true },
    };

    [Theory]
    [MemberData(nameof(Flushes))]
    public void A_change_of_a_mapping_counts_after_an_invalidation(string how, bool globalToo)
    {
        foreach ((bool isGlobal, int ring) in ((bool, int)[])[(false, 0), (true, 0), (false, 3), (true, 3)])
        {
            _machine.Cpu.WriteControlRegister(4, Cr4.Pge | Cr4.Pse);
            _machine.EnterRing(ring);
            uint flags = All | (isGlobal ? Global : 0);
            _machine.Machine.WriteUInt32(Frame, 1);
            _machine.Machine.WriteUInt32(OtherFrame, 2);
            SetEntries(Table | All, Frame | flags);
            Assert.Equal(1u, Read(Page));
            SetEntries(Table | All, OtherFrame | flags);
            _machine.EnterRing(0);
            Invalidate(how);
            _machine.EnterRing(ring);
            Assert.Equal(globalToo || !isGlobal ? 2u : 1u, Read(Page));
            _machine.Cpu.FlushTlb();
        }
    }

    [Fact]
    public void What_lies_at_the_limit_of_a_flush_or_above_is_kept()
    {
        _machine.Machine.WriteUInt32(Frame, 1);
        _machine.Machine.WriteUInt32(OtherFrame, 2);
        SetEntries(Table | All, Frame | All);
        Assert.Equal(1u, Read(Page));
        SetEntries(Table | All, OtherFrame | All);
        _machine.Cpu.FlushTlbBelow(Page);
        Assert.Equal(1u, Read(Page));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void Code_below_the_limit_of_a_flush_is_found_anew(int ring)
    {
        const byte incrementEax = 0x40;
        const byte incrementEcx = 0x41;
        _machine.Memory.Write(Frame, [incrementEax]);
        _machine.Memory.Write(OtherFrame, [incrementEcx]);
        SetEntries(Table | All, Frame | All);
        _machine.EnterRing(ring);
        for (int i = 0; i < 2; i++)
        {
            State.Eip = Page;
            _machine.Cpu.Run(1);
        }

        SetEntries(Table | All, OtherFrame | All);
        _machine.Cpu.FlushTlbBelow(Page + 1);
        State.Eip = Page;
        _machine.Cpu.Run(1);
        Assert.Equal((2u, 1u), (State.Eax, State.Ecx));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(3, true)]
    [InlineData(3, false)]
    public void Code_is_found_anew_in_another_space_unless_it_is_global(int ring, bool isGlobal)
    {
        const byte incrementEax = 0x40;
        const byte incrementEcx = 0x41;
        uint flags = All | (isGlobal ? Global : 0);
        _machine.Cpu.WriteControlRegister(4, Cr4.Pge);
        _machine.Memory.Write(Frame, [incrementEax]);
        _machine.Memory.Write(OtherFrame, [incrementEcx]);
        SetEntries(Table | All, Frame | flags);
        _machine.EnterRing(ring);
        for (int i = 0; i < 2; i++)
        {
            State.Eip = Page;
            _machine.Cpu.Run(1);
        }

        SetEntries(Table | All, OtherFrame | flags);
        _machine.Cpu.WriteControlRegister(3, _machine.Cpu.ReadControlRegister(3));
        State.Eip = Page;
        _machine.Cpu.Run(1);
        Assert.Equal(isGlobal ? (3u, 0u) : (2u, 1u), (State.Eax, State.Ecx));
    }

    [Fact]
    public void A_large_page_can_be_global()
    {
        foreach ((uint flag, uint cr4) in ((uint, uint)[])[(0, Cr4.Pge), (Global, Cr4.Pge), (Global, 0)])
        {
            _machine.Cpu.WriteControlRegister(4, cr4 | Cr4.Pse);
            _machine.Machine.WriteUInt32(0x3000, 1);
            _machine.Machine.WriteUInt32(OtherFrame, 2);
            SetEntries(Large | All | flag, OtherFrame | All);
            Assert.Equal(1u, Read(Page));
            SetEntries(Table | All, OtherFrame | All);
            Invalidate("mov cr3");
            Assert.Equal(flag == 0 || cr4 == 0 ? 2u : 1u, Read(Page));
            _machine.Cpu.FlushTlb();
        }
    }

    [Fact]
    public void A_directory_where_there_is_no_memory_maps_nothing()
    {
        // Whoever took what floats on the bus for an entry would find a table at 0.
        _machine.Machine.WriteUInt32(((Page >> 12) & 0x3ff) << 2, Frame | All);
        _machine.Cpu.WriteControlRegister(3, 0x8000_0000);
        Assert.False(_machine.Cpu.TryTranslate(Page, out _));
        Assert.False(_machine.Cpu.TryReadLinear(Page, new byte[1], out ExceptionInfo fault));
        Assert.Equal((ExceptionVector.PageFault, 0u, Page), (fault.Vector, fault.ErrorCode, fault.Address));
    }

    [Fact]
    public void Without_pge_a_global_page_is_forgotten_like_any_other()
    {
        _machine.Machine.WriteUInt32(Frame, 1);
        _machine.Machine.WriteUInt32(OtherFrame, 2);
        SetEntries(Table | All, Frame | All | Global);
        Assert.Equal(1u, Read(Page));
        SetEntries(Table | All, OtherFrame | All | Global);
        Invalidate("mov cr3");
        Assert.Equal(2u, Read(Page));
    }

    [Fact]
    public void Invlpg_of_any_address_in_a_large_page_forgets_all_of_it()
    {
        _machine.Cpu.WriteControlRegister(4, Cr4.Pse);
        SetEntries(Large | All, 0);
        _machine.Machine.WriteUInt32(0x3000, 0x1111);
        _machine.Machine.WriteUInt32(0x5000, 0x2222);
        uint start = Page & 0xffc0_0000;
        Assert.Equal(0x1111u, Read(start + 0x3000));
        Assert.Equal(0x2222u, Read(start + 0x5000));
        _machine.Machine.WriteUInt32(Table + (4 * 3), Frame | All);
        _machine.Machine.WriteUInt32(Table + (4 * 5), OtherFrame | All);
        SetEntries(Table | All, Frame | All);
        _machine.Step(a => a.invlpg(__byte_ptr[eax]), eax: start + 0x7_0000);

        Assert.Equal(_machine.Machine.ReadUInt32(Frame), Read(start + 0x3000));
        Assert.Equal(_machine.Machine.ReadUInt32(OtherFrame), Read(start + 0x5000));
    }

    [Fact]
    public void Without_pse_bit_7_of_a_directory_entry_means_nothing()
    {
        SetEntries(Table | All | Large, Frame | All);
        _machine.Machine.WriteUInt32(Frame, 77);
        Assert.Equal(77u, Read(Page));
        Assert.True(_machine.Cpu.TryTranslate(Page, out ulong physical));
        Assert.Equal(Frame, physical);
    }

    [Theory]
    [InlineData(0x2000u)]
    [InlineData(0x20_0000u)]
    public void A_reserved_bit_of_a_large_page_faults(uint reserved)
    {
        _machine.Cpu.WriteControlRegister(4, Cr4.Pse);
        SetEntries(reserved | Large | All, 0);
        Assert.Equal(Outcome.PageFault, Try(Access.Write));
        Assert.Equal(
            PageFaultError.Protection | PageFaultError.ReservedBit | PageFaultError.Write, LastException.ErrorCode);
    }

    [Fact]
    public void An_access_across_two_pages_faults_at_the_second_one_and_writes_nothing()
    {
        SetEntries(Table | All, Frame | All);
        _machine.Machine.WriteUInt32(TableEntryAddress + 4, 0);
        _machine.Machine.WriteUInt32(Frame + 0xffc, 0xaaaa_aaaa);
        State.Edi = Page + 0xffe;
        _machine.Step(a => a.mov(__dword_ptr[edi], eax), eax: 0x1234_5678);

        ExceptionInfo exception = Assert.Single(_machine.Exceptions);
        Assert.Equal((Page + 0x1000, PageFaultError.Write), (exception.Address, exception.ErrorCode));
        Assert.Equal(0xaaaa_aaaau, _machine.Machine.ReadUInt32(Frame + 0xffc));
    }

    [Theory]
    [InlineData(1u)]
    [InlineData(2u)]
    [InlineData(4u)]
    public void An_access_up_to_a_missing_page_is_made(uint size)
    {
        SetEntries(Table | All, Frame | All);
        _machine.Machine.WriteUInt32(TableEntryAddress + 4, 0);
        foreach (bool writes in (bool[])[false, true])
        {
            _machine.Machine.WriteUInt32(Frame + 0xffc, 0xaaaa_aaaa);
            State.Edi = Page + 0x1000 - size;
            _machine.Cpu.WriteControlRegister(3, Directory);
            _machine.Step(
                a =>
                {
                    AssemblerMemoryOperand target = size == 1 ? __byte_ptr[edi] : size == 2 ? __word_ptr[edi] : __dword_ptr[edi];
                    if (writes)
                    {
                        a.inc(target);
                    }
                    else
                    {
                        a.cmp(target, 0);
                    }
                });
            Assert.Empty(_machine.Exceptions);
            Assert.Equal(
                0xaaaa_aaaau + (writes ? 1u << (32 - (8 * (int)size)) : 0), _machine.Machine.ReadUInt32(Frame + 0xffc));
        }
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(0xfffu)]
    public void Pages_that_share_a_place_in_what_is_remembered_stay_apart(uint offset)
    {
        // Page 0, whose address is a tag of nothing but zeros, and those 2 MiB and 8 MiB behind it.
        const uint PageOf2MiB = 0x20_0000;
        const uint PageOf8MiB = 0x80_0000;
        _machine.Machine.WriteUInt32(Table, OtherFrame | All);
        SetEntries(Table | All, Frame | All);
        (uint Linear, byte Value)[] pages = [(0, 1), (PageOf2MiB, 2), (PageOf8MiB, 3)];
        for (int round = 0; round < 2; round++)
        {
            foreach ((uint linear, byte value) in pages)
            {
                State.Edi = linear + offset;
                _machine.Step(a => a.mov(__byte_ptr[edi], value));
            }

            foreach ((uint linear, byte value) in pages)
            {
                State.Edi = linear + offset;
                _machine.Step(a => a.mov(al, __byte_ptr[edi]), eax: 0);
                Assert.Equal(value, State.Eax);
            }
        }

        Assert.Empty(_machine.Exceptions);
        Assert.Equal(
            [1, 2, 3],
            new[] { offset, PageOf2MiB + offset, OtherFrame + offset }.Select(at => (int)_machine.Memory.Span(at, 1)[0]));
    }

    [Fact]
    public void An_access_across_two_pages_reaches_both_frames()
    {
        _machine.Machine.WriteUInt32(TableEntryAddress + 4, (OtherFrame + 0x1000) | All);
        State.Edi = Page + 0xffe;
        _machine.Step(a => a.mov(__dword_ptr[edi], eax), eax: 0x1234_5678);

        Assert.Empty(_machine.Exceptions);
        Assert.Equal(0x5678, BitConverter.ToUInt16(_machine.Memory.Span(Frame + 0xffe, 2)));
        Assert.Equal(0x1234, BitConverter.ToUInt16(_machine.Memory.Span(OtherFrame + 0x1000, 2)));
    }

    [Fact]
    public void The_processors_own_accesses_are_made_with_supervisor_rights()
    {
        // The GDT becomes a supervisor's page; a program at CPL 3 can still load segments from it.
        uint gdtPage = ProtectedMachine.Gdt >> 12;
        _machine.Machine.WriteUInt32(LowTable + (4 * gdtPage), (gdtPage << 12) | Present | Writable);
        _machine.EnterRing(3);
        _machine.Step(a => a.mov(es, eax), eax: ProtectedMachine.Data3);
        Assert.Empty(_machine.Exceptions);
    }

    [Fact]
    public void A_descriptor_on_a_missing_page_raises_a_page_fault_of_the_supervisors()
    {
        uint gdtPage = ProtectedMachine.Gdt >> 12;
        _machine.Machine.WriteUInt32(LowTable + (4 * gdtPage), 0);
        _machine.EnterRing(3);
        _machine.Step(a => a.mov(es, eax), eax: ProtectedMachine.Data3);
        ExceptionInfo exception = Assert.Single(_machine.Exceptions);
        Assert.Equal((ExceptionVector.PageFault, 0u), (exception.Vector, exception.ErrorCode));
        Assert.Equal(ProtectedMachine.Gdt + (ProtectedMachine.Data3 & ~7u), exception.Address);
    }

    [Fact]
    public void The_accessed_bit_of_a_descriptor_needs_a_page_that_the_supervisor_may_write()
    {
        uint gdtPage = ProtectedMachine.Gdt >> 12;
        _machine.Machine.WriteUInt32(LowTable + (4 * gdtPage), (gdtPage << 12) | Present);
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Wp);
        SegmentRegister before = State.Es;
        _machine.Step(a => a.mov(es, eax), eax: ProtectedMachine.Data3);
        ExceptionInfo exception = Assert.Single(_machine.Exceptions);
        Assert.Equal(
            (ExceptionVector.PageFault, PageFaultError.Protection | PageFaultError.Write),
            (exception.Vector, exception.ErrorCode));
        Assert.Equal(before, State.Es);
    }

    [Fact]
    public void Memory_that_is_not_there_reads_as_ones_and_takes_writes()
    {
        SetEntries(Table | All, 0x8000_0000 | All);
        Assert.Equal(uint.MaxValue, Read(Page));
        Assert.Equal(Outcome.Done, Try(Access.Write));
        Assert.Equal(uint.MaxValue, Read(Page));
    }

    [Theory]
    [InlineData(Large | All, 0u, PagingStructure.PageDirectory)]
    [InlineData(0x9000_0000 | All, 0u, PagingStructure.PageDirectory)]
    [InlineData(Table | All, 0x9000_0000 | All, PagingStructure.PageTable)]
    public void Entries_that_the_policy_rejects_end_the_run(uint directoryEntry, uint tableEntry, PagingStructure structure)
    {
        _machine.Cpu.PageTablePolicy = PageTablePolicy.RejectLargePages | PageTablePolicy.RejectFramesOutsideMemory;
        SetEntries(directoryEntry, tableEntry);
        State.Edi = Page;
        Assert.Equal(StopReason.PageTableViolation, _machine.Step(a => a.mov(eax, __dword_ptr[edi])));

        PageTableViolation violation = _machine.Cpu.PageTableViolation!.Value;
        Assert.Equal((Page, structure), (violation.Linear, violation.Structure));
        Assert.Equal(Machine.CodeBase, State.Eip);
        Assert.Equal(0ul, _machine.Cpu.Retired);
    }

    [Theory]
    [InlineData(0x9000_0000 | Large | All, 0u, PagingStructure.PageDirectory)]
    [InlineData(Table | All, 0x9000_0000 | All, PagingStructure.PageTable)]
    public void Code_in_frames_that_the_policy_rejects_ends_the_run(uint directoryEntry, uint tableEntry, PagingStructure structure)
    {
        _machine.Cpu.WriteControlRegister(4, Cr4.Pse);
        _machine.Cpu.PageTablePolicy = PageTablePolicy.RejectFramesOutsideMemory;
        SetEntries(directoryEntry, tableEntry);
        State.Eip = Page;
        Assert.Equal(StopReason.PageTableViolation, _machine.Cpu.Run(1));
        PageTableViolation expected = structure == PagingStructure.PageDirectory
            ? new PageTableViolation(Page, directoryEntry, DirectoryEntryAddress, structure)
            : new PageTableViolation(Page, tableEntry, TableEntryAddress, structure);
        Assert.Equal(expected, _machine.Cpu.PageTableViolation);
        Assert.Empty(_machine.Exceptions);
    }

    [Fact]
    public void An_interrupt_table_in_a_frame_that_the_policy_rejects_ends_the_run()
    {
        uint idtPage = ProtectedMachine.Idt >> 12;
        _machine.Machine.WriteUInt32(LowTable + (4 * idtPage), 0x9000_0000 | All);
        _machine.Machine.StopAtExceptions = false;
        _machine.Cpu.PageTablePolicy = PageTablePolicy.RejectFramesOutsideMemory;
        Assert.Equal(StopReason.PageTableViolation, _machine.Run(a => a.ud2()));
        Assert.Equal(Machine.CodeBase, State.Eip);
    }

    [Fact]
    public void Entries_that_are_not_present_may_hold_anything_whatever_the_policy()
    {
        _machine.Cpu.PageTablePolicy = PageTablePolicy.RejectLargePages | PageTablePolicy.RejectFramesOutsideMemory;
        SetEntries(Table | All, 0x9000_0080);
        Assert.Equal(Outcome.PageFault, Try(Access.Read));
        SetEntries(0x9000_0080, 0);
        Assert.Equal(Outcome.PageFault, Try(Access.Read));
    }

    [Fact]
    public void Code_in_a_page_table_is_what_a_walk_has_made_of_it()
    {
        // MOV AL, imm8, whose immediate is the first byte of the entry: the walk sets its accessed bit.
        SetEntries(Table | All, Frame | All);
        _machine.Machine.WriteUInt32(TableEntryAddress - 4, 0xb000_0000);
        Assert.Equal(All, Immediate());
        Assert.Equal(Outcome.Done, Try(Access.Read));
        Assert.Equal(All | Accessed, Immediate());
        Assert.Equal(Outcome.Done, Try(Access.Write));
        Assert.Equal(All | Accessed | Dirty, Immediate());

        uint Immediate()
        {
            State.Eip = TableEntryAddress - 1;
            _machine.Cpu.Run(1);
            return State.Eax & 0xff;
        }
    }

    [Fact]
    public void Turning_paging_on_and_off_changes_what_the_next_instruction_sees()
    {
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) & ~Cr0.Pg);
        SetEntries(Table | All, Frame | All);
        _machine.Machine.WriteUInt32(Frame, 5);
        _machine.Step(
            a =>
            {
                a.mov(ecx, cr0);
                a.or(ecx, unchecked((int)Cr0.Pg));
                a.mov(cr0, ecx);
                a.mov(eax, __dword_ptr[Page]);
                a.and(ecx, (int)~Cr0.Pg);
                a.mov(cr0, ecx);
                a.mov(ebx, __dword_ptr[Page]);
            },
            7);

        Assert.Equal(5u, State.Eax);
        Assert.Equal(uint.MaxValue, State.Ebx);
    }

    public void Dispose() => _machine.Dispose();

    private uint TableEntry => _machine.Machine.ReadUInt32(TableEntryAddress);

    private ExceptionInfo LastException => _machine.Exceptions[^1];

    private void Check(
        int cpl, bool writeProtect, uint directoryEntry, uint tableEntry, Access access, bool large)
    {
        SetEntries(directoryEntry, tableEntry);
        _machine.Cpu.FlushTlb();
        string what = $"CPL {cpl}, WP {writeProtect}, PDE 0x{directoryEntry:x}, PTE 0x{tableEntry:x}, {access}";

        // The model: both levels must allow it, and only the supervisor without WP writes where it may not.
        bool isUser = cpl == 3;
        uint rights = large ? directoryEntry : directoryEntry & tableEntry;
        bool present = (rights & Present) != 0;
        bool allowed = (!isUser || (rights & User) != 0)
            && (access != Access.Write || (rights & Writable) != 0 || (!isUser && !writeProtect));
        uint error = (present ? 1u : 0) | (access == Access.Write ? 2u : 0) | (isUser ? 4u : 0);

        // Twice: the second time from the TLB.
        for (int time = 0; time < 2; time++)
        {
            Outcome outcome = Try(access);
            Assert.True(outcome == (present && allowed ? Outcome.Done : Outcome.PageFault), $"{what}: {outcome}");
            uint bits = outcome == Outcome.Done ? Accessed | (access == Access.Write ? Dirty : 0) : 0;
            uint directoryBits = large ? bits : bits & Accessed;
            Assert.True(
                _machine.Machine.ReadUInt32(DirectoryEntryAddress) == (directoryEntry | directoryBits), $"{what}: PDE");
            Assert.True(large || TableEntry == (tableEntry | bits), $"{what}: PTE");
            if (outcome == Outcome.PageFault)
            {
                Assert.True(LastException.ErrorCode == error && LastException.Address == Page, $"{what}: {LastException}");
            }
        }
    }

    /// <summary>A large page begins at physical 0.</summary>
    private Outcome Try(Access access) => PageProbe.Try(_machine, Page, access, Frame, Page & 0x3f_ffff);

    private uint Read(uint linear) => PageProbe.Read(_machine, linear);

    private void Invalidate(string how)
    {
        switch (how)
        {
            case "invlpg":
                _machine.Step(a => a.invlpg(__byte_ptr[Page + 0x123]));
                break;
            case "mov cr3":
                _machine.Step(a => a.mov(cr3, eax), eax: Directory);
                break;
            case "mov cr4 pge":
                _machine.Step(a => a.mov(cr4, eax), eax: 0);
                break;
            case "below the next page":
                _machine.Cpu.FlushTlbBelow(Page + PhysicalMemory.PageSize);
                break;
            default:
                _machine.Step(a => a.mov(cr0, eax), eax: _machine.Cpu.ReadControlRegister(0) ^ Cr0.Wp);
                break;
        }

        Assert.Empty(_machine.Exceptions);
    }

    private void SetEntries(uint directoryEntry, uint tableEntry)
    {
        _machine.Machine.WriteUInt32(DirectoryEntryAddress, directoryEntry);
        _machine.Machine.WriteUInt32(TableEntryAddress, tableEntry);
    }
}
