using Iced.Intel;
using Lguest.Cpu.Memory;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Code that moves under the processor's feet: remapped, seen twice, written through another address.</summary>
public sealed class CodeCoherenceTests : IDisposable
{
    private const uint PageSize = PhysicalMemory.PageSize;
    private const uint Flags = 7;

    // Where code is remembered by another place than CodeBase, or no memory of it would be tested.
    private const uint Here = 0x4_4000;
    private const uint There = 0x4_8000;
    private const uint FrameA = 0x5_0000;
    private const uint FrameB = 0x5_8000;

    private readonly ProtectedMachine _machine = new();

    public CodeCoherenceTests() => _machine.MapWithHole();

    public static TheoryData<string> Invalidations => ["invlpg", "cr3", "cr4", "cr0"];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Invalidations))]
    public void A_code_page_that_is_remapped_is_executed_from_its_new_frame(string how)
    {
        Place(FrameA, a => a.mov(eax, 1));
        Place(FrameB, a => a.mov(eax, 2));
        Map(Here, FrameA);
        Run(Here, 1);
        Assert.Equal(1u, _machine.State.Eax);

        Map(Here, FrameB);
        Invalidate(how);
        Run(Here, 1);
        Assert.Equal(2u, _machine.State.Eax);
    }

    [Theory]
    [InlineData("jmp")]
    [InlineData("jz")]
    [InlineData("nop")]
    public void What_leads_into_a_page_that_was_remapped_since_leads_into_the_new_frame(string way)
    {
        // Blocks that are executed whole, and twice, so that whatever the processor remembers of the way is used.
        Place(FrameA, a => Load(a, 1));
        Place(FrameB, a => Load(a, 2));
        Map(Here, FrameA);
        uint from = way == "nop" ? Here - 1 : Machine.CodeBase + 0x100;
        Place(from, a =>
        {
            switch (way)
            {
                case "jmp": a.jmp(Here); break;
                case "jz": a.jz(Here); break;
                default: a.nop(); break;
            }
        });
        _machine.Cpu.Eflags = Eflags.Zf;
        RunToHalt(1);
        RunToHalt(1);
        Map(Here, FrameB);
        Invalidate("invlpg");
        _machine.Cpu.Eflags = Eflags.Zf;
        RunToHalt(2);

        static void Load(Assembler a, uint value)
        {
            a.mov(eax, value);
            a.hlt();
        }

        void RunToHalt(uint expected)
        {
            Run(from, 1000);
            Assert.Equal(expected, _machine.State.Eax);
            _machine.State.Halted = 0;
        }
    }

    [Fact]
    public void A_large_code_page_that_is_remapped_is_executed_from_its_new_frame()
    {
        // 4 MiB at two addresses: those at 0x80_0000 are first the low ones, then the four behind them, which aren't there.
        const uint LargePage = 0x80_0000;
        const uint DirectoryEntry = 0x2_0000 + (4 * (LargePage >> 22));
        _machine.Cpu.WriteControlRegister(4, Cr4.Pse);
        _machine.Machine.WriteUInt32(DirectoryEntry, 0x80 | Flags);
        Place(FrameA, a => a.mov(eax, 1));
        Run(LargePage + FrameA, 1);
        Assert.Equal(1u, _machine.State.Eax);
        _machine.Machine.WriteUInt32(DirectoryEntry, 0x40_0080 | Flags);
        Invalidate("invlpg", LargePage + 0x7000);
        _machine.Machine.StopAtExceptions = true;
        Run(LargePage + FrameA, 1);
        Assert.Equal(ExceptionVector.InvalidOpcode, Assert.Single(_machine.Exceptions).Vector);
    }

    [Fact]
    public void Pieces_of_code_that_are_decoded_and_dropped_are_counted()
    {
        Place(FrameA, a => a.mov(eax, 1));
        Run(FrameA, 1);
        Run(FrameA, 1);
        ProcessorStatistics statistics = _machine.Cpu.Statistics;
        Assert.Equal((1ul, 0ul), (statistics.BlocksDecoded, statistics.BlocksInvalidated));
        Place(FrameA, a => a.mov(eax, 2));
        Run(FrameA, 1);
        Assert.Equal((2ul, 1ul), (statistics.BlocksDecoded, statistics.BlocksInvalidated));
    }

    [Fact]
    public void The_same_code_at_two_addresses_is_changed_at_both_by_a_store_to_either()
    {
        Place(FrameA, a => a.mov(eax, 1));
        Map(Here, FrameA);
        Map(There, FrameA);
        foreach ((uint written, byte value) in ((uint, byte)[])[(Here, 2), (There, 3), (Here, 4)])
        {
            Run(Here, 1);
            Run(There, 1);
            _machine.Machine.Assemble(a => a.mov(__byte_ptr[written + 1], value), Machine.CodeBase);
            Run(Machine.CodeBase, 1);
            foreach (uint address in (uint[])[Here, There])
            {
                _machine.State.Eax = 0;
                Run(address, 1);
                Assert.Equal(value, _machine.State.Eax);
                Assert.Equal(address + 5, _machine.State.Eip);
            }
        }
    }

    [Fact]
    public void Code_at_two_addresses_jumps_relative_to_where_it_is()
    {
        // One page on: another frame behind each of the two.
        _machine.Memory.Write(FrameA, [0xE9, .. BitConverter.GetBytes(PageSize - 5)]);
        Map(Here, FrameA);
        Map(There, FrameA);
        Place(Here + PageSize, a => a.mov(eax, 1));
        Place(There + PageSize, a => a.mov(eax, 2));
        for (int turn = 0; turn < 3; turn++)
        {
            Run(Here, 2);
            Assert.Equal(1u, _machine.State.Eax);
            Run(There, 2);
            Assert.Equal(2u, _machine.State.Eax);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0x7A0)]
    [InlineData(0xF00)]
    [InlineData(0xF80)]
    [InlineData(0xF83)]
    public void A_store_to_any_of_a_blocks_instructions_is_seen(int offset)
    {
        // 30 moves of five bytes lie in three lines or four, wherever they begin, and perhaps in two pages.
        const int moves = 30;
        const int moveBytes = 5;
        uint start = FrameA + (uint)offset;
        for (int changed = 0; changed < moves; changed++)
        {
            Place(start, a =>
            {
                for (int i = 0; i < moves; i++)
                {
                    a.mov(eax, i);
                }
            });
            Run(start, moves);
            uint operand = start + (uint)((moveBytes * changed) + 1);
            _machine.Machine.Assemble(a => a.mov(__dword_ptr[operand], 0x1234), Machine.CodeBase);
            Run(Machine.CodeBase, 1);
            Run(start, (ulong)changed + 1);
            Assert.Equal(0x1234u, _machine.State.Eax);
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_store_to_the_next_instruction_is_seen_however_many_are_to_be_executed(ulong instructions)
    {
        // The store has seven bytes, then comes an opcode of one.
        Place(FrameA, a =>
        {
            a.mov(__byte_ptr[FrameA + 8], 2);
            a.mov(eax, 1);
            a.nop();
            a.nop();
        });
        Run(FrameA, instructions);
        Assert.Equal(2u, _machine.State.Eax);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void An_instruction_across_two_pages_follows_either_of_them(int inFirst)
    {
        uint start = Here + PageSize - (uint)inFirst;
        byte[] code = [0xB8, 1, 0, 0, 0];
        for (int frame = 0; frame < 2; frame++)
        {
            // In frame B the immediate's last byte differs, or all of it.
            code[^1] = (byte)frame;
            _machine.Memory.Write(frame == 0 ? FrameA : FrameB, code.AsSpan(inFirst));
        }

        _machine.Memory.Write(start, code.AsSpan(0, inFirst));
        Map(Here + PageSize, FrameA);
        Run(start, 1);
        Assert.Equal(1u, _machine.State.Eax);

        Map(Here + PageSize, FrameB);
        Invalidate("invlpg", Here + PageSize);
        Run(start, 1);
        Assert.Equal(0x0100_0001u, _machine.State.Eax);

        // A store to the second page, by another address, and one to the first page.
        _machine.Machine.Assemble(a => a.mov(__byte_ptr[FrameB + (5 - inFirst) - 1], 2), Machine.CodeBase);
        Run(Machine.CodeBase, 1);
        Run(start, 1);
        Assert.Equal(0x0200_0001u, _machine.State.Eax);
        _machine.Machine.Assemble(a => a.mov(__byte_ptr[start], 0xBB), Machine.CodeBase);
        Run(Machine.CodeBase, 1);
        Run(start, 1);
        Assert.Equal(0x0200_0001u, _machine.State.Ebx);
    }

    [Fact]
    public void Instructions_that_end_on_the_same_page_are_all_changed_with_it()
    {
        // MOV EAX and MOV EBX, each with its last byte from the second page, at two addresses of the first.
        Map(Here, FrameA);
        Map(There, FrameB);
        Map(Here + PageSize, FrameB + PageSize);
        Map(There + PageSize, FrameB + PageSize);
        _machine.Memory.Write(FrameA + PageSize - 4, [0xB8, 0, 0, 0]);
        _machine.Memory.Write(FrameB + PageSize - 4, [0xBB, 0, 0, 0]);
        foreach (byte value in (byte[])[1, 2])
        {
            _machine.Memory.Write(FrameB + PageSize, [value]);
            Run(Here + PageSize - 4, 1);
            Run(There + PageSize - 4, 1);
            Assert.Equal(((uint)value << 24, (uint)value << 24), (_machine.State.Eax, _machine.State.Ebx));
        }
    }

    [Fact]
    public void A_second_page_that_goes_away_is_a_page_fault_at_its_first_byte()
    {
        uint start = Here + PageSize - 1;
        _machine.Memory.Write(start, [0xB8, 1, 0, 0, 0]);
        Run(start, 1);
        _machine.SetPage(Here + PageSize, 0);
        Invalidate("invlpg", Here + PageSize);
        _machine.Machine.StopAtExceptions = true;
        Run(start, 1);
        ExceptionInfo fault = Assert.Single(_machine.Exceptions);
        Assert.Equal((ExceptionVector.PageFault, 0u, Here + PageSize), (fault.Vector, fault.ErrorCode, fault.Address));
        Assert.Equal(start, _machine.State.Eip);
    }

    [Fact]
    public void Bytes_that_run_off_a_page_are_a_page_fault_before_they_are_undefined()
    {
        // UD1 has a ModRM byte, which isn't there.
        uint start = ProtectedMachine.MissingPage - 2;
        _machine.Memory.Write(start, [0x0F, 0xB9]);
        _machine.Machine.StopAtExceptions = true;
        Run(start, 1);
        ExceptionInfo fault = Assert.Single(_machine.Exceptions);
        Assert.Equal((ExceptionVector.PageFault, ProtectedMachine.MissingPage), (fault.Vector, fault.Address));
    }

    [Theory]
    [InlineData(14, -1)]
    [InlineData(15, ExceptionVector.GeneralProtection)]
    public void An_instruction_has_15_bytes_at_most(int prefixes, int vector)
    {
        _machine.Memory.Write(Machine.CodeBase, [.. Enumerable.Repeat((byte)0x66, prefixes), 0x40]);
        _machine.Machine.StopAtExceptions = true;
        Run(Machine.CodeBase, 1);
        Assert.Equal(vector, _machine.Exceptions.Count == 0 ? -1 : _machine.Exceptions[0].Vector);
    }

    [Theory]
    [InlineData(13, ExceptionVector.InvalidOpcode)]
    [InlineData(14, ExceptionVector.GeneralProtection)]
    public void What_is_undefined_has_15_bytes_at_most_too(int prefixes, int vector)
    {
        _machine.Memory.Write(Machine.CodeBase, [.. Enumerable.Repeat((byte)0x66, prefixes), 0x0f, 0x04]);
        _machine.Machine.StopAtExceptions = true;
        Run(Machine.CodeBase, 1);
        Assert.Equal(vector, Assert.Single(_machine.Exceptions).Vector);
    }

    [Fact]
    public void Too_many_bytes_up_to_a_missing_page_are_too_many_all_the_same()
    {
        uint start = ProtectedMachine.MissingPage - 15;
        _machine.Memory.Write(start, [.. Enumerable.Repeat((byte)0x66, 15)]);
        _machine.Machine.StopAtExceptions = true;
        Run(start, 1);
        Assert.Equal(ExceptionVector.GeneralProtection, Assert.Single(_machine.Exceptions).Vector);

        _machine.Exceptions.Clear();
        Run(start + 1, 1);
        Assert.Equal(ExceptionVector.PageFault, Assert.Single(_machine.Exceptions).Vector);
    }

    [Fact]
    public void An_instruction_across_two_pages_is_still_seen_after_its_neighbour_was_overwritten()
    {
        // Its end and the neighbour lie in one cache line; a store to the one must not make the other be forgotten.
        uint second = Here + PageSize;
        uint start = second - 1;
        uint neighbour = second + 8;
        _machine.Memory.Write(start, [0xB8, 1, 0, 0, 0]);
        _machine.Memory.Write(neighbour, [0x41]);
        Run(start, 1);
        Run(neighbour, 1);
        StoreByte(neighbour, 0x42);
        Run(neighbour, 1);
        StoreByte(second, 7);
        Run(start, 1);
        Assert.Equal((7u, 1u, 1u), (_machine.State.Eax, _machine.State.Ecx, _machine.State.Edx));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_store_across_two_pages_is_seen_by_code_on_both(int inFirst)
    {
        uint start = Here + PageSize - (uint)inFirst;
        uint[] places = [start, Here + PageSize];
        foreach (uint place in places)
        {
            _machine.Memory.Write(place, [0x90]);
            Run(place, 1);
        }

        _machine.Machine.Assemble(a => a.mov(__dword_ptr[start], 0x43434343), Machine.CodeBase);
        _machine.Cpu.Run(1);
        foreach (uint place in places)
        {
            Run(place, 1);
        }

        Assert.Equal(2u, _machine.State.Ebx);
    }

    [Fact]
    public void An_undefined_instruction_across_two_pages_can_become_a_defined_one()
    {
        // 0F 04 is undefined, 0F 40 is CMOVO; the first byte of a page decides.
        uint second = Here + PageSize;
        _machine.Memory.Write(second - 1, [0x0F, 0x04, 0xC1]);
        _machine.Machine.StopAtExceptions = true;
        Run(second - 1, 1);
        Assert.Equal(ExceptionVector.InvalidOpcode, Assert.Single(_machine.Exceptions).Vector);
        StoreByte(second + 1, 0xC3);
        StoreByte(second, 0x40);
        _machine.Cpu.Eflags = Eflags.Of;
        _machine.State.Ebx = 77;
        Run(second - 1, 1);
        Assert.Single(_machine.Exceptions);
        Assert.Equal(77u, _machine.State.Eax);
    }

    [Fact]
    public void Ten_thousand_pieces_of_code_are_all_found_and_all_replaced()
    {
        const uint start = 0x10_0000;
        const int pieces = 10_000;
        byte[] piece = [0x40, 0xEB, 0x00];
        foreach (byte increment in (byte[])[0x40, 0x43])
        {
            piece[0] = increment;
            for (int i = 0; i < pieces; i++)
            {
                _machine.Memory.Write(start + (uint)(i * piece.Length), piece);
            }

            // Twice, so that the second time goes by what was remembered.
            Run(start, 2 * pieces);
            Run(start, 2 * pieces);
        }

        Assert.Equal((2u * pieces, 2u * pieces), (_machine.State.Eax, _machine.State.Ebx));
    }

    [Fact]
    public void When_there_is_no_more_room_for_code_nothing_of_the_old_code_is_remembered()
    {
        Place(Here, a =>
        {
            a.mov(eax, 0x1234);
            a.hlt();
        });
        Run(Here, 2);
        _machine.State.Halted = 0;

        // A block of its own from each 16th byte on of a megabyte, but for the pages that share Here's in the jump cache.
        const uint Start = 0x10_0000;
        _machine.Memory.Write(Start, [.. Enumerable.Repeat((byte)0x43, 0x10_0000)]);
        for (uint at = Start; at < Start + 0xf_f000; at += 16)
        {
            if (((at >> 12) ^ (at >> 18) ^ (Here >> 12) ^ (Here >> 18)) % 64 != 0)
            {
                Run(at, 1);
            }
        }

        // And what is decoded anew is watched anew.
        foreach (int value in (int[])[0x1234, 0x5678])
        {
            _machine.Memory.Write(Here + 1, BitConverter.GetBytes(value));
            _machine.State.Eax = _machine.State.Halted = 0;
            Run(Here, 2);
            Assert.Equal(((uint)value, 1u), (_machine.State.Eax, _machine.State.Halted));
        }
    }

    [Fact]
    public void Straight_code_of_many_pages_executes_each_time_as_often_as_it_is_long()
    {
        const uint start = 0x10_0000;
        const int length = 3 * (int)PageSize;
        byte[] code = [.. Enumerable.Repeat((byte)0x40, length), 0xE9, .. BitConverter.GetBytes(-length - 5)];
        _machine.Memory.Write(start, code);
        Run(start, 3 * (length + 1));
        Assert.Equal((3u * length, start), (_machine.State.Eax, _machine.State.Eip));
    }

    [Fact]
    public void Where_there_is_no_memory_all_ones_are_fetched_and_are_undefined()
    {
        _machine.Machine.StopAtExceptions = true;
        Map(There, 0x9000_0000);
        Run(There, 1);
        Assert.Equal((ExceptionVector.InvalidOpcode, There), (_machine.Exceptions[^1].Vector, _machine.State.Eip));

        // A MOV EAX whose immediate isn't there.
        _machine.Memory.Write(There - 2, [0xB8, 0x12]);
        Run(There - 2, 1);
        Assert.Equal((0xffff_ff12u, There + 3), (_machine.State.Eax, _machine.State.Eip));
        Assert.Single(_machine.Exceptions);
    }

    [Fact]
    public void Code_ends_at_its_segments_limit()
    {
        _machine.SetDescriptor(
            ProtectedMachine.Free, TestDescriptor.Segment(0, Machine.CodeBase, TestDescriptor.Code, 0));
        _machine.Load(SegmentName.Cs, ProtectedMachine.Free);
        _machine.Machine.StopAtExceptions = true;
        _machine.Memory.Write(Machine.CodeBase, [0x40, 0x40]);
        Run(Machine.CodeBase, 2);
        ExceptionInfo fault = Assert.Single(_machine.Exceptions);
        Assert.Equal((ExceptionVector.GeneralProtection, 0u), (fault.Vector, fault.ErrorCode));
        Assert.Equal((1u, Machine.CodeBase + 1), (_machine.State.Eax, _machine.State.Eip));
    }

    [Fact]
    public void Only_pages_with_code_are_slow_to_write()
    {
        Action<Assembler> store = a => a.mov(__byte_ptr[FrameA + 1], 2);
        _machine.Machine.Assemble(store, Machine.CodeBase);
        Run(Machine.CodeBase, 1);
        Assert.False(IsSlow(FrameA));

        Place(FrameA, a => a.mov(eax, 1));
        Run(FrameA, 1);
        Assert.True(IsSlow(FrameA));

        // The only code there is overwritten.
        Run(Machine.CodeBase, 1);
        Assert.False(IsSlow(FrameA));
    }

    [Fact]
    public void A_page_with_the_end_of_what_is_no_instruction_any_more_is_fast_to_write_after_one_store()
    {
        uint second = Here + PageSize;
        _machine.Memory.Write(second - 1, [0xB8, 1, 0, 0, 0]);
        Run(second - 1, 1);
        StoreByte(second - 1, 0x90);
        StoreByte(second + 1, 1);
        StoreByte(second + 2, 1);
        Assert.False(IsSlow(second));
    }

    private unsafe bool IsSlow(uint linear) =>
        (TranslationBuffer.WriteEntry(_machine.Cpu.StatePointer->Tlb, linear)->Tag & TlbEntry.CodePage) != 0;

    private void StoreByte(uint address, byte value)
    {
        _machine.Machine.Assemble(a => a.mov(__byte_ptr[address], value), Machine.CodeBase);
        _machine.Cpu.Run(1);
    }

    private void Place(uint address, Action<Assembler> program) => _machine.Machine.Assemble(program, address);

    private void Map(uint linear, uint frame) => _machine.SetPage(linear, frame | Flags);

    private void Run(uint address, ulong instructions)
    {
        _machine.State.Eip = address;
        _machine.Cpu.Run(instructions);
    }

    /// <summary>Has the guest do it.</summary>
    private void Invalidate(string how, uint address = Here)
    {
        int count = _machine.Machine.Assemble(
            a =>
            {
                switch (how)
                {
                    case "invlpg":
                        a.invlpg(__[address]);
                        break;
                    case "cr3":
                        a.mov(ecx, cr3);
                        a.mov(cr3, ecx);
                        break;
                    case "cr4":
                        a.mov(ecx, cr4);
                        a.xor(ecx, (int)Cr4.Pge);
                        a.mov(cr4, ecx);
                        break;
                    default:
                        a.mov(ecx, cr0);
                        a.xor(ecx, (int)Cr0.Wp);
                        a.mov(cr0, ecx);
                        break;
                }
            },
            Machine.CodeBase);
        _machine.Cpu.Run((ulong)count);
    }
}
