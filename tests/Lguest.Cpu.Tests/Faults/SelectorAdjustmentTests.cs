using Lguest.Cpu.State;
using Lguest.Cpu.Tests.Encodings;

namespace Lguest.Cpu.Tests.Faults;

/// <summary>
/// ARPL for every pair of privilege numbers, where its operand can't be read or can't be written: it reads, and writes only what it
/// changes, as processors have it.
/// </summary>
[ResultsUnchecked]
public sealed class SelectorAdjustmentTests : IDisposable
{
    private const uint First = FaultMachine.First;
    private const uint Second = FaultMachine.Second;
    private const byte OverrideCs = 0x2E;
    private const int Levels = 4;

    /// <summary>ARPL [ESI], DX with prefixes that change how the operand is reached.</summary>
    private static readonly byte[][] Forms = [[0x63, 0x16], [0x66, 0x63, 0x16], [0x36, 0x63, 0x16], [0x64, 0x63, 0x16]];

    private readonly FaultMachine _machine = new();

    public static TheoryData<int, int> Pairs()
    {
        var pairs = new TheoryData<int, int>();
        for (int selector = 0; selector < Levels; selector++)
        {
            for (int other = 0; other < Levels; other++)
            {
                pairs.Add(selector, other);
            }
        }

        return pairs;
    }

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Pairs))]
    public void A_selector_on_a_page_that_cannot_be_written_is_a_fault_only_where_it_changes(int selector, int other)
    {
        foreach (byte[] form in Forms)
        {
            foreach (uint address in new[] { First, Second - 1, Second })
            {
                foreach (uint page in new[] { First, Second })
                {
                    bool isTouched = page == First ? address < Second : address + 1 >= Second;
                    uint faultAddress = page == First ? address : Math.Max(address, Second);
                    foreach (Obstacle obstacle in Enum.GetValues<Obstacle>())
                    {
                        uint? error = (isTouched, obstacle) switch
                        {
                            (false, _) => null,
                            (_, Obstacle.Missing) => 0,
                            (_, Obstacle.Supervisor) => PageFaultError.Protection | PageFaultError.User,
                            _ when selector < other => PageFaultError.Protection | PageFaultError.Write,
                            _ => null,
                        };
                        Check(form, selector, other, address, obstacle, page, () => { }, ExceptionVector.PageFault, error, faultAddress);
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void A_selector_in_a_segment_that_cannot_be_written_is_a_fault_only_where_it_changes(int selector, int other)
    {
        uint? error = selector < other ? 0 : null;
        SegmentRegister readOnly = _machine.State.Ds with { Access = SegmentAccess.Present | SegmentAccess.CodeOrData };
        Check([0x63, 0x16], selector, other, First, null, First, () => _machine.Cpu.SetSegment(SegmentName.Ds, readOnly),
            ExceptionVector.GeneralProtection, error);
        Check([0x64, 0x63, 0x16], selector, other, First, null, First, () => _machine.Cpu.SetSegment(SegmentName.Fs, readOnly),
            ExceptionVector.GeneralProtection, error);
        Check([OverrideCs, 0x63, 0x16], selector, other, First, null, First, () => { }, ExceptionVector.GeneralProtection, error);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void A_misaligned_selector_is_a_fault_whether_it_changes_or_not(int selector, int other) =>
        Check(
            [0x63, 0x16],
            selector,
            other,
            First + 1,
            Obstacle.Supervisor,
            Second,
            () =>
            {
                _machine.Cpu.WriteControlRegister(0, _machine.Cpu.ReadControlRegister(0) | Cr0.Am);
                _machine.Cpu.Eflags |= Eflags.Ac;
            },
            ExceptionVector.AlignmentCheck,
            0);

    private void Check(
        byte[] form,
        int selector,
        int other,
        uint address,
        Obstacle? obstacle,
        uint page,
        Action prepare,
        int vector,
        uint? error,
        uint faultAddress = 0)
    {
        ushort before = (ushort)(0x120 | selector);
        ushort after = (ushort)(0x120 | Math.Max(selector, other));
        ExceptionInfo? fault = _machine.Execute(form, obstacle, page, () =>
        {
            _machine.State.Esi = address;
            _machine.State.Edx = 0x5550u | (uint)other;
            _machine.Memory.Write(address, BitConverter.GetBytes(before));
            prepare();
        });
        string what = $"{Convert.ToHexString(form)} {selector} {other} at {address:X}, {obstacle} {page:X}";
        ushort now = BitConverter.ToUInt16(_machine.Memory.Span(address, sizeof(ushort)));
        if (error is { } code)
        {
            var expected = new ExceptionInfo(vector, code, ExceptionOrigin.Fault, faultAddress, Machine.CodeBase);
            Assert.True(fault == expected, $"{what}: {fault}");
            Assert.Equal(before, now);
            return;
        }

        Assert.True(fault is null, $"{what}: {fault}");
        Assert.True(now == after, $"{what}: {now:X}");
    }
}
