using Lguest.Cpu.State;

namespace Lguest.Cpu.Tests.Integers;

/// <summary>
/// CMPS and SCAS with REPE or REPNE that fault after some elements: EFLAGS is what it was before the instruction, though ECX, ESI
/// and EDI have moved on (SDM 2B, REP).
/// </summary>
public sealed class RepeatedComparisonTests : IDisposable
{
    private const uint Page = PagedMachine.PageSize;
    private const uint Source = 0x10_0000;
    private const uint Destination = 0x20_0000;
    private const uint Count = 0x3000;
    private const byte Same = 0x55;
    private const byte Other = 0x66;
    private const byte Repne = 0xF2;
    private const byte Repe = 0xF3;

    private static readonly uint[] Flags = [0, Eflags.Zf | Eflags.Pf, Eflags.Arithmetic, Eflags.Cf | Eflags.Of];

    private readonly PagedMachine _machine = new();

    private ref ProcessorState State => ref _machine.Cpu.State;

    /// <summary>What repeats, the size of its elements, and whether it goes backwards.</summary>
    public static TheoryData<string, uint, bool> Instructions()
    {
        var rows = new TheoryData<string, uint, bool>();
        foreach ((string code, uint size) in ((string, uint)[])
            [("A6", 1), ("66A7", 2), ("A7", 4), ("AE", 1), ("66AF", 2), ("AF", 4)])
        {
            rows.Add(code, size, false);
            rows.Add(code, size, true);
        }

        return rows;
    }

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void A_later_element_that_faults_restores_the_flags(string code, uint size, bool backward)
    {
        foreach (byte prefix in new[] { Repe, Repne })
        {
            foreach (uint elements in new uint[] { 0, 1, 2, 3, 100, Page / size, (Page / size) + 1, 2 * Page / size, (2 * Page / size) + 5 })
            {
                foreach (bool destinationFaults in new[] { true, false })
                {
                    foreach (uint flags in Flags)
                    {
                        if (destinationFaults || IsCmps(code))
                        {
                            CheckFault(Bytes(prefix, code), size, backward, elements, destinationFaults, flags);
                        }
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void An_element_behind_a_limit_restores_the_flags(string code, uint size, bool backward)
    {
        if (backward)
        {
            return;
        }

        foreach (byte prefix in new[] { Repe, Repne })
        {
            foreach (uint elements in new uint[] { 1, 2, 100, 2 * Page / size })
            {
                foreach (uint flags in Flags)
                {
                    Prepare(Bytes(prefix, code), size, backward: false, elements, destinationFaults: true, flags);
                    SegmentRegister segment = State.Es;
                    _machine.Cpu.SetSegment(SegmentName.Es, segment with { Limit = Destination + Page - 1 });
                    _machine.Cpu.Run(100);
                    Assert.Equal(ExceptionVector.GeneralProtection, _machine.SingleException().Vector);
                    Assert.Equal((flags | Eflags.Fixed, Count - elements), (_machine.Cpu.Eflags, State.Ecx));
                    _machine.Cpu.SetSegment(SegmentName.Es, segment);
                }
            }
        }
    }

    [Theory]
    [InlineData("A6", 1)]
    [InlineData("AF", 4)]
    public void An_interrupt_between_two_steps_finds_the_comparisons_flags_and_begins_the_instruction_anew(string code, uint size)
    {
        const uint before = Eflags.Cf | Eflags.Of;
        Prepare(Bytes(Repe, code), size, backward: false, (Page / size) + 1, destinationFaults: true, before);
        _machine.Map(Destination + Page, Destination + Page);
        _machine.Unmap(Destination + (2 * Page));
        State.Edi = Destination + Page - size;
        State.Esi = Source + Page - size;
        _machine.Cpu.Run(1);
        Assert.Equal(Count - 1, State.Ecx);
        const uint equal = Eflags.Zf | Eflags.Pf | Eflags.Fixed;
        Assert.Equal(equal, _machine.Cpu.Eflags);

        // Another instruction in between, as a handler would have, which leaves all flags but CF as they are not.
        uint eip = State.Eip;
        _machine.Machine.Memory.Write(0x3000, [0x40]);
        State.Eax = 0x7FFF_FFFF;
        uint accumulator = BitConverter.ToUInt32([Same, Same, Same, Same]);
        State.Eip = 0x3000;
        _machine.Cpu.Run(1);
        State.Eax = accumulator;
        uint now = _machine.Cpu.Eflags;
        Assert.NotEqual(equal, now);
        State.Eip = eip;
        _machine.Cpu.Run(100);
        Assert.Equal(ExceptionVector.PageFault, _machine.SingleException().Vector);
        Assert.Equal((now, Destination + (2 * Page)), (_machine.Cpu.Eflags, State.Edi));
    }

    [Theory]
    [MemberData(nameof(Instructions))]
    public void The_state_between_two_steps_can_be_saved(string code, uint size, bool backward)
    {
        const uint before = Eflags.Cf | Eflags.Of;
        Prepare(Bytes(Repe, code), size, backward, (2 * Page / size) + 1, destinationFaults: true, before);
        _machine.Cpu.Run(1);
        byte[] saved = _machine.Cpu.Save();
        _machine.Cpu.Eflags = 0;
        State.Eip = 0x3000;
        _machine.Machine.Memory.Write(0x3000, [0x40]);
        _machine.Cpu.Run(1);
        _machine.Cpu.Load(saved);
        _machine.Cpu.Run(100);
        Assert.Equal(ExceptionVector.PageFault, _machine.SingleException().Vector);
        Assert.Equal(before | Direction(backward) | Eflags.Fixed, _machine.Cpu.Eflags);
    }

    private static byte[] Bytes(byte prefix, string code) => [prefix, .. Convert.FromHexString(code)];

    private static bool IsCmps(string code) => code is "A6" or "66A7" or "A7";

    private static uint Direction(bool backward) => backward ? Eflags.Df : 0u;

    private void CheckFault(byte[] code, uint size, bool backward, uint elements, bool destinationFaults, uint flags)
    {
        string what = $"{Convert.ToHexString(code)}, backward: {backward}, {elements} elements, {destinationFaults}, flags {flags:X}";
        Prepare(code, size, backward, elements, destinationFaults, flags);
        uint esi = State.Esi;
        uint edi = State.Edi;
        _machine.Cpu.Run(100);
        Assert.Equal(ExceptionVector.PageFault, _machine.SingleException().Vector);
        uint expected = flags | Direction(backward) | Eflags.Fixed;
        Assert.True(expected == _machine.Cpu.Eflags, $"{what}: {_machine.Cpu.Eflags:X}");
        uint distance = backward ? 0 - (elements * size) : elements * size;
        Assert.Equal(Count - elements, State.Ecx);
        Assert.Equal(edi + distance, State.Edi);
        Assert.Equal(code[^1] is 0xA6 or 0xA7 ? esi + distance : esi, State.Esi);
        Assert.Equal(Machine.CodeBase, State.Eip);

        // With the page there it goes on, to a last element that ends it.
        _machine.Map(FaultPage(backward, destinationFaults), FaultPage(backward, destinationFaults));
        State.Ecx = 1;
        _machine.Cpu.Run(1);
        Assert.Single(_machine.Machine.Exceptions);
        uint after = code[0] == Repe ? Eflags.Zf | Eflags.Pf : Eflags.Cf | Eflags.Af | Eflags.Sf;
        Assert.Equal(after | Direction(backward) | Eflags.Fixed, _machine.Cpu.Eflags);
    }

    private static uint FaultPage(bool backward, bool destinationFaults) =>
        (destinationFaults ? Destination : Source) + Page - (backward ? 2 * Page : 0);

    /// <summary>So many elements lie before the page that is missing, and none of them ends the repetition.</summary>
    private void Prepare(byte[] code, uint size, bool backward, uint elements, bool destinationFaults, uint flags)
    {
        for (uint page = 0; page < 8 * Page; page += Page)
        {
            _machine.Map(Source - (4 * Page) + page, Source - (4 * Page) + page);
            _machine.Map(Destination - (4 * Page) + page, Destination - (4 * Page) + page);
        }

        _machine.Machine.Memory.Span(Source - (4 * Page), 8 * (int)Page).Fill(Same);
        _machine.Machine.Memory.Span(Destination - (4 * Page), 8 * (int)Page).Fill(code[0] == Repe ? Same : Other);
        _machine.Unmap(FaultPage(backward, destinationFaults));
        uint length = elements * size;

        // The other operand crosses its pages elsewhere.
        uint first = backward ? length - size : Page - length;
        State.Esi = Source + first + (destinationFaults ? 8 : 0u);
        State.Edi = Destination + first + (destinationFaults ? 0u : 8);
        State.Ecx = Count;
        State.Eax = BitConverter.ToUInt32([Same, Same, Same, Same]);
        State.Eip = Machine.CodeBase;
        _machine.Cpu.Eflags = flags | Direction(backward);
        _machine.Machine.Memory.Write(Machine.CodeBase, code);
        _machine.Machine.Exceptions.Clear();
    }
}
