using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests.Faults;

/// <summary>
/// Alignment checks at CPL 3 (SDM 3A, 6.15, interrupt 17): every instruction with an operand in memory or on the stack, at every
/// address within a paragraph. Operands of 16 bytes have rules of their own: see SimdFaultTests.
/// </summary>
[ResultsUnchecked]
public sealed class AlignmentTests : IDisposable
{
    private const uint Base = FaultMachine.First + 0x800;
    private const uint Paragraph = 16;
    private const byte OperandSize = 0x66;

    private readonly FaultMachine _machine = new();

    /// <summary>Those that push or pop. ENTER and LEAVE begin where EBP or ESP is.</summary>
    public static TheoryData<Code> StackInstructions() => [.. OpcodeSpace.WithStack.Keys];

    /// <summary>Those whose operand in memory isn't one of 16 bytes.</summary>
    public static TheoryData<Code> MemoryInstructions() =>
        [.. OperandFaultTests.Instructions().Select(row => row.Data).Where(code => SizeOf(code) is not (16 or 512))];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(StackInstructions))]
    public void A_stack_that_is_not_aligned_is_an_alignment_check_and_changes_nothing(Code code)
    {
        byte[] bytes = OpcodeSpace.WithStack[code];
        if (Execute(bytes, FaultMachine.Safe, Base)?.Vector == ExceptionVector.InvalidOpcode)
        {
            return;
        }

        // A selector moves as a word, whatever ESP does (SDM 2B, PUSH and POP).
        Instruction instruction = Decode(bytes);
        uint unit = IsSelector(instruction) || bytes[0] == OperandSize ? sizeof(ushort) : (uint)sizeof(uint);
        for (uint misalignment = 0; misalignment < Paragraph; misalignment++)
        {
            Check(bytes, FaultMachine.Safe, Base + misalignment, misalignment % unit != 0);
        }
    }

    [Theory]
    [MemberData(nameof(MemoryInstructions))]
    public void An_operand_that_is_not_aligned_is_an_alignment_check_and_changes_nothing(Code code)
    {
        byte[] bytes = OpcodeSpace.WithMemory[code];
        if (Decode(bytes).IsPrivileged)
        {
            return;
        }

        for (uint misalignment = 0; misalignment < Paragraph; misalignment++)
        {
            Check(bytes, Base + misalignment, Base, IsMisaligned(code, misalignment));
        }
    }

    private static Instruction Decode(byte[] bytes) => Decoder.Create(32, bytes).Decode();

    private static bool IsSelector(in Instruction instruction) =>
        instruction.Op0Kind == OpKind.Register && instruction.Op0Register.IsSegmentRegister();

    private static bool IsTableRegister(in Instruction instruction) => instruction.Mnemonic is Mnemonic.Sgdt or Mnemonic.Sidt;

    private static int SizeOf(Code code) => Decode(OpcodeSpace.WithMemory[code]).MemorySize.GetSize();

    /// <summary>SDM 3A, table 6-7.</summary>
    private static bool IsMisaligned(Code code, uint address)
    {
        byte[] bytes = OpcodeSpace.WithMemory[code];
        Instruction instruction = Decode(bytes);
        uint size = (uint)SizeOf(code);
        uint unit = instruction.MemorySize switch
        {
            _ when IsTableRegister(instruction) => 4,
            MemorySize.SegPtr16 or MemorySize.Bound16_WordWord => 2,
            MemorySize.SegPtr32 or MemorySize.Bound32_DwordDword => 4,
            MemorySize.FpuEnv14 or MemorySize.FpuState94 => 2,
            MemorySize.FpuEnv28 or MemorySize.FpuState108 => 4,
            MemorySize.Float80 or MemorySize.Bcd => 8,
            _ when instruction.Op0Register.IsSegmentRegister() || instruction.Op1Register.IsSegmentRegister() => 2,
            _ => size,
        };

        // The base of a table, after its limit, is what has to be aligned.
        return (IsTableRegister(instruction) ? address + 2 : address) % unit != 0;
    }

    private void Check(byte[] bytes, uint operand, uint stack, bool faults)
    {
        ExceptionInfo? fault = Execute(bytes, operand, stack);
        string what = $"{Convert.ToHexString(bytes)} {Decode(bytes)}, operand at {operand:X}, stack at {stack:X}";
        Assert.True(faults == (fault is { Vector: ExceptionVector.AlignmentCheck, ErrorCode: 0 }), $"{what}: {fault}");
        if (faults)
        {
            _machine.AssertUnchanged(what);
        }
    }

    /// <summary>At CPL 3, which a page of the supervisor's elsewhere makes it.</summary>
    private ExceptionInfo? Execute(byte[] bytes, uint operand, uint stack)
    {
        bool isInCode = Decode(bytes) is { MemoryBase: Register.None } instruction && instruction.Op0Kind != OpKind.FarBranch32
            && (instruction.Op0Kind == OpKind.Memory || instruction.Op1Kind == OpKind.Memory);
        byte[] placed = isInCode ? [.. bytes[..^sizeof(uint)], .. BitConverter.GetBytes(operand)] : bytes;
        return _machine.Execute(placed, Obstacle.Supervisor, FaultMachine.Second, () =>
        {
            _machine.State.Esi = operand;
            _machine.State.Esp = _machine.State.Ebp = stack;
            _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Am);
            _machine.Cpu.Eflags |= Eflags.Ac;
        });
    }
}
