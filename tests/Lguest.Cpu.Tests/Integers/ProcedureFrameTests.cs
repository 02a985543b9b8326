using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>ENTER, LEAVE, PUSHA, POPA, and other stack instructions whose accesses may fault halfway.</summary>
public sealed class ProcedureFrameTests : IDisposable
{
    private const uint First = 0x10_0000;
    private const uint Second = First + PagedMachine.PageSize;
    private const int Ebp = 5;
    private const int Esp = 4;

    private readonly PagedMachine _machine = new();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(255)]
    public void ENTER_pushes_so_many_frame_pointers(byte level)
    {
        foreach (bool is16 in (bool[])[false, true])
        {
            foreach (uint distance in (uint[])[0, 1, 4, 6, 60, 200])
            {
                byte[] memory = FillStack();
                byte[] code = [0xC8, 0x34, 0x01, level];
                _machine.Cpu.State.Esp = First + 0x800;
                _machine.Cpu.State.Ebp = First + 0x800 + distance;
                var model = new StackModel(memory, First, _machine.Cpu.State.Esp, _machine.Cpu.State.Ebp, is16 ? 2u : 4);
                model.Enter(0x134, level);
                Execute(is16 ? [0x66, .. code] : code);
                Expect(model);
            }
        }
    }

    [Fact]
    public void ENTER_and_LEAVE_use_SP_on_a_16_bit_stack()
    {
        SegmentRegister stack = _machine.Cpu.State.Ss with { Base = First };
        stack.Access &= ~SegmentAccess.Default32;
        _machine.Cpu.SetSegment(SegmentName.Ss, stack);
        _machine.Cpu.State.Esp = 0xAAAA_0002;
        _machine.Cpu.State.Ebp = 0xBBBB_1234;
        Execute([0xC8, 0x10, 0, 0]);
        Assert.Empty(_machine.Machine.Exceptions);
        Assert.Equal((0xAAAA_FFEE, 0xAAAA_FFFE), (_machine.Cpu.State.Esp, _machine.Cpu.State.Ebp));
        Execute([0xC9]);
        Assert.Equal((0xAAAA_0002, 0xBBBB_1234), (_machine.Cpu.State.Esp, _machine.Cpu.State.Ebp));
    }

    [Fact]
    public void ENTER_faults_when_the_new_top_of_the_stack_could_not_be_written()
    {
        _machine.MapReadOnly(First);
        _machine.Cpu.State.Esp = Second + 0x100;
        _machine.Cpu.State.Ebp = 0x1234;
        FillStack();
        ExpectFault([0xC8, 0x00, 0x02, 0], Second + 0xFC - 0x200, PageFaultError.Write | PageFaultError.Protection);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void PUSHA_and_POPA_move_every_register_but_ESP(bool is16)
    {
        uint size = is16 ? 2u : 4;
        uint mask = is16 ? ushort.MaxValue : uint.MaxValue;
        byte[] push = is16 ? [0x66, 0x60] : [0x60];
        byte[] pop = is16 ? [0x66, 0x61] : [0x61];
        SetRegisters(Second);
        Execute(push);
        Assert.Equal(Second - 8 * size, _machine.Cpu.State.Esp);
        for (int i = 0; i < 8; i++)
        {
            uint expected = (i == Esp ? Second : 0x1111_2222u * (uint)i) & mask;
            Assert.Equal(expected, _machine.Machine.ReadUInt32(Second - (uint)(i + 1) * size) & mask);
        }

        for (int i = 0; i < 8; i++)
        {
            _machine.Cpu.State.SetGeneral(i, i == Esp ? _machine.Cpu.State.Esp : 0xCCCC_CCCC);
        }

        Execute(pop);
        for (int i = 0; i < 8; i++)
        {
            uint value = i == Esp ? Second : 0x1111_2222u * (uint)i;
            uint expected = is16 && i != Esp ? 0xCCCC_0000 | (value & mask) : value;
            Assert.Equal(expected, _machine.Cpu.State.GetGeneral(i));
        }
    }

    // Name, code, ESP less the page border, the lowest stack byte touched less the border, whether it is written.
    [Theory]
    [InlineData("60", 16)]
    [InlineData("6660", 8)]
    [InlineData("60", 1)]
    [InlineData("60", 30)]
    [InlineData("C8000000", 2)]
    [InlineData("C8000001", 4)]
    [InlineData("C8000001", 7)]
    [InlineData("C8000005", 10)]
    [InlineData("C8000005", 23)]
    [InlineData("66C8000005", 3)]
    [InlineData("50", 3)]
    [InlineData("6650", 1)]
    [InlineData("6A01", 2)]
    [InlineData("FF36", 1)]
    [InlineData("E800000000", 3)]
    [InlineData("FFD0", 2)]
    [InlineData("9C", 3)]
    public void A_push_that_faults_halfway_has_pushed_nothing(string code, uint above)
    {
        foreach (bool missing in (bool[])[false, true])
        {
            FillStack();
            SetRegisters(Second + above);
            _machine.Cpu.State.Esi = Second + 0x100;
            _machine.Cpu.State.Ebp = Second + 0x800;
            Forbid(First, missing);
            uint error = PageFaultError.Write | (missing ? 0 : PageFaultError.Protection);
            ExceptionInfo fault = ExpectFault(Convert.FromHexString(code), null, error);
            Assert.InRange(fault.Address, Second - 32, Second - 1);
            _machine.Map(First, First);
        }
    }

    [Theory]
    [InlineData("61", 16)]
    [InlineData("6661", 3)]
    [InlineData("61", 31)]
    [InlineData("C9", 2)]
    [InlineData("58", 3)]
    [InlineData("8F06", 1)]
    [InlineData("C3", 2)]
    [InlineData("C20800", 1)]
    [InlineData("9D", 3)]
    public void A_pop_that_faults_halfway_has_popped_nothing(string code, uint below)
    {
        FillStack();
        SetRegisters(Second - below);
        _machine.Cpu.State.Ebp = Second - below;
        _machine.Cpu.State.Esi = First + 0x100;
        _machine.Unmap(Second);
        ExpectFault(Convert.FromHexString(code), Second, 0);
    }

    [Fact]
    public void POP_to_memory_that_faults_leaves_ESP()
    {
        FillStack();
        SetRegisters(First + 0x100);
        _machine.Cpu.State.Esi = Second - 1;
        _machine.MapReadOnly(Second);
        ExpectFault([0x8F, 0x06], Second, PageFaultError.Write | PageFaultError.Protection);
    }

    [Theory]
    [InlineData("60")]
    [InlineData("C8000000")]
    [InlineData("50")]
    [InlineData("E800000000")]
    public void A_push_behind_the_stacks_limit_is_a_stack_fault(string code)
    {
        FillStack();
        SetRegisters(First + 0x100);
        _machine.Cpu.SetSegment(SegmentName.Ss, _machine.Cpu.State.Ss with { Limit = First + 0xFE });
        uint[] registers = Registers();
        Execute(Convert.FromHexString(code));
        Assert.Equal(ExceptionVector.StackSegment, _machine.SingleException().Vector);
        Assert.Equal(registers, Registers());
    }

    public void Dispose() => _machine.Dispose();

    private byte[] FillStack()
    {
        byte[] memory = new byte[2 * PagedMachine.PageSize];
        new Random(3).NextBytes(memory);
        _machine.Machine.Memory.Write(First, memory);
        return memory;
    }

    private void SetRegisters(uint esp)
    {
        for (int i = 0; i < 8; i++)
        {
            _machine.Cpu.State.SetGeneral(i, 0x1111_2222u * (uint)i);
        }

        _machine.Cpu.State.Esp = esp;
    }

    private uint[] Registers() => [.. Enumerable.Range(0, 8).Select(_machine.Cpu.State.GetGeneral)];

    private void Forbid(uint page, bool missing)
    {
        if (missing)
        {
            _machine.Unmap(page);
        }
        else
        {
            _machine.MapReadOnly(page);
        }
    }

    private void Execute(byte[] code)
    {
        _machine.Machine.Exceptions.Clear();
        _machine.Execute(code);
    }

    private ExceptionInfo ExpectFault(byte[] code, uint? address, uint error)
    {
        byte[] memory = _machine.Machine.Memory.Span(First, 2 * PagedMachine.PageSize).ToArray();
        uint[] registers = Registers();
        uint flags = _machine.Cpu.Eflags;
        Execute(code);
        ExceptionInfo fault = _machine.SingleException();
        Assert.Equal((ExceptionVector.PageFault, error), (fault.Vector, fault.ErrorCode));
        Assert.Equal(address ?? fault.Address, fault.Address);
        Assert.Equal(registers, Registers());
        Assert.Equal(flags, _machine.Cpu.Eflags);
        Assert.Equal(Machine.CodeBase, _machine.Cpu.State.Eip);
        Assert.True(_machine.Machine.Memory.Span(First, 2 * PagedMachine.PageSize).SequenceEqual(memory), "written");
        return fault;
    }

    private void Expect(StackModel model)
    {
        Assert.Empty(_machine.Machine.Exceptions);
        Assert.Equal((model.Esp, model.Ebp), (_machine.Cpu.State.Esp, _machine.Cpu.State.GetGeneral(Ebp)));
        Assert.True(_machine.Machine.Memory.Span(First, 2 * PagedMachine.PageSize).SequenceEqual(model.Memory));
    }

    /// <summary>ENTER as the manual's pseudo-code has it (SDM 2A), over some memory.</summary>
    private sealed class StackModel(byte[] memory, uint start, uint esp, uint ebp, uint size)
    {
        public byte[] Memory => memory;

        public uint Esp { get; private set; } = esp;

        public uint Ebp { get; private set; } = ebp;

        public void Enter(uint allocation, uint level)
        {
            level %= 32;
            uint original = Ebp;
            Push(Ebp);
            uint frame = Esp;
            if (level > 0)
            {
                uint pointer = original;
                for (uint i = 1; i < level; i++)
                {
                    pointer -= size;
                    Push(BitConverter.ToUInt32(memory, (int)(pointer - start)));
                }

                Push(frame);
            }

            Ebp = size == 2 ? (original & 0xFFFF_0000) | (frame & 0xFFFF) : frame;
            Esp -= allocation;
        }

        private void Push(uint value)
        {
            Esp -= size;
            BitConverter.GetBytes(value).AsSpan(0, (int)size).CopyTo(memory.AsSpan((int)(Esp - start)));
        }
    }
}
