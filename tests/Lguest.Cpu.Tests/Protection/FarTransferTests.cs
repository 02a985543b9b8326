using Iced.Intel;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using static Iced.Intel.AssemblerRegisters;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Far JMP, CALL and RET, call gates, and IRET between rings (SDM 3A, 5.8).</summary>
public sealed class FarTransferTests : IDisposable
{
    private const int None = -1;
    private const uint Target = 0x2800;

    private readonly ProtectedMachine _machine = new();

    public FarTransferTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.Memory.Write(Target, [0x90, 0x90]);
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, 0x2000, TestDescriptor.Code, 0));
    }

    private ref ProcessorState State => ref _machine.State;

    /// <summary>Ring, selector, then the fault and its error code, or the CS that results.</summary>
    public static TheoryData<int, ushort, int, uint> CodeTargets => new()
    {
        { 0, Code0, None, Code0 },
        { 0, 0, ExceptionVector.GeneralProtection, 0 },
        { 0, 3, ExceptionVector.GeneralProtection, 0 },
        { 0, Beyond, ExceptionVector.GeneralProtection, Beyond },
        { 0, Code0 | 1, ExceptionVector.GeneralProtection, Code0 },
        { 0, Code3, ExceptionVector.GeneralProtection, Code3 & ~3u },
        { 0, Code3 & ~3, ExceptionVector.GeneralProtection, Code3 & ~3u },
        { 0, Data0, ExceptionVector.GeneralProtection, Data0 },
        { 0, AbsentCode0, ExceptionVector.SegmentNotPresent, AbsentCode0 },
        { 0, LdtSelector, ExceptionVector.GeneralProtection, LdtSelector },
        { 0, 0x0c, ExceptionVector.GeneralProtection, 0x0c },
        { 0, Free, ExceptionVector.GeneralProtection, 0 },
        { 0, Conforming0, None, Conforming0 },
        { 0, Conforming0 | 3, None, Conforming0 },
        { 0, Conforming3, ExceptionVector.GeneralProtection, Conforming3 & ~3u },
        { 1, Code1, None, Code1 },
        { 1, Code1 & ~3, None, Code1 },
        { 1, Code0, ExceptionVector.GeneralProtection, Code0 },
        { 3, Code3, None, Code3 },
        { 3, Code3 & ~3, None, Code3 },
        { 3, Code0, ExceptionVector.GeneralProtection, Code0 },
        { 3, Conforming0, None, Conforming0 | 3 },
        { 3, Conforming3, None, Conforming3 },
        { 3, AbsentCode0, ExceptionVector.GeneralProtection, AbsentCode0 },
        { 3, TssSelector, ExceptionVector.GeneralProtection, TssSelector },
    };

    [Theory]
    [MemberData(nameof(CodeTargets))]
    public void Jumps_and_calls_reach_code_segments_of_their_level(int ring, ushort selector, int vector, uint outcome)
    {
        foreach (bool isCall in (bool[])[false, true])
        {
            foreach (bool isIndirect in (bool[])[false, true])
            {
                using var machine = new ProtectedMachine();
                machine.Machine.StopAtExceptions = true;
                machine.SetDescriptor(Free, TestDescriptor.Segment(0, 0x2000, TestDescriptor.Code, 0));
                machine.EnterRing(ring);
                ushort oldCode = machine.State.Cs.Selector;
                machine.Machine.WriteUInt32(0x2000, Target);
                machine.Machine.WriteUInt32(0x2004, selector);
                machine.Step(a => Transfer(a, isCall, isIndirect, selector));

                string what = $"{(isCall ? "call" : "jmp")} to 0x{selector:x} in ring {ring}, indirect: {isIndirect}";
                if (vector == None)
                {
                    Assert.True(machine.Exceptions.Count == 0, $"{what}: {string.Join(", ", machine.Exceptions)}");
                    Assert.Equal((outcome, Target), (machine.State.Cs.Selector, machine.State.Eip));
                    Assert.Equal(ring, machine.State.Cpl);
                    Assert.Equal(Machine.StackTop - (isCall ? 8u : 0), machine.State.Esp);
                    if (isCall)
                    {
                        Assert.Equal(Machine.CodeBase + (isIndirect ? 6u : 7u), machine.StackDword(0));
                        Assert.Equal(oldCode, machine.StackDword(1));
                    }
                }
                else
                {
                    ExceptionInfo exception = Assert.Single(machine.Exceptions);
                    Assert.True(exception.Vector == vector && exception.ErrorCode == outcome, $"{what}: {exception}");
                    Assert.Equal((Machine.CodeBase, Machine.StackTop), (machine.State.Eip, machine.State.Esp));
                }
            }
        }
    }

    [Theory]
    [InlineData(Target, false, None)]
    [InlineData(Target, true, None)]
    [InlineData(Target - 1, false, ExceptionVector.GeneralProtection)]
    [InlineData(Target - 1, true, ExceptionVector.GeneralProtection)]
    public void A_transfer_may_lead_to_a_segments_last_byte_and_not_behind_it(uint limit, bool isCall, int vector)
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, limit, TestDescriptor.Code, 0));

        _machine.Step(a => Transfer(a, isCall, isIndirect: false, Free));

        Assert.Equal(vector == None ? [] : [vector], _machine.Exceptions.Select(exception => (int)exception.Vector));
        Assert.Equal(vector == None ? Target : Machine.CodeBase, State.Eip);
    }

    [Theory]
    [InlineData(Target, None)]
    [InlineData(Target - 1, ExceptionVector.GeneralProtection)]
    public void A_gate_may_lead_to_a_segments_last_byte_and_not_behind_it(uint limit, int vector)
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, limit, TestDescriptor.Code, 0));
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(TestDescriptor.CallGate32, Free, Target, 3));
        foreach (int ring in (int[])[0, 3])
        {
            _machine.EnterRing(ring);
            _machine.Exceptions.Clear();
            _machine.Step(a => a.call(Free2, 0));
            Assert.Equal(vector == None ? [] : [vector], _machine.Exceptions.Select(exception => (int)exception.Vector));
            Assert.Equal(vector == None ? Target : Machine.CodeBase, State.Eip);
        }
    }

    [Theory]
    [InlineData(Target, None)]
    [InlineData(Target - 1, ExceptionVector.GeneralProtection)]
    public void A_return_may_lead_to_a_segments_last_byte_and_not_behind_it(uint limit, int vector)
    {
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0, limit, TestDescriptor.Code, 0));
        foreach (byte code in (byte[])[0xcb, 0xcf])
        {
            uint[] frame = [Target, Free, Eflags.Fixed];
            _machine.Memory.Write(0x5000, System.Runtime.InteropServices.MemoryMarshal.AsBytes<uint>(frame));
            _machine.EnterRing(0);
            _machine.Exceptions.Clear();
            State.Esp = 0x5000;
            Execute(code);
            Assert.Equal(vector == None ? [] : [vector], _machine.Exceptions.Select(exception => (int)exception.Vector));
            Assert.Equal(vector == None ? Target : Machine.CodeBase, State.Eip);
        }
    }

    [Fact]
    public void Sixteen_bit_transfers_use_words()
    {
        _machine.SetDescriptor(Free2, TestDescriptor.Segment(0, 0xffff, TestDescriptor.Code, 0, is32: false));
        Execute(0x66, 0x9a, 0x00, 0x28, (byte)Free2, 0x00);
        Assert.Equal((Free2, Target), (State.Cs.Selector, State.Eip));
        Assert.Equal(Machine.StackTop - 4, State.Esp);
        Assert.Equal(Machine.CodeBase + 6, _machine.StackWord(0));
        Assert.Equal(Code0, _machine.StackWord(1));

        // In a 16-bit segment a far return is 16 bits wide by default.
        _machine.Memory.Write(Target, [0xcb]);
        _machine.Cpu.Run(1);
        Assert.Equal((Code0, Machine.CodeBase + 6), (State.Cs.Selector, State.Eip));
        Assert.Equal(Machine.StackTop, State.Esp);
    }

    [Theory]
    [InlineData("66EA00283800", false)]
    [InlineData("66FF2E", false)]
    [InlineData("669A00283800", true)]
    [InlineData("66FF1E", true)]
    public void Sixteen_bit_offsets_lead_to_the_low_64_KiB(string code, bool isCall)
    {
        byte[] bytes = Convert.FromHexString(code);
        State.Esi = 0x2000;
        _machine.Machine.WriteUInt32(0x2000, ((uint)Conforming0 << 16) | Target);
        Execute(bytes);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((Conforming0, Target), (State.Cs.Selector, State.Eip));
        Assert.Equal(Machine.StackTop - (isCall ? 4u : 0), State.Esp);
        if (isCall)
        {
            Assert.Equal(Machine.CodeBase + (uint)bytes.Length, _machine.StackWord(0));
            Assert.Equal(Code0, _machine.StackWord(1));
        }
    }

    [Fact]
    public void A_far_call_and_return_come_back_in_the_same_ring()
    {
        _machine.Memory.Write(Target, [0xca, 0x08, 0x00]);
        _machine.Step(
            a =>
            {
                a.push(1);
                a.push(2);
                a.call(Code0, Target);
                a.mov(eax, 7);
            },
            5);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((7u, Machine.StackTop), (State.Eax, State.Esp));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_call_gate_to_an_inner_ring_switches_stacks_and_copies_parameters(bool is32)
    {
        int type = is32 ? TestDescriptor.CallGate32 : TestDescriptor.CallGate16;
        uint size = is32 ? 4u : 2u;

        // A gate of 16 bits has an offset of 16 bits, whatever is where the rest of a longer one would be.
        const uint HighTarget = 0x3_4567;
        uint target = is32 ? HighTarget : HighTarget & ushort.MaxValue;
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(type, Code0, HighTarget, 3, parameters: 2));
        _machine.EnterRing(3);
        State.Esp = Machine.StackTop - (2 * size);
        if (is32)
        {
            _machine.Machine.WriteUInt32(State.Esp, 0x1111_1111);
            _machine.Machine.WriteUInt32(State.Esp + 4, 0x2222_2222);
        }
        else
        {
            _machine.Machine.WriteUInt32(State.Esp, 0x2222_1111);
        }

        _machine.Step(a => a.call(Free2, 0xdead_beef));
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((Code0, Data0, target), (State.Cs.Selector, State.Ss.Selector, State.Eip));
        Assert.Equal(InnerStack0 - (6 * size), State.Esp);
        uint[] frame = [.. Enumerable.Range(0, 6).Select(i => is32 ? _machine.StackDword(i) : _machine.StackWord(i))];
        uint ones = is32 ? 0x1111_1111u : 0x1111;
        Assert.Equal([Machine.CodeBase + 7, Code3, ones, 2 * ones, Machine.StackTop - (2 * size), Data3], frame);

        // And back, with both stacks relieved of the parameters.
        _machine.Memory.Write(target, is32 ? [0xca, 0x08, 0x00] : [0x66, 0xca, 0x04, 0x00]);
        _machine.Cpu.Run(1);
        Assert.Equal((Code3, Data3, Machine.CodeBase + 7), (State.Cs.Selector, State.Ss.Selector, State.Eip));
        Assert.Equal(Machine.StackTop, State.Esp);
    }

    /// <summary>Ring, gate's DPL, its code selector, whether by CALL; then the fault, or the new CPL.</summary>
    public static TheoryData<int, int, ushort, bool, int, uint> GateTargets => new()
    {
        { 3, 3, Code0, true, None, 0 },
        { 3, 3, Code1, true, None, 1 },
        { 3, 3, Code3, true, None, 3 },
        { 3, 3, Conforming0, true, None, 3 },
        { 1, 1, Code0, true, None, 0 },
        { 0, 0, Code0, true, None, 0 },
        { 0, 3, Code0, false, None, 0 },
        { 0, 0, Conforming0, true, None, 0 },
        { 3, 3, Conforming0, false, None, 3 },
        { 3, 3, Code3, false, None, 3 },
        { 3, 3, Code0, false, ExceptionVector.GeneralProtection, Code0 },
        { 3, 2, Code0, true, ExceptionVector.GeneralProtection, Free2 },
        { 3, 0, Code0, false, ExceptionVector.GeneralProtection, Free2 },
        { 0, 0, Code3, true, ExceptionVector.GeneralProtection, Code3 & ~3u },
        { 0, 0, 0, true, ExceptionVector.GeneralProtection, 0 },
        { 0, 0, Data0, true, ExceptionVector.GeneralProtection, Data0 },
        { 0, 0, Beyond, true, ExceptionVector.GeneralProtection, Beyond },
        { 3, 3, AbsentCode0, true, ExceptionVector.SegmentNotPresent, AbsentCode0 },
        { 3, 3, Free, true, ExceptionVector.GeneralProtection, 0 },
    };

    [Theory]
    [MemberData(nameof(GateTargets))]
    public void Call_gates_let_calls_in_and_keep_others_out(
        int ring, int dpl, ushort code, bool isCall, int vector, uint outcome)
    {
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(TestDescriptor.CallGate32, code, Target, dpl));
        _machine.EnterRing(ring);
        _machine.Step(a => Transfer(a, isCall, isIndirect: false, Free2));
        if (vector == None)
        {
            Assert.Empty(_machine.Exceptions);
            Assert.Equal((Target, (int)outcome), (State.Eip, State.Cpl));
            Assert.Equal(ring == (int)outcome ? Machine.StackTop - (isCall ? 8u : 0) : State.Esp, State.Esp);
        }
        else
        {
            ExceptionInfo exception = Assert.Single(_machine.Exceptions);
            Assert.Equal((vector, outcome), (exception.Vector, exception.ErrorCode));
            Assert.Equal((ring, Machine.CodeBase, Machine.StackTop), (State.Cpl, State.Eip, State.Esp));
        }
    }

    [Fact]
    public void A_gate_with_an_rpl_above_its_dpl_is_refused()
    {
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(TestDescriptor.CallGate32, Code0, Target, 0));
        _machine.Step(a => a.call(Free2 | 1, 0));
        Assert.Equal((ExceptionVector.GeneralProtection, (uint)Free2), Raised());
    }

    [Fact]
    public void A_gate_that_is_not_present_says_so()
    {
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(TestDescriptor.CallGate32, Code0, Target, 0, present: false));
        _machine.Step(a => a.call(Free2, 0));
        Assert.Equal((ExceptionVector.SegmentNotPresent, (uint)Free2), Raised());
    }

    [Fact]
    public void A_call_through_a_gate_without_room_on_the_inner_stack_names_it()
    {
        _machine.SetDescriptor(Free2, TestDescriptor.Gate(TestDescriptor.CallGate32, Code0, Target, 3));
        _machine.SetDescriptor(Free3, TestDescriptor.Segment(0x2000, 0xff, TestDescriptor.Data, 0));
        _machine.Machine.WriteUInt32(Tss + 4, 12);
        _machine.Machine.WriteUInt32(Tss + 8, Free3);
        _machine.EnterRing(3);
        _machine.Step(a => a.call(Free2, 0));
        Assert.Equal((ExceptionVector.StackSegment, (uint)Free3), Raised());
        Assert.Equal((3, Machine.StackTop), (State.Cpl, State.Esp));
    }

    /// <summary>Ring, CS and SS in the frame, then the fault and its error code, or success.</summary>
    public static TheoryData<int, ushort, ushort, int, uint> Returns => new()
    {
        { 0, Code0, 0, None, 0 },
        { 0, Code1, Data1, None, 0 },
        { 0, Code3, Data3, None, 0 },
        { 1, Code3, Data3, None, 0 },
        { 3, Code3, 0, None, 0 },
        { 0, Conforming0, 0, None, 0 },
        { 0, Conforming0 | 3, Data3, None, 0 },
        { 0, 0, 0, ExceptionVector.GeneralProtection, 0 },
        { 0, Beyond, 0, ExceptionVector.GeneralProtection, Beyond },
        { 0, Data0, 0, ExceptionVector.GeneralProtection, Data0 },
        { 0, TssSelector, 0, ExceptionVector.GeneralProtection, TssSelector },
        { 0, AbsentCode0, 0, ExceptionVector.SegmentNotPresent, AbsentCode0 },
        { 0, Code0 | 3, Data3, ExceptionVector.GeneralProtection, Code0 },
        { 0, Code3 & ~3, 0, ExceptionVector.GeneralProtection, Code3 & ~3u },
        { 0, Conforming3 & ~3, 0, ExceptionVector.GeneralProtection, Conforming3 & ~3u },
        { 3, Code0, Data0, ExceptionVector.GeneralProtection, Code0 },
        { 1, Code0, Data0, ExceptionVector.GeneralProtection, Code0 },
        { 0, Code3, 0, ExceptionVector.GeneralProtection, 0 },
        { 0, Code3, Data0, ExceptionVector.GeneralProtection, Data0 },
        { 0, Code3, Data0 | 3, ExceptionVector.GeneralProtection, Data0 },
        { 0, Code3, Data3 & ~3, ExceptionVector.GeneralProtection, Data3 & ~3u },
        { 0, Code3, ReadOnly3, ExceptionVector.GeneralProtection, ReadOnly3 & ~3u },
        { 0, Code3, Beyond + 3, ExceptionVector.GeneralProtection, Beyond },
        { 0, Code3, Free3 | 3, ExceptionVector.StackSegment, Free3 },
        { 0, Free, 0, ExceptionVector.GeneralProtection, 0 },
    };

    [Theory]
    [MemberData(nameof(Returns))]
    public void Returns_go_to_the_same_or_an_outer_ring(int ring, ushort cs, ushort ss, int vector, uint errorCode)
    {
        foreach (bool isInterrupt in (bool[])[false, true])
        {
            foreach (uint size in (uint[])[4, 2])
            {
                using var machine = new ProtectedMachine();
                machine.Machine.StopAtExceptions = true;
                machine.SetDescriptor(Free, TestDescriptor.Segment(0, 0x2000, TestDescriptor.Code, 0));
                machine.SetDescriptor(Free3, TestDescriptor.Flat(TestDescriptor.Data, 3, present: false));
                machine.EnterRing(ring);
                bool toOuter = (cs & 3) > ring;
                uint[] frame =
                [
                    Target, cs, .. isInterrupt ? [Eflags.Cf] : Array.Empty<uint>(),
                    .. toOuter ? [0x6000u, ss] : Array.Empty<uint>(),
                ];
                machine.State.Esp = 0x5000;
                for (int i = 0; i < frame.Length; i++)
                {
                    machine.Memory.Write(
                        0x5000 + ((uint)i * size), BitConverter.GetBytes(frame[i]).AsSpan(0, (int)size));
                }

                byte opcode = isInterrupt ? (byte)0xcf : (byte)0xcb;
                machine.Memory.Write(Machine.CodeBase, size == 4 ? [opcode] : [0x66, opcode]);
                machine.State.Eip = Machine.CodeBase;
                machine.Cpu.Run(1);

                string what = $"{(isInterrupt ? "iret" : "ret far")} of {size} bytes to 0x{cs:x}:0x{ss:x} in ring {ring}";
                if (vector == None)
                {
                    Assert.True(machine.Exceptions.Count == 0, $"{what}: {string.Join(", ", machine.Exceptions)}");
                    Assert.Equal((cs, Target, cs & 3), (machine.State.Cs.Selector, machine.State.Eip, machine.State.Cpl));
                    Assert.Equal(toOuter ? 0x6000u : 0x5000 + (size * (uint)frame.Length), machine.State.Esp);
                    Assert.Equal(isInterrupt, (machine.Cpu.Eflags & Eflags.Cf) != 0);
                    if (toOuter)
                    {
                        Assert.Equal(ss, machine.State.Ss.Selector);
                    }
                }
                else
                {
                    ExceptionInfo exception = Assert.Single(machine.Exceptions);
                    Assert.True(exception.Vector == vector && exception.ErrorCode == errorCode, $"{what}: {exception}");
                    Assert.Equal((ring, Machine.CodeBase, 0x5000u), (machine.State.Cpl, machine.State.Eip, machine.State.Esp));
                }
            }
        }
    }

    [Theory]
    [InlineData(Data0, true)]
    [InlineData(Data1, true)]
    [InlineData(Free3, true)]
    [InlineData(Data3, false)]
    [InlineData(ReadOnly3, false)]
    [InlineData(Code0, true)]
    [InlineData(Conforming0, false)]
    [InlineData((ushort)0, false)]
    [InlineData((ushort)3, true)]
    public void A_return_to_an_outer_ring_takes_away_segments_that_it_may_not_have(ushort selector, bool cleared)
    {
        _machine.SetDescriptor(Free3, TestDescriptor.Flat(TestDescriptor.Data, 2));
        SegmentName[] names = [SegmentName.Ds, SegmentName.Es, SegmentName.Fs, SegmentName.Gs];
        foreach (SegmentName name in names)
        {
            _machine.Load(name, selector);
        }

        State.Esp = 0x5000;
        uint[] frame = [Target, Code3, Eflags.Fixed, 0x6000, Data3];
        for (int i = 0; i < frame.Length; i++)
        {
            _machine.Machine.WriteUInt32(0x5000 + (4 * (uint)i), frame[i]);
        }

        Execute(0xcf);
        Assert.Empty(_machine.Exceptions);
        foreach (SegmentName name in names)
        {
            SegmentRegister register = State.Segment((int)name);
            Assert.Equal(cleared ? (ushort)0 : selector, register.Selector);
            Assert.Equal(!cleared && selector != 0, register.IsUsable);
        }
    }

    [Fact]
    public void A_return_to_a_16_bit_stack_loads_only_sp()
    {
        _machine.SetDescriptor(Free3, TestDescriptor.Segment(0, 0xffff, TestDescriptor.Data, 3, is32: false));
        State.Esp = 0x1_5000;
        uint[] frame = [Target, Code3, Eflags.Fixed, 0xabcd_6000, Free3 | 3u];
        for (int i = 0; i < frame.Length; i++)
        {
            _machine.Machine.WriteUInt32(State.Esp + (4 * (uint)i), frame[i]);
        }

        Execute(0xcf);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal(0x0001_6000u, State.Esp);
    }

    [Fact]
    public void A_virtual_8086_image_of_the_flags_is_refused_at_ring_0_and_ignored_elsewhere()
    {
        foreach (int ring in (int[])[0, 3])
        {
            _machine.EnterRing(ring);
            _machine.Exceptions.Clear();
            State.Esp = 0x5000;
            _machine.Machine.WriteUInt32(0x5000, Target);
            _machine.Machine.WriteUInt32(0x5004, State.Cs.Selector);
            _machine.Machine.WriteUInt32(0x5008, Eflags.Vm | Eflags.Fixed);
            Execute(0xcf);
            Assert.Equal(
                ring == 0 ? [(ExceptionVector.GeneralProtection, 0u)] : [],
                _machine.Exceptions.Select(e => (e.Vector, e.ErrorCode)));
            Assert.Equal(0u, _machine.Cpu.Eflags & Eflags.Vm);
        }
    }

    [Theory]
    [InlineData(0xcb)]
    [InlineData(0xcf)]
    public void A_return_to_16_bit_code_executes_it_as_such(byte code)
    {
        uint[] frame = [Target, Code16, Eflags.Fixed];
        _machine.Memory.Write(Machine.StackTop, System.Runtime.InteropServices.MemoryMarshal.AsBytes<uint>(frame));
        _machine.Memory.Write(Target, [0xb8, 0x34, 0x12, 0xf4]);
        Execute(code);
        _machine.Cpu.Run(10);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((0x1234u, Target + 4), (State.Eax, State.Eip));
    }

    [Fact]
    public void Code_in_a_16_bit_segment_executes_with_16_bit_operands_and_a_16_bit_stack()
    {
        State.Eax = State.Ecx = 0x1111_1111;
        State.Esp = 0x1234_0002;
        _machine.Load(SegmentName.Ss, Data16);
        _machine.Memory.Write(Target, [0xb8, 0x34, 0x12, 0x66, 0xb9, 0x78, 0x56, 0x34, 0x12, 0x50, 0x53]);
        _machine.Machine.Assemble(a => a.jmp(Code16, Target));
        _machine.Cpu.Run(5);
        Assert.Empty(_machine.Exceptions);
        Assert.Equal((0x1111_1234u, 0x1234_5678u), (State.Eax, State.Ecx));
        Assert.Equal(0x1234_fffeu, State.Esp);
        Assert.Equal(0x1234, BitConverter.ToUInt16(_machine.Memory.Span(0, 2)));
    }

    public void Dispose() => _machine.Dispose();

    private static void Transfer(Assembler a, bool isCall, bool isIndirect, ushort selector)
    {
        switch (isCall, isIndirect)
        {
            case (false, false):
                a.jmp(selector, Target);
                break;
            case (true, false):
                a.call(selector, Target);
                break;
            case (false, true):
                a.jmp(__fword_ptr[0x2000]);
                break;
            default:
                a.call(__fword_ptr[0x2000]);
                break;
        }
    }

    private (int Vector, uint ErrorCode) Raised()
    {
        ExceptionInfo exception = Assert.Single(_machine.Exceptions);
        return (exception.Vector, exception.ErrorCode);
    }

    private void Execute(params byte[] code)
    {
        _machine.Memory.Write(Machine.CodeBase, code);
        State.Eip = Machine.CodeBase;
        _machine.Cpu.Run(1);
    }
}
