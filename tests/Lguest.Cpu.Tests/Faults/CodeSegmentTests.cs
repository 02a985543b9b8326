using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests.Faults;

/// <summary>
/// Every instruction with an operand in memory, through CS: a code segment can't be written, flat or not (SDM 3A, 5.5), and that
/// is found out before anything about the page or the alignment.
/// </summary>
[ResultsUnchecked]
public sealed class CodeSegmentTests : IDisposable
{
    private const byte OverrideCs = 0x2E;
    private const uint First = FaultMachine.First;
    private const uint UserCode = 0x1B;
    private const uint UserStack = 0x23;

    private readonly FaultMachine _machine = new();

    /// <summary>Those that write, MASKMOVQ and MASKMOVDQU too, whose operand isn't in ModRM.</summary>
    public static TheoryData<Code> WritingInstructions() =>
        [.. OperandFaultTests.WritingInstructions().Select(row => row.Data), Code.Maskmovq_rDI_mm_mm, Code.Maskmovdqu_rDI_xmm_xmm];

    /// <summary>Those that only read.</summary>
    public static TheoryData<Code> ReadingInstructions() =>
        [.. OperandFaultTests.Instructions().Select(row => row.Data).Except(OperandFaultTests.WritingInstructions().Select(row => row.Data))];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(WritingInstructions))]
    public void Nothing_is_written_through_CS_whatever_else_is_wrong(Code code)
    {
        foreach (bool isUser in new[] { false, true })
        {
            foreach (Obstacle? obstacle in new Obstacle?[] { null, Obstacle.Missing, Obstacle.ReadOnly, Obstacle.Supervisor })
            {
                foreach (uint misalignment in new uint[] { 0, 1 })
                {
                    byte[] bytes = BytesOf(code, First + misalignment);
                    ExceptionInfo? fault = _machine.Execute(bytes, obstacle, First, () => Prepare(First + misalignment, isUser));
                    string what = $"{Convert.ToHexString(bytes)} {code}, user: {isUser}, page: {obstacle}, misaligned by {misalignment}";
                    Assert.True((fault?.Vector, fault?.ErrorCode) == (ExceptionVector.GeneralProtection, 0u), $"{what}: {fault}");
                    _machine.AssertUnchanged(what);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(ReadingInstructions))]
    public void Reading_through_CS_is_reading_through_DS(Code code)
    {
        byte[] throughCs = BytesOf(code, First);
        ExceptionInfo? fault = _machine.Execute(throughCs, null, First, () => Prepare(First, isUser: false));
        byte[] state = StateWithoutEip();
        ExceptionInfo? expected = _machine.Execute(throughCs[1..], null, First, () => Prepare(First, isUser: false));
        Assert.Equal((expected?.Vector, expected?.ErrorCode), (fault?.Vector, fault?.ErrorCode));
        Assert.Equal(StateWithoutEip(), state);
    }

    /// <summary>The instruction with an override, its operand at an address, which is in ESI and EDI or in the instruction.</summary>
    private static byte[] BytesOf(Code code, uint address)
    {
        byte[] bytes = code switch
        {
            Code.Maskmovq_rDI_mm_mm => [0x0F, 0xF7, 0xC1],
            Code.Maskmovdqu_rDI_xmm_xmm => [0x66, 0x0F, 0xF7, 0xC1],
            _ => OpcodeSpace.WithMemory[code],
        };
        Instruction instruction = Decoder.Create(32, bytes).Decode();
        bool isInCode = instruction.Op0Kind != OpKind.MemorySegEDI && instruction.MemoryBase == Register.None;
        return isInCode
            ? [OverrideCs, .. bytes[..^sizeof(uint)], .. BitConverter.GetBytes(address)]
            : [OverrideCs, .. bytes];
    }

    private void Prepare(uint address, bool isUser)
    {
        _machine.State.Esi = _machine.State.Edi = address;
        if (isUser)
        {
            _machine.Cpu.SetSegment(SegmentName.Cs, _machine.State.Cs with { Selector = (ushort)UserCode });
            _machine.Cpu.SetSegment(SegmentName.Ss, _machine.State.Ss with { Selector = (ushort)UserStack });
            _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Am);
            _machine.Cpu.Eflags |= Eflags.Ac;
        }
    }

    private byte[] StateWithoutEip()
    {
        _machine.State.Eip = 0;
        return _machine.Cpu.Save();
    }
}
