using Iced.Intel;
using Lguest.Cpu.Instructions.System;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests.Faults;

/// <summary>
/// Every instruction with a memory operand in ModRM, integer, system, x87, MMX or SSE, the operand placed so that each byte
/// in turn is the first, or the last, that lies where it mustn't.
/// </summary>
[ResultsUnchecked]
public sealed class OperandFaultTests : IDisposable
{
    private const uint First = FaultMachine.First;
    private const uint Second = FaultMachine.Second;
    private const byte OverrideSs = 0x36;
    private const byte Breakpoint = 0xcc;
    private const byte ShiftCount = 3;
    private const int LargestElement = 16;

    private readonly FaultMachine _machine = new();

    /// <summary>Those that touch memory, and that this processor has.</summary>
    public static TheoryData<Code> Instructions()
    {
        using var tests = new OperandFaultTests();
        return [.. OpcodeSpace.WithMemory.Keys.Where(code => SizeOf(code) > 0 && tests.Exists(code))];
    }

    /// <summary>Those that write it.</summary>
    public static TheoryData<Code> WritingInstructions() => [.. Instructions().Select(row => row.Data).Where(IsWritten)];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_operand_that_reaches_a_forbidden_page_is_a_page_fault_and_changes_nothing(Code code)
    {
        byte[] bytes = OpcodeSpace.WithMemory[code];
        uint size = SizeOf(code);
        foreach (Obstacle obstacle in Enum.GetValues<Obstacle>())
        {
            if (obstacle == Obstacle.Supervisor && Decode(code).IsPrivileged)
            {
                CheckPrivilege(bytes, code);
                continue;
            }

            for (uint inFirst = 0; inFirst <= size; inFirst++)
            {
                if (!MayLieAt(bytes, code, Second - inFirst))
                {
                    continue;
                }

                if (inFirst < size)
                {
                    CheckPage(bytes, code, Second - inFirst, Second, obstacle);
                }
                else
                {
                    ExceptionInfo? fault = Execute(bytes, code, Second - size, obstacle, Second);
                    Assert.True(fault?.Vector != ExceptionVector.PageFault, $"{Decode(code)} faults beyond its operand");
                }

                if (inFirst > 0)
                {
                    CheckPage(bytes, code, Second - inFirst, First, obstacle);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_operand_that_reaches_behind_a_limit_is_that_segments_fault_and_changes_nothing(Code code)
    {
        byte[] bytes = OpcodeSpace.WithMemory[code];
        for (uint within = 0; within < SizeOf(code); within++)
        {
            CheckLimit(bytes, code, SegmentName.Ds, First + within - 1, ExceptionVector.GeneralProtection);
            CheckLimit([OverrideSs, .. bytes], code, SegmentName.Ss, First + within - 1, ExceptionVector.StackSegment);
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_operand_across_two_pages_is_one_like_any_other(Code code)
    {
        byte[] bytes = OpcodeSpace.WithMemory[code];
        (int? vector, byte[] state, byte[] memory) = Outcome(bytes, code, First + 0x800);
        for (uint inFirst = 1; inFirst < SizeOf(code); inFirst++)
        {
            if (MayLieAt(bytes, code, Second - inFirst))
            {
                (int? vectorHere, byte[] stateHere, byte[] memoryHere) = Outcome(bytes, code, Second - inFirst);
                Assert.Equal(vector, vectorHere);
                Assert.Equal(memory, memoryHere);
                Assert.Equal(state, stateHere);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_operand_is_written_or_read_only_where_its_segment_allows_that(Code code)
    {
        SegmentRegister readOnly = _machine.State.Ds with { Access = SegmentAccess.Present | SegmentAccess.CodeOrData };
        SegmentRegister executeOnly = readOnly with { Access = readOnly.Access | SegmentAccess.Code };
        bool isProtectedAlways = IsProtectedIn(_machine.State.Ds, code);
        Assert.Equal(IsWritten(code) || isProtectedAlways, IsProtectedIn(readOnly, code));

        // CLFLUSH may name what can only be executed (SDM 2A, CLFLUSH).
        Assert.Equal(code != Code.Clflush_m8, IsProtectedIn(executeOnly, code));
    }

    [Theory]
    [MemberData(nameof(WritingInstructions))]
    public void What_is_stored_over_code_is_the_code_from_then_on(Code code)
    {
        byte[] bytes = OpcodeSpace.WithMemory[code];
        uint size = SizeOf(code);
        foreach (uint inFirst in new HashSet<uint> { 0, 1, size / 2, size - 1, size }.Where(place => place <= size))
        {
            uint address = Second - inFirst;
            if (!MayLieAt(bytes, code, address))
            {
                continue;
            }

            Execute(bytes, code, address, null, First, () =>
            {
                _machine.State.Eax = 1;
                _machine.State.Ecx = ShiftCount;
                FillWithBreakpoints(address, size);
            });
            for (uint at = address; at < address + size; at++)
            {
                bool isChanged = _machine.Memory.Span(at, 1)[0] != Breakpoint;
                Assert.True(!isChanged || IsDecodedAgain(at), $"{Convert.ToHexString(bytes)} at {address:X}, code at {at:X}");
            }
        }
    }

    private static Instruction Decode(Code code) => Decoder.Create(32, OpcodeSpace.WithMemory[code]).Decode();

    // A factory of its own each time: tests of other classes ask at the same time, and what one has answered changes with its next
    // answer.
    private static OpAccess AccessOf(in Instruction instruction, int operand) =>
        new InstructionInfoFactory().GetInfo(instruction).GetOpAccess(operand);

    private static bool IsWritten(Code code)
    {
        Instruction instruction = Decode(code);
        int operand = instruction.Op0Kind == OpKind.Memory ? 0 : 1;

        // ARPL finds nothing to raise here, and then only reads: see SelectorAdjustmentTests.
        return code is not (Code.Clflush_m8 or Code.Arpl_rm16_r16 or Code.Arpl_r32m16_r32)
            && AccessOf(instruction, operand) is not (OpAccess.Read or OpAccess.CondRead);
    }

    /// <summary>Bytes that are accessed: none for hints and addresses.</summary>
    private static uint SizeOf(Code code)
    {
        Instruction instruction = Decode(code);
        int operand = instruction.Op0Kind == OpKind.Memory ? 0 : 1;
        return code switch
        {
            Code.Clflush_m8 => 1,

            // INVLPG, LEA, prefetches and NOPs never touch it.
            _ when AccessOf(instruction, operand) is OpAccess.None or OpAccess.NoMemAccess => 0,
            _ when instruction.Mnemonic is Mnemonic.Prefetchnta or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1
                or Mnemonic.Prefetcht2 or Mnemonic.Invlpg => 0,

            // Selectors are words, whatever is stored to.
            _ when instruction.Op0Register.IsSegmentRegister() || instruction.Op1Register.IsSegmentRegister() => sizeof(ushort),
            _ => (uint)instruction.MemorySize.GetSize(),
        };
    }

    private bool Exists(Code code) =>
        Execute(OpcodeSpace.WithMemory[code], code, First, obstacle: null, First)?.Vector != ExceptionVector.InvalidOpcode;

    /// <summary>Whether its operand may lie at that address: misaligned ones of SSE have a fault of their own.</summary>
    private bool MayLieAt(byte[] bytes, Code code, uint address)
    {
        bool mayNeedAlignment = Decode(code).CpuidFeatures.Any(feature => feature
            is CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3 or CpuidFeature.FXSR);
        return !mayNeedAlignment || Execute(bytes, code, address, obstacle: null, First) is null;
    }

    /// <summary>With the operand at an address, which is in ESI or in the instruction.</summary>
    private ExceptionInfo? Execute(byte[] bytes, Code code, uint address, Obstacle? obstacle, uint badPage, Action? prepare = null)
    {
        bool isInCode = Decode(code).MemoryBase == Register.None;
        byte[] placed = isInCode ? [.. bytes[..^sizeof(uint)], .. BitConverter.GetBytes(address)] : bytes;
        return _machine.Execute(placed, obstacle, badPage, () =>
        {
            _machine.State.Esi = address;
            prepare?.Invoke();
        });
    }

    /// <summary>Code of one byte each, all of it decoded.</summary>
    private void FillWithBreakpoints(uint address, uint size)
    {
        _machine.Memory.Write(address, [.. Enumerable.Repeat(Breakpoint, (int)size)]);
        for (uint at = address; at < address + size; at++)
        {
            Assert.True(IsDecodedAgain(at));
            Assert.False(IsDecodedAgain(at));
        }
    }

    private bool IsDecodedAgain(uint address)
    {
        ulong before = _machine.Cpu.Statistics.BlocksDecoded;
        ProcessorState state = _machine.State;
        _machine.State.Eip = address;
        _machine.Cpu.Run(1);
        _machine.State = state;
        return _machine.Cpu.Statistics.BlocksDecoded != before;
    }

    /// <summary>What an instruction does that has a far pointer again and again for its operand.</summary>
    private (int? Vector, byte[] State, byte[] Memory) Outcome(byte[] bytes, Code code, uint address)
    {
        const uint around = 8;
        byte[] operand = new byte[SizeOf(code)];
        for (int i = 0; i < operand.Length; i++)
        {
            operand[i] = OpcodeSpace.FarPointer[i % OpcodeSpace.FarPointer.Length];
        }

        ExceptionInfo? fault = Execute(bytes, code, address, null, First, () =>
        {
            _machine.State.Ecx = ShiftCount;
            _machine.Memory.Write(address, operand);
            _machine.Memory.Write(_machine.State.Esp, [0x11, 0x22, 0x33, 0x44]);
        });
        _machine.State.Esi = 0;
        byte[] memory = _machine.Memory.Span(address - around, SizeOf(code) + 2 * around).ToArray();
        return (fault?.Vector, _machine.Cpu.Save(), memory);
    }

    private void CheckPage(byte[] bytes, Code code, uint address, uint badPage, Obstacle obstacle)
    {
        bool isWritten = IsWritten(code);
        ExceptionInfo? fault = Execute(bytes, code, address, obstacle, badPage);
        string what = $"{Convert.ToHexString(bytes)} {Decode(code)} at {address:X}, {obstacle} {badPage:X}";
        if (obstacle == Obstacle.ReadOnly && !isWritten)
        {
            Assert.True(fault?.Vector != ExceptionVector.PageFault, $"{what} faults");
            return;
        }

        Assert.True(fault is not null, $"{what} doesn't fault");
        uint error = (obstacle == Obstacle.Missing ? 0 : PageFaultError.Protection)
            | (isWritten ? PageFaultError.Write : 0)
            | (obstacle == Obstacle.Supervisor ? PageFaultError.User : 0);
        Assert.True((fault.Value.Vector, fault.Value.ErrorCode) == (ExceptionVector.PageFault, error), $"{what}: {fault}");
        uint lowest = badPage == First ? address : Math.Max(address, Second);
        if (SizeOf(code) > LargestElement)
        {
            // In which order an area's parts are checked is the processor's choice.
            uint end = badPage == First ? Second : address + SizeOf(code);
            Assert.InRange(fault.Value.Address, lowest, end - 1);
        }
        else
        {
            Assert.True(fault.Value.Address == lowest, $"{what}: {fault}, expected address {lowest:X}");
        }

        _machine.AssertUnchanged(what);
    }

    /// <summary>What may not be executed doesn't look at its operand.</summary>
    private void CheckPrivilege(byte[] bytes, Code code)
    {
        ExceptionInfo? fault = Execute(bytes, code, First, Obstacle.Supervisor, First);
        string what = $"{Convert.ToHexString(bytes)} {Decode(code)} in ring 3";
        Assert.True((fault?.Vector, fault?.ErrorCode) == (ExceptionVector.GeneralProtection, 0u), $"{what}: {fault}");
        _machine.AssertUnchanged(what);
    }

    /// <summary>Whether an instruction, rather than what it leads to, is #GP(0) with its operand in such a segment.</summary>
    private bool IsProtectedIn(SegmentRegister segment, Code code)
    {
        ExceptionInfo? fault = Execute(
            OpcodeSpace.WithMemory[code], code, First, null, First, () => _machine.Cpu.SetSegment(SegmentName.Ds, segment));
        return (fault?.Vector, fault?.ErrorCode) == (ExceptionVector.GeneralProtection, 0u)
            && _machine.State.Eip == Machine.CodeBase;
    }

    private void CheckLimit(byte[] bytes, Code code, SegmentName name, uint limit, int vector)
    {
        ExceptionInfo? fault = Execute(
            bytes,
            code,
            First,
            obstacle: null,
            First,
            () => _machine.Cpu.SetSegment(name, _machine.State.Es with { Limit = limit }));
        string what = $"{Convert.ToHexString(bytes)} with a limit of {limit:X}";
        Assert.True((fault?.Vector, fault?.ErrorCode) == (vector, 0u), $"{what}: {fault}");
        _machine.AssertUnchanged(what);
    }
}
