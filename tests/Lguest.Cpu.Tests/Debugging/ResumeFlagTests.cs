using Iced.Intel;
using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;
using Lguest.Cpu.Tests.Faults;
using Lguest.Cpu.Tests.Protection;
using static Lguest.Cpu.Tests.Protection.ProtectedMachine;

namespace Lguest.Cpu.Tests.Debugging;

/// <summary>
/// RF in the image of EFLAGS that a handler finds (SDM 3B, 17.3.1.1): set where the instruction comes again, which is after a fault
/// and between the steps of a repetition; else as it was.
/// </summary>
[ResultsUnchecked]
public sealed class ResumeFlagTests : IDisposable
{
    private const int Vector = 0x42;
    private const uint Source = 0x2800;
    private const uint Count = 3;
    private const uint PageSize = 0x1000;
    private const uint PageOffset = PageSize - 1;
    private const byte Nop = 0x90;
    private const uint GeneralDetect = 0x2400;

    private readonly ProtectedMachine _machine = new();
    private readonly byte[] _fresh;

    public ResumeFlagTests()
    {
        _machine.MapWithHole();
        _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Ne);
        _machine.Cpu.WriteControlRegister(4, Cr4.Osfxsr | Cr4.Osxmmexcpt);
        _fresh = _machine.Cpu.Save();
    }

    private ref ProcessorState State => ref _machine.State;

    /// <summary>All string instructions that repeat, in all sizes, with both prefixes and both sizes of addresses.</summary>
    public static TheoryData<string> Repetitions()
    {
        var codes = new TheoryData<string>();
        foreach (string opcode in (string[])["A4", "A5", "A6", "A7", "AA", "AB", "AC", "AD", "AE", "AF", "6C", "6D", "6E", "6F"])
        {
            foreach (string prefix in (string[])["F3", "F366", "F367"])
            {
                codes.Add(prefix + opcode);
            }
        }

        foreach (string opcode in (string[])["A6", "A7", "AE", "AF", "A4", "6E"])
        {
            codes.Add("F2" + opcode);
        }

        return codes;
    }

    /// <summary>Faults: every instruction that is refused, by its operand's page or for itself.</summary>
    public static TheoryData<string> Faults() =>
    [
        .. OpcodeSpace.WithMemory.Where(pair => IsPlain(pair.Value)).Select(pair => Convert.ToHexString(pair.Value)),
        "0F0B", "F7F3", "9A0000000000FF00", "8ED9", "0F34",
    ];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Repetitions))]
    public void A_single_step_finds_it_set_after_every_step_of_a_repetition_but_the_last(string code)
    {
        Prepare(Convert.FromHexString(code), Eflags.Tf);
        for (uint left = Count; left > 0; left--)
        {
            _machine.Cpu.Run(1);
            Assert.Equal(ExceptionVector.Debug, Assert.Single(_machine.Exceptions).Vector);
            Assert.True(left - 1 == State.Ecx, $"{code}: {State.Ecx} left");
            CheckImage(left > 1, code);
            Return();
        }

        Assert.Equal(Machine.CodeBase + ((uint)code.Length / 2), State.Eip);
    }

    [Theory]
    [MemberData(nameof(Repetitions))]
    public void An_interrupt_finds_it_set_after_every_step_of_a_repetition_but_the_last(string code)
    {
        Prepare(Convert.FromHexString(code), Eflags.If);
        for (uint left = Count; left > 0; left--)
        {
            GoToEndOfPages(code);
            _machine.Cpu.Run(1);
            Assert.True(left - 1 == State.Ecx, $"{code}: {State.Ecx} left");
            Assert.True(_machine.Cpu.TryDeliverInterrupt(Vector));
            CheckImage(left > 1, code);
            Return();
        }
    }

    [Theory]
    [MemberData(nameof(Repetitions))]
    public void A_breakpoint_on_a_repetition_is_met_once(string code)
    {
        Prepare(Convert.FromHexString(code), Eflags.Rf);
        State.SetDebug(0, Machine.CodeBase);
        State.SetDebug(7, 0x402);
        for (uint left = Count; left > 0; left--)
        {
            GoToEndOfPages(code);
            _machine.Cpu.Run(1);
            Assert.Empty(_machine.Exceptions);
            Assert.Equal(left - 1, State.Ecx);
        }

        Assert.Equal(Machine.CodeBase + ((uint)code.Length / 2), State.Eip);
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_fault_finds_it_set_and_its_handlers_return_passes_a_breakpoint(string code)
    {
        Prepare(Convert.FromHexString(code), 0);
        (State.Esi, State.Ecx) = (MissingPage, 0x58);
        _machine.Cpu.Run(1);
        Assert.Equal(ExceptionOrigin.Fault, Assert.Single(_machine.Exceptions).Origin);
        Assert.Equal(Machine.CodeBase, _machine.Exceptions[0].InstructionEip);
        bool hasErrorCode = ExceptionVector.HasErrorCode(_machine.Exceptions[0].Vector);
        Assert.Equal(Eflags.Rf, _machine.StackDword(hasErrorCode ? 3 : 2) & Eflags.Rf);
        Assert.Equal(0u, _machine.Cpu.Eflags & Eflags.Rf);
        State.Esp += hasErrorCode ? 4u : 0;
        State.SetDebug(0, Machine.CodeBase);
        State.SetDebug(7, 0x402);
        Return();
        _machine.Exceptions.Clear();
        _machine.Cpu.Run(1);
        Assert.NotEqual(ExceptionVector.Debug, Assert.Single(_machine.Exceptions).Vector);
    }

    [Theory]
    [InlineData(Eflags.Rf, true)]
    [InlineData(0u, false)]
    public void A_trap_or_an_interrupt_after_an_IRET_finds_it_as_that_set_it(uint image, bool isSet)
    {
        foreach (uint before in new[] { 0u, Eflags.Rf })
        {
            foreach (uint flags in new[] { Eflags.Tf, Eflags.If })
            {
                Prepare([0xCF], flags | before);
                uint[] frame = [0x1800, Code0, image | Eflags.If];
                for (uint i = 0; i < frame.Length; i++)
                {
                    _machine.Machine.WriteUInt32(State.Esp + (4 * i), frame[i]);
                }

                _machine.Cpu.Run(1);
                Assert.Equal(flags == Eflags.Tf ? 1 : 0, _machine.Exceptions.Count);
                Assert.True(flags == Eflags.Tf || _machine.Cpu.TryDeliverInterrupt(Vector));
                CheckImage(isSet, $"{before:X} {flags:X}");
            }
        }
    }

    [Theory]
    [InlineData("CD42")]
    [InlineData("CC")]
    [InlineData("CE")]
    [InlineData("F1")]
    public void A_software_interrupt_clears_it(string code)
    {
        Prepare(Convert.FromHexString(code), Eflags.Rf | Eflags.Of);
        _machine.Cpu.Run(1);
        Assert.Single(_machine.Exceptions);
        CheckImage(false, code);
    }

    [Fact]
    public void An_instruction_breakpoint_leaves_it_clear()
    {
        Prepare([Nop], 0);
        State.SetDebug(2, Machine.CodeBase);
        State.SetDebug(7, 0x420);
        _machine.Cpu.Run(1);
        Assert.Equal(ExceptionVector.Debug, _machine.Exceptions[0].Vector);
        CheckImage(false, "breakpoint");
    }

    [Theory]
    [InlineData("0F21C0")]
    [InlineData("0F23C8")]
    [InlineData("0F21FE")]
    [InlineData("0F23F8")]
    public void A_guarded_debug_register_is_a_fault_like_others(string code)
    {
        // A breakpoint that isn't met, and what was once in DR6, don't matter.
        foreach (uint status in new uint[] { 0xffff_0ff0, 0xffff_2fff, 0xffff_0fff })
        {
            Prepare(Convert.FromHexString(code), 0);
            State.SetDebug(6, status);
            State.SetDebug(7, GeneralDetect);
            _machine.Cpu.Run(1);
            Assert.Equal(ExceptionVector.Debug, Assert.Single(_machine.Exceptions).Vector);
            CheckImage(true, code);
        }

        Prepare(Convert.FromHexString(code), 0);
        State.SetDebug(6, 0xffff_2ff0);
        State.SetDebug(1, Machine.CodeBase);
        State.SetDebug(7, GeneralDetect | 8);
        _machine.Cpu.Run(1);
        CheckImage(false, "breakpoint on " + code);
    }

    [Theory]
    [InlineData("40")]
    [InlineData("9C")]
    [InlineData("EB00")]
    [InlineData("F3A4")]
    public void It_lasts_for_one_instruction_and_survives_one_that_has_to_come_again(string code)
    {
        Prepare(Convert.FromHexString(code), Eflags.Rf);
        _machine.Cpu.Run(1);
        Assert.Equal(0u, _machine.Cpu.Eflags & Eflags.Rf);

        // A fault that the host mends: the breakpoint isn't met by the second try.
        Prepare(Convert.FromHexString("A100000300"), Eflags.Rf);
        _machine.Machine.StopAtExceptions = true;
        State.SetDebug(0, Machine.CodeBase);
        State.SetDebug(7, 0x402);
        _machine.Cpu.Run(1);
        Assert.Equal(ExceptionVector.PageFault, Assert.Single(_machine.Exceptions).Vector);
        Assert.Equal(Eflags.Rf, _machine.Cpu.Eflags & Eflags.Rf);
        _machine.Cpu.Run(1);
        Assert.All(_machine.Exceptions, e => Assert.Equal(ExceptionVector.PageFault, e.Vector));
    }

    private static bool IsPlain(byte[] bytes)
    {
        Instruction instruction = Decoder.Create(32, bytes).Decode();
        return instruction.MemoryBase == Register.ESI && bytes[0] != 0xF0
            && OperandFaultTests.Instructions().Any(row => row.Data == instruction.Code);
    }

    /// <summary>Both operands are the last elements of their pages.</summary>
    private void GoToEndOfPages(string code)
    {
        Instruction instruction = Decoder.Create(32, Convert.FromHexString(code)).Decode();
        State.Esi = (Source & ~PageOffset) + PageSize - (uint)instruction.MemorySize.GetSize();
        State.Edi = State.Esi + PageSize;
    }

    /// <summary>Memory is such that no comparison ends before its count does.</summary>
    private void Prepare(byte[] code, uint flags)
    {
        _machine.Cpu.Load(_fresh);
        _machine.Exceptions.Clear();
        _machine.Machine.StopAtExceptions = false;
        _machine.Memory.Write(Machine.CodeBase, [.. code, Nop, Nop]);
        _machine.Memory.Span(Source & ~PageOffset, PageSize).Clear();
        _machine.Memory.Span(Source + PageSize & ~PageOffset, PageSize).Fill(code[0] == 0xF2 ? (byte)1 : (byte)0);
        _machine.Cpu.Eflags = flags;
        State.Eip = Machine.CodeBase;
        (State.Ecx, State.Esi, State.Edi, State.Edx) = (Count, Source, Source + PageSize, 0x80);
    }

    private void CheckImage(bool isSet, string what) =>
        Assert.True(isSet == ((_machine.StackDword(2) & Eflags.Rf) != 0), $"{what}: {_machine.StackDword(2):X}");

    /// <summary>As IRET does.</summary>
    private void Return()
    {
        _machine.Exceptions.Clear();
        State.Eip = _machine.StackDword(0);
        _machine.Cpu.Eflags = _machine.StackDword(2);
        State.Esp += 12;
        State.Halted = 0;
    }
}
