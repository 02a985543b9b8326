using Iced.Intel;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Loading segment registers, and what they allow afterwards.</summary>
public sealed class SegmentationTests : IDisposable
{
    private const ushort NullSelector = 0;
    private const ushort InLdt = 0x0c;
    private const int None = -1;

    private readonly ProtectedMachine _machine = new();

    /// <summary>CPL, selector, then vector and error code, or that it loads.</summary>
    public static TheoryData<int, ushort, int, uint> DataLoads => new()
    {
        { 0, NullSelector, None, 0 },
        { 0, 3, None, 0 },
        { 3, NullSelector, None, 0 },
        { 0, Data0, None, 0 },
        { 0, Data3, None, 0 },
        { 0, Data0 | 1, ExceptionVector.GeneralProtection, Data0 },
        { 0, Data0 | 3, ExceptionVector.GeneralProtection, Data0 },
        { 0, Data1, None, 0 },
        { 1, Data1, None, 0 },
        { 1, Data1 & ~3, None, 0 },
        { 1, Data0, ExceptionVector.GeneralProtection, Data0 },
        { 3, Data3, None, 0 },
        { 3, Data3 & ~3, None, 0 },
        { 3, Data0, ExceptionVector.GeneralProtection, Data0 },
        { 3, Data1, ExceptionVector.GeneralProtection, Data1 & ~3u },
        { 0, Code0, None, 0 },
        { 3, Code3, None, 0 },
        { 3, Code0, ExceptionVector.GeneralProtection, Code0 },
        { 3, Conforming0, None, 0 },
        { 3, Conforming0 | 3, None, 0 },
        { 0, ExecuteOnly0, ExceptionVector.GeneralProtection, ExecuteOnly0 },
        { 0, ReadOnly3, None, 0 },
        { 0, ExpandDown0, None, 0 },
        { 0, TssSelector, ExceptionVector.GeneralProtection, TssSelector },
        { 0, LdtSelector, ExceptionVector.GeneralProtection, LdtSelector },
        { 0, Free, ExceptionVector.GeneralProtection, Free },
        { 0, Beyond, ExceptionVector.GeneralProtection, Beyond },
        { 0, Beyond + 3, ExceptionVector.GeneralProtection, Beyond },
        { 0, 0xfff8, ExceptionVector.GeneralProtection, 0xfff8 },
        { 0, AbsentData0, ExceptionVector.SegmentNotPresent, AbsentData0 },
        { 3, AbsentData0, ExceptionVector.GeneralProtection, AbsentData0 },
        { 0, InLdt, ExceptionVector.GeneralProtection, InLdt },
        { 0, 4, ExceptionVector.GeneralProtection, 4 },
    };

    public static TheoryData<int, ushort, int, uint> StackLoads => new()
    {
        { 0, NullSelector, ExceptionVector.GeneralProtection, 0 },
        { 3, 3, ExceptionVector.GeneralProtection, 0 },
        { 0, Data0, None, 0 },
        { 1, Data1, None, 0 },
        { 3, Data3, None, 0 },
        { 0, Data0 | 3, ExceptionVector.GeneralProtection, Data0 },
        { 0, Data3, ExceptionVector.GeneralProtection, Data3 & ~3u },
        { 0, Data3 & ~3, ExceptionVector.GeneralProtection, Data3 & ~3u },
        { 3, Data3 & ~3, ExceptionVector.GeneralProtection, Data3 & ~3u },
        { 3, Data0 | 3, ExceptionVector.GeneralProtection, Data0 },
        { 1, Data0, ExceptionVector.GeneralProtection, Data0 },
        { 0, Code0, ExceptionVector.GeneralProtection, Code0 },
        { 3, ReadOnly3, ExceptionVector.GeneralProtection, ReadOnly3 & ~3u },
        { 0, TssSelector, ExceptionVector.GeneralProtection, TssSelector },
        { 0, Beyond, ExceptionVector.GeneralProtection, Beyond },
        { 0, AbsentData0, ExceptionVector.StackSegment, AbsentData0 },
        { 0, AbsentData0 | 3, ExceptionVector.GeneralProtection, AbsentData0 },
        { 0, InLdt, ExceptionVector.GeneralProtection, InLdt },
    };

    [Theory]
    [MemberData(nameof(DataLoads))]
    public void Data_segments_load_or_fault_in_every_form(int cpl, ushort selector, int vector, uint errorCode)
    {
        foreach (SegmentName name in (SegmentName[])[SegmentName.Ds, SegmentName.Es, SegmentName.Fs, SegmentName.Gs])
        {
            CheckAllForms(cpl, name, selector, vector, errorCode);
        }
    }

    [Theory]
    [MemberData(nameof(StackLoads))]
    public void The_stack_segment_loads_or_faults_in_every_form(int cpl, ushort selector, int vector, uint errorCode) =>
        CheckAllForms(cpl, SegmentName.Ss, selector, vector, errorCode);

    [Fact]
    public void Moving_to_cs_is_an_invalid_opcode()
    {
        Assert.Equal(StopReason.Halted, RunBytes(0x8e, 0xc8));
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.EnteredVector);
        Assert.False(_machine.Cpu.TryLoadSegment(SegmentName.Cs, Code0, out ExceptionInfo fault));
        Assert.Equal(ExceptionVector.InvalidOpcode, fault.Vector);
    }

    [Theory]
    [InlineData(0xf0)]
    [InlineData(0xf8)]
    public void Moving_to_or_from_the_two_segment_registers_that_do_not_exist_is_an_invalid_opcode(int modrm)
    {
        RunBytes(0x8e, (byte)modrm);
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.EnteredVector);
        _machine.State.Halted = 0;
        RunBytes(0x8c, (byte)modrm);
        Assert.Equal(ExceptionVector.InvalidOpcode, _machine.EnteredVector);
    }

    [Fact]
    public void Loading_marks_the_descriptor_in_memory_as_accessed()
    {
        ulong before = _machine.GetDescriptor(Data3);
        _machine.Step(a => a.mov(ds, eax), eax: Data3);

        Assert.Equal(before | (1ul << 40), _machine.GetDescriptor(Data3));
        Assert.True(_machine.State.Ds.Access.HasFlag(SegmentAccess.Accessed));
    }

    [Fact]
    public void Code_in_a_descriptor_is_what_a_load_has_made_of_it()
    {
        // MOV AL, imm8 across bytes 4 and 5, the base and the access rights: the load sets the accessed bit.
        const uint Code = Gdt + Free + 4;
        _machine.SetDescriptor(Free, TestDescriptor.Flat(TestDescriptor.Data, 0) | (0xb0ul << 32));
        _machine.State.Eip = Code;
        _machine.Cpu.Run(1);
        Assert.Equal(0x92u, _machine.State.Eax & 0xff);
        Assert.True(_machine.Cpu.TryLoadSegment(SegmentName.Fs, Free, out _));
        _machine.State.Eip = Code;
        _machine.Cpu.Run(1);
        Assert.Equal(0x93u, _machine.State.Eax & 0xff);
    }

    [Fact]
    public void A_load_that_faults_leaves_the_descriptor_alone()
    {
        ulong before = _machine.GetDescriptor(AbsentData0);
        _machine.Step(a => a.mov(ds, eax), eax: AbsentData0);
        Assert.Equal(before, _machine.GetDescriptor(AbsentData0));
    }

    [Fact]
    public void The_hosts_table_is_used_instead_of_memory_and_is_never_written()
    {
        ulong[] table = [0, 0, TestDescriptor.Segment(0x1234_5000, 0xfff, TestDescriptor.Data, 0)];
        _machine.Cpu.HostGdt = table;
        ulong inMemory = _machine.GetDescriptor(Data0);

        Assert.True(_machine.Cpu.TryLoadSegment(SegmentName.Es, 0x10, out _));
        Assert.Equal(0x1234_5000u, _machine.State.Es.Base);
        Assert.Equal(0xfffu, _machine.State.Es.Limit);
        Assert.Equal(TestDescriptor.Segment(0x1234_5000, 0xfff, TestDescriptor.Data, 0), table[2]);
        Assert.Equal(inMemory, _machine.GetDescriptor(Data0));
        Assert.False(_machine.Cpu.TryLoadSegment(SegmentName.Es, 0x18, out ExceptionInfo fault));
        Assert.Equal((ExceptionVector.GeneralProtection, 0x18u), (fault.Vector, fault.ErrorCode));

        // The null selector is no entry of it either.
        Assert.True(_machine.Cpu.TryLoadSegment(SegmentName.Es, 3, out _));
        Assert.False(_machine.State.Es.IsUsable);
        Ask(a => a.lar(ecx, eax), NullSelector, expected: false);
    }

    [Fact]
    public void The_hidden_part_stays_until_the_register_is_loaded_again()
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x2000, 0xff, TestDescriptor.Data, 0));
        _machine.Step(a => a.mov(fs, eax), eax: Free);
        _machine.SetDescriptor(Free, 0);
        _machine.Machine.WriteUInt32(0x2010, 0x1234_5678);

        _machine.Step(a => a.mov(ebx, __dword_ptr.fs[0x10]));
        Assert.Equal(0x1234_5678u, _machine.State.Ebx);
        _machine.Run(a => a.mov(fs, eax));
        Assert.Equal(ExceptionVector.GeneralProtection, _machine.EnteredVector);
    }

    [Theory]
    [InlineData("8ED8", "8B1D")]
    [InlineData("8EC0", "268B1D")]
    [InlineData("8ED0", "368B1D")]
    [InlineData("8EE0", "648B1D")]
    [InlineData("8EE8", "658B1D")]
    public void A_segment_counts_from_the_next_instruction_on(string load, string read)
    {
        // In one block, which was built for flat segments.
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x2000, 0xfff, TestDescriptor.Data, 0));
        _machine.Machine.WriteUInt32(0x2010, 0x1234_5678);
        _machine.Memory.Write(Machine.CodeBase, Convert.FromHexString(load + read + "10000000"));
        _machine.State.Eax = Free;
        _machine.State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(2);
        Assert.Equal(0x1234_5678u, _machine.State.Ebx);
    }

    [Fact]
    public void Code_that_may_only_be_executed_cannot_be_read_through_CS()
    {
        foreach (ushort selector in (ushort[])[Code0, ExecuteOnly0])
        {
            _machine.EnterRing(0);
            _machine.Load(SegmentName.Cs, selector);
            _machine.Step(a => a.mov(eax, __dword_ptr.cs[0x2000]));
            AssertRaised(selector == Code0 ? None : ExceptionVector.GeneralProtection, 0);
        }
    }

    /// <summary>What is done through a segment, and whether it faults.</summary>
    public static TheoryData<string, ushort, uint, int> Accesses => new()
    {
        { "read", NullSelector, 0, ExceptionVector.GeneralProtection },
        { "write", NullSelector, 0, ExceptionVector.GeneralProtection },
        { "read", ReadOnly3, 0x2000, None },
        { "write", ReadOnly3, 0x2000, ExceptionVector.GeneralProtection },
        { "read", Code0, 0x2000, None },
        { "write", Code0, 0x2000, ExceptionVector.GeneralProtection },
        { "read", Free, 0xfc, None },
        { "read", Free, 0xfd, ExceptionVector.GeneralProtection },
        { "write", Free, 0xfd, ExceptionVector.GeneralProtection },
        { "read", Free, 0xffff_fffe, ExceptionVector.GeneralProtection },
        { "read", ExpandDown0, 0xfff, ExceptionVector.GeneralProtection },
        { "read", ExpandDown0, 0xffc, ExceptionVector.GeneralProtection },
        { "read", ExpandDown0, 0x1000, None },
        { "write", ExpandDown0, 0x1000, None },
        { "read", Free2, 0xfffc, None },
        { "read", Free2, 0xfffd, ExceptionVector.GeneralProtection },
    };

    [Theory]
    [MemberData(nameof(Accesses))]
    public void A_segment_allows_what_its_type_and_limit_say(string access, ushort selector, uint offset, int vector)
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x2000, 0xff, TestDescriptor.Data, 0));
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(0, 0xff, TestDescriptor.ExpandDownData, 0, is32: false));
        Assert.True(_machine.Cpu.TryLoadSegment(SegmentName.Es, selector, out _));
        _machine.State.Esi = offset;
        _machine.Step(a =>
        {
            if (access == "read")
            {
                a.mov(eax, __dword_ptr.es[esi]);
            }
            else
            {
                a.mov(__dword_ptr.es[esi], eax);
            }
        });

        AssertRaised(vector, 0);
    }

    [Fact]
    public void Segments_that_all_end_early_begin_at_zero_and_still_end()
    {
        // What a processor may know of flat segments doesn't hold for these.
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, 0xffff, TestDescriptor.Code, 0));
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(0, 0xffff, TestDescriptor.Data, 0));
        _machine.Load(SegmentName.Cs, Free);
        _machine.Load(SegmentName.Ss, Free2);
        _machine.Load(SegmentName.Ds, Free2);
        _machine.Load(SegmentName.Es, Free2);
        _machine.State.Esi = 0xfffc;
        _machine.Step(a => a.mov(eax, __dword_ptr[esi]));
        AssertRaised(None, 0);
        _machine.State.Esi = 0xfffd;
        _machine.Step(a => a.mov(eax, __dword_ptr[esi]));
        AssertRaised(ExceptionVector.GeneralProtection, 0);
    }

    [Theory]
    [InlineData(SegmentName.Ss)]
    [InlineData(SegmentName.Ds)]
    [InlineData(SegmentName.Es)]
    public void An_expand_down_segment_of_all_offsets_has_none(SegmentName name)
    {
        SegmentAccess access = _machine.State.Ds.Access | SegmentAccess.ExpandDownOrConforming;
        _machine.Cpu.SetSegment(name, _machine.State.Ds with { Access = access });
        _machine.State.Esi = _machine.State.Ebp = _machine.State.Edi = 0x2000;
        AssemblerMemoryOperand operand = name switch
        {
            SegmentName.Ss => __dword_ptr[ebp],
            SegmentName.Ds => __dword_ptr[esi],
            _ => __dword_ptr.es[edi],
        };
        _machine.Step(a => a.mov(eax, operand));
        AssertRaised(name == SegmentName.Ss ? ExceptionVector.StackSegment : ExceptionVector.GeneralProtection, 0);
    }

    [Theory]
    [InlineData(8u, 8u, None)]
    [InlineData(8u, 0x10u, ExceptionVector.GeneralProtection)]
    [InlineData(4u, 0xcu, None)]
    [InlineData(4u, 4u, ExceptionVector.GeneralProtection)]
    public void What_has_to_be_aligned_is_the_linear_address(uint start, uint offset, int vector)
    {
        _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr);
        _machine.Cpu.SetSegment(SegmentName.Es, _machine.State.Ds with { Base = Machine.DataBase + start });
        _machine.State.Esi = offset;
        _machine.Step(a => a.movaps(xmm0, __xmmword_ptr.es[esi]));
        AssertRaised(vector, 0);
    }

    [Fact]
    public void Segments_that_all_begin_at_one_count_from_there()
    {
        _machine.Cpu.SetSegment(SegmentName.Cs, _machine.State.Cs with { Base = 1 });
        foreach (SegmentName name in (SegmentName[])[SegmentName.Ss, SegmentName.Ds, SegmentName.Es])
        {
            _machine.Cpu.SetSegment(name, _machine.State.Ds with { Base = 1 });
        }

        _machine.Machine.WriteUInt32(Machine.DataBase, 0x4433_2211);
        _machine.Memory.Write(Machine.CodeBase + 1, [0x8a, 0x06]);
        _machine.State.Esi = Machine.DataBase;
        _machine.State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(1);
        Assert.Equal(0x22u, _machine.State.Eax & 0xff);
    }

    [Theory]
    [InlineData(0x100u, None)]
    [InlineData(0x4u, None)]
    [InlineData(0x2u, ExceptionVector.StackSegment)]
    [InlineData(0x104u, ExceptionVector.StackSegment)]
    public void The_stacks_limit_raises_a_stack_fault(uint esp, int vector)
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x2000, 0xff, TestDescriptor.Data, 0));
        Assert.True(_machine.Cpu.TryLoadSegment(SegmentName.Ss, Free, out _));
        _machine.State.Esp = esp;
        _machine.Machine.StopAtExceptions = true;
        _machine.Step(a => a.push(eax));

        AssertRaised(vector, 0);
        Assert.Equal(vector == None ? esp - 4 : esp, _machine.State.Esp);
    }

    [Fact]
    public void Stores_of_a_selector_have_the_size_of_their_operand()
    {
        _machine.State.Eax = _machine.State.Ecx = 0xdddd_dddd;
        _machine.Machine.WriteUInt32(0x2000, 0xdddd_dddd);
        _machine.Machine.WriteUInt32(Machine.StackTop - 4, 0xdddd_dddd);
        _machine.Machine.WriteUInt32(Machine.StackTop - 8, 0xdddd_dddd);
        _machine.Step(
            a =>
            {
                a.mov(eax, ds);
                a.mov(cx, ds);
                a.mov(__word_ptr[0x2000], ds);
                a.push(ds);
                a.db(0x66, 0x1e);
            },
            5);

        Assert.Equal(Data0, _machine.State.Eax);
        Assert.Equal(0xdddd_0000u | Data0, _machine.State.Ecx);
        Assert.Equal(0xdddd_0000u | Data0, _machine.Machine.ReadUInt32(0x2000));
        Assert.Equal(0xdddd_0000u | Data0, _machine.Machine.ReadUInt32(Machine.StackTop - 4));
        Assert.Equal(0x0010_ddddu, _machine.Machine.ReadUInt32(Machine.StackTop - 8));
        Assert.Equal(Machine.StackTop - 6, _machine.State.Esp);
    }

    [Theory]
    [InlineData("ss", true)]
    [InlineData("pop ss", true)]
    [InlineData("lss", false)]
    [InlineData("ds", false)]
    public void Only_mov_and_pop_to_ss_hold_interrupts_off_for_one_instruction(string form, bool shadowed)
    {
        _machine.Machine.WriteUInt32(0x2000, Machine.StackTop);
        _machine.Machine.WriteUInt32(0x2004, Data0);
        _machine.State.Eax = Data0;
        _machine.State.Esp = form == "pop ss" ? 0x2004 : Machine.StackTop;
        _machine.Step(a =>
        {
            switch (form)
            {
                case "ss":
                    a.mov(ss, eax);
                    break;
                case "pop ss":
                    a.pop(ss);
                    break;
                case "lss":
                    a.lss(esp, __fword_ptr[0x2000]);
                    break;
                default:
                    a.mov(ds, eax);
                    break;
            }

            a.nop();
        });

        Assert.Equal(shadowed, _machine.Cpu.InterruptsShadowed);
        _machine.Cpu.Run(1);
        Assert.False(_machine.Cpu.InterruptsShadowed);
    }

    [Fact]
    public void A_local_descriptor_table_serves_selectors_with_ti_set()
    {
        _machine.SetDescriptor(InLdt, TestDescriptor.Segment(0x3000, 0xff, TestDescriptor.Data, 0));
        _machine.Step(
            a =>
            {
                a.mov(eax, LdtSelector);
                a.lldt(ax);
                a.mov(eax, InLdt);
                a.mov(es, eax);
                a.sldt(ecx);
            },
            5);

        Assert.Empty(_machine.Exceptions);
        Assert.Equal(0x3000u, _machine.State.Es.Base);
        Assert.Equal(LdtSelector, _machine.State.Ecx);
    }

    [Theory]
    [InlineData(0x17u, true, true)]
    [InlineData(0x16u, true, false)]
    [InlineData(0x1fu, true, true)]
    [InlineData(0xffu, false, false)]
    public void A_local_selector_needs_all_of_its_descriptor_within_the_table(uint limit, bool isUsable, bool allowed)
    {
        const ushort local = 0x14;
        _machine.LoadLdt();
        _machine.SetDescriptor(local, TestDescriptor.Segment(0x3000, 0xff, TestDescriptor.Data, 0));
        ref SegmentRegister ldtr = ref _machine.State.Ldtr;
        ldtr.Limit = limit;
        ldtr.Access = isUsable ? ldtr.Access : 0;
        _machine.Step(a => a.mov(es, eax), eax: local);
        AssertRaised(allowed ? None : ExceptionVector.GeneralProtection, allowed ? 0u : local);
    }

    [Theory]
    [InlineData(NullSelector, None, 0)]
    [InlineData(InLdt, ExceptionVector.GeneralProtection, InLdt)]
    [InlineData(Data0, ExceptionVector.GeneralProtection, Data0)]
    [InlineData(TssSelector, ExceptionVector.GeneralProtection, TssSelector)]
    [InlineData(Beyond, ExceptionVector.GeneralProtection, Beyond)]
    [InlineData(Free, ExceptionVector.SegmentNotPresent, Free)]
    [InlineData(LdtSelector, None, 0)]
    public void Lldt_takes_only_present_tables_of_the_gdt(ushort selector, int vector, uint errorCode)
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(Ldt, 0x7f, TestDescriptor.Ldt, 0, present: false));
        _machine.Step(a => a.lldt(ax), eax: selector);
        AssertRaised(vector, errorCode);
    }

    [Theory]
    [InlineData(NullSelector, ExceptionVector.GeneralProtection, 0)]
    [InlineData(InLdt, ExceptionVector.GeneralProtection, InLdt)]
    [InlineData(Data0, ExceptionVector.GeneralProtection, Data0)]
    [InlineData(TssSelector, ExceptionVector.GeneralProtection, TssSelector)]
    [InlineData(Beyond, ExceptionVector.GeneralProtection, Beyond)]
    [InlineData(Free, ExceptionVector.SegmentNotPresent, Free)]
    [InlineData(Free2, ExceptionVector.GeneralProtection, Free2)]
    [InlineData(Free3, None, 0)]
    [InlineData(OtherTssSelector, None, 0)]
    public void Ltr_takes_only_present_available_tasks_and_marks_them_busy(ushort selector, int vector, uint errorCode)
    {
        // But for bit 4, accessed code that can't be read has the type of an available task.
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(Tss, 0x67, TestDescriptor.ExecuteOnlyCode | TestDescriptor.Accessed, 0));
        _machine.SetDescriptor(Free3, TestDescriptor.Segment(Tss, 0x2b, TestDescriptor.Tss16, 0, is32: false));
        _machine.SetDescriptor(Free, TestDescriptor.Segment(Tss, 0x67, TestDescriptor.Tss32, 0, present: false));
        _machine.Step(a => a.ltr(ax), eax: selector);
        AssertRaised(vector, errorCode);
        if (vector == None)
        {
            Assert.Equal(selector, _machine.State.Tr.Selector);
            Assert.Equal(selector == Free3 ? 3u : 0x0bu, (uint)(_machine.GetDescriptor(selector) >> 40) & 0xf);
        }
    }

    /// <summary>CPL, selector, then what LAR, LSL, VERR and VERW say.</summary>
    public static TheoryData<int, ushort, bool, bool, bool, bool> Questions => new()
    {
        { 0, NullSelector, false, false, false, false },
        { 0, Beyond, false, false, false, false },
        { 0, Data0, true, true, true, true },
        { 0, Data0 | 3, false, false, false, false },
        { 3, Data0, false, false, false, false },
        { 3, Data3, true, true, true, true },
        { 3, ReadOnly3, true, true, true, false },
        { 0, Code0, true, true, true, false },
        { 3, Code0, false, false, false, false },
        { 3, Conforming0, true, true, true, false },
        { 0, ExecuteOnly0, true, true, false, false },
        { 0, TssSelector, true, true, false, false },
        { 3, TssSelector, false, false, false, false },
        { 0, LdtSelector, true, true, false, false },
        { 0, AbsentData0, true, true, true, true },
        { 0, Free, true, false, false, false },
        { 0, Free2, false, false, false, false },
        { 0, Free3, true, false, false, false },
    };

    [Theory]
    [MemberData(nameof(Questions))]
    public void Questions_about_selectors_answer_in_zf_and_never_fault(
        int cpl, ushort selector, bool lar, bool lsl, bool verr, bool verw)
    {
        _machine.SetDescriptor(Free, TestDescriptor.Gate(TestDescriptor.CallGate32, Code0, 0x1000, 0));
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, 0x1000, 0));
        _machine.SetDescriptor(Free3, TestDescriptor.Gate(TestDescriptor.TaskGate, TssSelector, 0, 0));
        _machine.EnterRing(cpl);
        ulong descriptor = selector >= Beyond ? 0 : _machine.GetDescriptor(selector);
        uint high = (uint)(descriptor >> 32);
        uint limit = (uint)(descriptor & 0xffff) | (high & 0xf_0000);
        limit = (high & 0x80_0000) != 0 ? (limit << 12) | 0xfff : limit;

        Assert.Equal(lar ? high & 0xff_ff00 : 0xdddd_dddd, Ask(a => a.lar(ecx, eax), selector, lar));
        Assert.Equal(lar ? 0xdddd_0000 | (high & 0xff00) : 0xdddd_dddd, Ask(a => a.lar(cx, ax), selector, lar));
        Assert.Equal(lsl ? limit : 0xdddd_dddd, Ask(a => a.lsl(ecx, eax), selector, lsl));
        Ask(a => a.verr(ax), selector, verr);
        Ask(a => a.verw(ax), selector, verw);
        Assert.Empty(_machine.Exceptions);
    }

    [Fact]
    public void Questions_about_selectors_depend_on_the_type_as_the_manual_says()
    {
        // SDM 2A, LAR, table 3-53; LSL, table 3-56: which types of system segments and gates they tell of.
        int[] rights = [1, 2, 3, 4, 5, 9, 11, 12];
        int[] limits = [1, 2, 3, 9, 11];
        for (int type = 0; type < 32; type++)
        {
            bool isMemory = type >= 16;
            bool isCode = type >= 24;
            _machine.SetDescriptor(Free, TestDescriptor.Segment(0x1000, 0x123, type, 0));
            Ask(a => a.lar(ecx, eax), Free, isMemory || rights.Contains(type));
            Ask(a => a.lsl(ecx, eax), Free, isMemory || limits.Contains(type));
            Ask(a => a.verr(ax), Free, isMemory && (!isCode || (type & 2) != 0));
            Ask(a => a.verw(ax), Free, isMemory && !isCode && (type & 2) != 0);
        }
    }

    [Fact]
    public void The_same_offset_in_two_code_segments_is_two_addresses()
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x10_0000, 0xffff, TestDescriptor.Code, 0));
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(0x20_0000, 0xffff, TestDescriptor.Code, 0));
        _machine.Memory.Write(0x10_0100, [0x40, 0xea, 0x00, 0x01, 0x00, 0x00, (byte)Free2, 0x00]);
        _machine.Memory.Write(0x20_0100, [0x41, 0xea, 0x00, 0x01, 0x00, 0x00, (byte)Free, 0x00]);
        _machine.Load(SegmentName.Cs, Free);
        _machine.State.Eip = 0x100;
        _machine.Cpu.Run(40);

        Assert.Equal(10u, _machine.State.Eax);
        Assert.Equal(10u, _machine.State.Ecx);
    }

    [Fact]
    public void Code_that_is_cut_off_leads_nowhere_else()
    {
        // Part of a loop that leads back to its start, and then as large a part of other code, which a limit cuts off.
        const uint Other = Machine.CodeBase + 0x200;
        _machine.Machine.Assemble(a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(eax);
            a.jne(again);
            a.hlt();
        });
        _machine.Cpu.Run(100);
        _machine.State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(2);
        _machine.Memory.Write(Other, [0x43, 0x43, 0xf4]);
        _machine.Cpu.SetSegment(SegmentName.Cs, _machine.State.Cs with { Limit = Other });
        _machine.State.Eip = Other;
        _machine.Cpu.Run(10);
        AssertRaised(ExceptionVector.GeneralProtection, 0);
        Assert.Equal((1u, 51u, Other + 1), (_machine.State.Ebx, _machine.State.Eax, _machine.Exceptions[0].InstructionEip));
    }

    [Fact]
    public void Code_that_runs_into_its_segments_limit_faults_at_the_instruction_that_crosses_it()
    {
        // The loop makes sure that the block is known by the time its end moves out of the segment.
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x10_0000, 0x107, TestDescriptor.Code, 0));
        _machine.Memory.Write(0x10_0100, [0x40, 0x40, 0x40, 0xe2, 0xfb, 0x41, 0xb8, 0, 0, 0, 0]);
        _machine.Load(SegmentName.Cs, Free);
        _machine.State.Eip = 0x100;
        _machine.State.Ecx = 3;
        _machine.Cpu.Run(1000);

        Assert.Equal(ExceptionVector.GeneralProtection, _machine.EnteredVector);
        Assert.Equal(0x106u, _machine.Exceptions[0].InstructionEip);
        Assert.Equal((9u, 1u), (_machine.State.Eax, _machine.State.Ecx));
    }

    public void Dispose() => _machine.Dispose();

    private StopReason RunBytes(params byte[] code)
    {
        _machine.Memory.Write(Machine.CodeBase, code);
        _machine.State.Eip = Machine.CodeBase;
        return _machine.Cpu.Run(1000);
    }

    private uint Ask(Action<Assembler> question, ushort selector, bool expected)
    {
        _machine.State.Eax = selector;
        _machine.State.Ecx = 0xdddd_dddd;
        _machine.Cpu.Eflags = expected ? 2u : Eflags.Zf | 2u;
        ulong before = _machine.Cpu.Retired;
        _machine.Step(question);
        Assert.Equal(before + 1, _machine.Cpu.Retired);
        Assert.Equal(expected, (_machine.Cpu.Eflags & Eflags.Zf) != 0);
        Assert.Equal(selector, _machine.State.Eax);
        return _machine.State.Ecx;
    }

    private static void CheckAllForms(int cpl, SegmentName name, ushort selector, int vector, uint errorCode)
    {
        AssemblerRegisterSegment register = name switch
        {
            SegmentName.Es => es,
            SegmentName.Ss => ss,
            SegmentName.Ds => ds,
            SegmentName.Fs => fs,
            _ => gs,
        };
        (string Name, Action<Assembler> Code)[] forms =
        [
            ("mov register", a => a.mov(register, eax)),
            ("mov memory", a => a.mov(register, __word_ptr.cs[0x2004])),
            ("pop", a => a.pop(register)),
            ("load pointer", a => LoadPointer(a, name)),
        ];
        foreach ((string form, Action<Assembler> code) in forms)
        {
            using var machine = new ProtectedMachine();
            machine.EnterRing(cpl);
            machine.Machine.StopAtExceptions = true;
            machine.Machine.WriteUInt32(0x2000, 0x1234_5678);
            machine.Machine.WriteUInt32(0x2004, selector);
            machine.State.Eax = 0xabcd_0000 | selector;
            machine.State.Ebx = 0;
            machine.State.Esp = 0x2004;
            SegmentRegister before = machine.State.Segment((int)name);
            machine.Step(code);
            SegmentRegister after = machine.State.Segment((int)name);
            string what = $"{form} of {name} at CPL {cpl}, selector 0x{selector:x}";
            if (vector == None)
            {
                Assert.True(machine.Exceptions.Count == 0, $"{what}: {string.Join(", ", machine.Exceptions)}");
                Assert.Equal(selector, after.Selector);
                Assert.Equal((selector & ~3) != 0, after.IsUsable);
                Assert.Equal(form == "pop" ? 0x2008u : 0x2004u, machine.State.Esp);
                Assert.Equal(form == "load pointer" ? 0x1234_5678u : 0, machine.State.Ebx);
            }
            else
            {
                ExceptionInfo exception = Assert.Single(machine.Exceptions);
                Assert.True(
                    exception.Vector == vector && exception.ErrorCode == errorCode, $"{what}: {exception}");
                Assert.Equal(Machine.CodeBase, exception.InstructionEip);
                Assert.Equal(before, after);
                Assert.Equal(0x2004u, machine.State.Esp);
                Assert.Equal(0u, machine.State.Ebx);
                Assert.Equal(0ul, machine.Cpu.Retired);
            }
        }
    }

    private static void LoadPointer(Assembler a, SegmentName name)
    {
        switch (name)
        {
            case SegmentName.Es:
                a.les(ebx, __fword_ptr.cs[0x2000]);
                break;
            case SegmentName.Ss:
                a.lss(ebx, __fword_ptr.cs[0x2000]);
                break;
            case SegmentName.Ds:
                a.lds(ebx, __fword_ptr.cs[0x2000]);
                break;
            case SegmentName.Fs:
                a.lfs(ebx, __fword_ptr.cs[0x2000]);
                break;
            default:
                a.lgs(ebx, __fword_ptr.cs[0x2000]);
                break;
        }
    }

    private void AssertRaised(int vector, uint errorCode)
    {
        if (vector == None)
        {
            Assert.Empty(_machine.Exceptions);
            return;
        }

        ExceptionInfo exception = _machine.Exceptions[0];
        Assert.Equal((vector, errorCode), (exception.Vector, exception.ErrorCode));
    }

    /// <summary>docs/undefined-behaviour.md, 33: in FS as in a flat DS, whichever engine.</summary>
    [Theory]
    [InlineData(new byte[] { 0x64, 0xA1, 0xFE, 0xFF, 0xFF, 0xFF })]
    [InlineData(new byte[] { 0xA1, 0xFE, 0xFF, 0xFF, 0xFF })]
    public void An_operand_at_the_end_of_4_GiB_goes_on_at_address_0(byte[] load)
    {
        using var machine = new Machine();
        machine.WriteUInt32(0, 0x1234);
        machine.Cpu.State.Eip = machine.WriteAlone(load);
        machine.Cpu.Run(1);
        Assert.Empty(machine.Exceptions);
        Assert.Equal(0x1234_FFFFu, machine.Cpu.State.Eax);
    }
}
