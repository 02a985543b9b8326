using Iced.Intel;
using Lguest.Cpu.FloatingPoint;
using Lguest.Cpu.Instructions.X87;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Integers;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lguest.Cpu.Tests.X87;

/// <summary>Availability, the report of exceptions, pointers, and faults of memory operands.</summary>
public sealed class X87StateTests : IDisposable
{
    private const ushort AllMasked = 0x37F;
    private const ushort ZeroDivideUnmasked = 0x37B;
    private const ushort ErrorSummary = 1 << 7;
    private const byte Untouched = 0x5A;
    private readonly Machine _machine = new();

    public X87StateTests() => SetControlRegister0(Cr0.Ne);

    [Theory]
    [InlineData(Cr0.Em)]
    [InlineData(Cr0.Ts)]
    [InlineData(Cr0.Em | Cr0.Ts | Cr0.Mp)]
    public void Without_an_x87_at_hand_every_instruction_but_WAIT_is_NM(uint bits)
    {
        SetControlRegister0(Cr0.Ne | bits);
        foreach (X87Form form in X87Form.All.Where(form => form.Code != Code.Wait))
        {
            _machine.Exceptions.Clear();
            _machine.Cpu.State.Esi = Machine.DataBase;
            _machine.Execute(form.Bytes);
            Assert.Equal(ExceptionVector.DeviceNotAvailable, _machine.SingleException().Vector);
        }
    }

    [Theory]
    [InlineData(Cr0.Ts, false)]
    [InlineData(Cr0.Mp, false)]
    [InlineData(Cr0.Em, false)]
    [InlineData(Cr0.Mp | Cr0.Ts, true)]
    public void WAIT_is_NM_with_MP_and_TS_only(uint bits, bool raises)
    {
        SetControlRegister0(Cr0.Ne | bits);
        _machine.Execute(a => a.wait());
        Assert.Equal(raises ? 1 : 0, _machine.Exceptions.Count);
    }

    [Fact]
    public void An_unmasked_exception_is_reported_by_the_next_instruction_that_waits()
    {
        DivideByZero();
        Assert.Empty(_machine.Exceptions);
        Assert.NotEqual(0, _machine.Cpu.State.X87.Status & ErrorSummary);
        uint eip = _machine.Cpu.State.Eip;
        _machine.Execute(a => a.fld1());
        ExceptionInfo exception = _machine.SingleException();
        Assert.Equal(ExceptionVector.X87Error, exception.Vector);
        Assert.Equal(Machine.CodeBase, exception.InstructionEip);
        Assert.NotEqual(eip, exception.InstructionEip);
    }

    [Fact]
    public void Every_instruction_but_the_control_ones_waits()
    {
        Mnemonic[] patient =
        [
            Mnemonic.Fninit, Mnemonic.Fnclex, Mnemonic.Fnstcw, Mnemonic.Fnstsw, Mnemonic.Fnstenv, Mnemonic.Fnsave,
            Mnemonic.Fneni, Mnemonic.Fndisi, Mnemonic.Fnsetpm,
        ];
        foreach (X87Form form in X87Form.All)
        {
            DivideByZero();
            _machine.Cpu.State.Esi = Machine.DataBase;
            _machine.Execute(form.Bytes);
            bool waits = !patient.Contains(form.Decoded.Mnemonic);
            Assert.True(_machine.Exceptions.Count == (waits ? 1 : 0), form.ToString());
        }
    }

    [Fact]
    public void Without_CR0_NE_the_report_leaves_the_processor()
    {
        SetControlRegister0(0);
        DivideByZero();
        _machine.Execute(a => a.fld1());
        Assert.Empty(_machine.Exceptions);
        Assert.Equal(Machine.CodeBase + 2, _machine.Cpu.State.Eip);
    }

    [Fact]
    public void An_unmasked_exception_records_its_instruction_and_operand()
    {
        _machine.Cpu.State.Ebx = Machine.DataBase;
        _machine.WriteUInt32(Machine.DataBase + 0x10, 0);
        _machine.WriteUInt32(Machine.DataBase, ZeroDivideUnmasked);
        _machine.Cpu.State.Cs.Selector = 0x61;
        _machine.Cpu.State.Ss.Selector = 0x69;
        _machine.Execute(a =>
        {
            a.fninit();
            a.fldcw(__word_ptr[ebx]);
            a.fld1();
            a.nop();
            a.fdiv(__dword_ptr.ss[ebx + 0x10]);
        });

        // FNINIT, FLDCW [EBX], FLD1 and NOP come to seven bytes; FDIV m32 [EBX + disp8] is D8 73.
        ref X87State x87 = ref _machine.Cpu.State.X87;
        Assert.Equal(Machine.CodeBase + 7, x87.InstructionPointer);
        Assert.Equal(0x073, x87.LastOpcode);
        Assert.Equal(Machine.DataBase + 0x10, x87.DataPointer);
    }

    [Theory]
    [InlineData(1, 0x400)]
    [InlineData(0, 0)]
    public void The_recorded_opcode_has_zeros_where_its_code_can_no_longer_be_read(uint before, int opcode)
    {
        // MOV dword [the page's entry], 0, and a division by zero whose ModRM, or all of it, lies on that page: code can be fetched
        // from it still, as it was before, but nothing can be read there.
        using var paged = new PagedMachine();
        const uint page = Machine.CodeBase + PagedMachine.PageSize;
        uint entry = PagedMachine.EntryAddress(page);
        byte[] code = [0xC7, 0x05, .. Bytes(entry), .. Bytes(0), 0xDC, 0x35, .. Bytes(Machine.DataBase)];
        paged.Machine.Memory.Write(page + 0x800, [0x90]);
        paged.Cpu.State.Eip = page + 0x800;
        paged.Cpu.Run(1);
        uint start = page - before - (uint)code.Length + 6;
        paged.Machine.Memory.Write(start, code);
        paged.Cpu.State.X87.Control = ZeroDivideUnmasked;
        paged.Machine.Execute(a => a.fld1());
        paged.Cpu.State.Eip = start;
        paged.Cpu.Run(2);
        Assert.Empty(paged.Machine.Exceptions);
        Assert.Equal(page - before, paged.Cpu.State.X87.InstructionPointer);
        Assert.Equal(opcode, paged.Cpu.State.X87.LastOpcode);

        static byte[] Bytes(uint value) => BitConverter.GetBytes(value);
    }

    [Fact]
    public void The_recorded_opcode_is_looked_for_in_15_bytes()
    {
        // As above, with prefixes up to the page's end, and what would be an escape in the page behind it.
        using var paged = new PagedMachine();
        const uint page = Machine.CodeBase + PagedMachine.PageSize;
        byte[] unmap = [0xC7, 0x05, .. BitConverter.GetBytes(PagedMachine.EntryAddress(page)), 0, 0, 0, 0];
        byte[] divide = [0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0xDC, 0x35, .. BitConverter.GetBytes(Machine.DataBase)];
        uint start = page + PagedMachine.PageSize - (uint)(unmap.Length + divide.Length);
        paged.Machine.Memory.Write(start, [.. unmap, .. divide, 0xD9, 0xE8]);
        paged.Cpu.State.X87.Control = ZeroDivideUnmasked;
        paged.Machine.Execute(a => a.fld1());
        paged.Cpu.State.Eip = start;
        paged.Cpu.Run(2);
        Assert.Equal(page + PagedMachine.PageSize - 15, paged.Cpu.State.X87.InstructionPointer);
        Assert.Equal(0, paged.Cpu.State.X87.LastOpcode);
    }

    [Fact]
    public void FNINIT_forgets_all_but_the_registers()
    {
        ref X87State x87 = ref _machine.Cpu.State.X87;
        x87.Control = 0;
        x87.Status = x87.LastOpcode = 0x7ff;
        x87.InstructionPointer = x87.DataPointer = uint.MaxValue;
        x87.Valid = byte.MaxValue;
        _machine.Execute(a => a.fninit());
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((AllMasked, (ushort)0, (byte)0, (ushort)0), (x87.Control, x87.Status, x87.Valid, x87.LastOpcode));
        Assert.Equal((0u, 0u), (x87.InstructionPointer, x87.DataPointer));
    }

    [Theory]
    [InlineData(0xe0)]
    [InlineData(0xe1)]
    [InlineData(0xe4)]
    public void What_older_coprocessors_needed_does_nothing(byte code)
    {
        _machine.Execute([0xdb, code, 0x40], 2);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((Machine.CodeBase + 3, 1u), (_machine.Cpu.State.Eip, _machine.Cpu.State.Eax));
    }

    [Fact]
    public void Masked_exceptions_record_no_operand()
    {
        _machine.Execute(a =>
        {
            a.fninit();
            a.fldz();
            a.fld1();
            a.fdiv(st0, st1);
        });
        Assert.Equal((0u, (ushort)0), (_machine.Cpu.State.X87.DataPointer, _machine.Cpu.State.X87.LastOpcode));
    }

    [Theory]
    [InlineData(new byte[] { 0xDD, 0x36 }, new byte[] { 0xDD, 0x26 })]
    [InlineData(new byte[] { 0x66, 0xDD, 0x36 }, new byte[] { 0x66, 0xDD, 0x26 })]
    public void FSAVE_and_FRSTOR_undo_each_other_across_pages(byte[] save, byte[] restore)
    {
        ref X87State x87 = ref _machine.Cpu.State.X87;
        x87.Control = 0x0B7F;
        x87.Status = 0x7D20;
        x87.Valid = 0b1010_0110;
        x87.LastOpcode = 0x123;
        x87.InstructionPointer = 0x4567;
        x87.DataPointer = 0x89AB;
        for (int i = 0; i < 8; i++)
        {
            x87.Registers[i] = new Float80
            {
                Significand = 0x8000_0000_0000_0000 + (ulong)i,
                SignExponent = (ushort)(0x4000 + i),
            };
        }

        X87State before = x87;
        bool is16 = save[0] == 0x66;
        _machine.Cpu.State.Esi = Machine.DataBase + 0x1000 - 37;
        _machine.Execute(save);
        Assert.Equal(AllMasked, x87.Control);
        Assert.Equal(0, x87.Status);
        Assert.Equal(0, x87.Valid);
        _machine.Execute(restore);
        Assert.Equal(before.Control, x87.Control);
        Assert.Equal(before.Status, x87.Status);
        Assert.Equal(before.Valid, x87.Valid);
        Assert.Equal(before.InstructionPointer, x87.InstructionPointer);
        Assert.Equal(before.DataPointer, x87.DataPointer);
        Assert.Equal(is16 ? 0 : before.LastOpcode, x87.LastOpcode);
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal(before.Registers[i].Significand, x87.Registers[i].Significand);
            Assert.Equal(before.Registers[i].SignExponent, x87.Registers[i].SignExponent);
        }
    }

    /// <summary>SDM 1, figures 8-9 and 8-11: the formats of protected mode.</summary>
    [Theory]
    [InlineData(
        new byte[] { 0xD9, 0x36 }, "7F0BFFFF 207DFFFF D3BBFFFF EFCDAB89 0000 2301 78563412 0000FFFF")]
    [InlineData(new byte[] { 0x66, 0xD9, 0x36 }, "7F0B 207D D3BB EFCD 0000 7856 0000")]
    public void An_environment_lies_in_memory_as_the_manual_draws_it(byte[] store, string expected)
    {
        ref X87State x87 = ref _machine.Cpu.State.X87;
        x87.Control = 0x0B7F;
        x87.Status = 0x7D20;
        x87.Valid = 0b1010_0110;
        x87.LastOpcode = 0x123;
        x87.InstructionPointer = 0x89AB_CDEF;
        x87.DataPointer = 0x1234_5678;

        // Of those that hold something, one is a number, one zero and the others special: an unnormal and a denormal.
        x87.Registers[1] = new Float80 { Significand = 1ul << 63, SignExponent = 0x3FFF };
        x87.Registers[2] = default;
        x87.Registers[5] = new Float80 { Significand = 1ul << 62, SignExponent = 0x3FFF };
        x87.Registers[7] = new Float80 { Significand = 1, SignExponent = 0 };
        byte[] bytes = Convert.FromHexString(expected.Replace(" ", "", StringComparison.Ordinal));
        _machine.Memory.Write(Machine.DataBase, Enumerable.Repeat(Untouched, 32).ToArray());
        _machine.Cpu.State.Esi = Machine.DataBase;
        _machine.Execute(store);
        Assert.Equal(
            [.. bytes, .. Enumerable.Repeat(Untouched, 32 - bytes.Length)], _machine.Memory.Span(Machine.DataBase, 32).ToArray());
    }

    [Fact]
    public void An_operand_beyond_its_segment_faults_and_changes_nothing()
    {
        const int shortBy = 1;
        foreach (X87Form form in X87Form.All.Where(form => form.Decoded.MemorySize != MemorySize.Unknown))
        {
            uint size = (uint)form.Decoded.MemorySize.GetSize();
            _machine.Exceptions.Clear();
            ref ProcessorState state = ref _machine.Cpu.State;
            state.X87 = new X87State { Control = AllMasked, Status = 0x0500, Valid = 0x7F };
            _machine.Memory.Write(Machine.DataBase, Enumerable.Repeat(Untouched, 128).ToArray());
            SegmentRegister data = state.Ds;
            data.Limit = Machine.DataBase + size - 1 - shortBy;
            SegmentRegister flat = state.Ds;
            _machine.Cpu.SetSegment(SegmentName.Ds, data);
            state.Esi = Machine.DataBase;
            _machine.Execute(form.Bytes);
            _machine.Cpu.SetSegment(SegmentName.Ds, flat);

            Assert.Equal(ExceptionVector.GeneralProtection, _machine.SingleException().Vector);
            Assert.True(state.X87 is { Control: AllMasked, Status: 0x0500, Valid: 0x7F }, form.ToString());
            Span<byte> memory = _machine.Memory.Span(Machine.DataBase, 128);
            Assert.True(memory.IndexOfAnyExcept(Untouched) < 0, form.ToString());
        }
    }

    /// <summary>SDM 3A, table 6-7: 8 for ten bytes, and the size of a field for an environment.</summary>
    [Theory]
    [InlineData(new byte[] { 0xDB, 0x2E }, 4, true)]
    [InlineData(new byte[] { 0xDB, 0x2E }, 8, false)]
    [InlineData(new byte[] { 0xDB, 0x3E }, 4, true)]
    [InlineData(new byte[] { 0xDB, 0x3E }, 8, false)]
    [InlineData(new byte[] { 0xDD, 0x36 }, 2, true)]
    [InlineData(new byte[] { 0xDD, 0x36 }, 4, false)]
    [InlineData(new byte[] { 0x66, 0xDD, 0x36 }, 1, true)]
    [InlineData(new byte[] { 0x66, 0xDD, 0x36 }, 2, false)]
    [InlineData(new byte[] { 0xDD, 0x06 }, 4, true)]
    [InlineData(new byte[] { 0xD9, 0x06 }, 4, false)]
    public void Alignment_is_checked_where_it_is_asked_for(byte[] code, uint offset, bool raises)
    {
        ref ProcessorState state = ref _machine.Cpu.State;
        SegmentRegister segment = state.Cs;
        segment.Selector |= 3;
        _machine.Cpu.SetSegment(SegmentName.Cs, segment);
        SetControlRegister0(Cr0.Ne | Cr0.Am);
        _machine.Cpu.Eflags |= Eflags.Ac;
        state.X87.Valid = 1;
        state.Esi = Machine.DataBase + offset;
        _machine.Execute(code);
        if (raises)
        {
            Assert.Equal(ExceptionVector.AlignmentCheck, _machine.SingleException().Vector);
            Assert.True(state.X87 is { Control: AllMasked, Valid: 1, Status: 0 });
        }
        else
        {
            Assert.Empty(_machine.Exceptions);
        }
    }

    public void Dispose() => _machine.Dispose();

    private void SetControlRegister0(uint bits) =>
        _machine.Cpu.WriteControlRegister(0, Cr0.Pe | Cr0.Et | bits);

    private void DivideByZero()
    {
        _machine.Exceptions.Clear();
        _machine.Cpu.State.Ebx = Machine.DataBase;
        _machine.WriteUInt32(Machine.DataBase, ZeroDivideUnmasked);
        _machine.Execute(a =>
        {
            a.fninit();
            a.fldcw(__word_ptr[ebx]);
            a.fldz();
            a.fld1();
            a.fdiv(st0, st1);
        });
        Assert.Empty(_machine.Exceptions);
    }
}
