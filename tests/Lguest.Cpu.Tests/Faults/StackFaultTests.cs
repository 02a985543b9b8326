using Iced.Intel;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests.Faults;

/// <summary>
/// Every instruction that pushes or pops, the stack placed so that each byte in turn is the first, or the last, that lies
/// where it mustn't.
/// </summary>
[ResultsUnchecked]
public sealed class StackFaultTests : IDisposable
{
    private const uint First = FaultMachine.First;
    private const uint Second = FaultMachine.Second;

    private readonly FaultMachine _machine = new();

    /// <summary>Those that this processor has. How far ENTER reaches depends on its operands: see ProcedureFrameTests.</summary>
    public static TheoryData<Code> Instructions()
    {
        using var tests = new StackFaultTests();
        return [.. OpcodeSpace.WithStack.Keys.Where(code => code.Mnemonic() != Mnemonic.Enter && tests.Exists(code))];
    }

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void A_stack_that_reaches_a_forbidden_page_is_a_page_fault_and_changes_nothing(Code code)
    {
        uint size = SizeOf(code);
        foreach (Obstacle obstacle in Enum.GetValues<Obstacle>())
        {
            for (uint inFirst = 0; inFirst <= size; inFirst++)
            {
                if (inFirst < size)
                {
                    CheckPage(code, Second - inFirst, size, Second, obstacle);
                }

                if (inFirst > 0)
                {
                    CheckPage(code, Second - inFirst, size, First, obstacle);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void A_stack_that_reaches_behind_its_limit_is_a_stack_fault_and_changes_nothing(Code code)
    {
        uint size = SizeOf(code);
        for (uint within = 0; within < size; within++)
        {
            uint limit = First + within - 1;
            ExceptionInfo? fault = _machine.Execute(OpcodeSpace.WithStack[code], obstacle: null, First, () =>
            {
                Place(code, First, size);
                _machine.Cpu.SetSegment(SegmentName.Ss, _machine.State.Ss with { Limit = limit });
            });
            string what = $"{Decode(code)} with a limit of {limit:X}";
            Assert.True((fault?.Vector, fault?.ErrorCode) == (ExceptionVector.StackSegment, 0u), $"{what}: {fault}");
            _machine.AssertUnchanged(what);
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void A_stack_across_two_pages_is_one_like_any_other(Code code)
    {
        (int? vector, byte[] state, byte[] memory) = Outcome(code, First + 0x800);
        for (uint inFirst = 1; inFirst < SizeOf(code); inFirst++)
        {
            (int? vectorHere, byte[] stateHere, byte[] memoryHere) = Outcome(code, Second - inFirst);
            Assert.Equal(vector, vectorHere);
            Assert.Equal(memory, memoryHere);
            Assert.Equal(state, stateHere);
        }
    }

    private static Instruction Decode(Code code) => Decoder.Create(32, OpcodeSpace.WithStack[code]).Decode();

    private static bool IsPush(Code code) => Decode(code).StackPointerIncrement < 0;

    /// <summary>Bytes pushed or popped; LEAVE pops one register, from where EBP points.</summary>
    private static uint SizeOf(Code code) => code switch
    {
        Code.Leavew => sizeof(ushort),
        Code.Leaved => sizeof(uint),

        // A selector is a word, though ESP may move by four.
        _ when Decode(code).Op0Kind == OpKind.Register && Decode(code).Op0Register.IsSegmentRegister() => sizeof(ushort),
        _ => (uint)Math.Abs(Decode(code).StackPointerIncrement) - ImmediateOf(code),
    };

    // RET n frees what it doesn't read.
    private static uint ImmediateOf(Code code) =>
        Decode(code) is { Mnemonic: Mnemonic.Ret or Mnemonic.Retf, OpCount: 1 } instruction ? instruction.Immediate16 : 0u;

    private bool Exists(Code code) => _machine.Execute(
        OpcodeSpace.WithStack[code], obstacle: null, First, () => Place(code, First, SizeOf(code)))?.Vector != ExceptionVector.InvalidOpcode;

    private void Place(Code code, uint start, uint size) =>
        _machine.State.Esp = _machine.State.Ebp = IsPush(code) ? start + Math.Max(size, Moves(code)) : start;

    private static uint Moves(Code code) => (uint)Math.Abs(Decode(code).StackPointerIncrement);

    /// <summary>What an instruction does that has a far pointer again and again on its stack, with addresses less its lowest one.</summary>
    private (int? Vector, byte[] State, byte[] Memory) Outcome(Code code, uint start)
    {
        const uint around = 8;
        uint size = SizeOf(code);
        byte[] stack = new byte[size];
        for (int i = 0; i < stack.Length; i++)
        {
            stack[i] = OpcodeSpace.FarPointer[i % OpcodeSpace.FarPointer.Length];
        }

        ExceptionInfo? fault = _machine.Execute(OpcodeSpace.WithStack[code], null, First, () =>
        {
            Place(code, start, size);
            _machine.Memory.Write(start, stack);
        });
        byte[] memory = _machine.Memory.Span(start - around, size + (2 * around)).ToArray();
        if (code is Code.Pushad or Code.Pushaw)
        {
            // ESP and EBP are among what it pushes.
            memory.AsSpan((int)around + (int)(size / 4), (int)(size / 4)).Clear();
        }

        _machine.State.Esp -= start;
        _machine.State.Ebp -= code is Code.Leavew or Code.Leaved or Code.Popaw or Code.Popad ? 0 : start;
        return (fault?.Vector, _machine.Cpu.Save(), memory);
    }

    private void CheckPage(Code code, uint start, uint size, uint badPage, Obstacle obstacle)
    {
        ExceptionInfo? fault = _machine.Execute(
            OpcodeSpace.WithStack[code], obstacle, badPage, () => Place(code, start, size));
        string what = $"{Decode(code)} at {start:X}, {obstacle} {badPage:X}";
        if (obstacle == Obstacle.ReadOnly && !IsPush(code))
        {
            Assert.True(fault?.Vector != ExceptionVector.PageFault, $"{what} faults");
            return;
        }

        // Which of several elements is pushed first decides the address.
        uint error = (obstacle == Obstacle.Missing ? 0 : PageFaultError.Protection)
            | (IsPush(code) ? PageFaultError.Write : 0)
            | (obstacle == Obstacle.Supervisor ? PageFaultError.User : 0);
        Assert.True((fault?.Vector, fault?.ErrorCode) == (ExceptionVector.PageFault, error), $"{what}: {fault}");
        uint lowest = badPage == First ? start : Math.Max(start, Second);
        uint end = badPage == First ? Math.Min(start + size, Second) : start + size;
        Assert.InRange(fault!.Value.Address, lowest, end - 1);
        _machine.AssertUnchanged(what);
    }
}
