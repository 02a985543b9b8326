using Iced.Intel;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Gates of the IDT: frames, stack switches, and what is wrong with broken ones (SDM 3A, 6.12 and 6.13).</summary>
public sealed class GateTests : IDisposable
{
    private const int Vector = 0x42;
    private const uint ExternalBit = 1;
    private const uint IdtBit = 2;

    private readonly ProtectedMachine _machine = new();

    private ref ProcessorState State => ref _machine.State;

    /// <summary>Gate type, ring of the program, whether the handler's stack switches.</summary>
    public static TheoryData<int, int> Gates
    {
        get
        {
            var data = new TheoryData<int, int>();
            foreach (int type in (int[])[
                TestDescriptor.InterruptGate32, TestDescriptor.TrapGate32,
                TestDescriptor.InterruptGate16, TestDescriptor.TrapGate16])
            {
                data.Add(type, 0);
                data.Add(type, 1);
                data.Add(type, 3);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Gates))]
    public void A_gate_builds_the_frame_of_its_size_and_enters_its_handler(int type, int ring)
    {
        const uint Before = Eflags.If | Eflags.Nt | Eflags.Df | Eflags.Iopl | Eflags.Cf | Eflags.Fixed;
        bool is32 = (type & 8) != 0;
        _machine.SetGate(Vector, TestDescriptor.Gate(type, Code0, HandlerOf(Vector), 3));
        _machine.SetDescriptor(Free, TestDescriptor.Segment(Handlers, 0xffff, TestDescriptor.Code, 0));
        if (!is32)
        {
            // What would be the rest of a longer offset is none.
            _machine.SetGate(Vector, TestDescriptor.Gate(type, Free, 0xabcd_0000 | Vector, 3));
        }

        _machine.EnterRing(ring);
        _machine.Cpu.Eflags = Before;
        ushort oldCode = State.Cs.Selector;
        ushort oldStack = State.Ss.Selector;
        Assert.Equal(StopReason.Halted, _machine.Run(a => a.@int(Vector)));

        uint size = is32 ? 4u : 2u;
        Assert.Equal((is32 ? HandlerOf(Vector) : Vector) + 1, State.Eip);
        Assert.Equal(0, State.Cpl);
        Assert.Equal(is32 ? Code0 : Free, State.Cs.Selector);
        Assert.Equal((ring == 0 ? Machine.StackTop : InnerStack0) - (size * (ring == 0 ? 3u : 5u)), State.Esp);
        Assert.Equal((Machine.CodeBase + 2) & Mask(size), Word(0, size));
        Assert.Equal(oldCode, Word(1, size));
        Assert.Equal(Before, Word(2, size));
        if (ring != 0)
        {
            Assert.Equal(Machine.StackTop & Mask(size), Word(3, size));
            Assert.Equal(oldStack, Word(4, size));
            Assert.Equal(Data0, State.Ss.Selector);
        }

        bool masks = type is TestDescriptor.InterruptGate32 or TestDescriptor.InterruptGate16;
        Assert.Equal(Before & ~(Eflags.Nt | (masks ? Eflags.If : 0)), _machine.Cpu.Eflags);
        Assert.Equal(2ul, _machine.Cpu.Retired);
    }

    [Fact]
    public void A_frame_from_ring_1_to_a_ring_1_handler_stays_on_its_stack()
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code1 & ~3, HandlerOf(Vector), 1));
        _machine.EnterRing(1);
        _machine.Run(a => a.@int(Vector));

        // HLT is privileged, so the halt is the handler of #GP, in ring 0.
        Assert.Equal(ExceptionVector.GeneralProtection, _machine.EnteredVector);
        Assert.Equal(Code1, _machine.StackDword(2) & 0xffff);
        Assert.Equal(Machine.StackTop - 12, _machine.StackDword(4));
    }

    [Fact]
    public void A_conforming_handler_runs_at_the_programs_level()
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Conforming0, HandlerOf(0xf1), 3));
        _machine.Memory.Write(HandlerOf(0xf1), [0x8c, 0xc9, 0x8c, 0xd2, 0xf4]);
        _machine.EnterRing(3);
        _machine.Run(a => a.@int(Vector));

        Assert.Equal(Conforming0 | 3u, State.Ecx);
        Assert.Equal(Data3, State.Edx);
    }

    /// <summary>What is wrong with a gate, the fault that follows, and its error code (less EXT).</summary>
    public static TheoryData<string, int, uint> BrokenGates => new()
    {
        { "beyond the limit", ExceptionVector.GeneralProtection, (Vector * 8) | IdtBit },
        { "not a gate", ExceptionVector.GeneralProtection, (Vector * 8) | IdtBit },
        { "a call gate", ExceptionVector.GeneralProtection, (Vector * 8) | IdtBit },
        { "not present", ExceptionVector.SegmentNotPresent, (Vector * 8) | IdtBit },
        { "null selector", ExceptionVector.GeneralProtection, 0 },
        { "selector beyond", ExceptionVector.GeneralProtection, Beyond },
        { "data segment", ExceptionVector.GeneralProtection, Data0 },
        { "outer code", ExceptionVector.GeneralProtection, Code3 & ~3u },
        { "absent code", ExceptionVector.SegmentNotPresent, AbsentCode0 },
        { "offset beyond", ExceptionVector.GeneralProtection, 0 },
    };

    [Theory]
    [MemberData(nameof(BrokenGates))]
    public void A_broken_gate_faults_at_the_int_with_the_right_error_code(string what, int vector, uint errorCode)
    {
        Break(what);
        _machine.Run(a =>
        {
            a.nop();
            a.@int(Vector);
        });

        Assert.Equal(vector, _machine.EnteredVector);
        Assert.Equal(errorCode, _machine.StackDword(0));
        Assert.Equal(Machine.CodeBase + 1, _machine.StackDword(1));
        Assert.Equal(2ul, _machine.Cpu.Retired);
    }

    [Theory]
    [MemberData(nameof(BrokenGates))]
    public void A_broken_gate_of_an_external_interrupt_faults_with_the_external_bit(string what, int vector, uint errorCode)
    {
        Break(what);
        _machine.Machine.Assemble(a => a.nop());
        _machine.Cpu.Eflags = Eflags.If;
        Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
        _machine.Cpu.Run(10);

        Assert.Equal(vector, _machine.EnteredVector);
        Assert.Equal(errorCode | ExternalBit, _machine.StackDword(0));
        Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
    }

    [Theory]
    [InlineData(0, 0, true)]
    [InlineData(1, 0, false)]
    [InlineData(1, 1, true)]
    [InlineData(3, 1, false)]
    [InlineData(3, 2, false)]
    [InlineData(3, 3, true)]
    public void Software_interrupts_need_a_gate_of_their_level(int ring, int dpl, bool allowed)
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(Vector), dpl));
        _machine.EnterRing(ring);
        _machine.Run(a => a.@int(Vector));

        Assert.Equal(allowed ? Vector : ExceptionVector.GeneralProtection, _machine.EnteredVector);
        if (!allowed)
        {
            Assert.Equal((Vector * 8) | IdtBit, _machine.StackDword(0));
            Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
            Assert.Equal(1ul, _machine.Cpu.Retired);
        }
    }

    [Theory]
    [InlineData(new byte[] { 0x0f, 0x0b }, ExceptionVector.InvalidOpcode)]
    [InlineData(new byte[] { 0xf1 }, ExceptionVector.Debug)]
    public void The_processors_own_exceptions_need_no_gate_of_their_level(byte[] code, int vector)
    {
        _machine.EnterRing(3);
        _machine.Run(a => a.db(code));
        Assert.Equal(vector, _machine.EnteredVector);
    }

    /// <summary>What is wrong with the TSS, the fault that follows in ring 3, and its error code.</summary>
    public static TheoryData<string, int, uint> BrokenStacks => new()
    {
        { "null", ExceptionVector.InvalidTss, 0 },
        { "beyond", ExceptionVector.InvalidTss, Beyond },
        { "rpl", ExceptionVector.InvalidTss, Data0 },
        { "dpl", ExceptionVector.InvalidTss, Data3 & ~3u },
        { "code", ExceptionVector.InvalidTss, Code0 },
        { "absent", ExceptionVector.StackSegment, AbsentData0 },
        { "no room", ExceptionVector.StackSegment, Free },
        { "tss limit", ExceptionVector.InvalidTss, TssSelector },
    };

    [Theory]
    [MemberData(nameof(BrokenStacks))]
    public void A_broken_inner_stack_faults_with_its_selector(string what, int vector, uint errorCode)
    {
        // The fault itself is handled at ring 3, where no stack is needed.
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(Vector), 3));
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x1000, 0xff, TestDescriptor.Data, 0));
        foreach (int handled in (int[])[ExceptionVector.InvalidTss, ExceptionVector.StackSegment])
        {
            _machine.SetGate(
                handled, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code3 & ~3, HandlerOf(handled), 0));
            _machine.Memory.Write(HandlerOf(handled), [0xeb, 0xfe]);
        }

        ushort selector = what switch
        {
            "null" => 0,
            "beyond" => Beyond,
            "rpl" => Data0 | 3,
            "dpl" => Data3 & ~3,
            "code" => Code0,
            "absent" => AbsentData0,
            "no room" => Free,
            _ => Data0,
        };
        _machine.Machine.WriteUInt32(Tss + 8, selector);
        if (what == "no room")
        {
            _machine.Machine.WriteUInt32(Tss + 4, 16);
        }

        if (what == "tss limit")
        {
            State.Tr.Limit = 8;
        }

        _machine.EnterRing(3);
        _machine.Run(a => a.@int(Vector), 10);

        Assert.Equal(HandlerOf(vector), State.Eip);
        Assert.Equal(3, State.Cpl);
        Assert.Equal(errorCode, _machine.StackDword(0));
        Assert.Equal(Machine.CodeBase, _machine.StackDword(1));
        Assert.Equal(Machine.StackTop - 16, State.Esp);
    }

    /// <summary>The TSS's type, a ring, and the last byte of its stack pointer (SDM 3A, figures 7-2 and 7-10).</summary>
    [Theory]
    [InlineData(TestDescriptor.BusyTss32, 0, 9)]
    [InlineData(TestDescriptor.BusyTss32, 1, 17)]
    [InlineData(TestDescriptor.BusyTss16, 0, 5)]
    [InlineData(TestDescriptor.BusyTss16, 1, 9)]
    public void A_tss_needs_the_stack_of_the_ring_that_is_entered_and_no_more(int type, int ring, uint last)
    {
        _machine.Machine.StopAtExceptions = true;
        ushort code = ring == 0 ? Code0 : Code1;
        ushort data = ring == 0 ? Data0 : Data1;
        _machine.SetDescriptor(Free, TestDescriptor.Gate(TestDescriptor.CallGate32, code, HandlerOf(Vector), 3));
        uint offset = last - (type == TestDescriptor.BusyTss32 ? 5u : 3);
        _machine.Memory.Span(Tss, 0x40).Clear();
        _machine.Memory.Write(Tss + offset, [0x00, 0x70]);
        _machine.Memory.Write(Tss + last - 1, [(byte)data, 0]);
        foreach (uint limit in (uint[])[last - 1, last])
        {
            State.Tr = State.Tr with { Limit = limit, Access = SegmentAccess.Present | (SegmentAccess)(type << 8) };
            _machine.EnterRing(3);
            _machine.Exceptions.Clear();
            _machine.Step(a => a.call(Free, 0));
            if (limit < last)
            {
                ExceptionInfo fault = Assert.Single(_machine.Exceptions);
                Assert.Equal((ExceptionVector.InvalidTss, TssSelector), (fault.Vector, fault.ErrorCode));
            }
            else
            {
                Assert.Empty(_machine.Exceptions);
                Assert.Equal((data, 0x7000u - 16), (State.Ss.Selector, State.Esp));
            }
        }
    }

    [Fact]
    public void A_16_bit_tss_gives_16_bit_stack_pointers()
    {
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Code0, HandlerOf(Vector), 3));
        State.Tr.Access = SegmentAccess.Present | (SegmentAccess)(TestDescriptor.BusyTss16 << 8);
        _machine.Memory.Write(Tss + 2, [0x00, 0x70, (byte)Data0, 0x00]);
        _machine.EnterRing(3);
        _machine.Run(a => a.@int(Vector));

        Assert.Equal(Vector, _machine.EnteredVector);
        Assert.Equal(0x7000u - 20, State.Esp);
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(true, 0x1234u)]
    public void A_host_can_enter_a_gate(bool switchStack, uint? errorCode)
    {
        _machine.EnterRing(switchStack ? 3 : 1);
        ushort oldCode = State.Cs.Selector;
        ushort oldStack = State.Ss.Selector;
        State.Eip = 0x1111;
        _machine.Cpu.Eflags = Eflags.If | Eflags.Tf | Eflags.Nt | Eflags.Cf;
        var entry = new GateEntry
        {
            CodeSelector = Code1,
            Offset = 0x4444,
            SwitchStack = switchStack,
            StackSelector = Data1,
            StackPointer = 0x5000,
            PushedEflags = 0x202,
            ErrorCode = errorCode,
            ClearEflags = Eflags.Tf | Eflags.Nt,
        };
        Assert.True(_machine.Cpu.TryEnterGate(entry, out _));

        uint[] expected = [.. errorCode is { } code ? [code] : Array.Empty<uint>(), 0x1111, oldCode, 0x202,
            .. switchStack ? [Machine.StackTop, oldStack] : Array.Empty<uint>()];
        Assert.Equal(expected, Enumerable.Range(0, expected.Length).Select(_machine.StackDword));
        Assert.Equal((switchStack ? 0x5000 : Machine.StackTop) - (4 * (uint)expected.Length), State.Esp);
        Assert.Equal((Code1, Data1, 0x4444u, 1), (State.Cs.Selector, State.Ss.Selector, State.Eip, State.Cpl));
        Assert.Equal(Eflags.If | Eflags.Cf | Eflags.Fixed, _machine.Cpu.Eflags);
    }

    [Theory]
    [InlineData("code", ExceptionVector.GeneralProtection, Beyond)]
    [InlineData("stack", ExceptionVector.InvalidTss, Data0)]
    [InlineData("page", ExceptionVector.PageFault, PageFaultError.Write)]
    public void A_gate_that_a_host_cannot_enter_changes_nothing(string what, int vector, uint errorCode)
    {
        _machine.MapWithHole();
        _machine.EnterRing(3);
        var entry = new GateEntry
        {
            CodeSelector = what == "code" ? Beyond : Code1,
            Offset = 0x4444,
            SwitchStack = true,
            StackSelector = what == "stack" ? Data0 : Data1,
            StackPointer = what == "page" ? PageAfterMissing + 4 : 0x5000,
            PushedEflags = 0x202,
        };
        uint before = _machine.Machine.ReadUInt32(PageAfterMissing);
        Assert.False(_machine.Cpu.TryEnterGate(entry, out ExceptionInfo fault));
        Assert.Equal((vector, errorCode), (fault.Vector, fault.ErrorCode));
        Assert.Equal((Code3, Data3, Machine.StackTop, 3), (State.Cs.Selector, State.Ss.Selector, State.Esp, State.Cpl));
        Assert.Equal(before, _machine.Machine.ReadUInt32(PageAfterMissing));
    }

    [Fact]
    public void A_handler_may_be_its_segments_last_byte()
    {
        uint handler = HandlerOf(Vector);
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, handler, TestDescriptor.Code, 0));
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Free, handler, 0));
        _machine.Run(a => a.@int(Vector));
        Assert.Equal(Vector, _machine.EnteredVector);
        Assert.Equal([Vector], _machine.Exceptions.Select(e => e.Vector));
    }

    [Fact]
    public void A_handler_of_16_bits_and_one_on_the_supervisors_page_are_executed_as_such()
    {
        _machine.MapWithHole();
        uint handler = HandlerOf(Vector);
        _machine.SetPage(handler & ~0xfffu, (handler & ~0xfffu) | 3);
        _machine.Memory.Write(handler, [0xb8, 0x34, 0x12, 0xf4]);
        _machine.SetDescriptor(Free, TestDescriptor.Segment(handler & ~0xfffu, 0xfff, TestDescriptor.Code, 0, is32: false));
        _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.InterruptGate32, Free, handler & 0xfff, 3));
        _machine.EnterRing(3);
        State.Eax = 0;
        Assert.Equal(StopReason.Halted, _machine.Run(a => a.@int(Vector), 10));
        Assert.Equal([Vector], _machine.Exceptions.Select(e => e.Vector));
        Assert.Equal((0x1234u, (handler & 0xfff) + 4), (State.Eax, State.Eip));
    }

    [Fact]
    public void A_frame_without_room_on_the_programs_own_stack_names_no_selector()
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, 0x4fff, TestDescriptor.ExpandDownData, 0));
        _machine.Load(SegmentName.Ss, Free);
        State.Esp = 0x5008;
        Assert.Equal(StopReason.TripleFault, _machine.Run(a => a.@int(Vector), 10));
        Assert.Equal(
            [(Vector, 0u), (ExceptionVector.StackSegment, 0u)],
            _machine.Exceptions.Take(2).Select(e => (e.Vector, e.ErrorCode)));
    }

    [Theory]
    [InlineData(0xffffu)]
    [InlineData(0xf_ffffu)]
    public void A_frame_goes_around_the_end_of_a_16_bit_stack(uint limit)
    {
        _machine.SetDescriptor(Data16, TestDescriptor.Segment(0, limit, TestDescriptor.Data, 0, is32: false));
        _machine.Load(SegmentName.Ss, Data16);
        _machine.State.Esp = 0x1234_0004;
        _machine.Cpu.Eflags = Eflags.Cf | Eflags.Fixed;
        uint stack = _machine.State.Ss.Base;
        _machine.Step(a => a.int3());
        Assert.Equal(HandlerOf(ExceptionVector.Breakpoint), _machine.State.Eip);
        Assert.Equal(0x1234_fff8u, _machine.State.Esp);
        Assert.Equal(Eflags.Cf | Eflags.Fixed, _machine.Machine.ReadUInt32(stack));
        Assert.Equal(Code0, _machine.Machine.ReadUInt32(stack + 0xfffc));
        Assert.Equal(Machine.CodeBase + 1, _machine.Machine.ReadUInt32(stack + 0xfff8));
    }

    public void Dispose() => _machine.Dispose();

    private void Break(string what)
    {
        const int Type = TestDescriptor.InterruptGate32;
        uint handler = HandlerOf(Vector);
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, 0xfff, TestDescriptor.Code, 0));
        switch (what)
        {
            case "beyond the limit":
                State.Idtr.Limit = (Vector * 8) + 6;
                break;
            case "not a gate":
                _machine.SetGate(Vector, TestDescriptor.Flat(TestDescriptor.Code, 0));
                break;
            case "a call gate":
                _machine.SetGate(Vector, TestDescriptor.Gate(TestDescriptor.CallGate32, Code0, handler, 3));
                break;
            case "not present":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Code0, handler, 3, present: false));
                break;
            case "null selector":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, 3, handler, 3));
                break;
            case "selector beyond":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Beyond, handler, 3));
                break;
            case "data segment":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Data0, handler, 3));
                break;
            case "outer code":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Code3, handler, 3));
                break;
            case "absent code":
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, AbsentCode0, handler, 3));
                break;
            default:
                _machine.SetGate(Vector, TestDescriptor.Gate(Type, Free, handler, 3));
                break;
        }
    }

    private static uint Mask(uint size) => size == 4 ? uint.MaxValue : ushort.MaxValue;

    private uint Word(int index, uint size) => size == 4 ? _machine.StackDword(index) : _machine.StackWord(index);
}
