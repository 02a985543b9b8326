using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>String instructions: steps, pages, faults in the middle, single-stepping, overlaps and address sizes.</summary>
public sealed class StringTests : IDisposable
{
    private const byte Rep = 0xF3;
    private const byte Repne = 0xF2;
    private const byte Movsb = 0xA4;
    private const byte Movsd = 0xA5;
    private const byte Stosb = 0xAA;
    private const byte Stosd = 0xAB;
    private const uint Page = PagedMachine.PageSize;
    private const uint Source = 0x10_0000;
    private const uint Destination = 0x20_0000;

    private readonly PagedMachine _machine = new();

    [Fact]
    public void A_repetition_within_a_page_is_one_instruction()
    {
        Load(Source, Destination, 1000);
        Assert.Equal(StopReason.InstructionLimit, _machine.Execute([Rep, Movsb]));
        Assert.Equal(1ul, _machine.Cpu.Retired);
        AssertRegisters(Source + 1000, Destination + 1000, 0);
        Assert.Equal(Machine.CodeBase + 2, _machine.Cpu.State.Eip);
    }

    [Theory]
    [InlineData(Stosb)]
    [InlineData(Stosd)]
    [InlineData(Movsb)]
    public void A_repetition_writes_nothing_into_a_segment_for_reading(byte opcode)
    {
        Load(Source, Destination, 100);
        SegmentRegister es = _machine.Cpu.State.Es;
        _machine.Cpu.SetSegment(SegmentName.Es, es with { Access = es.Access & ~SegmentAccess.WritableOrReadable });
        _machine.Execute([Rep, opcode]);
        Assert.Equal(ExceptionVector.GeneralProtection, _machine.SingleException().Vector);
        AssertRegisters(Source, Destination, 100);
        Assert.False(_machine.Machine.Memory.Span(Destination, 400).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void A_count_of_zero_touches_nothing()
    {
        Load(0xFFFF_F000, 0xFFFF_F000, 0);
        _machine.Cpu.Eflags = Eflags.Cf;
        foreach (byte opcode in (byte[])[Movsb, Movsd, Stosb, Stosd, 0xAC, 0xAD, 0xA6, 0xA7, 0xAE, 0xAF])
        {
            _machine.Execute([Rep, opcode]);
            _machine.Execute([Repne, opcode]);
        }

        Assert.Equal(20ul, _machine.Cpu.Retired);
        Assert.Equal(Eflags.Cf, _machine.Cpu.Eflags & Eflags.Arithmetic);
        AssertRegisters(0xFFFF_F000, 0xFFFF_F000, 0);
    }

    // Bytes from the end of the page to source and destination; elements done after one, two, three, ... steps.
    [Theory]
    [InlineData(Movsb, 0x800, 0x800, new uint[] { 0x800, 0x1800, 0x2800 })]
    [InlineData(Movsb, 0x10, 0x800, new uint[] { 0x10, 0x800, 0x1010, 0x1800 })]
    [InlineData(Movsb, 0, 0x10, new uint[] { 0x10, 0x1000, 0x1010, 0x2000, 0x2010 })]
    [InlineData(Movsd, 0x800, 0x802, new uint[] { 0x200, 0x201, 0x600, 0x601 })]
    [InlineData(Movsd, 0x802, 0x802, new uint[] { 0x201, 0x601 })]
    [InlineData(Stosd, 0, 0x7, new uint[] { 2, 0x402 })]
    public void A_step_ends_with_a_page_of_either_operand(byte opcode, uint beforeSourceEnd, uint beforeEnd, uint[] done)
    {
        Load(Source + Page - beforeSourceEnd, Destination + Page - beforeEnd, 0x3000);
        _machine.Machine.Memory.Write(Machine.CodeBase, [Rep, opcode]);
        _machine.Cpu.State.Eip = Machine.CodeBase;
        for (int step = 0; step < done.Length; step++)
        {
            _machine.Cpu.Run(1);
            Assert.Equal((ulong)step + 1, _machine.Cpu.Retired);
            Assert.Equal(0x3000 - done[step], _machine.Cpu.State.Ecx);
            Assert.Equal(Machine.CodeBase, _machine.Cpu.State.Eip);
        }
    }

    [Fact]
    public void A_step_backward_ends_at_the_start_of_a_page()
    {
        Load(Source + 8, Destination + 0x102, 0x1000);
        _machine.Cpu.Eflags = Eflags.Df;
        _machine.Machine.Memory.Write(Machine.CodeBase, [Rep, Movsd]);
        uint[] done = [3, 0x41, 0x403, 0x441];
        foreach (uint elements in done)
        {
            _machine.Cpu.State.Eip = Machine.CodeBase;
            _machine.Cpu.Run(1);
            AssertRegisters(Source + 8 - 4 * elements, Destination + 0x102 - 4 * elements, 0x1000 - elements);
        }
    }

    [Fact]
    public void What_follows_a_repetition_follows_its_last_step()
    {
        Load(Source, Destination, 0x5000);
        _machine.Execute([Rep, Movsb, 0x40], 6);
        Assert.Equal(6ul, _machine.Cpu.Retired);
        Assert.Equal(1u, _machine.Cpu.State.Eax);
        AssertRegisters(Source + 0x5000, Destination + 0x5000, 0);
    }

    [Theory]
    [InlineData(Movsb, 1)]
    [InlineData(Movsd, 4)]
    [InlineData(Stosb, 1)]
    [InlineData(Stosd, 4)]
    public void A_fault_in_the_middle_finds_the_elements_before_it_done(byte opcode, uint size)
    {
        foreach (uint misalignment in (uint[])[0, 1, 2, 3])
        {
            foreach (bool backward in (bool[])[false, true])
            {
                using var machine = new PagedMachine();
                uint bad = Destination + 3 * Page;
                machine.MapReadOnly(bad);
                uint start = backward ? bad + 2 * Page + misalignment : Destination + 0x100 + misalignment;
                machine.Cpu.State.Esi = Source + Page;
                machine.Cpu.State.Edi = start;
                machine.Cpu.State.Ecx = 0x8000;
                machine.Cpu.Eflags = backward ? Eflags.Df : 0u;
                machine.Execute([Rep, opcode], 50);

                ExceptionInfo fault = machine.SingleException();
                Assert.Equal(ExceptionVector.PageFault, fault.Vector);
                Assert.Equal(PageFaultError.Write | PageFaultError.Protection, fault.ErrorCode);
                Assert.Equal(Machine.CodeBase, machine.Cpu.State.Eip);
                uint edi = machine.Cpu.State.Edi;
                uint elements = (backward ? start - edi : edi - start) / size;
                Assert.Equal(0x8000 - elements, machine.Cpu.State.Ecx);
                uint before = backward ? edi + size : edi - size;
                Assert.True(edi + size > bad && edi < bad + Page, $"EDI {edi:X} isn't at the fault");
                Assert.True(before + size <= bad || before >= bad + Page, $"EDI {edi:X} is behind the fault");
                Assert.InRange(fault.Address, Math.Max(edi, bad), Math.Min(edi + size, bad + Page) - 1);
                if (opcode is Movsb or Movsd)
                {
                    Assert.Equal(Source + Page + (backward ? 0 - elements * size : elements * size), machine.Cpu.State.Esi);
                }
            }
        }
    }

    [Theory]
    [InlineData("A4", 1)]
    [InlineData("66A5", 2)]
    [InlineData("A5", 4)]
    public void Pages_that_follow_each_other_need_not_be_neighbours(string opcode, int size)
    {
        const uint count = 8;
        byte[] code = Convert.FromHexString(opcode);
        code = code.Length == 1 ? [Rep, code[0]] : [code[0], Rep, code[1]];
        var random = new Random(3);
        using var machine = new PagedMachine();
        machine.Map(Source + Page, 0x30_0000);
        machine.Map(Destination + Page, 0x31_0000);
        byte[] expected = new byte[count * size];
        byte[] actual = new byte[count * size];
        byte[] data = new byte[2 * Page];
        for (int distance = -40; distance <= 40; distance++)
        {
            foreach (bool backward in (bool[])[false, true])
            {
                foreach (uint frame in (uint[])[Source, 0x30_0000, Destination, 0x31_0000])
                {
                    random.NextBytes(data.AsSpan(0, (int)Page));
                    machine.Machine.Memory.Write(frame, data.AsSpan(0, (int)Page));
                }

                uint offset = (uint)(Page + distance + (backward ? 40 : 0));
                machine.Cpu.State.Esi = Source + offset;
                machine.Cpu.State.Edi = Destination + (uint)(Page - distance);
                machine.Cpu.State.Ecx = count;
                machine.Cpu.Eflags = backward ? Eflags.Df : 0u;
                uint before = backward ? (count - 1) * (uint)size : 0;
                uint to = machine.Cpu.State.Edi - before;
                Assert.True(machine.Cpu.TryReadLinear(machine.Cpu.State.Esi - before, expected, out _));
                machine.Machine.Memory.Write(Machine.CodeBase, code);
                machine.Cpu.State.Eip = Machine.CodeBase;
                while (machine.Cpu.State.Ecx != 0)
                {
                    machine.Cpu.Run(1);
                }

                Assert.True(machine.Cpu.TryReadLinear(to, actual, out _));
                Assert.Equal(expected, actual);
            }
        }
    }

    // Opcode, and whether it uses a source, a destination, and writes that.
    [Theory]
    [InlineData(Movsb, true, true, true)]
    [InlineData(Movsd, true, true, true)]
    [InlineData(Stosb, false, true, true)]
    [InlineData(Stosd, false, true, true)]
    [InlineData(0xAC, true, false, false)]
    [InlineData(0xA6, true, true, false)]
    [InlineData(0xAE, false, true, false)]
    public void A_programs_repetition_does_not_reach_the_supervisors_pages(
        byte opcode, bool usesSource, bool usesDestination, bool writes)
    {
        foreach (bool isSource in (bool[])[true, false])
        {
            if (!(isSource ? usesSource : usesDestination))
            {
                continue;
            }

            // Straight away, and after a page that is the program's.
            foreach (uint before in (uint[])[0, 0x40])
            {
                using var machine = new PagedMachine();
                uint forbidden = isSource ? Source : Destination;
                machine.MapForSupervisor(forbidden);
                machine.EnterUserMode();
                machine.Cpu.State.Esi = Source - (isSource ? before : 0);
                machine.Cpu.State.Edi = Destination - (isSource ? 0 : before);
                machine.Cpu.State.Ecx = 0x100;
                machine.Execute([Rep, opcode], 3);
                ExceptionInfo fault = machine.SingleException();
                uint error = PageFaultError.User | PageFaultError.Protection | (writes && !isSource ? PageFaultError.Write : 0);
                Assert.Equal((ExceptionVector.PageFault, error, forbidden), (fault.Vector, fault.ErrorCode, fault.Address));
                Assert.Equal(0x100 - before / (opcode is Movsd or Stosd ? 4u : 1), machine.Cpu.State.Ecx);
                Assert.Equal(forbidden, isSource ? machine.Cpu.State.Esi : machine.Cpu.State.Edi);
            }
        }
    }

    [Fact]
    public void A_repetition_goes_on_where_it_faulted()
    {
        byte[] data = new byte[3 * Page];
        new Random(1).NextBytes(data);
        _machine.Machine.Memory.Write(Source, data);
        _machine.Unmap(Source + Page);
        _machine.Unmap(Destination + 2 * Page);
        Load(Source, Destination, (uint)data.Length);
        _machine.Execute([Rep, Movsb], 100);
        Assert.Equal((Source + Page, 0u), (_machine.SingleException().Address, _machine.SingleException().ErrorCode));
        _machine.Map(Source + Page, Source + Page);
        _machine.Machine.Exceptions.Clear();
        _machine.Cpu.Run(100);
        Assert.Equal((Destination + 2 * Page, PageFaultError.Write), (_machine.SingleException().Address, _machine.SingleException().ErrorCode));
        _machine.Map(Destination + 2 * Page, Destination + 2 * Page);
        _machine.Cpu.Run(1);
        AssertRegisters(Source + 3 * Page, Destination + 3 * Page, 0);
        Assert.True(_machine.Machine.Memory.Span(Destination, 3 * Page).SequenceEqual(data));
    }

    [Fact]
    public void Single_stepping_stops_after_every_element()
    {
        Load(Source, Destination, 3);
        _machine.Machine.Memory.Write(Machine.CodeBase, [Rep, Movsb, 0x90]);
        _machine.Cpu.State.Eip = Machine.CodeBase;
        _machine.Cpu.Eflags = Eflags.Tf;
        for (uint left = 3; left-- > 0;)
        {
            _machine.Machine.Exceptions.Clear();
            _machine.Cpu.Run(10);
            Assert.Equal(ExceptionVector.Debug, _machine.SingleException().Vector);
            Assert.Equal(left, _machine.Cpu.State.Ecx);
            Assert.Equal(Machine.CodeBase + (left == 0 ? 2u : 0), _machine.Cpu.State.Eip);
        }
    }

    [Theory]
    [InlineData(Movsb)]
    [InlineData(Movsd)]
    [InlineData(0x66A5)]
    [InlineData(Stosb)]
    [InlineData(Stosd)]
    [InlineData(0x66AB)]
    [InlineData(0xAC)]
    [InlineData(0xAD)]
    [InlineData(0x66AD)]
    [InlineData(0xA6)]
    [InlineData(0xA7)]
    [InlineData(0x66A7)]
    [InlineData(0xAE)]
    [InlineData(0xAF)]
    [InlineData(0x66AF)]
    public void A_repetition_is_so_many_single_instructions(int opcode)
    {
        byte[] code = opcode > 0xFF ? [0x66, (byte)opcode] : [(byte)opcode];
        Random random = TestSize.SeededRandom($"{opcode}");
        using var other = new PagedMachine();
        foreach (PagedMachine machine in (PagedMachine[])[_machine, other])
        {
            // The same memory at two addresses, so that operands overlap that don't look like it.
            machine.Map(Destination, Source);
            machine.Map(Destination + Page, Source + Page);
        }

        for (int round = 0; round < TestSize.Choose(400, 10_000); round++)
        {
            byte prefix = random.Next(2) == 0 ? Rep : Repne;
            Fill(random, other);
            _machine.Execute([prefix, .. code]);
            while (_machine.Cpu.State.Eip == Machine.CodeBase)
            {
                _machine.Cpu.Run(1);
            }

            ExecuteSingly(other, code, prefix);
            Assert.Equal(Registers(other), Registers(_machine));
            Assert.True(
                _machine.Machine.Memory.Span(Source, 4 * Page).SequenceEqual(other.Machine.Memory.Span(Source, 4 * Page)),
                $"memory differs in round {round}");
        }
    }

    [Fact]
    public void Code_that_a_repetition_overwrites_is_seen()
    {
        // REP STOSB over the INC ECX after it, with INC EAX.
        Load(0, Machine.CodeBase + 2, 4);
        _machine.Cpu.State.Eax = 0x40;
        _machine.Machine.Memory.Write(Machine.CodeBase, [Rep, Stosb, 0x41, 0x41, 0x41, 0x41]);
        _machine.Cpu.State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(5);
        Assert.Equal((0x44u, 0u), (_machine.Cpu.State.Eax, _machine.Cpu.State.Ecx));
        Assert.Equal(5ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void A_repetition_that_overwrites_itself_goes_on_until_its_step_ends()
    {
        Load(0, Machine.CodeBase, 0x1800);
        _machine.Cpu.State.Eax = 0x40;
        _machine.Machine.Memory.Write(Machine.CodeBase, [Rep, Stosb]);
        _machine.Cpu.State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(3);
        Assert.Equal((0x42u, 0x800u), (_machine.Cpu.State.Eax, _machine.Cpu.State.Ecx));
    }

    [Fact]
    public void With_16_bit_addresses_only_the_low_halves_of_the_registers_count()
    {
        byte[] data = [1, 2, 3, 4];
        _machine.Machine.Memory.Write(0xFFFE, data.AsSpan(0, 2));
        _machine.Machine.Memory.Write(0, data.AsSpan(2));
        Load(0xAAAA_FFFE, 0xBBBB_8000, 0xCCCC_0004);
        _machine.Execute([0x67, Rep, Movsb], 2);
        Assert.Equal(Machine.CodeBase + 3, _machine.Cpu.State.Eip);
        AssertRegisters(0xAAAA_0002, 0xBBBB_8004, 0xCCCC_0000);
        Assert.True(_machine.Machine.Memory.Span(0x8000, 4).SequenceEqual(data));
    }

    // The address size, which operand goes around its end, and the direction.
    [Theory]
    [InlineData(16, true, false)]
    [InlineData(16, false, false)]
    [InlineData(16, true, true)]
    [InlineData(16, false, true)]
    [InlineData(32, true, false)]
    [InlineData(32, false, false)]
    [InlineData(32, true, true)]
    [InlineData(32, false, true)]
    public void Addresses_go_around_the_end_of_their_size_within_a_page(int bits, bool isSource, bool backward)
    {
        // The segment begins in the middle of a page, so that offset 0 and the last one are neighbours nowhere but in the offsets.
        const uint start = 0x10_0800;
        const int count = 8;
        uint last = bits == 16 ? ushort.MaxValue : uint.MaxValue;
        uint first = backward ? 3 : last - 3;
        SegmentName moved = isSource ? SegmentName.Ds : SegmentName.Es;
        ref SegmentRegister segment = ref _machine.Cpu.State.Ds;
        _machine.Cpu.SetSegment(moved, segment with { Base = start });
        byte[] data = [.. Enumerable.Range(1, count).Select(i => (byte)i)];
        uint[] offsets = [.. Enumerable.Range(0, count).Select(i => (first + (uint)(backward ? -i : i)) & last)];
        uint other = Destination + 0x100;
        for (int i = 0; i < count; i++)
        {
            _machine.Machine.Memory.Write(isSource ? start + offsets[i] : other + (uint)(backward ? -i : i), [data[i]]);
        }

        uint otherOffset = bits == 16 ? 0x100u : other;
        if (bits == 16)
        {
            _machine.Cpu.SetSegment(isSource ? SegmentName.Es : SegmentName.Ds, segment with { Base = Destination });
        }

        Load(isSource ? first : otherOffset, isSource ? otherOffset : first, count);
        _machine.Cpu.Eflags = backward ? Eflags.Df : 0;
        byte[] code = bits == 16 ? [0x67, Rep, Movsb] : [Rep, Movsb];
        _machine.Machine.Memory.Write(Machine.CodeBase, code);
        _machine.Cpu.State.Eip = Machine.CodeBase;
        while (_machine.Cpu.State.Ecx != 0)
        {
            _machine.Cpu.Run(1);
            Assert.Empty(_machine.Machine.Exceptions);
        }

        for (int i = 0; i < count; i++)
        {
            uint to = isSource ? other + (uint)(backward ? -i : i) : start + offsets[i];
            Assert.Equal(data[i], _machine.Machine.Memory.Span(to, 1)[0]);
        }
    }

    [Fact]
    public void An_override_moves_the_source_but_not_the_destination()
    {
        _machine.Cpu.SetSegment(SegmentName.Fs, _machine.Cpu.State.Ds with { Base = Source });
        _machine.Cpu.SetSegment(SegmentName.Es, _machine.Cpu.State.Ds with { Base = Destination });
        byte[] data = new byte[0x1100];
        new Random(2).NextBytes(data);
        _machine.Machine.Memory.Write(Source + 0x20, data);
        Load(0x20, 0x40, 0x1100);
        _machine.Execute([0x64, Rep, Movsb], 3);
        AssertRegisters(0x1120, 0x1140, 0);
        Assert.True(_machine.Machine.Memory.Span(Destination + 0x40, 0x1100).SequenceEqual(data));
    }

    // Opcode; limits of DS and ES; elements done before the fault.
    [Theory]
    [InlineData(Movsb, 0x17F, uint.MaxValue, 0x80)]
    [InlineData(Movsd, 0x17E, uint.MaxValue, 0x1F)]
    [InlineData(Movsd, uint.MaxValue, 0x17F, 0x20)]
    [InlineData(Stosd, 0, 0x180, 0x20)]
    [InlineData(0xAC, 0x180, 0, 0x81)]
    public void A_segments_limit_ends_a_repetition_with_a_general_protection_fault(
        int opcode, uint sourceLimit, uint destinationLimit, uint done)
    {
        _machine.Cpu.SetSegment(SegmentName.Ds, _machine.Cpu.State.Ds with { Limit = sourceLimit });
        _machine.Cpu.SetSegment(SegmentName.Es, _machine.Cpu.State.Es with { Limit = destinationLimit });
        Load(0x100, 0x100, 0x200);
        _machine.Execute([Rep, (byte)opcode]);
        Assert.Equal(ExceptionVector.GeneralProtection, _machine.SingleException().Vector);
        Assert.Equal(0x200 - done, _machine.Cpu.State.Ecx);
        Assert.Equal(Machine.CodeBase, _machine.Cpu.State.Eip);
    }

    [Fact]
    public void A_source_in_the_stack_segment_faults_as_the_stack()
    {
        _machine.Cpu.SetSegment(SegmentName.Ss, _machine.Cpu.State.Ss with { Limit = 0x17F });
        Load(0x100, Destination, 0x200);
        _machine.Execute([0x36, Rep, Movsb]);
        Assert.Equal(ExceptionVector.StackSegment, _machine.SingleException().Vector);
        Assert.Equal(0x180u, _machine.Cpu.State.Ecx);
    }

    [Fact]
    public void While_alignment_is_checked_each_element_is()
    {
        _machine.EnterUserMode();
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Am);
        _machine.Cpu.Eflags = Eflags.Ac;
        Load(Source + 2, Destination, 4);
        _machine.Execute([Rep, Movsd]);
        Assert.Equal(ExceptionVector.AlignmentCheck, _machine.SingleException().Vector);
        _machine.Machine.Exceptions.Clear();
        _machine.Execute([Rep, Movsb]);
        Assert.Empty(_machine.Machine.Exceptions);
    }

    [Fact]
    public void Memory_that_is_not_there_reads_as_ones_and_swallows_writes()
    {
        using var machine = new Machine();
        machine.Cpu.State.Esi = 0x8000_0000;
        machine.Cpu.State.Edi = Destination;
        machine.Cpu.State.Ecx = 16;
        machine.Execute([Rep, Movsb]);
        Assert.Equal(uint.MaxValue, machine.ReadUInt32(Destination + 12));
        machine.Cpu.State.Edi = 0x8000_0000;
        machine.Cpu.State.Ecx = 16;
        machine.Execute([Rep, Stosd]);
        Assert.Equal(0u, machine.Cpu.State.Ecx);
    }

    public void Dispose() => _machine.Dispose();

    private static (uint, uint, uint, uint, uint) Registers(PagedMachine machine) =>
        (machine.Cpu.State.Eax, machine.Cpu.State.Ecx, machine.Cpu.State.Esi, machine.Cpu.State.Edi,
            machine.Cpu.Eflags & Eflags.Arithmetic);

    private static void ExecuteSingly(PagedMachine machine, byte[] code, byte prefix)
    {
        bool compares = (code[^1] & 0xF6) is 0xA6;
        machine.Machine.Memory.Write(Machine.CodeBase, code);
        while (machine.Cpu.State.Ecx != 0)
        {
            machine.Cpu.State.Eip = Machine.CodeBase;
            machine.Cpu.Run(1);
            machine.Cpu.State.Ecx--;
            if (compares && (machine.Cpu.Eflags & Eflags.Zf) != 0 != (prefix == Rep))
            {
                return;
            }
        }
    }

    private void Load(uint esi, uint edi, uint ecx)
    {
        _machine.Cpu.State.Esi = esi;
        _machine.Cpu.State.Edi = edi;
        _machine.Cpu.State.Ecx = ecx;
    }

    private void AssertRegisters(uint esi, uint edi, uint ecx) =>
        Assert.Equal((esi, edi, ecx), (_machine.Cpu.State.Esi, _machine.Cpu.State.Edi, _machine.Cpu.State.Ecx));

    /// <summary>Operands around the border of two pages, in the same memory or not, equal in long runs or not.</summary>
    private void Fill(Random random, PagedMachine other)
    {
        byte[] memory = new byte[4 * Page];
        byte value = (byte)random.Next(256);
        if (random.Next(4) == 0)
        {
            random.NextBytes(memory);
        }
        else
        {
            Array.Fill(memory, value);
            memory[random.Next((int)Page - 200, (int)Page + 200)] ^= 0x10;
        }

        uint source = Source + Page + (uint)random.Next(-150, 150);
        uint destination = random.Next(3) switch
        {
            0 => source + (uint)random.Next(-12, 13),
            1 => source - Source + Destination + (uint)random.Next(-12, 13),
            _ => Destination + Page + (uint)random.Next(-150, 150),
        };
        uint flags = random.Next(3) == 0 ? Eflags.Df : 0u;
        uint count = (uint)random.Next(200);
        foreach (PagedMachine machine in (PagedMachine[])[_machine, other])
        {
            machine.Machine.Memory.Write(Source, memory);
            machine.Cpu.State.Eax = 0x0101_0101u * value;
            machine.Cpu.State.Ecx = count;
            machine.Cpu.State.Esi = source;
            machine.Cpu.State.Edi = destination;
            machine.Cpu.Eflags = flags;
        }
    }
}
