using Lguest.Cpu.Instructions.Integer;
using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>PUSH, POP, PUSHF, POPF and LEAVE in every form and both sizes.</summary>
public sealed class StackFormTests : IDisposable
{
    private const uint Top = 0x6000;
    private const uint Value = 0x89AB_CDEF;
    private const uint Marker = 0x5555_5555;
    private const int Esp = 4;
    private const byte OperandSize = 0x66;

    private readonly Machine _machine = new();

    private ref ProcessorState State => ref _machine.Cpu.State;

    public static TheoryData<int> Registers => [.. Enumerable.Range(0, 8)];

    [Theory]
    [MemberData(nameof(Registers))]
    public void PUSH_and_POP_move_a_register_in_both_encodings(int register)
    {
        foreach (byte[] push in (byte[][])[[(byte)(0x50 + register)], [0xFF, (byte)(0xF0 + register)]])
        {
            foreach (uint size in (uint[])[2, 4])
            {
                Prepare();
                State.SetGeneral(register, register == Esp ? Top : Value);
                Execute(push, size);
                Assert.Equal(Top - size, State.Esp);
                ExpectMemory(Top - size, register == Esp ? Top : Value, size);
            }
        }

        foreach (byte[] pop in (byte[][])[[(byte)(0x58 + register)], [0x8F, (byte)(0xC0 + register)]])
        {
            foreach (uint size in (uint[])[2, 4])
            {
                Prepare();
                _machine.WriteUInt32(Top, Value);
                Execute(pop, size);

                // POP ESP: the popped value is the last to arrive. POP SP replaces half of the incremented one.
                uint before = register == Esp ? Top + size : Marker;
                Assert.Equal((before & ~Mask(size)) | (Value & Mask(size)), State.GetGeneral(register));
                Assert.True(register == Esp || State.Esp == Top + size);
            }
        }
    }

    [Theory]
    [InlineData("FF36", 4, 0u)]
    [InlineData("FF36", 2, 0u)]
    [InlineData("FF7424FC", 4, 0u)]
    [InlineData("8F06", 4, 4u)]
    [InlineData("8F06", 2, 2u)]
    public void PUSH_and_POP_move_memory(string code, uint size, uint popped)
    {
        Prepare();
        State.Esi = Machine.DataBase;
        bool isPop = popped != 0;
        _machine.WriteUInt32(isPop ? Top : Machine.DataBase, Value);
        _machine.WriteUInt32(Top - 4, code == "FF7424FC" ? Value : Marker);
        Execute(Convert.FromHexString(code), size);
        Assert.Equal(isPop ? Top + popped : Top - size, State.Esp);
        ExpectMemory(isPop ? Machine.DataBase : Top - size, Value, size);
    }

    [Theory]
    [InlineData(4, 8u)]
    [InlineData(2, 6u)]
    public void POP_to_memory_computes_its_address_with_the_incremented_ESP(uint size, uint offset)
    {
        Prepare();
        _machine.WriteUInt32(Top, Value);
        Execute([0x8F, 0x44, 0x24, 0x04], size);
        Assert.Equal(Top + size, State.Esp);
        ExpectMemory(Top + offset, Value, size);
    }

    [Theory]
    [InlineData("6A7F", 4, 0x7Fu)]
    [InlineData("6A80", 4, 0xFFFF_FF80u)]
    [InlineData("6A7F", 2, 0x7Fu)]
    [InlineData("6A80", 2, 0xFF80u)]
    [InlineData("68EFCDAB89", 4, Value)]
    [InlineData("68EFCD", 2, 0xCDEFu)]
    public void PUSH_extends_an_immediate_to_the_operands_size(string code, uint size, uint expected)
    {
        Prepare();
        Execute(Convert.FromHexString(code), size);
        Assert.Equal(Top - size, State.Esp);
        ExpectMemory(Top - size, expected, size);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void PUSHF_pushes_all_flags_but_VM_and_RF_and_POPF_takes_them_back(uint size)
    {
        foreach (uint flags in (uint[])[0, Eflags.Arithmetic, Eflags.Cf | Eflags.Df, Eflags.Id | Eflags.Nt | Eflags.Zf])
        {
            Prepare();
            _machine.Cpu.Eflags = flags | Eflags.Rf;
            Execute([0x9C], size);
            ExpectMemory(Top - size, flags | Eflags.Fixed, size);
            _machine.Cpu.Eflags = ~flags & Eflags.Arithmetic;
            Execute([0x9D], size);
            Assert.Equal((flags & Mask(size)) | Eflags.Fixed, _machine.Cpu.Eflags);
            Assert.Equal(Top, State.Esp);
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void LEAVE_drops_the_frame_and_restores_the_one_before(uint size)
    {
        Prepare();
        State.Ebp = Top + 0x40;
        _machine.WriteUInt32(Top + 0x40, Value);
        Execute([0xC9], size);
        Assert.Equal(Top + 0x40 + size, State.Esp);
        Assert.Equal(((Top + 0x40) & ~Mask(size)) | (Value & Mask(size)), State.Ebp);
    }

    [Theory]
    [InlineData("50", 4)]
    [InlineData("6A12", 4)]
    [InlineData("9C", 4)]
    [InlineData("FF36", 4)]
    [InlineData("50", 2)]
    public void On_a_16_bit_stack_only_SP_moves_and_it_wraps(string code, uint size)
    {
        SegmentRegister stack = State.Ss;
        stack.Access &= ~SegmentAccess.Default32;
        _machine.Cpu.SetSegment(SegmentName.Ss, stack);
        Prepare();
        State.Esi = Machine.DataBase;
        State.Esp = 0xAAAA_0000;
        Execute(Convert.FromHexString(code), size);
        Assert.Equal(0xAAAB_0000 - size, State.Esp);
    }

    public void Dispose() => _machine.Dispose();

    private static uint Mask(uint size) => size == 2 ? ushort.MaxValue : uint.MaxValue;

    private void Prepare()
    {
        for (int i = 0; i < 8; i++)
        {
            State.SetGeneral(i, Marker);
        }

        for (uint address = Top - 16; address < Top + 16; address += sizeof(uint))
        {
            _machine.WriteUInt32(address, Marker);
        }

        _machine.WriteUInt32(Machine.DataBase - 4, Marker);
        _machine.WriteUInt32(Machine.DataBase, Marker);
        State.Esp = Top;
        _machine.Cpu.Eflags = Eflags.Fixed;
    }

    private void Execute(byte[] code, uint size)
    {
        uint before = _machine.Cpu.Eflags;
        _machine.Execute(size == 2 ? [OperandSize, .. code] : code);
        Assert.Empty(_machine.Exceptions);
        Assert.True(code[0] == 0x9D || _machine.Cpu.Eflags == (before & ~(uint)Eflags.Rf), "the flags have changed");
    }

    /// <summary>The value is there, and nothing beside it was written.</summary>
    private void ExpectMemory(uint address, uint value, uint size)
    {
        Assert.Equal((Marker & ~Mask(size)) | (value & Mask(size)), _machine.ReadUInt32(address));
        Assert.Equal(Marker & 0xFF, _machine.Memory.Span(address - 1, 1)[0]);
    }
}
