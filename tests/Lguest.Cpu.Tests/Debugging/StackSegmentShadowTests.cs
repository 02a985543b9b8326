using Iced.Intel;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Faults;
using Lguest.Cpu.Tests.Protection;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Debugging;

/// <summary>
/// A data breakpoint that the operand of MOV SS or POP SS hits, followed by every kind of instruction. The trap waits for the
/// instruction that follows (SDM 3A, 6.8.3); it is lost to a fault and to INT1, and comes at the handler's first instruction after
/// INT n, INT3 and INTO. What real processors do there is recorded in Linux's tools/testing/selftests/x86/mov_ss_trap.c.
/// </summary>
[ResultsUnchecked]
public sealed class StackSegmentShadowTests : IDisposable
{
    private const uint Watched = 0x2000;
    private const uint Operand = 0x2800;
    private const uint NoStatus = 0xffff_0ff0;
    private const uint Hit = 1;
    private const uint SingleStep = 1 << 14;

    // DR7: breakpoint 0, global, on reading or writing two bytes.
    private const uint Watch = 0x0007_0402;

    /// <summary>Loads of SS from memory, with every size of operand and address.</summary>
    private static readonly byte[][] Loads =
    [
        [0x8E, 0x15, 0x00, 0x20, 0, 0],
        [0x66, 0x8E, 0x15, 0x00, 0x20, 0, 0],
        [0x67, 0x8E, 0x16, 0x00, 0x20],
        [0x36, 0x8E, 0x55, 0x00],
        [0x17],
        [0x66, 0x17],
    ];

    /// <summary>What has no operand in memory.</summary>
    private static readonly byte[][] Others =
    [
        [0x90], [0x40], [0xF4], [0xFA], [0xFB], [0xCC], [0xCD, 0x42], [0xCE], [0xF1], [0x0F, 0x0B], [0xEB, 0], [0x74, 0], [0xE2, 0],
        [0xE8, 0, 0, 0, 0], [0xFF, 0xD6], [0xA4], [0xF3, 0xA4], [0xF3, 0xA6], [0x6C], [0x6E], [0xE4, 0x80], [0xEE],
        [0x0F, 0xA2], [0x0F, 0x31], [0x0F, 0x30], [0x0F, 0x22, 0xC0], [0x0F, 0x20, 0xC0], [0x0F, 0x23, 0xC8], [0x0F, 0x23, 0xF8],
        [0x0F, 0x06], [0xD9, 0xE8], [0x9B], [0x0F, 0x77], [0x8E, 0xD8], [0x8E, 0xE0], [0x8E, 0x1D, 0x00, 0x20, 0, 0], [0x16], [0x1F],
        [0xF7, 0xF3], [0x9C], [0x9D], [0xCF], [0xD6], [0x2F], [0x62, 0x06], [0x63, 0xC0], [0x0F, 0x05], [0x0F, 0x34],
        [0xA1, 0x00, 0x00, 0x03, 0x00], [0xA3, 0x00, 0x00, 0x03, 0x00], [0xEA, 0, 0x30, 0, 0, 8, 0],
    ];

    private readonly ProtectedMachine _machine = new();
    private readonly byte[] _fresh;

    public StackSegmentShadowTests()
    {
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Ne);
        _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr | Cr4.Osxmmexcpt);
        _fresh = _machine.Cpu.Save();
    }

    // After LGDT and LIDT nothing can be delivered.
    public static TheoryData<string> Followers() =>
    [
        .. OpcodeSpace.WithMemory.Where(pair => pair.Key.Mnemonic() is not (Mnemonic.Lgdt or Mnemonic.Lidt)).Select(pair => pair.Value)
            .Concat(OpcodeSpace.WithStack.Values).Concat(Others).Select(Convert.ToHexString).Distinct(),
    ];

    private ref ProcessorState State => ref _machine.State;

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Followers))]
    public void A_watched_load_of_SS_traps_after_the_instruction_that_follows(string follower)
    {
        foreach (byte[] load in Loads)
        {
            foreach (int ring in new[] { 0, 3 })
            {
                foreach (uint flags in new[] { 0u, Eflags.Tf, Eflags.Of })
                {
                    Check(load, Convert.FromHexString(follower), ring, flags);
                }
            }
        }
    }

    [Theory]
    [InlineData("8E15002000008ED8")]
    [InlineData("8ED0 8ED8")]
    [InlineData("17 8ED8")]
    public void An_instruction_breakpoint_after_a_load_of_SS_is_suppressed(string program)
    {
        byte[] code = Convert.FromHexString(program.Replace(" ", "", StringComparison.Ordinal));
        Prepare([.. code, 0x90, 0x90], ring: 0, flags: 0);
        State.SetDebug(0, Machine.CodeBase + (uint)code.Length - 2);
        State.SetDebug(1, Machine.CodeBase + (uint)code.Length + 1);
        State.SetDebug(7, 0x40A);
        _machine.Cpu.UpdateMode();
        _machine.Cpu.Run(10);
        ExceptionInfo exception = Assert.Single(_machine.Exceptions);
        Assert.Equal((ExceptionVector.Debug, State.GetDebug(1)), (exception.Vector, exception.InstructionEip));
        Assert.Equal(NoStatus | 2, State.GetDebug(6));
    }

    [Theory]
    [InlineData("8ED0 8ED0 90 90", 2)]
    [InlineData("16 16 17 17 90 90", 4)]
    [InlineData("16 8ED0 17 90 90", 3)]
    [InlineData("16 17 8ED0 8ED0 90 90", 3)]
    public void Of_two_loads_of_SS_only_the_first_holds_anything_off(string program, ulong retired)
    {
        Prepare(Convert.FromHexString(program.Replace(" ", "", StringComparison.Ordinal)), ring: 0, flags: Eflags.If);
        _machine.Cpu.Run(retired - 1);
        Assert.True(_machine.Cpu.InterruptsShadowed);
        Assert.False(_machine.Cpu.TryDeliverInterrupt(0x42));
        _machine.Cpu.Run(1);
        Assert.False(_machine.Cpu.InterruptsShadowed);
        Assert.True(_machine.Cpu.TryDeliverInterrupt(0x42));
    }

    [Theory]
    [InlineData("8ED0 0F0B", ExceptionVector.InvalidOpcode)]
    [InlineData("8ED0 CD42", 0x42)]
    [InlineData("8ED0 A100000300", ExceptionVector.PageFault)]
    [InlineData("FB 0F0B", ExceptionVector.InvalidOpcode)]
    public void A_delivery_ends_the_shadow(string program, int vector)
    {
        byte[] code = Convert.FromHexString(program.Replace(" ", "", StringComparison.Ordinal));
        Prepare(code, ring: 0, code[0] == 0xFB ? 0 : Eflags.If);
        _machine.MapWithHole();
        _machine.SetGate(vector, TestDescriptor.Gate(TestDescriptor.TrapGate32, Code0, HandlerOf(vector), 0));
        State.SetDebug(0, HandlerOf(vector));
        State.SetDebug(7, 0x402);
        _machine.Cpu.UpdateMode();
        _machine.Cpu.Run(1);
        Assert.True(_machine.Cpu.InterruptsShadowed);
        _machine.Cpu.Run(2);

        // The handler's first instruction has a breakpoint, which is met.
        Assert.Equal([vector, ExceptionVector.Debug], _machine.Exceptions.Select(e => e.Vector));
    }

    private void Check(byte[] load, byte[] follower, int ring, uint flags)
    {
        byte[] code = [.. load, .. follower, 0x90];
        string what = $"{Convert.ToHexString(load)} {Convert.ToHexString(follower)}, ring {ring}, flags {flags:X}";
        Prepare(code, ring, flags);
        _machine.Cpu.Run(2);
        ExceptionInfo[] expected = [.. _machine.Exceptions];
        uint eip = State.Eip;
        bool completes = expected.All(e => e.Origin != ExceptionOrigin.Fault);
        bool isTrapped = expected.Any(e => e is { Vector: ExceptionVector.Debug, Origin: ExceptionOrigin.Trap });

        Prepare(code, ring, flags);
        State.SetDebug(0, Watched);
        State.SetDebug(7, Watch);
        _machine.Cpu.UpdateMode();
        _machine.Cpu.Run(1);
        Assert.True(_machine.Exceptions.Count == 0, $"{what}: {string.Join(", ", _machine.Exceptions)} at once");
        Assert.Equal(NoStatus, State.GetDebug(6));
        _machine.Cpu.Run(1);
        if (completes && !isTrapped)
        {
            expected = [.. expected, new ExceptionInfo(ExceptionVector.Debug, 0, ExceptionOrigin.Trap, 0, eip)];
        }

        Assert.True(expected.SequenceEqual(_machine.Exceptions), $"{what}: {string.Join(", ", _machine.Exceptions)}");
        bool isIcebp = follower[0] == 0xF1;
        uint status = completes && !isIcebp
            ? NoStatus | Hit | (isTrapped ? SingleStep : 0)
            : NoStatus;

        Assert.True(status == State.GetDebug(6), $"{what}: DR6 is {State.GetDebug(6):X}, not {status:X}");
    }

    private void Prepare(byte[] code, int ring, uint flags)
    {
        _machine.Cpu.Load(_fresh);
        _machine.EnterRing(ring);
        ref ProcessorState state = ref State;
        for (int i = 0; i < 8; i++)
        {
            state.SetGeneral(i, Operand);
        }

        ushort data = ring == 0 ? Data0 : Data3;
        state.Eax = data;
        state.Ecx = 1;
        state.Ebp = state.Esp = Watched;
        for (uint at = Watched; at < Watched + 0x1000; at += 6)
        {
            _machine.Memory.Write(at, OpcodeSpace.FarPointer);
        }

        _machine.Memory.Write(Watched, [(byte)data, 0, 0, 0]);
        _machine.Cpu.Eflags = flags;
        _machine.Exceptions.Clear();
        _machine.Memory.Write(Machine.CodeBase, code);
        state.Eip = Machine.CodeBase;
    }
}
