using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Protection;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Debugging;

/// <summary>
/// DR6 after every kind of #DB, whatever was in it: the four bits of breakpoints show those that are met now, the others add up
/// (SDM 3B, 17.2.3). INT1 and INT 1 leave it alone.
/// </summary>
public sealed class DebugStatusTests : IDisposable
{
    private const uint Ones = 0xffff_0ff0;
    private const uint Access = 1 << 13;
    private const uint SingleStep = 1 << 14;
    private const uint TaskSwitch = 1 << 15;
    private const uint Watched = 0x2000;
    private const byte Nop = 0x90;

    private readonly ProtectedMachine _machine = new();
    private readonly byte[] _fresh;

    public DebugStatusTests()
    {
        _machine.Machine.StopAtExceptions = true;
        _fresh = _machine.Cpu.Save();
    }

    private ref ProcessorState State => ref _machine.State;

    /// <summary>What was in DR6: every pattern of breakpoints, with each of the other bits, all and none.</summary>
    public static TheoryData<uint> Before()
    {
        var values = new TheoryData<uint>();
        foreach (uint other in new[] { 0u, Access, SingleStep, TaskSwitch, Access | SingleStep | TaskSwitch })
        {
            for (uint breakpoints = 0; breakpoints < 16; breakpoints++)
            {
                values.Add(Ones | other | breakpoints);
            }
        }

        return values;
    }

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Before))]
    public void Breakpoints_on_an_instruction_replace_those_before(uint before)
    {
        for (uint hit = 1; hit < 16; hit++)
        {
            Prepare([Nop], before);
            SetBreakpoints(hit, Machine.CodeBase, condition: 0);
            Check(before, hit);
        }
    }

    [Theory]
    [MemberData(nameof(Before))]
    public void Breakpoints_on_data_replace_those_before(uint before)
    {
        for (uint hit = 1; hit < 16; hit++)
        {
            // mov eax, [2000h], also while single-stepping.
            foreach (uint flags in new[] { 0u, Eflags.Tf })
            {
                Prepare([0xa1, 0x00, 0x20, 0, 0], before, flags);
                SetBreakpoints(hit, Watched, condition: 3);
                Check(before, hit | (flags != 0 ? SingleStep : 0));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Before))]
    public void A_single_step_clears_the_bits_of_breakpoints(uint before)
    {
        Prepare([Nop], before, Eflags.Tf);
        Check(before, SingleStep);
    }

    [Theory]
    [MemberData(nameof(Before))]
    public void A_guarded_debug_register_clears_the_bits_of_breakpoints(uint before)
    {
        for (byte number = 0; number < 8; number++)
        {
            foreach (byte opcode in new byte[] { 0x21, 0x23 })
            {
                Prepare([0x0f, opcode, (byte)(0xc0 | (number << 3))], before);
                State.SetDebug(7, 0x2400);
                Check(before, Access);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Before))]
    public void A_task_that_traps_clears_the_bits_of_breakpoints(uint before)
    {
        Prepare([0xea, 0, 0, 0, 0, (byte)OtherTssSelector, 0], before);
        _machine.SetDescriptor(OtherTssSelector, TestDescriptor.Segment(OtherTss, 0x67, TestDescriptor.Tss32, 0, is32: false));
        _machine.Machine.WriteUInt32(OtherTss + 0x20, Machine.CodeBase);
        uint[] segments = [Data0, Code0, Data0, Data0, Data0, Data0];
        for (uint i = 0; i < segments.Length; i++)
        {
            _machine.Machine.WriteUInt32(OtherTss + 0x48 + (4 * i), segments[i]);
        }

        _machine.Machine.WriteUInt32(OtherTss + 0x64, 1);
        Check(before, TaskSwitch);
    }

    [Theory]
    [MemberData(nameof(Before))]
    public void INT1_and_INT_1_leave_it_alone(uint before)
    {
        foreach (byte[] code in (byte[][])[[0xf1], [0xcd, 1]])
        {
            Prepare(code, before);
            _machine.Cpu.Run(1);
            Assert.Equal(ExceptionVector.Debug, Assert.Single(_machine.Exceptions).Vector);
            Assert.Equal(before, State.GetDebug(6));
        }
    }

    private void Prepare(byte[] code, uint before, uint flags = 0)
    {
        _machine.Cpu.Load(_fresh);
        _machine.Exceptions.Clear();
        _machine.Memory.Write(Machine.CodeBase, code);
        _machine.Cpu.Eflags = flags;
        State.SetDebug(6, before);
    }

    /// <summary>Those of a mask at an address, the others, enabled too, elsewhere.</summary>
    private void SetBreakpoints(uint mask, uint address, uint condition)
    {
        uint control = 0x4ff;
        for (int i = 0; i < 4; i++)
        {
            State.SetDebug(i, (mask & (1u << i)) != 0 ? address : address + 0x800);
            control |= condition << (16 + (4 * i));
        }

        State.SetDebug(7, control);
        _machine.Cpu.UpdateMode();
    }

    private void Check(uint before, uint status)
    {
        _machine.Cpu.Run(1);
        Assert.Equal(ExceptionVector.Debug, Assert.Single(_machine.Exceptions).Vector);
        uint expected = (before & ~15u) | status;
        Assert.True(expected == State.GetDebug(6), $"{before:X} became {State.GetDebug(6):X}, not {expected:X}");
    }
}
