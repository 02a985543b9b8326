using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.Protection;
using Lguest.Cpu.State;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Protection;

/// <summary>Every instruction that moves a selector or a table's address, in every form: what arrives, and how much of it.</summary>
public sealed class SelectorFormTests : IDisposable
{
    private const uint Place = 0x2000;
    private const uint Marker = 0x5555_5555;
    private const uint Offset = 0x1234_5678;
    private const byte OperandSize = 0x66;

    private readonly ProtectedMachine _machine = new();

    public SelectorFormTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _machine.SetDescriptor(Free, TestDescriptor.Segment(0x5000, 0x1_2345, TestDescriptor.Data, 0));
    }

    private ref ProcessorState State => ref _machine.State;

    [Theory]
    [InlineData(SegmentName.Es, "06", "07")]
    [InlineData(SegmentName.Cs, "0E", null)]
    [InlineData(SegmentName.Ss, "16", "17")]
    [InlineData(SegmentName.Ds, "1E", "1F")]
    [InlineData(SegmentName.Fs, "0FA0", "0FA1")]
    [InlineData(SegmentName.Gs, "0FA8", "0FA9")]
    public void A_segment_register_is_pushed_and_popped_in_both_sizes(SegmentName name, string push, string? pop)
    {
        foreach (uint size in (uint[])[2, 4])
        {
            _machine.EnterRing(0);
            Fill(Machine.StackTop);
            State.Esp = Machine.StackTop;
            Execute(push, size);
            Assert.Equal(Machine.StackTop - size, State.Esp);
            uint selector = State.Segment((int)name).Selector;
            Assert.Equal(
                size == 4 ? (Marker & 0xFFFF_0000) | selector : (selector << 16) | (Marker & 0xFFFF),
                _machine.Machine.ReadUInt32(Machine.StackTop - 4));
            if (pop is not null)
            {
                _machine.Machine.WriteUInt32(State.Esp, 0xABCD_0000 | Free);
                Execute(pop, size);
                Assert.Equal(Machine.StackTop, State.Esp);
                ExpectLoaded(name);
            }
        }
    }

    [Theory]
    [InlineData(SegmentName.Es, "C4")]
    [InlineData(SegmentName.Ss, "0FB2")]
    [InlineData(SegmentName.Ds, "C5")]
    [InlineData(SegmentName.Fs, "0FB4")]
    [InlineData(SegmentName.Gs, "0FB5")]
    public void A_segment_register_is_loaded_together_with_an_offset(SegmentName name, string load)
    {
        foreach (uint size in (uint[])[2, 4])
        {
            _machine.EnterRing(0);
            State.Ecx = Marker;
            State.Esi = Place;
            _machine.Machine.WriteUInt32(Place, Offset);
            _machine.Memory.Write(Place + size, BitConverter.GetBytes(Free));

            // ModRM: ECX from [ESI].
            Execute(load + "0E", size);
            Assert.Equal(size == 4 ? Offset : (Marker & 0xFFFF_0000) | (Offset & 0xFFFF), State.Ecx);
            ExpectLoaded(name);
        }
    }

    [Theory]
    [InlineData(SegmentName.Es)]
    [InlineData(SegmentName.Cs)]
    [InlineData(SegmentName.Ss)]
    [InlineData(SegmentName.Ds)]
    [InlineData(SegmentName.Fs)]
    [InlineData(SegmentName.Gs)]
    public void MOV_takes_a_selector_to_and_from_registers_and_memory(SegmentName name)
    {
        int reg = (int)name << 3;
        foreach (uint size in (uint[])[2, 4])
        {
            _machine.EnterRing(0);
            State.Ecx = Marker;
            State.Esi = Place;
            Fill(Place);
            uint selector = State.Segment((int)name).Selector;
            Execute($"8C{0xC1 | reg:X2}", size);
            Assert.Equal(size == 4 ? selector : (Marker & 0xFFFF_0000) | selector, State.Ecx);
            Execute($"8C{0x06 | reg:X2}", size);
            Assert.Equal((Marker & 0xFFFF_0000) | selector, _machine.Machine.ReadUInt32(Place));
            if (name == SegmentName.Cs)
            {
                continue;
            }

            State.Ecx = 0xABCD_0000 | Free;
            Execute($"8E{0xC1 | reg:X2}", size);
            ExpectLoaded(name);
            _machine.EnterRing(0);
            _machine.Machine.WriteUInt32(Place, 0xABCD_0000 | Free);
            Execute($"8E{0x06 | reg:X2}", size);
            ExpectLoaded(name);
        }
    }

    /// <summary>SLDT and STR, and what the register holds.</summary>
    [Theory]
    [InlineData(0, LdtSelector)]
    [InlineData(1, TssSelector)]
    public void SLDT_and_STR_store_16_bits_to_memory_and_fill_a_register(int reg, uint selector)
    {
        _machine.LoadLdt();
        foreach (uint size in (uint[])[2, 4])
        {
            State.Ecx = Marker;
            State.Esi = Place;
            Fill(Place);
            Execute($"0F00{0xC1 | reg << 3:X2}", size);
            Assert.Equal(size == 4 ? selector : (Marker & 0xFFFF_0000) | selector, State.Ecx);
            Execute($"0F00{0x06 | reg << 3:X2}", size);
            Assert.Equal((Marker & 0xFFFF_0000) | selector, _machine.Machine.ReadUInt32(Place));
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void LLDT_LTR_and_LMSW_take_16_bits_from_registers_and_memory(uint size)
    {
        foreach (string operand in (string[])["register", "memory"])
        {
            bool isMemory = operand == "memory";
            State.Esi = Place;
            SetOperand(LdtSelector);
            Execute(isMemory ? "0F0016" : "0F00D1", size);
            Assert.Equal((LdtSelector, Ldt), (State.Ldtr.Selector, State.Ldtr.Base));

            _machine.SetDescriptor(OtherTssSelector, TestDescriptor.Segment(OtherTss, 0x67, TestDescriptor.Tss32, 0, is32: false));
            SetOperand(OtherTssSelector);
            Execute(isMemory ? "0F001E" : "0F00D9", size);
            Assert.Equal((OtherTssSelector, OtherTss), (State.Tr.Selector, State.Tr.Base));

            SetOperand(0x000B);
            Execute(isMemory ? "0F0136" : "0F01F1", size);
            Assert.Equal(Cr0.Pe | Cr0.Mp | Cr0.Ts, _machine.Cpu.ReadControlRegister(0) & 0xF);
        }

        void SetOperand(uint value)
        {
            State.Ecx = 0xABCD_0000 | value;
            _machine.Machine.WriteUInt32(Place, 0xABCD_0000 | value);
        }
    }

    [Fact]
    public void SMSW_fills_a_register_with_CR0_and_stores_16_bits_to_memory()
    {
        _machine.Cpu.WriteControlRegister(0, Cr0.Pe | Cr0.Ne | Cr0.Wp);
        uint cr0 = _machine.Cpu.ReadControlRegister(0);
        State.Ecx = Marker;
        State.Esi = Place;
        Fill(Place);
        Execute("0F01E1", 4);
        Assert.Equal(cr0, State.Ecx);
        State.Ecx = Marker;
        Execute("0F01E1", 2);
        Assert.Equal((Marker & 0xFFFF_0000) | (cr0 & 0xFFFF), State.Ecx);
        foreach (uint size in (uint[])[2, 4])
        {
            Fill(Place);
            Execute("0F0126", size);
            Assert.Equal((Marker & 0xFFFF_0000) | (cr0 & 0xFFFF), _machine.Machine.ReadUInt32(Place));
        }
    }

    /// <summary>Bytes with the operand in a register and in memory; whether ZF is set for a selector of data.</summary>
    [Theory]
    [InlineData("0F00E1", "0F0026", true)]
    [InlineData("0F00E9", "0F002E", true)]
    public void VERR_and_VERW_take_16_bits_from_registers_and_memory(string register, string memory, bool writable)
    {
        foreach (string code in (string[])[register, memory])
        {
            foreach (uint size in (uint[])[2, 4])
            {
                foreach ((ushort selector, bool allowed) in ((ushort, bool)[])
                    [(Free, writable), (0, false), (Beyond, false), (ReadOnly3, register == "0F00E1")])
                {
                    State.Esi = Place;
                    State.Ecx = 0xABCD_0000 | selector;
                    _machine.Machine.WriteUInt32(Place, 0xABCD_0000 | selector);
                    _machine.Cpu.Eflags = Eflags.Cf | (allowed ? 0u : Eflags.Zf);
                    Execute(code, size);
                    Assert.Equal(Eflags.Cf | (allowed ? Eflags.Zf : 0u), _machine.Cpu.Eflags & Eflags.Arithmetic);
                }
            }
        }
    }

    /// <summary>LAR and LSL, and what they answer about a segment of data, all of it.</summary>
    [Theory]
    [InlineData("0F02", 0x0041_9200u)]
    [InlineData("0F03", 0x0001_2345u)]
    public void LAR_and_LSL_answer_in_the_operands_size(string code, uint answer)
    {
        foreach (uint size in (uint[])[2, 4])
        {
            foreach (string operand in (string[])["C1", "06"])
            {
                State.Eax = Marker;
                State.Esi = Place;
                State.Ecx = 0xABCD_0000 | Free;
                _machine.Machine.WriteUInt32(Place, 0xABCD_0000 | Free);
                _machine.Cpu.Eflags = 0;
                Execute(code + operand, size);
                Assert.Equal(size == 4 ? answer : (Marker & 0xFFFF_0000) | (answer & 0xFFFF), State.Eax);
                Assert.Equal(Eflags.Zf, _machine.Cpu.Eflags & Eflags.Arithmetic);
            }
        }
    }

    /// <summary>Loads, stores, and which register.</summary>
    [Theory]
    [InlineData("0F0116", "0F0106", true)]
    [InlineData("0F011E", "0F010E", false)]
    public void Table_registers_load_24_bits_of_their_base_with_a_16_bit_operand_and_all_of_it_without(
        string load, string store, bool isGdt)
    {
        State.Esi = Place;
        foreach (uint size in (uint[])[2, 4])
        {
            _machine.Memory.Write(Place, [0xFF, 0x01, 0x78, 0x56, 0x34, 0x12]);
            Execute(load, size);
            DescriptorTableRegister table = isGdt ? State.Gdtr : State.Idtr;
            Assert.Equal((size == 2 ? 0x0034_5678u : 0x1234_5678u, 0x1FFu), (table.Base, (uint)table.Limit));
            foreach (uint storeSize in (uint[])[2, 4])
            {
                Fill(Place);
                Execute(store, storeSize);
                Assert.Equal(
                    [0xFF, 0x01, 0x78, 0x56, 0x34, size == 2 ? (byte)0 : (byte)0x12, 0x55, 0x55], _machine.Memory.Span(Place, 8).ToArray());
            }
        }
    }

    public void Dispose() => _machine.Dispose();

    private void ExpectLoaded(SegmentName name)
    {
        SegmentRegister segment = State.Segment((int)name);
        Assert.Equal((Free, 0x5000u, 0x1_2345u), (segment.Selector, segment.Base, segment.Limit));
        _machine.EnterRing(0);
    }

    private void Fill(uint address)
    {
        for (uint at = address - 8; at < address + 8; at += sizeof(uint))
        {
            _machine.Machine.WriteUInt32(at, Marker);
        }
    }

    private void Execute(string code, uint size)
    {
        byte[] bytes = Convert.FromHexString(code);
        _machine.Exceptions.Clear();
        _machine.Machine.Execute(size == 2 ? [OperandSize, .. bytes] : bytes);
        Assert.Empty(_machine.Exceptions);
    }
}
